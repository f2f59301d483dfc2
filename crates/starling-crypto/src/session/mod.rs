//! Sessions: what two devices say to each other, so that only they can read it.
//!
//! Three layers. [`OlmAccount`] and [`OlmSession`] are the double ratchet, behind traits so that the core can run on
//! a deterministic stand-in; [`Vodozemac`] is the real one. [`SessionBook`] stands above it: one for each device that
//! we write to, it chooses the session, orders what comes in, refuses what was seen, buried or meant for somebody
//! else, and gives back the changed state with each result, so that both are written in one transaction.
//! [`FallbackSchedule`] says when the fallback key may be replaced.
//!
//! **The fenced exception.** Everything else in the pure crates takes its randomness as an argument. vodozemac draws
//! its own inside its constructors and when a chain turns, so [`Vodozemac`] ignores the generators that the traits
//! hand it. Nothing but this module names vodozemac's accounts and sessions.
//!
//! The specification is `docs/protocol/sessions.md`.

mod book;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod entry;
mod error;
mod fallback;
mod olm;
mod outcome;
mod stored;
#[cfg(test)]
mod tests;
mod vodozemac;
mod window;

pub use book::SessionBook;
pub use error::SessionError;
pub use fallback::FallbackSchedule;
pub use olm::{FallbackKeys, OlmAccount, OlmMessage, OlmSession, Pickle, PrekeyHeader};
pub use outcome::{BookChanges, Gap, Opened, OpenedMessage, Refused, Step, Tombstone};
pub use vodozemac::{Vodozemac, VodozemacSession};
