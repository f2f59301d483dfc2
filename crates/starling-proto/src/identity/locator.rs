//! Where a contact's device can be reached, before it is sealed under the locator's read key.

use alloc::vec::Vec;
use core::net::SocketAddr;

use prost::Message as _;

use crate::addr::{Peer, addresses_from_wire};
use crate::ids::{DeviceKey, NodeKey, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits, wire};

/// What the device signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatorBody {
    /// The device that can be reached.
    pub device: DeviceKey,
    /// The peer that it runs on.
    pub peer: Peer,
    /// When it was reached there, by its own clock.
    pub issued: UnixSeconds,
}

impl LocatorBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let peer = self.peer.to_wire();
        wire::LocatorBody {
            device: self.device.as_bytes().to_vec(),
            node_key: peer.node_key,
            addresses: peer.addresses,
            issued_s: self.issued.get(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = wire::LocatorBody::decode(bytes).map_err(|_| DecodeError::Malformed("locator body"))?;
        let addresses: Vec<SocketAddr> = addresses_from_wire(&body.addresses)?;
        Ok(Self {
            device: DeviceKey::from_slice(&body.device)?,
            peer: Peer::new(NodeKey::from_slice(&body.node_key)?, addresses),
            issued: UnixSeconds::new(body.issued_s),
        })
    }
}

/// The plaintext of a locator, whose signature nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatorSecret {
    body: LocatorBody,
    signed: Vec<u8>,
    signature: Signature,
}

impl LocatorSecret {
    /// Puts a locator together from the signed bytes and their signature.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no locator body, or too long.
    pub fn new(signed: Vec<u8>, signature: Signature) -> Result<Self, DecodeError> {
        limits::bytes_at_most("locator body", signed.len(), limits::LOCATOR)?;
        Ok(Self { body: LocatorBody::decode(&signed)?, signed, signature })
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &LocatorBody {
        &self.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The signature, unchecked.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::LocatorSecret { body: self.signed.clone(), signature: self.signature.as_bytes().to_vec() }
            .encode_to_vec()
    }

    /// Reads a locator and checks its lengths and counts.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("locator", bytes.len(), limits::LOCATOR)?;
        let locator = wire::LocatorSecret::decode(bytes).map_err(|_| DecodeError::Malformed("locator"))?;
        Self::new(locator.body, Signature::from_slice(&locator.signature)?)
    }
}
