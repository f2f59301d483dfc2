//! The local door, tried from outside: real sockets, a node that is only played.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on should stop; it computes small known numbers"
)]

mod any_json;
mod client;
mod contacts;
mod events;
mod every_route;
mod floods;
mod messages;
mod metrics;
mod played;
mod request_ids;
mod support;
