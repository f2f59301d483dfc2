//! A secret that speaks for an account.

use starling_proto::identity::Signer;
use starling_proto::ids::{AccountKey, Signature};

use crate::CryptoError;
use crate::keys::{AccountSecret, DeviceSecret, SigningSecret as _};
use crate::sign::SigningDomain;

/// Who issues, signs or revokes.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// The account key, at the making of an account or its recovery.
    Account(&'a AccountSecret),
    /// A device, on all other days.
    Device(&'a DeviceSecret),
}

impl Authority<'_> {
    /// How the authority is named in what it signs for `account`.
    ///
    /// # Errors
    /// [`CryptoError::WrongAccount`] for the key of another account.
    pub(super) fn signer(&self, account: &AccountKey) -> Result<Signer, CryptoError> {
        match self {
            Self::Account(secret) if secret.public() == *account => Ok(Signer::Account),
            Self::Account(_) => Err(CryptoError::WrongAccount),
            Self::Device(secret) => Ok(Signer::Device(secret.public())),
        }
    }

    pub(super) fn sign(&self, domain: SigningDomain, bytes: &[u8]) -> Signature {
        match self {
            Self::Account(secret) => secret.sign(domain, bytes),
            Self::Device(secret) => secret.sign(domain, bytes),
        }
    }
}
