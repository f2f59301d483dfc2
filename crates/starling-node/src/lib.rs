//! A running peer: the iroh endpoint, timers and the store, driving one core.
//!
//! Not for: deciding anything. What to ask, whom to answer and what to keep is the core's; this crate dials, frames,
//! counts, times out, commits, and only then lets outputs leave. It is the only crate with sockets, clocks, threads
//! and the operating system's random numbers beneath it.
//!
//! The main types:
//!
//! - [`Node`] starts a node and gives a [`NodeHandle`]: commands in, results and events out;
//! - [`Machine`] and [`Disk`]: the core and the database, as far as the shell must know them;
//! - [`transport::Transport`]: the network as far as the shell must know it, and its implementation over iroh;
//! - [`limits`]: every bound of the shell, each with its reason.
//!
//! ```no_run
//! use starling_core::io::Command;
//! use starling_node::{Disk, Machine, Node, NodeConfig, NodeSecret};
//! use starling_proto::version::NetworkName;
//!
//! async fn run<M: Machine, D: Disk>(config: M::Config, disk: D) -> Result<(), Box<dyn std::error::Error>> {
//!     let node = NodeConfig::new(NetworkName::main(), NodeSecret::new([7; 32]));
//!     let handle = Node::start::<M, D>(node, config, disk, starling_node::work()).await?;
//!     println!("{:?}", handle.command(Command::Status).await?);
//!     handle.shutdown().await;
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]

mod clock;
mod config;
mod counts;
mod driver;
mod events;
mod frames;
mod jobs;
pub mod limits;
mod node;
mod pool;
mod product;
pub mod transport;

pub use config::{NodeConfig, NodeSecret};
pub use counts::{Answers, Counts, MessageCounts};
pub use driver::{Disk, Machine};
pub use events::{BadCursor, Cursor, EventStream, News, Published};
pub use jobs::{Work, work};
pub use node::{EndReason, Node, NodeHandle, NodeInfo, Place, StartError};
