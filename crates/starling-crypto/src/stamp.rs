//! Stamps: committed proof of work, about a second to make and one Argon2id to check.
//!
//! A stamp is bound to a purpose, a subject and a month. Its maker commits to a number of zero bits before searching,
//! so that a lucky find is worth no more than was asked for, and two stamps can be compared by what they say.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use starling_proto::ids::{PublisherKey, RecordId};
use starling_proto::record::Stamp;
use starling_proto::time::Month;
use starling_proto::version::NetworkName;

use crate::CryptoError;

/// What a stamp is made for. A stamp for one subject is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampSubject {
    /// Records that strangers keep: all those of one publisher in one month share a stamp.
    Publisher(PublisherKey),
    /// A contact request, named by the id of its record: each costs its own work, and says for whom it was done.
    Request(RecordId),
}

impl StampSubject {
    /// The BLAKE3 context string: fixed for ever, or old stamps are worth nothing.
    const fn context(&self) -> &'static str {
        match self {
            Self::Publisher(_) => "starling/1/stamp/publisher",
            Self::Request(_) => "starling/1/stamp/request",
        }
    }

    const fn key(&self) -> &[u8; 32] {
        match self {
            Self::Publisher(key) => key.as_bytes(),
            Self::Request(id) => id.as_bytes(),
        }
    }

    /// Argon2id's salt: everything that the stamp is bound to.
    pub(crate) fn salt(&self, month: Month, bits: u8) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(self.context());
        hasher.update(self.key()).update(&month.get().to_be_bytes()).update(&[bits]);
        *hasher.finalize().as_bytes()
    }
}

/// How much work a network asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampPolicy {
    bits: u8,
}

impl StampPolicy {
    /// The zero bits that the main network asks for: 4,096 tries of 0.26 ms on average, about a second.
    pub const MAIN_BITS: u8 = 12;

    /// What the main network asks for, and any other that does not say otherwise.
    #[must_use]
    pub const fn main() -> Self {
        Self { bits: Self::MAIN_BITS }
    }

    /// `bits` zero bits on `network`.
    ///
    /// # Errors
    /// [`CryptoError::StampTooEasy`] for fewer than [`Self::MAIN_BITS`] on the main network.
    pub fn for_network(network: &NetworkName, bits: u8) -> Result<Self, CryptoError> {
        if network.is_main() && bits < Self::MAIN_BITS {
            return Err(CryptoError::StampTooEasy);
        }
        Ok(Self { bits })
    }

    /// The fewest zero bits that are accepted.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Checks a stamp: what it says first, then one Argon2id.
    ///
    /// # Errors
    /// [`StampFlaw`]; only [`StampFlaw::NoWork`] has cost the hash.
    pub fn check(&self, stamp: &Stamp, subject: &StampSubject, current: Month) -> Result<(), StampFlaw> {
        self.check_claim(stamp, current)?;
        check_work(stamp, subject, &mut Argon2Work::new())
    }

    /// The part of [`Self::check`] that costs nothing: month and committed bits.
    ///
    /// # Errors
    /// [`StampFlaw::Month`] or [`StampFlaw::Bits`].
    pub fn check_claim(&self, stamp: &Stamp, current: Month) -> Result<(), StampFlaw> {
        if !stamp.month.counts_in(current) {
            return Err(StampFlaw::Month);
        }
        if stamp.bits < self.bits { Err(StampFlaw::Bits) } else { Ok(()) }
    }
}

/// Checks stamps and remembers the good ones: all the records that a publisher makes in a month bear one stamp, and a
/// holder meets it again with each of them. (Counted in a simulation of fifty people: 84 % of the checks were of a stamp
/// that the same peer had checked before.)
#[derive(Debug, Clone)]
pub struct StampChecker {
    policy: StampPolicy,
    good: BTreeSet<[u8; 32]>,
    work: LazyArgon2,
}

impl StampChecker {
    /// Good stamps that are remembered: 128 KiB of them. At the bound all are forgotten, which costs a hash each.
    const REMEMBERED: usize = 4096;

    /// A checker for a network with this policy.
    #[must_use]
    pub const fn new(policy: StampPolicy) -> Self {
        Self { policy, good: BTreeSet::new(), work: LazyArgon2(None) }
    }

