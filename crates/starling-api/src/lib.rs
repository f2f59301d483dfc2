//! The local door: HTTP API with an event stream, its typed client, and the web page it serves.
//!
//! Not for: deciding anything. A request becomes one command of the core and its output one answer; what the command
//! does, and whether it is allowed, is the core's business. Not for peers either: nothing here meets the network.
//!
//! The main types:
//!
//! - [`server::ApiServer`]: listens, checks who calls, serves a [`backend::Backend`];
//! - [`node::NodeBackend`]: a running node as such a backend;
//! - [`client::Client`]: what all faces call, found through `api.json` ([`announce::Announcement`]);
//! - [`request_id::RequestId`]: what makes a request safe to repeat;
//! - [`types`]: the JSON of requests, answers, events and errors;
//! - [`limits`]: every bound, with its reason.
//!
//! ```
//! use std::sync::Arc;
//!
//! use futures_util::future::{BoxFuture, FutureExt};
//! use starling_api::backend::{Backend, Cursor, EventFeed, NodeInfo};
//! use starling_api::client::Client;
//! use starling_api::server::{ApiServer, ServerConfig};
//! use starling_core::io::{Command, CommandError, CommandOutput, ErrorCode};
//! use starling_core::view::Profile;
//!
//! /// A node that knows one thing.
//! struct Ada;
//!
//! fn refused() -> CommandError {
//!     CommandError { code: ErrorCode::Failed, message: "not here".into(), hint: "ask for the profile".into() }
//! }
//!
//! impl Backend for Ada {
//!     fn command(&self, command: Command) -> BoxFuture<'_, Result<CommandOutput, CommandError>> {
//!         let profile = Profile { name: "Ada".into(), ..Profile::default() };
//!         let known = command == Command::ShowProfile;
//!         async move { known.then_some(CommandOutput::Profile(profile)).ok_or_else(refused) }.boxed()
//!     }
//! #   fn events(&self, _: Option<&Cursor>) -> Result<EventFeed, CommandError> { Err(refused()) }
//! #   fn info(&self) -> NodeInfo { panic!("no status is asked for") }
//!     // … and `events` and `info`.
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let home = tempfile::tempdir()?;
//! let server = ApiServer::start(ServerConfig::new(home.path()), Arc::new(Ada)).await?;
//! let client = Client::open(home.path())?;
//! assert_eq!(client.profile().await?.name, "Ada");
//! server.shutdown().await?;
//! assert_eq!(client.profile().await.unwrap_err().exit_code(), 3, "no node is running");
//! # Ok(())
//! # }
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

pub mod announce;
pub mod backend;
pub mod client;
pub mod limits;
mod metrics;
pub mod node;
pub mod request_id;
pub mod server;
pub mod token;
pub mod types;

/// The version of the API, in its paths and in the `starling-api` header of every answer.
pub const API_VERSION: u16 = 1;
