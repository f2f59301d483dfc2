//! Device certificates: issued by two signatures, believed along a chain that ends at the account key.

use starling_proto::identity::{DeviceCert, DeviceCertBody, Signer};
use starling_proto::ids::{AccountKey, DeviceKey, OlmKey, Signature};
use starling_proto::limits;
use starling_proto::time::UnixSeconds;

use super::Authority;
use crate::CryptoError;
use crate::keys::{DeviceSecret, SigningSecret as _};
use crate::sign::{SigningDomain, verify};

/// A device whose certificate was checked up to the account key. That says nothing of its being active: ask a
/// [`super::VerifiedDeviceList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedDevice {
    account: AccountKey,
    device: DeviceKey,
    olm_identity: OlmKey,
    created: UnixSeconds,
    can_certify: bool,
    chain_length: usize,
}

impl VerifiedDevice {
    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountKey {
        self.account
    }

    /// The device.
    #[must_use]
    pub const fn key(&self) -> DeviceKey {
        self.device
    }

    /// Its Olm identity key.
    #[must_use]
    pub const fn olm_identity(&self) -> OlmKey {
        self.olm_identity
    }

    /// When it was certified, by the issuer's clock.
    #[must_use]
    pub const fn created(&self) -> UnixSeconds {
        self.created
    }

    /// Whether it may certify other devices.
    #[must_use]
    pub const fn can_certify(&self) -> bool {
        self.can_certify
    }

    /// Certificates from this device to the account key, its own included: 1 to [`limits::CERT_CHAIN`].
    #[must_use]
    pub const fn chain_length(&self) -> usize {
        self.chain_length
    }
}

/// The device's half of a certificate: its word that it is this device of this account.
///
/// # Errors
/// [`CryptoError::WrongKey`] if `body` is about another device.
pub fn accept_cert(body: &DeviceCertBody, device: &DeviceSecret) -> Result<Signature, CryptoError> {
    if body.device != device.public() {
        return Err(CryptoError::WrongKey);
    }
    Ok(device.sign(SigningDomain::CertDevice, &body.encode()))
}

/// The issuer's half of a certificate, over what the device has accepted.
///
/// # Errors
/// [`CryptoError::WrongAccount`] if the authority is the key of another account, [`CryptoError::BadSignature`] if the
/// device has accepted something else. Whether a device may certify is checked when the certificate is used.
pub fn issue_cert(
    body: &DeviceCertBody,
    accepted: Signature,
    authority: Authority<'_>,
) -> Result<DeviceCert, CryptoError> {
    let signed = body.encode();
    verify(SigningDomain::CertDevice, body.device.as_bytes(), &signed, &accepted)?;
    let issuer = authority.signer(&body.account)?;
    let signature = authority.sign(SigningDomain::CertIssuer, &signed);
    Ok(DeviceCert::new(signed, issuer, signature, accepted)?)
}

/// Checks a device's certificate, followed by that of each issuer, the last of which the account key issued.
///
/// # Errors
/// [`CryptoError`] saying what is wrong with the first certificate that is.
pub fn verify_chain(account: &AccountKey, chain: &[DeviceCert]) -> Result<VerifiedDevice, CryptoError> {
    if chain.len() > limits::CERT_CHAIN {
        return Err(CryptoError::ChainTooLong);
    }
    let mut issuer: Option<VerifiedDevice> = None;
    for cert in chain.iter().rev() {
        // Above a certificate of the account key nothing can stand.
        if issuer.is_some() && cert.issuer() == Signer::Account {
            return Err(CryptoError::ChainTooLong);
        }
        issuer = Some(vouch(account, cert, |key| issuer.filter(|device| device.device == *key))?);
    }
    issuer.ok_or(CryptoError::UnknownDevice)
}

/// Checks one certificate of `account`; `find` knows the devices that have been checked before.
pub(super) fn vouch(
    account: &AccountKey,
    cert: &DeviceCert,
    find: impl FnOnce(&DeviceKey) -> Option<VerifiedDevice>,
) -> Result<VerifiedDevice, CryptoError> {
    let body = cert.body();
    if body.account != *account {
        return Err(CryptoError::WrongAccount);
    }
    let issuer = cert.issuer();
    let chain_length = match &issuer {
        Signer::Account => 1,
        Signer::Device(key) => {
            let by = find(key).filter(VerifiedDevice::can_certify).ok_or(CryptoError::NotACertifier)?;
            by.chain_length.saturating_add(1)
        }
    };
    if chain_length > limits::CERT_CHAIN {
        return Err(CryptoError::ChainTooLong);
    }
    verify(SigningDomain::CertIssuer, issuer.key(account), cert.signed(), cert.issuer_signature())?;
    verify(SigningDomain::CertDevice, body.device.as_bytes(), cert.signed(), cert.device_signature())?;
    Ok(VerifiedDevice {
        account: *account,
        device: body.device,
        olm_identity: body.olm_identity,
        created: body.created,
        can_certify: body.can_certify,
        chain_length,
    })
}