    /// What stamps must cost.
    #[must_use]
    pub const fn policy(&self) -> StampPolicy {
        self.policy
    }

    /// As [`StampPolicy::check`], without the hash for a stamp that has been found good before.
    ///
    /// # Errors
    /// [`StampFlaw`].
    pub fn check(&mut self, stamp: &Stamp, subject: &StampSubject, current: Month) -> Result<(), StampFlaw> {
        let mut work = core::mem::take(&mut self.work);
        let checked = self.check_with(stamp, subject, current, &mut work);
        self.work = work;
        checked
    }

    fn check_with(
        &mut self,
        stamp: &Stamp,
        subject: &StampSubject,
        current: Month,
        work: &mut impl Work,
    ) -> Result<(), StampFlaw> {
        self.policy.check_claim(stamp, current)?;
        let salt = subject.salt(stamp.month, stamp.bits);
        let name = *blake3::keyed_hash(&salt, &stamp.nonce.to_be_bytes()).as_bytes();
        if self.good.contains(&name) {
            return Ok(());
        }
        check_work(stamp, subject, work)?;
        if self.good.len() >= Self::REMEMBERED {
            self.good.clear();
        }
        self.good.insert(name);
        Ok(())
    }
}

/// Argon2id whose memory is taken when the first hash is wanted, and kept: a mebibyte taken for each check leaves holes in
/// the heap. (300 simulated cores in one process: 1.0 MB each with the holes, 0.67 MB without.)
#[derive(Default)]
struct LazyArgon2(Option<Argon2Work>);

impl Clone for LazyArgon2 {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl core::fmt::Debug for LazyArgon2 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LazyArgon2")
    }
}

impl Work for LazyArgon2 {
    fn hash(&mut self, salt: &[u8; 32], nonce: u64) -> [u8; 32] {
        self.0.get_or_insert_with(Argon2Work::new).hash(salt, nonce)
    }
}

/// What the main network asks for.
impl Default for StampPolicy {
    fn default() -> Self {
        Self::main()
    }
}

/// Why a stamp is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampFlaw {
    /// Made for another month than the present one or its neighbours.
    #[error("the stamp is for another month")]
    Month,
    /// Commits to less work than the network asks for.
    #[error("the stamp commits to too little work")]
    Bits,
    /// The work was not done, or not for this subject.
    #[error("the stamp's work was not done for this")]
    NoWork,
}

/// The hash behind stamps; tests count its runs.
trait Work {
    fn hash(&mut self, salt: &[u8; 32], nonce: u64) -> [u8; 32];
}

/// Argon2id with its memory, which is used again for each try.
struct Argon2Work {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl Argon2Work {
    /// KiB of memory: enough to make special hardware dear, little enough to check 3,800 a second.
    const MEMORY_KIB: u32 = 1024;

    fn new() -> Self {
        #[expect(clippy::expect_used, reason = "constants that Argon2 allows")]
        let params = Params::new(Self::MEMORY_KIB, 1, 1, Some(32)).expect("1 MiB, one pass, one lane");
        let memory = vec![Block::new(); params.block_count()];
        Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), memory }
    }
}

impl Work for Argon2Work {
    fn hash(&mut self, salt: &[u8; 32], nonce: u64) -> [u8; 32] {
        let mut out = [0; 32];
        let memory = self.memory.as_mut_slice();
        #[expect(clippy::expect_used, reason = "lengths are constants that Argon2 allows")]
        self.argon2
            .hash_password_into_with_memory(&nonce.to_be_bytes(), salt, &mut out, memory)
            .expect("salt, output and memory have the right lengths");
        out
    }
}

/// Whether the stamp's nonce has the zero bits that it commits to: one run of the hash.
fn check_work(stamp: &Stamp, subject: &StampSubject, work: &mut impl Work) -> Result<(), StampFlaw> {
    let hash = work.hash(&subject.salt(stamp.month, stamp.bits), stamp.nonce);
    if zero_bits(&hash) >= u32::from(stamp.bits) { Ok(()) } else { Err(StampFlaw::NoWork) }
}

