//! What can go wrong with keys, signatures and secrets.

use starling_proto::DecodeError;

/// Why something was not believed, not opened or not made. Never carries a secret, a key or text of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The bytes of a public key are no point of the curve, a point of small order, or not the canonical spelling.
    #[error("not a usable public key")]
    BadKey,
    /// A secret key other than the one that the thing to be signed names.
    #[error("the secret key is not the one that must sign this")]
    WrongKey,
    /// The signature is not by this key over these bytes in this domain.
    #[error("the signature does not fit")]
    BadSignature,
    /// The bytes are not what they should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A recovery phrase has another number of words.
    #[error("a recovery phrase has {expected} words, got {got}")]
    PhraseLength {
        /// Words of a phrase.
        expected: usize,
        /// Words found; counting stops at twice as many.
        got: usize,
    },
    /// A word of a recovery phrase is not on the list. The word itself is not repeated: it may be a slip of the pen in
    /// a secret.
    #[error("word {position} of the recovery phrase is not on the word list")]
    PhraseWord {
        /// Which word, counted from 1.
        position: usize,
    },
    /// All words of a recovery phrase are on the list and they do not belong together: one is wrong or two are swapped.
    #[error("the words are on the list and do not fit together: one is wrong, or two are swapped")]
    PhraseChecksum,
    /// A certificate, a list or a key of one account where another's was expected.
    #[error("this belongs to another account")]
    WrongAccount,
    /// A certificate whose issuer is not the account and no device that may certify.
    #[error("the issuer of a device certificate may not certify")]
    NotACertifier,
    /// More certificates between a device and its account than [`starling_proto::limits::CERT_CHAIN`].
    #[error("the device is too many certificates away from its account key")]
    ChainTooLong,
    /// A revocation by a device that was listed after the one it revokes.
    #[error("a device was revoked by one that may not revoke it")]
    NotARevoker,
    /// The signer of a device list may not sign it: not listed, or revoked by another.
    #[error("the signer of the device list is not one of its active devices")]
    NotASigner,
    /// A device list whose anchor is missing, not signed by the account key, or not continued by the list.
    #[error("the device list does not continue what the account key signed")]
    BadAnchor,
    /// The device is not on the list.
    #[error("the device is not on the list")]
    UnknownDevice,
    /// The device is on the list and revoked.
    #[error("the device has been revoked")]
    RevokedDevice,
    /// A change that would leave an account without an active device, or with too many, or change nothing.
    #[error("the device list cannot be changed like this")]
    BadChange,
    /// No version is left above the list's: only the account key can go on.
    #[error("the version of the device list is exhausted: recover with the phrase")]
    VersionExhausted,
    /// A signed request or proof for another holder, another connection or the other end of this one.
    #[error("signed for another connection")]
    WrongConnection,
    /// A stamp for less work than the network asks, on a network that allows no less.
    #[error("only networks other than main may ask for less work")]
    StampTooEasy,
    /// Parameters of Argon2id outside what this program is willing to spend.
    #[error("key derivation parameters out of range")]
    KdfParams,
    /// There is not enough memory for Argon2id with these parameters.
    #[error("not enough memory to derive the key")]
    OutOfMemory,
    /// The passphrase does not open the key, and the file is whole.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// A wrapped key that was cut or changed; no passphrase will open it.
    #[error("the wrapped key is damaged")]
    DamagedKey,
    /// A wrapped key of a later version of this program.
    #[error("the wrapped key has version {got}, this program knows {known}")]
    UnknownVersion {
        /// The version that this program writes.
        known: u8,
        /// The version found.
        got: u8,
    },
    /// An envelope that was sealed to another key, for another device, mailbox or week, or altered.
    #[error("the envelope does not open")]
    CannotOpen,
    /// An envelope for a week whose inbox key is not or no longer held.
    #[error("no inbox key is held for the envelope's week")]
    NoInboxKey,
    /// A request written to another device and sent on to this one.
    #[error("written to another device")]
    WrongRecipient,
    /// Stored state that cannot be read back.
    #[error("stored key state is damaged")]
    BadState,
}
