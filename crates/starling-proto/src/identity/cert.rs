//! Device certificates: an account's word that an installation is one of its own.

use alloc::vec::Vec;

use prost::Message as _;

use super::Signer;
use crate::ids::{AccountKey, DeviceKey, OlmKey, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits, wire};

/// What the issuer and the device both sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertBody {
    /// The account that the device belongs to.
    pub account: AccountKey,
    /// The device.
    pub device: DeviceKey,
    /// The device's Olm identity key: a key of its own, never converted from [`Self::device`].
    pub olm_identity: OlmKey,
    /// When it was made, by the issuer's clock.
    pub created: UnixSeconds,
    /// Whether the device may issue certificates.
    pub can_certify: bool,
}

impl DeviceCertBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DeviceCertBody {
            account: self.account.as_bytes().to_vec(),
            device: self.device.as_bytes().to_vec(),
            olm_identity: self.olm_identity.as_bytes().to_vec(),
            created_s: self.created.get(),
            can_certify: self.can_certify,
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body = wire::DeviceCertBody::decode(bytes)
            .map_err(|_| DecodeError::Malformed("device certificate body"))?;
        Ok(Self {
            account: AccountKey::from_slice(&body.account)?,
            device: DeviceKey::from_slice(&body.device)?,
            olm_identity: OlmKey::from_slice(&body.olm_identity)?,
            created: UnixSeconds::new(body.created_s),
            can_certify: body.can_certify,
        })
    }
}

/// A device certificate whose two signatures nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCert {
    body: DeviceCertBody,
    signed: Vec<u8>,
    issuer: Signer,
    issuer_signature: Signature,
    device_signature: Signature,
}

impl DeviceCert {
    /// Puts a certificate together from the signed bytes and both signatures.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no certificate body, or too long.
    pub fn new(
        signed: Vec<u8>,
        issuer: Signer,
        issuer_signature: Signature,
        device_signature: Signature,
    ) -> Result<Self, DecodeError> {
        limits::bytes_at_most("device certificate body", signed.len(), limits::DEVICE_CERT)?;
        let body = DeviceCertBody::decode(&signed)?;
        Ok(Self { body, signed, issuer, issuer_signature, device_signature })
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &DeviceCertBody {
        &self.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Who vouches for the device.
    #[must_use]
    pub const fn issuer(&self) -> Signer {
        self.issuer
    }

    /// The issuer's signature, unchecked.
    #[must_use]
    pub const fn issuer_signature(&self) -> &Signature {
        &self.issuer_signature
    }

    /// The device's own signature, unchecked.
    #[must_use]
    pub const fn device_signature(&self) -> &Signature {
        &self.device_signature
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::DeviceCert {
            body: self.signed.clone(),
            issuer: self.issuer.key(&self.body.account).to_vec(),
            issuer_signature: self.issuer_signature.as_bytes().to_vec(),
            device_signature: self.device_signature.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads a certificate and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("device certificate", bytes.len(), limits::DEVICE_CERT)?;
        let cert =
            wire::DeviceCert::decode(bytes).map_err(|_| DecodeError::Malformed("device certificate"))?;
        let body = DeviceCertBody::decode(&cert.body)?;
        Ok(Self {
            issuer: Signer::from_slice(&cert.issuer, &body.account)?,
            issuer_signature: Signature::from_slice(&cert.issuer_signature)?,
            device_signature: Signature::from_slice(&cert.device_signature)?,
            signed: cert.body,
            body,
        })
    }
}
