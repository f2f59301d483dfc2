//! The double ratchet as the core sees it.

use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use starling_proto::ids::{OlmKey, SessionId};
use zeroize::Zeroizing;

use super::SessionError;

/// A device's Olm account: its identity key and the keys with which others start sessions.
///
/// What every implementation does is fixed by the `conformance` suite, measured on vodozemac 0.11.1.
pub trait OlmAccount: Sized {
    /// What this account starts and accepts.
    type Session: OlmSession;

    /// A new account without fallback key.
    fn generate(rng: &mut dyn CryptoRng) -> Self;

    /// The long-lived Curve25519 key, named by the device's certificate.
    fn identity_key(&self) -> OlmKey;

    /// Makes a new fallback key. The current one becomes the previous one; the previous one is destroyed.
    fn rotate_fallback(&mut self, rng: &mut dyn CryptoRng);

    /// The fallback keys whose secrets are held.
    fn fallback_keys(&self) -> FallbackKeys;

    /// Destroys the previous fallback key; says whether there was one.
    fn forget_previous_fallback(&mut self) -> bool;

    /// Makes `count` one-time keys, each to be handed to one recipient. Of more than 5,000 unused ones the oldest
    /// are destroyed.
    fn generate_one_time_keys(&mut self, count: usize, rng: &mut dyn CryptoRng) -> Vec<OlmKey>;

    /// Starts a session with the device whose identity key is `identity`, on its fallback or one-time key `key`.
    ///
    /// # Errors
    /// [`SessionError::WeakKey`] for keys of small order.
    fn start(
        &self,
        identity: OlmKey,
        key: OlmKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Session, SessionError>;

    /// Reads what a prekey message says openly. Nothing of it is authenticated.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] if it is none.
    fn inspect(message: &[u8]) -> Result<PrekeyHeader, SessionError>;

    /// Opens the session that a prekey message starts, and the message. A one-time key is used up by it, a fallback
    /// key is not: **the caller must have made sure that the session is neither known nor buried**.
    ///
    /// # Errors
    /// [`SessionError::MissingOneTimeKey`], [`SessionError::WrongKeys`] if the message names another identity key
    /// than `sender`, and what [`OlmSession::decrypt`] gives. Nothing has changed then.
    fn accept(&mut self, sender: OlmKey, message: &[u8]) -> Result<(Self::Session, Vec<u8>), SessionError>;

    /// The state, to be kept inside the encrypted database.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if it cannot be written down.
    fn pickle(&self) -> Result<Pickle, SessionError>;

    /// Restores the state that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if it did not.
    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError>;
}

/// One end of an Olm session.
pub trait OlmSession: Sized {
    /// SHA-256 of the three keys that started the session: the same on both ends.
    fn id(&self) -> SessionId;

    /// Whether a message of the other end has been opened; until then every message is a prekey message.
    fn has_received_message(&self) -> bool;

    /// Encrypts and steps the ratchet.
    ///
    /// # Errors
    /// [`SessionError::WeakKey`] if the other end's ratchet key is of small order.
    fn encrypt(&mut self, plaintext: &[u8], rng: &mut dyn CryptoRng) -> Result<OlmMessage, SessionError>;

    /// Decrypts and steps the ratchet. Keys of skipped messages are kept, 40 at most in each of the last 5 chains.
    ///
    /// # Errors
    /// [`SessionError::MissingMessageKey`], [`SessionError::TooBigGap`] above 2,000, [`SessionError::BadMac`],
    /// [`SessionError::WeakKey`], [`SessionError::Malformed`]. Nothing has changed then.
    fn decrypt(&mut self, message: &OlmMessage) -> Result<Vec<u8>, SessionError>;

    /// The state, to be kept inside the encrypted database.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if it cannot be written down.
    fn pickle(&self) -> Result<Pickle, SessionError>;

    /// Restores the state that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`SessionError::BadPickle`] if it did not.
    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError>;
}

/// An Olm message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlmMessage {
    /// Whether it can start the session.
    pub prekey: bool,
    /// The message.
    pub bytes: Vec<u8>,
}

/// What a prekey message says openly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyHeader {
    /// The session it starts.
    pub session: SessionId,
    /// The identity key of the device that started it.
    pub sender: OlmKey,
    /// The fallback or one-time key of the device that is to accept it.
    pub key: OlmKey,
}

/// The fallback keys whose secrets an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FallbackKeys {
    /// The one to publish.
    pub current: Option<OlmKey>,
    /// The one before, for messages on their way.
    pub previous: Option<OlmKey>,
}

impl FallbackKeys {
    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &OlmKey) -> bool {
        self.current.as_ref() == Some(key) || self.previous.as_ref() == Some(key)
    }
}

/// Secret state written down. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pickle(Zeroizing<Vec<u8>>);

impl Pickle {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the encrypted database and nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pickle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pickle(..)")
    }
}
