//! People for the tests, from fixed seeds.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::session::Vodozemac;
use starling_proto::contact::ReadKey;
use starling_proto::content::HandOver;
use starling_proto::identity::Name;
use starling_proto::ids::LocatorKey;
use starling_proto::time::{Now, UnixMillis};

use crate::identity::Identity;
use crate::memory::MemoryStore;
use crate::profile::Profile;

/// 2026-01-01.
pub(super) const START: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// The account of the same seed, brought back on another device an hour later.
pub(super) fn restored(seed: u64) -> Identity {
    let profile = Profile::new(Name::new("Ada").unwrap());
    let later = Now { wall: UnixMillis::new(START.get() + 3_600_000), ..Now::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let made = Now { wall: START, ..Now::default() };
    let lost = Identity::create::<Vodozemac>(&mut MemoryStore::default(), &profile, made, &mut rng);
    let phrase = lost.unwrap().1;
    Identity::restore::<Vodozemac>(&mut MemoryStore::default(), &phrase, &profile, later, &mut rng).unwrap()
}

/// A new account in `store`.
pub(super) fn identity(store: &mut MemoryStore, seed: u64) -> Identity {
    let now = Now { wall: START, ..Now::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Identity::create::<Vodozemac>(store, &Profile::new(Name::new("Ada").unwrap()), now, &mut rng).unwrap().0
}

/// What somebody says of themselves, with a locator that leads nowhere.
pub(super) fn hand_over(identity: &Identity) -> HandOver {
    HandOver {
        name: Name::new("Ada").unwrap(),
        device_list: identity.list().list().clone(),
        locator: LocatorKey::new([1; 32]),
        read_key: ReadKey::new([2; 32]),
        mailboxes: Vec::new(),
        one_time_keys: Vec::new(),
    }
}
