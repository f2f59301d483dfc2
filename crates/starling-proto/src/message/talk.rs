//! Messages between the devices of contacts, on a direct connection.

use alloc::vec::Vec;

use prost::Message as _;

use crate::ids::{DeviceListHash, SessionId, Signature};
use crate::padding::Buckets;
use crate::{DecodeError, count, limits, wire};

/// Ties a device to the connection on which this arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProof {
    /// The device's certificate, encoded and unchecked.
    pub device_cert: Vec<u8>,
    /// The device's signature over the connection's channel binding and both node keys.
    pub signature: Signature,
    /// The sender's device list, so that a hidden revocation is noticed.
    pub device_list: DeviceListHash,
}

impl DeviceProof {
    pub(super) fn to_wire(&self) -> wire::DeviceProof {
        wire::DeviceProof {
            device_cert: self.device_cert.clone(),
            signature: self.signature.as_bytes().to_vec(),
            device_list_hash: self.device_list.as_bytes().to_vec(),
        }
    }

    pub(super) fn from_wire(proof: wire::DeviceProof) -> Result<Self, DecodeError> {
        limits::bytes_at_most("device certificate", proof.device_cert.len(), limits::DEVICE_CERT)?;
        Ok(Self {
            signature: Signature::from_slice(&proof.signature)?,
            device_list: DeviceListHash::from_slice(&proof.device_list_hash)?,
            device_cert: proof.device_cert,
        })
    }
}

/// One Olm message with its place in the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The session.
    pub session: SessionId,
    /// Counts within the session and direction, so that a batch can be sorted before it is decrypted.
    pub sequence: u64,
    /// Whether this is a prekey message, which may open the session.
    pub prekey: bool,
    /// The Olm message.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// Olm's number for a message that opens a session.
    const PREKEY: u32 = 0;
    /// Olm's number for a message of an open session.
    const NORMAL: u32 = 1;

    fn to_wire(&self) -> wire::Sealed {
        wire::Sealed {
            session: self.session.as_bytes().to_vec(),
            sequence: self.sequence,
            olm_type: if self.prekey { Self::PREKEY } else { Self::NORMAL },
            ciphertext: self.ciphertext.clone(),
        }
    }

    fn from_wire(sealed: wire::Sealed) -> Result<Self, DecodeError> {
        limits::bytes_at_most("sealed message", sealed.ciphertext.len(), limits::SEALED)?;
        Ok(Self {
            session: SessionId::from_slice(&sealed.session)?,
            sequence: sealed.sequence,
            prekey: match sealed.olm_type {
                Self::PREKEY => true,
                Self::NORMAL => false,
                other => return Err(DecodeError::OutOfRange { what: "olm type", got: u64::from(other) }),
            },
            ciphertext: sealed.ciphertext,
        })
    }
}

/// Messages from one device to another, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// 1 to [`limits::DELIVER_BATCH`] messages.
    pub messages: Vec<Sealed>,
}

impl Deliver {
    /// The bytes that an envelope holds.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    /// Reads what an envelope held.
    ///
    /// # Errors
    /// [`DecodeError`] saying what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("deliver", bytes.len(), Buckets::ENVELOPE.longest())?;
        Self::parse(bytes)
    }

    pub(super) fn to_wire(&self) -> wire::Deliver {
        wire::Deliver { messages: self.messages.iter().map(Sealed::to_wire).collect() }
    }

    /// Reads the body of a frame.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        count::at_most("sealed messages", body, 1, limits::DELIVER_BATCH)?;
        let deliver: wire::Deliver = super::parse("deliver", body)?;
        let messages = deliver.messages.into_iter().map(Sealed::from_wire).collect::<Result<Vec<_>, _>>()?;
        if messages.is_empty() { Err(DecodeError::Missing("sealed message")) } else { Ok(Self { messages }) }
    }
}