/// Leading zero bits.
fn zero_bits(hash: &[u8; 32]) -> u32 {
    let mut bits: u32 = 0;
    for byte in hash {
        bits = bits.saturating_add(byte.leading_zeros());
        if *byte != 0 {
            break;
        }
    }
    bits
}

/// A search for a stamp, in steps: whoever runs it says how long a step is and may drop it at any time.
///
/// ```
/// use starling_crypto::stamp::{StampPolicy, StampSearch, StampSubject};
/// use starling_proto::{ids::PublisherKey, time::Month, version::NetworkName};
///
/// let policy = StampPolicy::for_network(&"village".parse::<NetworkName>()?, 4)?;
/// let subject = StampSubject::Publisher(PublisherKey::new([7; 32]));
/// let mut search = StampSearch::new(subject, Month::new(690), policy, 0);
/// let stamp = loop {
///     if let Some(stamp) = search.step(8) {
///         break stamp;
///     }
/// };
/// assert_eq!(policy.check(&stamp, &subject, Month::new(690)), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StampSearch {
    salt: [u8; 32],
    month: Month,
    bits: u8,
    nonce: u64,
    tried: u64,
    work: Argon2Work,
}

impl StampSearch {
    /// Begins at `nonce`: a random one, where two searches for the same subject should not repeat each other's tries.
    /// Holds 1 MiB.
    #[must_use]
    pub fn new(subject: StampSubject, month: Month, policy: StampPolicy, nonce: u64) -> Self {
        let salt = subject.salt(month, policy.bits);
        Self { salt, month, bits: policy.bits, nonce, tried: 0, work: Argon2Work::new() }
    }

    /// Another search in the same memory: whoever makes many gives their 1 MiB back only once.
    #[must_use]
    pub fn then(self, subject: StampSubject, month: Month, policy: StampPolicy, nonce: u64) -> Self {
        let salt = subject.salt(month, policy.bits);
        Self { salt, month, bits: policy.bits, nonce, tried: 0, work: self.work }
    }

    /// Tries at most `tries` nonces, 0.26 ms each on one core. `None` if none of them will do; worth calling again.
    pub fn step(&mut self, tries: u32) -> Option<Stamp> {
        for _ in 0..tries {
            let nonce = self.nonce;
            self.nonce = nonce.wrapping_add(1);
            self.tried = self.tried.saturating_add(1);
            if zero_bits(&self.work.hash(&self.salt, nonce)) >= u32::from(self.bits) {
                return Some(Stamp { month: self.month, bits: self.bits, nonce });
            }
        }
        None
    }

    /// Nonces tried so far.
    #[must_use]
    pub const fn tried(&self) -> u64 {
        self.tried
    }

    /// Nonces that a search needs on average: what progress is measured against.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        1u64.wrapping_shl(self.bits as u32)
    }
}

