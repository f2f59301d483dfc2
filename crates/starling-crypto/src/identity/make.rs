//! Making device lists: the first, the next, and the one after a recovery.
//!
//! Each new list is checked as a reader would before it is handed out, so that we never publish what others refuse.

use alloc::boxed::Box;
use alloc::vec::Vec;

use starling_proto::identity::{DeviceCert, DeviceList, DeviceListBody, ListedDevice, Revocation, Signer};
use starling_proto::ids::DeviceKey;
use starling_proto::limits;
use starling_proto::time::{Span, UnixSeconds};

use super::{Authority, ListChange, VerifiedDeviceList};
use crate::CryptoError;
use crate::keys::AccountSecret;
use crate::sign::SigningDomain;

/// How long a list is good before it should be signed again: as long as a directory entry lives.
pub const LIST_LIFE: Span = Span::from_days(30);

impl VerifiedDeviceList {
    /// The first list of an account, or the one after a recovery: `seen` is the newest that could be found then.
    ///
    /// # Errors
    /// [`CryptoError`] saying which certificate is wrong, or that there are none or too many.
    pub fn found(
        account: &AccountSecret,
        certs: Vec<DeviceCert>,
        seen: Option<&Self>,
        now: UnixSeconds,
    ) -> Result<Self, CryptoError> {
        let seen_version = seen.map_or(0, |seen| seen.anchor().body().version);
        let body = DeviceListBody {
            account: account.public(),
            version: next(seen_version, now)?,
            previous: None,
            devices: certs.into_iter().map(|cert| ListedDevice { cert, revocation: None }).collect(),
            not_after: now.after(LIST_LIFE),
            anchor: None,
        };
        sign(&body, Authority::Account(account))
    }

    /// The next list, with one more device.
    ///
    /// # Errors
    /// [`CryptoError::BadChange`] if the device is on the list already or the list is full; else what is wrong with
    /// certificate or authority.
    pub fn add(
        &self,
        cert: DeviceCert,
        authority: Authority<'_>,
        now: UnixSeconds,
    ) -> Result<Self, CryptoError> {
        let body = self.list().body();
        let listed = body.devices.iter().any(|device| device.key() == cert.body().device);
        let full = body.active().count() >= limits::DEVICES || body.devices.len() >= limits::LISTED_DEVICES;
        if listed || full {
            return Err(CryptoError::BadChange);
        }
        let mut devices = body.devices.clone();
        devices.push(ListedDevice { cert, revocation: None });
        self.next_list(devices, authority, now)
    }

    /// The next list, with one device revoked.
    ///
    /// # Errors
    /// [`CryptoError::BadChange`] if the device is not active or is the last one, [`CryptoError::NotARevoker`] if the
    /// authority is neither the account key nor the device itself nor one listed before it.
    pub fn revoke(
        &self,
        device: &DeviceKey,
        authority: Authority<'_>,
        now: UnixSeconds,
    ) -> Result<Self, CryptoError> {
        let body = self.list().body();
        let mut devices = body.devices.clone();
        let listed = devices.iter_mut().find(|listed| listed.key() == *device && listed.is_active());
        let listed = listed.filter(|_| body.active().count() > 1).ok_or(CryptoError::BadChange)?;
        listed.revocation = Some(Revocation {
            revoker: authority.signer(&body.account)?,
            signature: authority.sign(SigningDomain::Revocation, listed.cert.signed()),
        });
        self.next_list(devices, authority, now)
    }

    /// The next list, with the same devices and a later end.
    ///
    /// # Errors
    /// What is wrong with the authority.
    pub fn renew(&self, authority: Authority<'_>, now: UnixSeconds) -> Result<Self, CryptoError> {
        self.next_list(self.list().body().devices.clone(), authority, now)
    }

    fn next_list(
        &self,
        devices: Vec<ListedDevice>,
        authority: Authority<'_>,
        now: UnixSeconds,
    ) -> Result<Self, CryptoError> {
        let account = self.account();
        let (seen_version, anchor) = match authority.signer(&account)? {
            // Lists of the account key count for themselves, so that a version counted up by a thief does not bind it.
            Signer::Account => (self.anchor().body().version, None),
            Signer::Device(_) => (self.list().body().version, Some(Box::new(self.anchor().clone()))),
        };
        let body = DeviceListBody {
            account,
            version: next(seen_version, now)?,
            previous: Some(self.hash()),
            devices,
            not_after: now.after(LIST_LIFE),
            anchor,
        };
        let newer = sign(&body, authority)?;
        match self.compare(&newer) {
            Ok(ListChange::Extended { missed: false }) => Ok(newer),
            _ => Err(CryptoError::BadChange),
        }
    }
}

/// The version after `seen`: the wall clock where that is ahead, so that a recovered account, which may not have found
/// its last list, still comes after it.
fn next(seen: u64, now: UnixSeconds) -> Result<u64, CryptoError> {
    Ok(seen.checked_add(1).ok_or(CryptoError::VersionExhausted)?.max(now.get()))
}

fn sign(body: &DeviceListBody, authority: Authority<'_>) -> Result<VerifiedDeviceList, CryptoError> {
    let signer = authority.signer(&body.account)?;
    let signed = body.encode();
    let signature = authority.sign(SigningDomain::DeviceList, &signed);
    VerifiedDeviceList::verify(DeviceList::new(signed, signer, signature)?, &body.account)
}
