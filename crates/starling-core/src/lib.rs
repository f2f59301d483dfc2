//! What a messenger does: directory, mailbox, delivery, presence, contacts, groups, files, as pure machines over the overlay.
//!
//! Not for: sockets, files, clocks, threads. The core is handed what happened and says what is to be done.
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

pub mod backup;
pub mod candidate;
pub mod config;
pub mod directory;
mod dispatch;
pub mod display;
pub mod identity;
pub mod io;
pub mod meeting;
pub mod memory;
pub mod profile;
pub mod publisher;
mod sampling;
pub mod search;
pub mod settings;
pub mod shared;
pub mod storage;
pub mod talking;
pub mod verify;
pub mod view;
pub mod wish;
pub mod words;

pub use dispatch::{Core, LookupId, Measured};

/// The protobuf types of the storage slots, compiled from `schema/storage.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated from schema/storage.proto, where each message is described"
)]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/starling.storage.v1.rs"));
}
