//! The names and bytes all peers share: ids, keys, limits, wire messages, versions.
//!
//! Not for: deciding anything. No signature is checked here (that is `starling-crypto`), nothing is looked up,
//! stored or sent. What leaves this crate is *well formed*: lengths, counts and ranges have been checked, so that
//! inner code can never be handed a message that is too long, an id that is too short or a list that is too full.
//!
//! The main types:
//!
//! - [`ids`]: one newtype for each kind of key and id, with a checksummed text form;
//! - [`limits`]: every bound that peers share, each with its reason;
//! - [`frame`]: the header before every message, read before a byte of the body is buffered;
//! - [`message`]: what peers ask of one another, as [`message::Request`] and [`message::Response`];
//! - [`record`]: what the overlay keeps;
//! - [`identity`]: device certificates, device lists, bundles, envelopes;
//! - [`session`], [`contact`], [`invite`]: what devices say to each other in private, and how that begins;
//! - [`time`]: running time and wall time, which are never mixed.
//!
//! ```
//! use starling_proto::frame::{FrameHeader, FrameKind};
//! use starling_proto::ids::NodeId;
//! use starling_proto::message::{FindNode, Request};
//!
//! let request = Request::FindNode(FindNode { target: NodeId::new([7; 32]), count: 20 });
//! let frame = request.to_frame()?;
//! let header = FrameHeader::parse(&frame)?;
//! assert_eq!(header.kind, FrameKind::FindNode);
//! assert_eq!(Request::decode(header.kind, &frame[FrameHeader::LEN..])?, request);
//! # Ok::<(), starling_proto::DecodeError>(())
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

pub mod addr;
pub mod contact;
pub mod content;
mod count;
mod error;
pub mod frame;
pub mod fuzz;
pub mod identity;
pub mod ids;
pub mod invite;
pub mod limits;
pub mod message;
pub mod padding;
pub mod record;
pub mod session;
mod text;
pub mod time;
pub mod version;

pub use error::{DecodeError, TextError};

/// The protobuf types, compiled from `schema/`. They are the bytes' shape and nothing more: every use goes through
/// the checked types of the other modules.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated from schema/, where each message is described"
)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/starling.v1.rs"));
}
