//! What can be wrong with bytes or text from outside.

use alloc::string::String;

/// Why bytes from outside were refused. Carries sizes and names of fields, never contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("truncated: expected {expected} bytes, got {got}")]
    Truncated {
        /// Bytes that the message needs.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// A length is above the bound for its kind.
    #[error("{what} too long: at most {limit} bytes, got {got}")]
    TooLong {
        /// The part that is too long.
        what: &'static str,
        /// The bound, in bytes.
        limit: u64,
        /// The length that was claimed, in bytes.
        got: u64,
    },
    /// A field has a fixed length and the bytes have another.
    #[error("{what}: expected {expected} bytes, got {got}")]
    WrongLength {
        /// The field.
        what: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// The length found.
        got: usize,
    },
    /// A list has more items than its bound.
    #[error("too many {what}: at most {limit}, got {got}")]
    TooMany {
        /// The list.
        what: &'static str,
        /// The bound, in items.
        limit: usize,
        /// The items found.
        got: usize,
    },
    /// A frame kind that this version does not know. The frame is skipped and the stream goes on.
    #[error("unknown frame kind {0:#04x}")]
    UnknownKind(u8),
    /// A value outside what its field allows.
    #[error("{what} out of range: {got}")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// The value found.
        got: u64,
    },
    /// A field that must be there is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Text that is not UTF-8, or holds characters that its field forbids.
    #[error("{0} is not valid text")]
    BadText(&'static str),
    /// The body is no protobuf message of its kind.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

/// Why a text form was refused: a mistyped or foreign id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Letters or checksum are wrong: a typing error, most likely.
    #[error("not a valid id: a letter is wrong or missing")]
    Checksum,
    /// A valid id of another kind.
    #[error("expected an id that begins with {expected}1, got one that begins with {got}1")]
    WrongPrefix {
        /// The prefix of the kind asked for.
        expected: &'static str,
        /// The prefix found.
        got: String,
    },
    /// The right prefix before the wrong number of bytes.
    #[error("expected an id of {expected} bytes, got {got}")]
    WrongLength {
        /// Bytes of the kind asked for.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// No address, or one that cannot be dialled.
    #[error("expected NODEID@IP:PORT")]
    Address,
    /// The right prefix before bytes that are no invite.
    #[error("not a valid invite")]
    Invite(#[source] DecodeError),
    /// The right prefix before bytes that are no device's request.
    #[error("not a valid device code")]
    Device(#[source] DecodeError),
    /// A network name outside 1 to 32 characters of `a-z`, `0-9` and `-`.
    #[error("a network name has 1 to 32 characters of a-z, 0-9 and -")]
    NetworkName,
}
