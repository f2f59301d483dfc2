//! What is kept: versioned protobuf rows inside the encrypted database. Unlike the wire they are ours alone.

use alloc::vec::Vec;

use zeroize::Zeroize;

/// An Olm account.
#[derive(Clone, PartialEq, prost::Message, Zeroize)]
pub(super) struct StoredAccount {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// vodozemac's pickle as JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) account: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) current_fallback: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) previous_fallback: Vec<u8>,
}

impl StoredAccount {
    pub(super) const VERSION: u32 = 1;
}

/// One session of a book.
#[derive(Clone, PartialEq, prost::Message, Zeroize)]
pub(super) struct StoredSession {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// The implementation's pickle.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) session: Vec<u8>,
    /// The fallback or one-time key that it was started on.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) key: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub(super) ours: bool,
    #[prost(uint64, tag = "5")]
    pub(super) rank: u64,
    /// Empty, or the session that won a crossed start.
    #[prost(bytes = "vec", tag = "6")]
    pub(super) yields_to: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub(super) next_send: u64,
    #[prost(uint64, tag = "8")]
    pub(super) next_receive: u64,
    #[prost(uint64, repeated, tag = "9")]
    pub(super) missing: Vec<u64>,
}

impl StoredSession {
    pub(super) const VERSION: u32 = 1;
}

/// When the current fallback key was published, and when the mailboxes were last read to the end.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredSchedule {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(uint32, tag = "2")]
    pub(super) publication: u32,
    #[prost(uint64, tag = "3")]
    pub(super) published_s: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(super) fetched_s: Option<u64>,
}

impl StoredSchedule {
    pub(super) const VERSION: u32 = 1;
}
