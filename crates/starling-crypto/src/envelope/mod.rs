//! Envelopes: what a third party keeps for somebody, so that it learns a mailbox, a size and nothing else.
//!
//! HPKE (RFC 9180) in base mode with the X-Wing KEM (X25519 and ML-KEM-768), HKDF-SHA256 and ChaCha20-Poly1305: mail
//! that is recorded today stays closed when X25519 falls. [`seal`] and [`open`] work on one envelope, [`InboxKeys`]
//! holds the weekly keys and says when each may be destroyed, [`seal_request`] and [`open_request`] carry what
//! strangers say of themselves.
//!
//! The specification is `docs/protocol/envelopes.md`; its vectors are in `docs/protocol/vectors/envelope.json`.

mod hpke;
mod inbox;
mod request;
mod retire;
#[cfg(test)]
mod vectors;

pub use hpke::{Destination, inbox_key, open, seal};
pub use inbox::{InboxChange, InboxEvent, InboxKeys};
pub use request::{VerifiedRequest, open_request, seal_request};
pub use retire::{OVERLAP, Publication, WallClock, outlived};
