//! What a session encrypts: content, and who says it to whom.
//!
//! Olm binds keys, not people. Each plaintext therefore names both sides; the reader compares them with whom the
//! session belongs to, so that a message sent back to its author or passed on to a third is refused.

use alloc::vec::Vec;

use prost::Message as _;

use crate::ids::{AccountKey, DeviceKey, DeviceListHash};
use crate::padding::Buckets;
use crate::{DecodeError, limits, wire};

/// One end of a session: an account and one of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// The account.
    pub account: AccountKey,
    /// Its device.
    pub device: DeviceKey,
}

/// Both ends, as one message sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// Who says it.
    pub sender: Party,
    /// Whom it is for.
    pub recipient: Party,
}

/// The plaintext of one session message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlaintext {
    /// Who says it to whom.
    pub parties: Parties,
    /// The sender's device list.
    pub device_list: DeviceListHash,
    /// Counts within the session and direction; equals the number beside the ciphertext.
    pub sequence: u64,
    /// What is said: at most [`limits::SESSION_CONTENT`] bytes.
    pub content: Vec<u8>,
}

impl SessionPlaintext {
    /// The bytes to encrypt: a bucket's length.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] for content above its bound.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        limits::bytes_at_most("session content", self.content.len(), limits::SESSION_CONTENT)?;
        let Parties { sender, recipient } = &self.parties;
        let message = wire::SessionPlaintext {
            sender_account: sender.account.as_bytes().to_vec(),
            sender_device: sender.device.as_bytes().to_vec(),
            recipient_account: recipient.account.as_bytes().to_vec(),
            recipient_device: recipient.device.as_bytes().to_vec(),
            device_list_hash: self.device_list.as_bytes().to_vec(),
            sequence: self.sequence,
            content: self.content.clone(),
        };
        Buckets::SESSION.pad(message.encode_to_vec())
    }

    /// Reads decrypted bytes.
    ///
    /// # Errors
    /// [`DecodeError`] saying what is wrong.
    pub fn decode(padded: &[u8]) -> Result<Self, DecodeError> {
        let text = Buckets::SESSION.unpad(padded)?;
        let message =
            wire::SessionPlaintext::decode(text).map_err(|_| DecodeError::Malformed("session plaintext"))?;
        limits::bytes_at_most("session content", message.content.len(), limits::SESSION_CONTENT)?;
        let party = |account: &[u8], device: &[u8]| -> Result<Party, DecodeError> {
            Ok(Party { account: AccountKey::from_slice(account)?, device: DeviceKey::from_slice(device)? })
        };
        Ok(Self {
            parties: Parties {
                sender: party(&message.sender_account, &message.sender_device)?,
                recipient: party(&message.recipient_account, &message.recipient_device)?,
            },
            device_list: DeviceListHash::from_slice(&message.device_list_hash)?,
            sequence: message.sequence,
            content: message.content,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plaintext(content: Vec<u8>) -> SessionPlaintext {
        let party = |n| Party { account: AccountKey::new([n; 32]), device: DeviceKey::new([n + 1; 32]) };
        SessionPlaintext {
            parties: Parties { sender: party(1), recipient: party(3) },
            device_list: DeviceListHash::new([5; 32]),
            sequence: 6,
            content,
        }
    }

    #[test]
    fn the_longest_content_fits_the_last_bucket() {
        let mut long = plaintext(vec![7; limits::SESSION_CONTENT]);
        long.sequence = u64::MAX;
        assert_eq!(long.encode().unwrap().len(), 16_384);
        long.content.push(7);
        assert!(matches!(long.encode(), Err(DecodeError::TooLong { .. })));
    }

    #[test]
    fn bytes_are_stable() {
        let bytes = plaintext(b"hello".to_vec()).encode().unwrap();
        assert_eq!(bytes.len(), 256);
        // Five fields of 32 bytes, the sequence, the content, the mark.
        assert_eq!(&bytes[..3], [0x0a, 32, 1]);
        assert_eq!(&bytes[170..180], [0x30, 6, 0x3a, 5, b'h', b'e', b'l', b'l', b'o', 0x80]);
        assert!(bytes[180..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn wir_03_every_truncation_is_refused() {
        let bytes = plaintext(vec![8; 100]).encode().unwrap();
        for cut in 0..bytes.len() {
            assert!(SessionPlaintext::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(content in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let plaintext = plaintext(content);
            prop_assert_eq!(SessionPlaintext::decode(&plaintext.encode().unwrap()), Ok(plaintext));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(plaintext) = Buckets::SESSION.pad(bytes).and_then(|b| SessionPlaintext::decode(&b)) {
                prop_assert_eq!(SessionPlaintext::decode(&plaintext.encode().unwrap()), Ok(plaintext));
            }
        }
    }
}
