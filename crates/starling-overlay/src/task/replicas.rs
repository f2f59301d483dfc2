//! Who is to hold a record: the closest peers, and some drawn from the region around them.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;

use crate::config::RecordsConfig;
use crate::group::{AddressGroup, CapCount};
use crate::holder::chance;

/// The caps are doubled up to this factor where there are too few groups; then they no longer bind forty peers.
const MAX_FACTOR: usize = 64;

/// Somebody who can hold a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// This peer.
    Ourselves,
    /// Another one.
    Peer(Peer),
}

/// Who is to hold a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplicaSet {
    /// The holders.
    pub(crate) chosen: Vec<Member>,
    /// Who could take the place of one that fails, closest first.
    pub(crate) spares: Vec<(Member, Option<AddressGroup>)>,
    /// The groups of those chosen.
    pub(crate) caps: CapCount,
    /// Whether too few address groups exist for the caps.
    pub(crate) caps_relaxed: bool,
}

impl ReplicaSet {
    /// Chooses among `ranked` candidates, closest first: the closest within the caps, then as many as `spread` at
    /// random from all that are left; where the caps leave too few, they are doubled step by step. Candidates
    /// without a group (ourselves, when nobody has told us where we are) count against no cap.
    pub(crate) fn choose(
        ranked: Vec<(Member, Option<AddressGroup>)>,
        config: &RecordsConfig,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let spread = if config.store_width > config.replicas { config.spread } else { 0 };
        let wanted = config.replicas.saturating_add(spread).min(ranked.len());
        let mut set = Self::default();
        let mut left = set.take(ranked, config.replicas.min(wanted), 1);
        let closest_first = left.clone();
        let len = left.len();
        chance::draw(rng, &mut left, len);
        let drawn = set.take(left, wanted, 1);
        set.spares = closest_first.into_iter().filter(|row| drawn.contains(row)).collect();
        let mut factor = 2;
        while set.chosen.len() < wanted && factor <= MAX_FACTOR {
            let before = set.chosen.len();
            let left = core::mem::take(&mut set.spares);
            set.spares = set.take(left, wanted, factor);
            set.caps_relaxed |= set.chosen.len() > before;
            factor = factor.saturating_mul(2);
        }
        set
    }

    /// The next candidate that may take the place of one that failed.
    pub(crate) fn substitute(&mut self) -> Option<Member> {
        let fits = |row: &(Member, Option<AddressGroup>)| {
            self.caps_relaxed || row.1.is_none_or(|group| self.caps.has_room(&group, 1))
        };
        let index = self.spares.iter().position(fits)?;
        let (member, group) = self.spares.remove(index);
        if let Some(group) = group {
            self.caps.add(&group);
        }
        Some(member)
    }

    /// Chooses from `candidates` until there are `wanted` in all; gives back the others.
    fn take(
        &mut self,
        candidates: Vec<(Member, Option<AddressGroup>)>,
        wanted: usize,
        factor: usize,
    ) -> Vec<(Member, Option<AddressGroup>)> {
        let mut left = Vec::new();
        for (member, group) in candidates {
            let room = group.is_none_or(|group| self.caps.has_room(&group, factor));
            if self.chosen.len() >= wanted || !room {
                left.push((member, group));
                continue;
            }
            if let Some(group) = group {
                self.caps.add(&group);
            }
            self.chosen.push(member);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use starling_proto::ids::NodeKey;

    use super::*;

    fn ranked(addresses: impl Iterator<Item = String>) -> Vec<(Member, Option<AddressGroup>)> {
        let peer = |(n, address): (usize, String)| {
            let address = address.parse().unwrap();
            let peer = Peer::new(NodeKey::new([n as u8; 32]), [address]);
            (Member::Peer(peer), Some(AddressGroup::of(&address)))
        };
        addresses.enumerate().map(peer).collect()
    }

    fn choose(ranked: Vec<(Member, Option<AddressGroup>)>) -> ReplicaSet {
        ReplicaSet::choose(ranked, &RecordsConfig::default(), &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn the_closest_twenty_and_twenty_of_the_region() {
        let all = ranked((0..80).map(|n| format!("9.{n}.1.1:1")));
        let set = choose(all.clone());
        let closest: Vec<Member> = all[..20].iter().map(|row| row.0.clone()).collect();
        assert_eq!(set.chosen[..20], closest);
        assert_eq!((set.chosen.len(), set.spares.len(), set.caps_relaxed), (40, 40, false));
        assert_ne!(set.chosen[20..], all[20..40].iter().map(|row| row.0.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn chn_07_in_a_small_network_everybody_holds_it() {
        for n in [1, 2, 3, 5, 19, 21] {
            let set = choose(ranked((0..n).map(|n| format!("127.0.0.1:{}", n + 1))));
            assert_eq!((set.chosen.len(), set.caps_relaxed), (n, false));
        }
    }

    #[test]
    fn one_operator_holds_two_copies_while_there_are_others() {
        let sybils = (0..40).map(|n| format!("9.9.9.{n}:1"));
        let others = (0..40).map(|n| format!("8.{n}.1.1:1"));
        let mut set = choose(ranked(sybils.chain(others)));
        let theirs = |member: &Member| matches!(member, Member::Peer(p) if p.addresses()[0].to_string().starts_with("9."));
        assert_eq!(set.chosen.iter().filter(|member| theirs(member)).count(), 2);
        assert_eq!((set.chosen.len(), set.caps_relaxed), (40, false));
        let next: Vec<Member> = core::iter::from_fn(|| set.substitute()).collect();
        assert_eq!(next.iter().filter(|member| theirs(member)).count(), 0);
    }

    #[test]
    fn where_there_are_no_others_the_caps_relax_and_it_is_said() {
        let set = choose(ranked((0..12).map(|n| format!("9.9.9.{n}:1"))));
        assert_eq!((set.chosen.len(), set.caps_relaxed), (12, true));
    }

    proptest! {
        #[test]
        fn caps_hold_unless_they_are_said_to_be_relaxed(nets in proptest::collection::vec((0u8..3, 0u8..5), 0..80)) {
            let all = ranked(nets.iter().map(|(a, b)| format!("9.{a}.{b}.1:1")));
            let total = all.len();
            let set = choose(all);
            prop_assert_eq!(set.chosen.len() + set.spares.len(), total);
            prop_assert_eq!(set.chosen.len(), total.min(40));
            let mut counts: BTreeMap<_, usize> = BTreeMap::new();
            for member in &set.chosen {
                let Member::Peer(peer) = member else { continue };
                for cap in AddressGroup::of(&peer.addresses()[0]).caps() {
                    *counts.entry((cap.prefix, cap.limit)).or_default() += 1;
                }
            }
            let within = counts.iter().all(|((_, limit), count)| count <= limit);
            prop_assert_eq!(within, !set.caps_relaxed);
        }
    }
}
