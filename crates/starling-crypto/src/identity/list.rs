//! A device list that was checked by itself: who is on it and who may have signed it.
//!
//! A list needs no other to be believed: each certificate leads to the account key, each revocation is signed by
//! somebody who may revoke, and a list that a device signed carries the last list of the account key, which it must
//! continue. What one list may become is in `succession`.

use alloc::vec::Vec;

use starling_proto::identity::{DeviceList, DeviceListBody, ListedDevice, Revocation, Signer};
use starling_proto::ids::{AccountKey, DeviceKey, DeviceListHash};
use starling_proto::time::UnixSeconds;

use super::VerifiedDevice;
use super::cert::vouch;
use crate::CryptoError;
use crate::sign::{SigningDomain, verify};

/// A device list, every signature of which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDeviceList {
    list: DeviceList,
    /// One for each listed device, in the list's order.
    devices: Vec<VerifiedDevice>,
}

impl VerifiedDeviceList {
    /// Checks a list that claims to be `account`'s, the cheap things first.
    ///
    /// # Errors
    /// [`CryptoError`] saying what is wrong first. A list that has expired is not refused: see [`Self::is_overdue`].
    pub fn verify(list: DeviceList, account: &AccountKey) -> Result<Self, CryptoError> {
        let body = list.body();
        if body.account != *account {
            return Err(CryptoError::WrongAccount);
        }
        check_signer(body, list.signer())?;
        check_anchor(&list)?;
        check_signature(&list)?;
        if let Some(anchor) = &body.anchor {
            check_signature(anchor)?;
        }
        let devices = check_devices(body)?;
        Ok(Self { list, devices })
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountKey {
        self.list.body().account
    }

    /// The list as it travels and is kept.
    #[must_use]
    pub const fn list(&self) -> &DeviceList {
        &self.list
    }

    /// What messages and the next list name.
    #[must_use]
    pub fn hash(&self) -> DeviceListHash {
        self.list.hash()
    }

    /// The active devices, in the order of their certification.
    pub fn devices(&self) -> impl Iterator<Item = VerifiedDevice> + '_ {
        self.entries().filter(|(listed, _)| listed.is_active()).map(|(_, device)| *device)
    }

    /// The active device with this key.
    ///
    /// # Errors
    /// [`CryptoError::UnknownDevice`] or [`CryptoError::RevokedDevice`].
    pub fn device(&self, key: &DeviceKey) -> Result<VerifiedDevice, CryptoError> {
        let found = self.entries().find(|(listed, _)| listed.key() == *key);
        let (listed, device) = found.ok_or(CryptoError::UnknownDevice)?;
        if listed.is_active() { Ok(*device) } else { Err(CryptoError::RevokedDevice) }
    }

    /// Whether the list should have been signed again by `now`: a warning, since a withheld renewal looks the same as
    /// a long absence.
    #[must_use]
    pub fn is_overdue(&self, now: UnixSeconds) -> bool {
        self.list.body().not_after < now
    }

    /// The newest list that the account key signed: this one or its anchor.
    pub(super) fn anchor(&self) -> &DeviceList {
        self.list.body().anchor.as_deref().unwrap_or(&self.list)
    }

    fn entries(&self) -> impl Iterator<Item = (&ListedDevice, &VerifiedDevice)> {
        self.list.body().devices.iter().zip(&self.devices)
    }
}

/// The signer of a list is the account key or an active device, or one that takes itself off with it.
fn check_signer(body: &DeviceListBody, signer: Signer) -> Result<(), CryptoError> {
    let Signer::Device(key) = signer else { return Ok(()) };
    let signer_is_revoker = |revocation: Revocation| revocation.revoker == signer;
    match body.devices.iter().find(|device| device.key() == key) {
        Some(device) if device.revocation.is_none_or(signer_is_revoker) => Ok(()),
        _ => Err(CryptoError::NotASigner),
    }
}

/// A list of the account key has no anchor; any other continues one. Signatures are left for later.
fn check_anchor(list: &DeviceList) -> Result<(), CryptoError> {
    let body = list.body();
    match (list.signer(), &body.anchor) {
        (Signer::Account, None) => Ok(()),
        (Signer::Device(_), Some(anchor))
            if anchor.signer() == Signer::Account
                && anchor.body().account == body.account
                && anchor.body().version < body.version
                && continues(anchor.body(), body) =>
        {
            Ok(())
        }
        _ => Err(CryptoError::BadAnchor),
    }
}

fn check_signature(list: &DeviceList) -> Result<(), CryptoError> {
    let signer = list.signer();
    let key = signer.key(&list.body().account);
    verify(SigningDomain::DeviceList, key, list.signed(), list.signature())
}

/// Checks each certificate against those listed before it, and each revocation against the order of the list.
fn check_devices(body: &DeviceListBody) -> Result<Vec<VerifiedDevice>, CryptoError> {
    let mut devices: Vec<VerifiedDevice> = Vec::with_capacity(body.devices.len());
    for listed in &body.devices {
        let find = |key: &DeviceKey| devices.iter().find(|device| device.key() == *key).copied();
        let device = vouch(&body.account, &listed.cert, find)?;
        if let Some(revocation) = &listed.revocation {
            let senior = |key: &DeviceKey| find(key).is_some() || *key == device.key();
            check_revocation(&body.account, listed, revocation, senior)?;
        }
        devices.push(device);
    }
    Ok(devices)
}

/// The account key revokes any device, a device itself and those listed after it.
fn check_revocation(
    account: &AccountKey,
    listed: &ListedDevice,
    revocation: &Revocation,
    senior_or_same: impl FnOnce(&DeviceKey) -> bool,
) -> Result<(), CryptoError> {
    if let Signer::Device(key) = &revocation.revoker
        && !senior_or_same(key)
    {
        return Err(CryptoError::NotARevoker);
    }
    let key = revocation.revoker.key(account);
    verify(SigningDomain::Revocation, key, listed.cert.signed(), &revocation.signature)
}

/// Whether `list` begins with all of `base`: no device dropped, moved or brought back, and none added by a device that
/// `base` had revoked.
pub(super) fn continues(base: &DeviceListBody, list: &DeviceListBody) -> bool {
    let kept = |(before, after): (&ListedDevice, &ListedDevice)| {
        before.cert == after.cert && (before.is_active() || before.revocation == after.revocation)
    };
    let revoked = |signer: Signer| {
        base.devices.iter().any(|device| !device.is_active() && Signer::Device(device.key()) == signer)
    };
    list.devices.len() >= base.devices.len()
        && base.devices.iter().zip(&list.devices).all(kept)
        && list.devices.iter().skip(base.devices.len()).all(|added| !revoked(added.cert.issuer()))
}
