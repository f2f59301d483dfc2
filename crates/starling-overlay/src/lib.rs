//! Where things live: the Kademlia routing table, iterative lookups and the replicated record store, as a pure machine.
//!
//! Not for: sockets, clocks, random numbers, disks. [`Overlay`](overlay::Overlay) is handed what happened, the time
//! and a random generator, and says what is to be done; whoever drives it does that and reports back. It checks no
//! signature itself either: that is what [`verify::Verify`] is for.
//!
//! The main types:
//!
//! - [`overlay::Overlay`]: the dispatcher, one for each peer; [`io`] has what goes in and what comes out;
//! - [`table::Table`]: whom we know; [`lookup::Lookup`]: one search for the peers closest to a place;
//! - [`holder::Holder`]: what we keep for others; [`storage`]: where it keeps it, with [`memory`] for tests;
//! - [`sampling::Samples`]: whether holders keep what they said they keep;
//! - [`reach::Reach`], [`observed::Observed`]: whether and where we can be dialled;
//! - [`seats::Seats`]: how many connections there may be;
//! - [`config::Config`]: every number, with its reason.
//!
//! ```
//! use starling_overlay::config::Config;
//! use starling_overlay::holder::HolderConfig;
//! use starling_overlay::io::{Command, Input, OpId, Output};
//! use starling_overlay::memory::MemoryStore;
//! use starling_overlay::overlay::Overlay;
//! use starling_proto::addr::Peer;
//! use starling_proto::ids::NodeKey;
//! use starling_proto::message::Request;
//! use starling_proto::time::Now;
//! # use rand_chacha::rand_core::SeedableRng;
//! # struct NoRecords;
//! # impl starling_overlay::verify::Verify for NoRecords {
//! #     fn record(
//! #         &self,
//! #         _: &starling_proto::record::Record,
//! #         _: starling_proto::time::UnixSeconds,
//! #     ) -> Result<(), starling_overlay::verify::RecordRejection> {
//! #         Err(starling_overlay::verify::RecordRejection::Signature)
//! #     }
//! #     fn owner(&self, _: &starling_proto::message::OwnerRequest, _: &NodeKey, _: &[u8; 32]) -> bool { false }
//! #     fn matched_words(&self, _: &starling_proto::record::Record, _: &[String]) -> usize { 0 }
//! # }
//! # let (verify, mut rng) = (NoRecords, rand_chacha::ChaCha8Rng::seed_from_u64(7));
//! let me = NodeKey::new([1; 32]);
//! let (mut store, now) = (MemoryStore::default(), Now::default());
//! let mut overlay = Overlay::new(Config::default(), me, HolderConfig::new(me), now, &store)?;
//!
//! let friend = Peer::new(NodeKey::new([2; 32]), ["192.0.2.7:4040".parse()?]);
//! let join = Input::Command { op: OpId(1), command: Command::Join(vec![friend.clone()]) };
//! overlay.handle(now, &mut rng, &mut store, &verify, join)?;
//!
//! // It wants to ask the friend who is close to us: the shell dials, asks, and reports back.
//! let Some(Output::Call { to, request: Request::FindNode(find), .. }) = overlay.poll_output() else {
//!     panic!("nothing to do");
//! };
//! assert_eq!((to, find.target), (friend, me.node_id()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]

extern crate alloc;

pub mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod group;
pub mod holder;
pub mod io;
mod leading;
pub mod liars;
pub mod limiter;
pub mod lookup;
pub mod memory;
pub mod observed;
pub mod overlay;
pub mod reach;
pub mod sampling;
pub mod seats;
pub mod storage;
pub mod table;
mod task;
pub mod verify;
