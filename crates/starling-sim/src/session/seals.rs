//! What was sealed under which key, so that a key that is used twice is found.
//!
//! A session cannot see that: it is read from disk, uses the next key of its chain, and is written back. Whoever runs it
//! takes the seals of each batch, forgets those of a batch that never left the machine, and keeps the rest in
//! [`UsedKeys`].

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::keys::Material;

/// The key of one message, and a hash of what it made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal {
    key: [u8; 32],
    sealed: [u8; 32],
}

thread_local! {
    /// A network runs in one thread, and takes these after each batch.
    static SEALS: RefCell<Vec<Seal>> = const { RefCell::new(Vec::new()) };
}

/// Notes that a key has sealed something.
pub(super) fn note(key: &Material, message: &[u8]) {
    let seal = Seal { key: *key.as_bytes(), sealed: *blake3::hash(message).as_bytes() };
    SEALS.with_borrow_mut(|seals| seals.push(seal));
}

/// Takes what was sealed in this thread since it was last taken.
pub(crate) fn take() -> Vec<Seal> {
    SEALS.take()
}

/// Every key that has sealed something that may have left its machine.
#[derive(Debug, Default)]
pub(crate) struct UsedKeys(BTreeMap<[u8; 32], [u8; 32]>);

impl UsedKeys {
    /// Notes these. Says whether each key is new, or has made the same before: the same bytes twice tell nobody anything.
    pub(crate) fn note(&mut self, seals: Vec<Seal>) -> bool {
        seals.into_iter().all(|seal| *self.0.entry(seal.key).or_insert(seal.sealed) == seal.sealed)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_crypto::session::{OlmAccount as _, OlmSession as _};

    use super::*;
    use crate::session::InsecureAccount;
    use crate::session::ratchet::InsecureSession;

    #[test]
    fn a_session_that_is_set_back_and_says_something_else_is_found() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let (alice, mut bob) = (InsecureAccount::generate(rng), InsecureAccount::generate(rng));
        let key = bob.generate_one_time_keys(1, rng)[0];
        let mut session = alice.start(bob.identity_key(), key, rng).unwrap();
        let before = session.pickle().unwrap();
        let back = || InsecureSession::from_pickle(before.expose()).unwrap();
        let mut used = UsedKeys::default();
        take();
        session.encrypt(b"one", rng).unwrap();
        session.encrypt(b"two", rng).unwrap();
        assert!(used.note(take()), "each under a key of its own");
        back().encrypt(b"one", rng).unwrap();
        assert!(used.note(take()), "the same again");
        back().encrypt(b"else", rng).unwrap();
        assert!(!used.note(take()));
    }
}
