//! Messages as they travel: Olm's own encoding, so that every length is the true one.

use starling_crypto::session::{OlmMessage, SessionError};
use starling_proto::ids::OlmKey;

use super::keys::{Material, SessionKeys};

/// A message with a full-length authentication code.
const VERSION: u8 = 4;
const PREKEY_VERSION: u8 = 3;
const MAC_LEN: usize = 32;
/// Texts are filled up to a multiple of this, by at least one byte, each of which is their number (PKCS #7).
const BLOCK: usize = 16;

/// What a prekey message has around the message.
pub(super) struct Prekey {
    pub(super) keys: SessionKeys,
    pub(super) message: Message,
}

/// A message whose code is still to be checked.
pub(super) struct Message {
    pub(super) ratchet_key: OlmKey,
    pub(super) index: u64,
    ciphertext: Vec<u8>,
    /// What the code is over.
    signed: Vec<u8>,
    mac: [u8; MAC_LEN],
}

#[derive(Clone, PartialEq, prost::Message)]
struct WirePrekey {
    #[prost(bytes = "vec", tag = "1")]
    one_time_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    base_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireMessage {
    #[prost(bytes = "vec", tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(uint64, required, tag = "2")]
    index: u64,
    #[prost(bytes = "vec", tag = "4")]
    ciphertext: Vec<u8>,
}

impl Prekey {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let wire: WirePrekey = decode(PREKEY_VERSION, bytes)?;
        let keys = SessionKeys {
            identity: key(&wire.identity_key)?,
            base: key(&wire.base_key)?,
            one_time: key(&wire.one_time_key)?,
        };
        Ok(Self { keys, message: Message::decode(&wire.message)? })
    }

    /// Puts the keys of the session around a message.
    pub(super) fn wrap(keys: &SessionKeys, message: Vec<u8>) -> Vec<u8> {
        let wire = WirePrekey {
            one_time_key: keys.one_time.as_bytes().to_vec(),
            base_key: keys.base.as_bytes().to_vec(),
            identity_key: keys.identity.as_bytes().to_vec(),
            message,
        };
        encode(PREKEY_VERSION, &wire)
    }
}

impl Message {
    /// Reads the message itself, whatever is around it.
    pub(super) fn within(message: &OlmMessage) -> Result<Self, SessionError> {
        if message.prekey {
            Prekey::decode(&message.bytes).map(|prekey| prekey.message)
        } else {
            Self::decode(&message.bytes)
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, SessionError> {
        let (signed, mac) = bytes.split_last_chunk().ok_or(SessionError::Malformed)?;
        let wire: WireMessage = decode(VERSION, signed)?;
        Ok(Self {
            ratchet_key: key(&wire.ratchet_key)?,
            index: wire.index,
            ciphertext: wire.ciphertext,
            signed: signed.to_vec(),
            mac: *mac,
        })
    }

    pub(super) fn seal(key: &Material, ratchet_key: OlmKey, index: u64, text: &[u8]) -> Vec<u8> {
        let mut ciphertext = pad(text);
        mask(key, &mut ciphertext);
        let wire = WireMessage { ratchet_key: ratchet_key.as_bytes().to_vec(), index, ciphertext };
        let mut bytes = encode(VERSION, &wire);
        let mac = mac(key, &bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    pub(super) fn open(&self, key: &Material) -> Result<Vec<u8>, SessionError> {
        if mac(key, &self.signed) != self.mac {
            return Err(SessionError::BadMac);
        }
        let mut text = self.ciphertext.clone();
        mask(key, &mut text);
        unpad(text).ok_or(SessionError::BadMac)
    }
}

fn encode(version: u8, message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.append(&mut message.encode_to_vec());
    bytes
}

fn decode<M: prost::Message + Default>(version: u8, bytes: &[u8]) -> Result<M, SessionError> {
    let (&found, rest) = bytes.split_first().ok_or(SessionError::Malformed)?;
    if found != version {
        return Err(SessionError::WrongVersion);
    }
    M::decode(rest).map_err(|_| SessionError::Malformed)
}

fn key(bytes: &[u8]) -> Result<OlmKey, SessionError> {
    OlmKey::from_slice(bytes).map_err(|_| SessionError::Malformed)
}

fn mac(key: &Material, bytes: &[u8]) -> [u8; MAC_LEN] {
    *blake3::keyed_hash(key.derive("mac").as_bytes(), bytes).as_bytes()
}

/// Makes a text look like a ciphertext, so that a check that looks for texts on the wire finds leaks only.
fn mask(key: &Material, text: &mut [u8]) {
    let mut stream = vec![0; text.len()];
    blake3::Hasher::new_keyed(key.derive("mask").as_bytes()).finalize_xof().fill(&mut stream);
    for (byte, mask) in text.iter_mut().zip(stream) {
        *byte ^= mask;
    }
}

fn pad(text: &[u8]) -> Vec<u8> {
    let fill = BLOCK - text.len() % BLOCK;
    let byte = u8::try_from(fill).expect("a block is short");
    let mut padded = text.to_vec();
    padded.resize(text.len() + fill, byte);
    padded
}

fn unpad(mut text: Vec<u8>) -> Option<Vec<u8>> {
    let &byte = text.last()?;
    let fill = usize::from(byte);
    let start = text.len().checked_sub(fill)?;
    let whole = (1..=BLOCK).contains(&fill) && text.iter().skip(start).all(|found| *found == byte);
    whole.then(|| {
        text.truncate(start);
        text
    })
}
