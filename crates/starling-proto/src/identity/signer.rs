//! Who speaks for an account.

use crate::DecodeError;
use crate::ids::{AccountKey, DeviceKey};

/// The key behind a certificate, a list or a revocation. On the wire it is 32 bytes, and the account's own key is told
/// from a device's by comparing it with the account that the signed body names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The account key itself.
    Account,
    /// A device; whether it may is for the verifier.
    Device(DeviceKey),
}

impl Signer {
    /// The key that signs for `account`.
    #[must_use]
    pub const fn key<'a>(&'a self, account: &'a AccountKey) -> &'a [u8; 32] {
        match self {
            Self::Account => account.as_bytes(),
            Self::Device(device) => device.as_bytes(),
        }
    }

    /// Reads the key of somebody who signs for `account`.
    pub(super) fn from_slice(bytes: &[u8], account: &AccountKey) -> Result<Self, DecodeError> {
        let device = DeviceKey::from_slice(bytes)?;
        Ok(if device.as_bytes() == account.as_bytes() { Self::Account } else { Self::Device(device) })
    }
}
