//! What a step of a [`SessionBook`](super::SessionBook) gives.

use alloc::vec::Vec;

use starling_proto::ids::{DeviceListHash, OlmKey, SessionId};
use starling_proto::message::Sealed;

use super::{Pickle, SessionError};

/// A result with the state that it left behind: both are written in one transaction, and only then is the result
/// sent, shown or acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the changes must be committed with the result"]
pub struct Step<T> {
    /// The result.
    pub value: T,
    /// The state.
    pub changes: BookChanges,
}

/// Rows to write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BookChanges {
    /// Sessions to write.
    pub sessions: Vec<(SessionId, Pickle)>,
    /// Sessions to delete.
    pub removed: Vec<SessionId>,
    /// Tombstones to write.
    pub buried: Vec<Tombstone>,
    /// Tombstones to delete.
    pub forgotten: Vec<SessionId>,
    /// The account, if a one-time key was used up.
    pub account: Option<Pickle>,
}

/// A session that must never be opened again, until the key that it was started on is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The session.
    pub session: SessionId,
    /// Our fallback or one-time key that it was started on.
    pub key: OlmKey,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// Opened, in the order in which each session's sender wrote them.
    pub messages: Vec<OpenedMessage>,
    /// Held back: too many are missing before them. To be offered again when the gap has closed.
    pub held: Vec<Sealed>,
    /// Refused for good.
    pub refused: Vec<Refused>,
    /// What is missing in the sessions that the batch touched: to be asked for again.
    pub gaps: Vec<Gap>,
}

/// One message, opened; its parties have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedMessage {
    /// The session.
    pub session: SessionId,
    /// Its place in the session.
    pub sequence: u64,
    /// The sender's device list as the sender knows it.
    pub device_list: DeviceListHash,
    /// What was said.
    pub content: Vec<u8>,
}

/// One message, refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The session it claims to belong to.
    pub session: SessionId,
    /// Its claimed place there.
    pub sequence: u64,
    /// Why.
    pub error: SessionError,
}

/// A run of messages that have not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The session.
    pub session: SessionId,
    /// The first missing.
    pub first: u64,
    /// The last missing.
    pub last: u64,
}
