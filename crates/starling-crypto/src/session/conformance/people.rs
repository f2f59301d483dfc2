//! Devices that talk, for the checks.

use alloc::vec;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::ids::{AccountKey, DeviceKey, DeviceListHash, OlmKey};
use starling_proto::message::Sealed;
use starling_proto::session::{Parties, Party, SessionPlaintext};

use crate::session::{OlmAccount, OlmSession, Opened, SessionBook, SessionError, Step};

/// A device with its account and its book about one other.
pub(super) struct Device<A: OlmAccount> {
    pub(super) account: A,
    pub(super) party: Party,
    pub(super) book: SessionBook<A::Session>,
}

/// Whom a device writes to.
pub(super) struct Address {
    pub(super) party: Party,
    pub(super) identity: OlmKey,
}

/// Two devices with a fallback key each; `a` has the smaller device key.
pub(super) fn pair<A: OlmAccount>(rng: &mut dyn CryptoRng) -> (Device<A>, Device<A>) {
    let (a, b) = (account::<A>(rng), account::<A>(rng));
    let (to_a, to_b) = (address(&a, 1), address(&b, 2));
    (device(a, &to_a, &to_b), device(b, &to_b, &to_a))
}

pub(super) fn account<A: OlmAccount>(rng: &mut dyn CryptoRng) -> A {
    let mut account = A::generate(rng);
    account.rotate_fallback(rng);
    account
}

pub(super) fn address<A: OlmAccount>(account: &A, number: u8) -> Address {
    let party = Party { account: AccountKey::new([number + 100; 32]), device: DeviceKey::new([number; 32]) };
    Address { party, identity: account.identity_key() }
}

pub(super) fn device<A: OlmAccount>(account: A, own: &Address, other: &Address) -> Device<A> {
    Device { account, party: own.party, book: SessionBook::new(own.party, other.party, other.identity) }
}

pub(super) fn fallback<A: OlmAccount>(account: &A) -> OlmKey {
    account.fallback_keys().current.expect("a fallback key was made")
}

pub(super) fn list() -> DeviceListHash {
    DeviceListHash::new([7; 32])
}

impl<A: OlmAccount> Device<A> {
    /// Starts a session on the fallback key of `other`.
    pub(super) fn start(&mut self, other: &Self, rng: &mut dyn CryptoRng) {
        let _ = self.book.start(&self.account, fallback(&other.account), rng).unwrap();
    }

    /// Seals one message for each text.
    pub(super) fn say(&mut self, texts: &[&str], rng: &mut dyn CryptoRng) -> Vec<Sealed> {
        let texts = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        self.book.seal(list(), texts, rng).unwrap().value
    }

    /// Seals `count` messages with their numbers as text.
    pub(super) fn count(&mut self, count: u64, rng: &mut dyn CryptoRng) -> Vec<Sealed> {
        let texts = (0..count).map(|n| n.to_be_bytes().to_vec()).collect();
        self.book.seal(list(), texts, rng).unwrap().value
    }

    pub(super) fn open(&mut self, batch: Vec<Sealed>) -> Opened {
        self.step(batch).value
    }

    pub(super) fn step(&mut self, batch: Vec<Sealed>) -> Step<Opened> {
        self.book.open(&mut self.account, batch).unwrap()
    }

    /// Opens a batch that must open whole, and gives the texts.
    pub(super) fn hear(&mut self, batch: Vec<Sealed>) -> Vec<Vec<u8>> {
        let opened = self.open(batch);
        assert_eq!((opened.refused, opened.held), (vec![], vec![]));
        opened.messages.into_iter().map(|message| message.content).collect()
    }

    /// Why the one message is refused.
    pub(super) fn refuse(&mut self, message: Sealed) -> SessionError {
        let mut opened = self.open(vec![message]);
        assert_eq!((opened.messages.len(), opened.held.len(), opened.refused.len()), (0, 0, 1));
        opened.refused.remove(0).error
    }
}

/// What a device can say in another's name: a plaintext of its own choice in a session of its own.
pub(super) fn forge<A: OlmAccount>(
    from: &A,
    to: (&Address, OlmKey),
    parties: Parties,
    rng: &mut dyn CryptoRng,
) -> Sealed {
    let mut session = from.start(to.0.identity, to.1, rng).unwrap();
    let text = SessionPlaintext { parties, device_list: list(), sequence: 0, content: b"forged".to_vec() };
    let message = session.encrypt(&text.encode().unwrap(), rng).unwrap();
    Sealed { session: session.id(), sequence: 0, prekey: message.prekey, ciphertext: message.bytes }
}
