//! What a stranger needs to write to a device, and what the stranger then sends.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use prost::Message as _;

use crate::ids::{DeviceKey, MailboxAddress, OlmKey};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits, wire};

/// An X-Wing public key (X25519 and ML-KEM-768), to which envelopes are sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct InboxKey(Box<[u8; limits::INBOX_KEY]>);

impl InboxKey {
    /// Wraps the bytes; whether they are a key is for whoever seals to it.
    #[must_use]
    pub fn new(bytes: [u8; limits::INBOX_KEY]) -> Self {
        Self(Box::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; limits::INBOX_KEY] {
        &self.0
    }

    /// Reads exactly [`limits::INBOX_KEY`] bytes.
    ///
    /// # Errors
    /// [`DecodeError::WrongLength`] for any other number.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
        let expected = limits::INBOX_KEY;
        let wrong = DecodeError::WrongLength { what: "InboxKey", expected, got: bytes.len() };
        bytes.try_into().map(Self::new).map_err(|_| wrong)
    }
}

/// The first four bytes, as with every other key.
impl fmt::Debug for InboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = *self.0;
        write!(f, "InboxKey({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// The week that an inbox key belongs to, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxEpoch(u32);

impl InboxEpoch {
    /// Seconds in a week.
    const SECONDS: u64 = 7 * 24 * 3600;

    /// The week that holds `at`.
    #[must_use]
    pub const fn of(at: UnixSeconds) -> Self {
        let index = at.get() / Self::SECONDS;
        // Past the year 80,000,000 all time is one week.
        #[expect(clippy::cast_possible_truncation, reason = "checked against u32::MAX")]
        Self(if index > u32::MAX as u64 { u32::MAX } else { index as u32 })
    }

    /// Wraps a number from the wire.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number of the week.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The payload of a bundle record, which the device signs as the record's publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The device.
    pub device: DeviceKey,
    /// Its rotating Olm fallback key.
    pub fallback_key: OlmKey,
    /// The key of its inbox, to which envelopes are sealed.
    pub inbox_key: InboxKey,
    /// The week that the inbox key belongs to.
    pub inbox_epoch: InboxEpoch,
    /// Where contact requests are deposited.
    pub request_inbox: MailboxAddress,
}

impl Bundle {
    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Bundle {
            device: self.device.as_bytes().to_vec(),
            fallback_key: self.fallback_key.as_bytes().to_vec(),
            inbox_key: self.inbox_key.as_bytes().to_vec(),
            inbox_epoch: self.inbox_epoch.get(),
            request_inbox: self.request_inbox.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads a bundle and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("bundle", bytes.len(), crate::record::RecordKind::Bundle.payload_limit())?;
        let bundle = wire::Bundle::decode(bytes).map_err(|_| DecodeError::Malformed("bundle"))?;
        Ok(Self {
            device: DeviceKey::from_slice(&bundle.device)?,
            fallback_key: OlmKey::from_slice(&bundle.fallback_key)?,
            inbox_key: InboxKey::from_slice(&bundle.inbox_key)?,
            inbox_epoch: InboxEpoch::new(bundle.inbox_epoch),
            request_inbox: MailboxAddress::from_slice(&bundle.request_inbox)?,
        })
    }
}

/// A thing sealed with HPKE to an inbox key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The week of the inbox key that it was sealed to.
    pub inbox_epoch: InboxEpoch,
    /// X-Wing's encapsulated key, [`limits::ENCAPSULATED_KEY`] bytes.
    pub encapsulated_key: Box<[u8; limits::ENCAPSULATED_KEY]>,
    /// The ciphertext with its tag; not empty.
    pub ciphertext: Vec<u8>,
}

impl Envelope {
    /// The only version there is. Another one cannot be opened by this code.
    const VERSION: u32 = 1;

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Envelope {
            version: Self::VERSION,
            inbox_epoch: self.inbox_epoch.get(),
            encapsulated_key: self.encapsulated_key.to_vec(),
            ciphertext: self.ciphertext.clone(),
        }
        .encode_to_vec()
    }

    /// Reads an envelope and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong; [`DecodeError::OutOfRange`] for a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("envelope", bytes.len(), limits::RECORD_PAYLOAD)?;
        let envelope = wire::Envelope::decode(bytes).map_err(|_| DecodeError::Malformed("envelope"))?;
        if envelope.version != Self::VERSION {
            let got = u64::from(envelope.version);
            return Err(DecodeError::OutOfRange { what: "envelope version", got });
        }
        if envelope.ciphertext.is_empty() {
            return Err(DecodeError::Missing("ciphertext"));
        }
        let encapsulated_key = <Box<[u8; limits::ENCAPSULATED_KEY]>>::try_from(envelope.encapsulated_key)
            .map_err(|bytes| DecodeError::WrongLength {
                what: "encapsulated key",
                expected: limits::ENCAPSULATED_KEY,
                got: bytes.len(),
            })?;
        Ok(Self {
            inbox_epoch: InboxEpoch::new(envelope.inbox_epoch),
            encapsulated_key,
            ciphertext: envelope.ciphertext,
        })
    }
}
