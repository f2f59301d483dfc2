//! Why a session message was refused.

use starling_proto::DecodeError;

/// Why a message could not be sealed, opened or kept. What a peer does wrong is a variant like any other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The message's key was used, or skipped so long ago that it is gone.
    #[error("the message's key is used up or was not kept")]
    MissingMessageKey,
    /// The message opens a session with a key that we never made, used before, or have destroyed.
    #[error("the session was started with a key that is not or no longer ours")]
    MissingOneTimeKey,
    /// More messages are missing before this one than the ratchet will step over.
    #[error("too big a gap: at most {limit} messages, got {gap}")]
    TooBigGap {
        /// Messages missing.
        gap: u64,
        /// The ratchet's bound.
        limit: u64,
    },
    /// The authentication code is wrong: another session's message, or an altered one.
    #[error("the authentication code does not fit")]
    BadMac,
    /// The message names another identity key than the sender's.
    #[error("the message was not started by the device that it is said to come from")]
    WrongKeys,
    /// A key makes every shared secret the same one.
    #[error("a key is of small order")]
    WeakKey,
    /// The message is of another Olm version.
    #[error("the message is of another version of Olm")]
    WrongVersion,
    /// The bytes are no Olm message, or not of the session they are said to belong to.
    #[error("malformed session message")]
    Malformed,
    /// Stored state that cannot be read back.
    #[error("stored session state is damaged")]
    BadPickle,
    /// There is no such session, and the message cannot open one.
    #[error("the session is not known")]
    UnknownSession,
    /// The session was buried; opening it again would let a replay reset the ratchet.
    #[error("the session has been buried")]
    Buried,
    /// The message was opened before.
    #[error("the message was opened before")]
    Replayed,
    /// The other device started so many sessions that no more can be remembered as buried.
    #[error("too many sessions with this device: at most {limit} buried ones are remembered")]
    TooManySessions {
        /// The bound.
        limit: usize,
    },
    /// There is no session to send on; one must be started first.
    #[error("there is no session with this device")]
    NoSession,
    /// The plaintext names other people, or another place in the session: sent back, or passed on from elsewhere.
    #[error("the message was not meant for this session")]
    WrongParties,
    /// The plaintext is not well formed.
    #[error("malformed plaintext")]
    Plaintext(#[from] DecodeError),
}

impl SessionError {
    /// Whether it means that both sides have lost each other: an honest sender's message will not open here any more, and a
    /// new session mends it.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::MissingMessageKey
                | Self::MissingOneTimeKey
                | Self::TooBigGap { .. }
                | Self::BadMac
                | Self::UnknownSession
        )
    }
}
