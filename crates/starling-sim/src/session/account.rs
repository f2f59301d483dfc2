//! The account: which keys a device answers to.

use std::collections::VecDeque;

use rand_core::CryptoRng;
use starling_crypto::session::{FallbackKeys, OlmAccount, Pickle, PrekeyHeader, SessionError};
use starling_proto::ids::OlmKey;

use super::keys::{SessionKeys, random_key};
use super::message::Prekey;
use super::ratchet::InsecureSession;
use super::stored::StoredAccount;

/// Unused one-time keys that are kept.
const MAX_ONE_TIME: usize = 5_000;

/// The double's account. Protects nothing: see the [module](super).
pub(crate) struct InsecureAccount {
    pub(super) identity: OlmKey,
    pub(super) fallback: FallbackKeys,
    /// Unused ones, oldest first.
    pub(super) one_time: VecDeque<OlmKey>,
}

impl OlmAccount for InsecureAccount {
    type Session = InsecureSession;

    fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self { identity: random_key(rng), fallback: FallbackKeys::default(), one_time: VecDeque::new() }
    }

    fn identity_key(&self) -> OlmKey {
        self.identity
    }

    fn rotate_fallback(&mut self, rng: &mut dyn CryptoRng) {
        self.fallback = FallbackKeys { current: Some(random_key(rng)), previous: self.fallback.current };
    }

    fn fallback_keys(&self) -> FallbackKeys {
        self.fallback
    }

    fn forget_previous_fallback(&mut self) -> bool {
        self.fallback.previous.take().is_some()
    }

    fn generate_one_time_keys(&mut self, count: usize, rng: &mut dyn CryptoRng) -> Vec<OlmKey> {
        let made: Vec<OlmKey> = (0..count).map(|_| random_key(rng)).collect();
        self.one_time.extend(&made);
        let excess = self.one_time.len().saturating_sub(MAX_ONE_TIME);
        self.one_time.drain(..excess);
        made
    }

    fn start(
        &self,
        identity: OlmKey,
        key: OlmKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<InsecureSession, SessionError> {
        let keys = SessionKeys { identity: self.identity, base: random_key(rng), one_time: key };
        InsecureSession::start(keys, identity, rng)
    }

    fn inspect(message: &[u8]) -> Result<PrekeyHeader, SessionError> {
        let keys = Prekey::decode(message)?.keys;
        Ok(PrekeyHeader { session: keys.id(), sender: keys.identity, key: keys.one_time })
    }

    fn accept(&mut self, sender: OlmKey, message: &[u8]) -> Result<(InsecureSession, Vec<u8>), SessionError> {
        let prekey = Prekey::decode(message)?;
        let SessionKeys { identity, one_time, .. } = prekey.keys;
        if identity != sender {
            return Err(SessionError::WrongKeys);
        }
        if !self.one_time.contains(&one_time) && !self.fallback.contains(&one_time) {
            return Err(SessionError::MissingOneTimeKey);
        }
        let opened = InsecureSession::accept(&prekey, self.identity)?;
        self.one_time.retain(|key| *key != one_time);
        Ok(opened)
    }

    fn pickle(&self) -> Result<Pickle, SessionError> {
        Ok(StoredAccount::from(self).to_pickle())
    }

    fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        StoredAccount::from_pickle(bytes)?.try_into()
    }
}
