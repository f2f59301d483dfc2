//! What stands where Olm has keys.

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use starling_crypto::session::SessionError;
use starling_proto::ids::{OlmKey, SessionId};

/// The result of a hash, where Olm has a root, chain or message key. No secret: see the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Material([u8; 32]);

impl Material {
    /// Hashes under a domain of its own; all parts are 32 bytes long.
    fn hash(domain: &str, parts: &[&[u8; 32]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes());
        for part in parts {
            hasher.update(*part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The next value of a chain, or what is used up at one step of it.
    pub(super) fn derive(&self, domain: &str) -> Self {
        Self::hash(domain, &[&self.0])
    }

    pub(super) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The three keys that start a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionKeys {
    pub(super) identity: OlmKey,
    pub(super) base: OlmKey,
    /// The one-time or fallback key of the accepting side.
    pub(super) one_time: OlmKey,
}

impl SessionKeys {
    pub(super) fn id(&self) -> SessionId {
        let hash = Sha256::new()
            .chain_update(self.identity.as_bytes())
            .chain_update(self.base.as_bytes())
            .chain_update(self.one_time.as_bytes())
            .finalize();
        SessionId::new(hash.into())
    }

    /// What both sides begin with: root and first chain. `accepting` is the other side's identity key.
    pub(super) fn agree(&self, accepting: OlmKey) -> Result<(Material, Material), SessionError> {
        let keys = [self.identity, self.base, accepting, self.one_time];
        if keys.into_iter().any(is_weak) {
            return Err(SessionError::WeakKey);
        }
        let shared = Material::hash("start", &keys.each_ref().map(OlmKey::as_bytes));
        Ok((shared.derive("root"), shared.derive("chain")))
    }
}

/// A new root and chain, from the old root and the ratchet keys of both sides in either order.
pub(super) fn turn(
    root: &Material,
    one: OlmKey,
    other: OlmKey,
) -> Result<(Material, Material), SessionError> {
    if is_weak(one) || is_weak(other) {
        return Err(SessionError::WeakKey);
    }
    let (low, high) = (one.min(other), one.max(other));
    let shared = Material::hash("turn", &[root.as_bytes(), low.as_bytes(), high.as_bytes()]);
    Ok((shared.derive("root"), shared.derive("chain")))
}

/// The zero key stands for all keys of small order: the one that hostile tests send.
pub(super) fn is_weak(key: OlmKey) -> bool {
    *key.as_bytes() == [0; 32]
}

pub(super) fn random_key(rng: &mut dyn CryptoRng) -> OlmKey {
    let mut bytes = [0; OlmKey::LEN];
    rng.fill_bytes(&mut bytes);
    OlmKey::new(bytes)
}
