//! Signatures: Ed25519, each over a domain string and the bytes, strictly verified.

use alloc::vec::Vec;

use ed25519_dalek::VerifyingKey;
use starling_proto::ids::Signature;

use crate::CryptoError;

/// What a signature is for. A signature made in one domain is worth nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningDomain {
    /// A record, by its publisher.
    Record,
    /// Leave to deposit, by a mailbox's owner.
    Capability,
    /// A device certificate, by its issuer.
    CertIssuer,
    /// A device certificate, by the device itself.
    CertDevice,
    /// The end of a device, by whoever may end it.
    Revocation,
    /// A device list, by the account key or a device.
    DeviceList,
    /// A request to a holder, by a mailbox's owner.
    OwnerOperation,
    /// A device's word that it speaks on a connection.
    DeviceProof,
    /// Where a device can be reached, by the device.
    Locator,
    /// A contact request, by the requesting device.
    ContactRequest,
}

impl SigningDomain {
    /// Every domain.
    pub const ALL: [Self; 10] = [
        Self::Record,
        Self::Capability,
        Self::CertIssuer,
        Self::CertDevice,
        Self::Revocation,
        Self::DeviceList,
        Self::OwnerOperation,
        Self::DeviceProof,
        Self::Locator,
        Self::ContactRequest,
    ];

    /// The domain string: fixed for ever, or old signatures are worth nothing.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "starling/1/sign/record",
            Self::Capability => "starling/1/sign/capability",
            Self::CertIssuer => "starling/1/sign/device-cert/issuer",
            Self::CertDevice => "starling/1/sign/device-cert/device",
            Self::Revocation => "starling/1/sign/revocation",
            Self::DeviceList => "starling/1/sign/device-list",
            Self::OwnerOperation => "starling/1/sign/owner-operation",
            Self::DeviceProof => "starling/1/sign/device-proof",
            Self::Locator => "starling/1/sign/locator",
            Self::ContactRequest => "starling/1/sign/contact-request",
        }
    }

    /// What Ed25519 sees: the domain string, a zero byte, the bytes. No domain string holds a zero byte, so no two
    /// pairs of domain and bytes look alike.
    pub(crate) fn message(self, bytes: &[u8]) -> Vec<u8> {
        [self.as_str().as_bytes(), &[0], bytes].concat()
    }
}

/// Checks that `signature` is by `key` over `bytes` in `domain`.
///
/// Stricter than RFC 8032: keys and nonces of small order, scalars that are not reduced and keys that are not spelt
/// canonically are refused, so that a good signature has one spelling and a key cannot fit many messages.
///
/// # Errors
/// [`CryptoError::BadKey`] for a key that nobody should use, [`CryptoError::BadSignature`] otherwise.
pub fn verify(
    domain: SigningDomain,
    key: &[u8; 32],
    bytes: &[u8],
    signature: &Signature,
) -> Result<(), CryptoError> {
    if !is_canonical(key) {
        return Err(CryptoError::BadKey);
    }
    let key = VerifyingKey::from_bytes(key).map_err(|_| CryptoError::BadKey)?;
    if key.is_weak() {
        return Err(CryptoError::BadKey);
    }
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    key.verify_strict(&domain.message(bytes), &signature).map_err(|_| CryptoError::BadSignature)
}

/// Whether the y coordinate is below 2^255 - 19. The other spelling of a zero x needs no check: both points with one
/// are of small order.
fn is_canonical(key: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = key;
    !(*low >= 0xed && middle.iter().all(|byte| *byte == 0xff) && high & 0x7f == 0x7f)
}

#[cfg(test)]
mod tests;