impl core::fmt::Debug for StampSearch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StampSearch")
            .field("bits", &self.bits)
            .field("tried", &self.tried)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts runs and never finds a zero bit.
    #[derive(Default)]
    struct Counting(u32);

    impl Work for Counting {
        fn hash(&mut self, _: &[u8; 32], _: u64) -> [u8; 32] {
            self.0 += 1;
            [0xff; 32]
        }
    }

    fn subject() -> StampSubject {
        StampSubject::Publisher(PublisherKey::new([1; 32]))
    }

    fn month() -> Month {
        Month::new(690)
    }

    fn policy() -> StampPolicy {
        StampPolicy::for_network(&"test".parse().unwrap(), 4).unwrap()
    }

    fn stamp() -> Stamp {
        StampSearch::new(subject(), month(), policy(), 0).step(1000).unwrap()
    }

    #[test]
    fn a_stamp_found_is_a_stamp_accepted() {
        assert_eq!(policy().check(&stamp(), &subject(), month()), Ok(()));
        assert_eq!(policy().check(&stamp(), &subject(), Month::new(691)), Ok(()));
    }

    #[test]
    fn a_search_goes_on_where_it_stopped() {
        let mut search = StampSearch::new(subject(), month(), policy(), 0);
        let mut found = None;
        while found.is_none() {
            found = search.step(1);
        }
        assert_eq!(found, Some(stamp()));
        assert_eq!(search.tried(), stamp().nonce + 1);
        assert_eq!(search.expected(), 16);
    }

    #[test]
    fn a_stamp_is_bound_to_all_it_was_made_for() {
        let bound = |changed: &StampSubject, stamp: &Stamp| policy().check(stamp, changed, month());
        let other = StampSubject::Publisher(PublisherKey::new([2; 32]));
        assert_eq!(bound(&other, &stamp()), Err(StampFlaw::NoWork));
        let request = StampSubject::Request(RecordId::new([1; 32]));
        assert_eq!(bound(&request, &stamp()), Err(StampFlaw::NoWork));
        let later = Stamp { month: Month::new(691), ..stamp() };
        assert_eq!(bound(&subject(), &later), Err(StampFlaw::NoWork));
        // The same nonce under a promise of more: committed bits make a lucky find worthless.
        let dearer = Stamp { bits: 5, ..stamp() };
        assert_eq!(bound(&subject(), &dearer), Err(StampFlaw::NoWork));
    }

    /// A hash that finds all the bits one could want, and counts.
    #[derive(Default)]
    struct Finding(u32);

    impl Work for Finding {
        fn hash(&mut self, _: &[u8; 32], _: u64) -> [u8; 32] {
            self.0 += 1;
            [0; 32]
        }
    }

    #[test]
    fn a_good_stamp_is_hashed_once_and_a_bad_one_each_time() {
        let (mut checker, mut good, mut bad) =
            (StampChecker::new(policy()), Finding::default(), Counting::default());
        let other = StampSubject::Publisher(PublisherKey::new([2; 32]));
        for _ in 0..3 {
            assert_eq!(checker.check_with(&stamp(), &subject(), month(), &mut good), Ok(()));
            let refused = checker.check_with(&stamp(), &other, month(), &mut bad);
            assert_eq!(refused, Err(StampFlaw::NoWork), "what is remembered is bound to its subject");
        }
        assert_eq!((good.0, bad.0), (1, 3));
        let old = checker.check_with(&stamp(), &subject(), Month::new(700), &mut good);
        assert_eq!(old, Err(StampFlaw::Month), "remembered or not, its month must count");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut checker = StampChecker::new(policy());
        let found = stamp();
        for nonce in 0..10_000 {
            let stamp = Stamp { nonce, ..found };
            checker.check_with(&stamp, &subject(), month(), &mut Finding::default()).unwrap();
            assert!(checker.good.len() <= StampChecker::REMEMBERED);
        }
    }

    #[test]
    fn spm_10_bad_stamps_cost_no_hash_or_one() {
        let runs = |stamp: Stamp| {
            let mut work = Counting::default();
            let result = policy()
                .check_claim(&stamp, month())
                .and_then(|()| check_work(&stamp, &subject(), &mut work));
            (result, work.0)
        };
        assert_eq!(runs(Stamp { month: Month::new(688), ..stamp() }), (Err(StampFlaw::Month), 0));
        assert_eq!(runs(Stamp { month: Month::new(u32::MAX), ..stamp() }), (Err(StampFlaw::Month), 0));
        assert_eq!(runs(Stamp { bits: 3, ..stamp() }), (Err(StampFlaw::Bits), 0));
        assert_eq!(runs(Stamp { bits: 0, ..stamp() }), (Err(StampFlaw::Bits), 0));
        assert_eq!(runs(Stamp { bits: 255, ..stamp() }), (Err(StampFlaw::NoWork), 1));
        assert_eq!(runs(stamp()), (Err(StampFlaw::NoWork), 1));
    }

    #[test]
    fn only_other_networks_ask_for_less() {
        assert_eq!(StampPolicy::for_network(&NetworkName::main(), 11), Err(CryptoError::StampTooEasy));
        assert_eq!(StampPolicy::for_network(&NetworkName::main(), 12), Ok(StampPolicy::main()));
        assert!(StampPolicy::for_network(&"demo".parse().unwrap(), 0).is_ok());
    }

    #[test]
    fn zero_bits_are_counted_from_the_front() {
        assert_eq!(zero_bits(&[0; 32]), 256);
        let mut hash = [0xff; 32];
        hash[0] = 0;
        hash[1] = 0x1f;
        assert_eq!(zero_bits(&hash), 11);
    }
}
