//! How much each group of addresses takes up of something.

use alloc::collections::BTreeMap;

use rand_core::CryptoRng;

use super::chance;
use crate::group::AddressGroup;

/// Amounts by group, and their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    total: u64,
    groups: BTreeMap<AddressGroup, u64>,
}

impl Tally {
    /// The sum over all groups.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// What `group` takes up.
    pub(super) fn of(&self, group: &AddressGroup) -> u64 {
        self.groups.get(group).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, group: AddressGroup, amount: u64) {
        self.total = self.total.saturating_add(amount);
        let has = self.groups.entry(group).or_default();
        *has = has.saturating_add(amount);
    }

    pub(super) fn take(&mut self, group: &AddressGroup, amount: u64) {
        self.total = self.total.saturating_sub(amount);
        let Some(has) = self.groups.get_mut(group) else { return };
        *has = has.saturating_sub(amount);
        if *has == 0 {
            self.groups.remove(group);
        }
    }

    /// Whether a newcomer that adds `amount` for `group` may push out the largest: only while its own group stays the
    /// smaller of the two. Otherwise one source could churn what others keep.
    pub(super) fn yields_to(&self, group: &AddressGroup, amount: u64) -> bool {
        let own = self.of(group).saturating_add(amount);
        self.groups.values().any(|&other| other > own)
    }

    /// The group that takes up the most; among equals any, by chance.
    pub(super) fn largest(&self, rng: &mut dyn CryptoRng) -> Option<AddressGroup> {
        let most = self.groups.values().max()?;
        let equals = || self.groups.iter().filter(|(_, amount)| *amount == most).map(|(group, _)| *group);
        equals().nth(chance::below(rng, equals().count()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    const A: AddressGroup = AddressGroup::V4([1, 1, 1]);
    const B: AddressGroup = AddressGroup::V4([2, 2, 2]);

    #[test]
    fn only_the_smaller_pushes_out_the_larger() {
        let mut tally = Tally::default();
        tally.add(A, 10);
        tally.add(B, 4);
        assert!(tally.yields_to(&B, 5) && !tally.yields_to(&B, 6));
        assert!(!tally.yields_to(&A, 1));
    }

    #[test]
    fn ties_are_broken_by_chance() {
        let mut tally = Tally::default();
        tally.add(A, 7);
        tally.add(B, 7);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let drawn: BTreeSet<_> = (0..64).filter_map(|_| tally.largest(&mut rng)).collect();
        assert_eq!(drawn, BTreeSet::from([A, B]));
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut tally = Tally::default();
        tally.add(A, 7);
        tally.take(&A, 7);
        tally.take(&B, 7);
        assert_eq!(tally, Tally::default());
        assert_eq!(tally.largest(&mut ChaCha8Rng::seed_from_u64(4)), None);
    }
}
