//! Where others see us.
//!
//! Each peer tells us the address at which it sees us. One of them may lie, in order to point the whole network at a
//! victim; several unrelated ones rarely agree on the same lie.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::is_dialable;

use crate::group::AddressGroup;

/// Groups of peers whose word is kept in each scope: the latest ones, since addresses change.
const VOTES: usize = 32;
/// Groups of peers that must agree on a public address.
const PUBLIC_QUORUM: usize = 2;
/// Addresses announced at once: one for each scope and family that matters.
const ANNOUNCED: usize = 3;

/// What peers say about our address.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    votes: BTreeMap<Scope, Votes>,
    announced: Vec<SocketAddr>,
}

/// The latest word of each address group, the oldest first. Keys cost nothing: however many of them one group has, it has
/// one voice, and takes one place.
#[derive(Debug, Clone, Default)]
struct Votes(VecDeque<(AddressGroup, SocketAddr)>);

/// Addresses of one scope and family compete with each other; those of different ones stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    PublicV4,
    PublicV6,
    Local,
    Loopback,
}

impl Observed {
    /// Notes that a peer seen at `at` sees us at `address`. Returns the addresses that are announced now and were not
    /// before.
    pub fn vote(&mut self, at: &SocketAddr, address: SocketAddr) -> Vec<SocketAddr> {
        let voter = AddressGroup::of(at);
        // Somebody far away cannot know what we are called on our own link.
        if !is_dialable(&address) || !AddressGroup::of(&address).may_be_told_to(&voter) {
            return Vec::new();
        }
        self.votes.entry(Scope::of(&address)).or_default().note(voter, address);
        let counted = self.count();
        let before = core::mem::replace(&mut self.announced, counted);
        self.announced.iter().copied().filter(|address| !before.contains(address)).collect()
    }

    /// The addresses at which enough peers agree to see us: public ones first.
    #[must_use]
    pub fn announced(&self) -> &[SocketAddr] {
        &self.announced
    }

    /// Whether `group` is one that we are seen in ourselves.
    #[must_use]
    pub fn is_own_group(&self, group: &AddressGroup) -> bool {
        self.announced.iter().any(|address| AddressGroup::of(address) == *group)
    }

    fn count(&self) -> Vec<SocketAddr> {
        self.votes.iter().filter_map(|(scope, votes)| votes.winner(*scope)).take(ANNOUNCED).collect()
    }
}

impl Votes {
    fn note(&mut self, voter: AddressGroup, address: SocketAddr) {
        match self.0.iter().position(|(other, _)| *other == voter) {
            Some(before) => drop(self.0.remove(before)),
            None if self.0.len() >= VOTES => drop(self.0.pop_front()),
            None => {}
        }
        self.0.push_back((voter, address));
    }

    /// The address with more than half of all voting groups behind it. A public one needs two; on a link or a machine
    /// there may be only one other peer, and nobody beyond can be pointed at.
    fn winner(&self, scope: Scope) -> Option<SocketAddr> {
        let quorum = match scope {
            Scope::PublicV4 | Scope::PublicV6 => PUBLIC_QUORUM,
            Scope::Local | Scope::Loopback => 1,
        };
        // Each that says otherwise cancels one that says so: who has more than half is left over (Boyer and Moore, "MJRTY",
        // 1981).
        let mut left: Option<(SocketAddr, usize)> = None;
        for (_, said) in &self.0 {
            left = match left {
                Some((address, lead)) if address == *said => Some((address, lead.saturating_add(1))),
                Some((address, lead)) if lead > 1 => Some((address, lead.saturating_sub(1))),
                Some(_) => None,
                None => Some((*said, 1)),
            };
        }
        let (address, _) = left?;
        let count = self.0.iter().filter(|(_, said)| *said == address).count();
        (count >= quorum && count.saturating_mul(2) > self.0.len()).then_some(address)
    }
}

impl Scope {
    fn of(address: &SocketAddr) -> Self {
        match AddressGroup::of(address) {
            AddressGroup::V4(_) => Self::PublicV4,
            AddressGroup::V6(_) => Self::PublicV6,
            AddressGroup::Local(_) => Self::Local,
            AddressGroup::Loopback(_) => Self::Loopback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn vote(observed: &mut Observed, at: &str, seen: &str) -> Vec<SocketAddr> {
        observed.vote(&address(at), address(seen))
    }

    #[test]
    fn one_voice_does_not_make_a_public_address() {
        let mut observed = Observed::default();
        assert!(vote(&mut observed, "8.8.8.8:1", "9.9.9.9:4040").is_empty());
        assert!(vote(&mut observed, "8.8.8.9:1", "9.9.9.9:4040").is_empty(), "the same group twice");
        assert_eq!(vote(&mut observed, "7.7.7.7:1", "9.9.9.9:4040"), [address("9.9.9.9:4040")]);
        assert!(observed.is_own_group(&AddressGroup::of(&address("9.9.9.1:7"))));
    }

    #[test]
    fn liars_in_the_minority_are_not_heard() {
        let mut observed = Observed::default();
        for n in 1..=5 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "9.9.9.9:4040");
        }
        for n in 11..=14 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "6.6.6.6:666");
        }
        assert_eq!(observed.announced(), [address("9.9.9.9:4040")]);
        vote(&mut observed, "15.8.8.8:1", "6.6.6.6:666");
        assert!(observed.announced().is_empty(), "half is no majority");
    }

    #[test]
    fn on_one_machine_one_voice_suffices() {
        let mut observed = Observed::default();
        assert_eq!(vote(&mut observed, "127.0.0.1:1", "127.0.0.1:2"), [address("127.0.0.1:2")]);
    }

    #[test]
    fn a_stranger_cannot_name_an_inner_address() {
        let mut observed = Observed::default();
        for n in 1..9 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "192.168.1.1:80");
            vote(&mut observed, &format!("{n}.8.8.8:1"), "127.0.0.1:80");
        }
        assert!(observed.announced().is_empty());
    }

    #[test]
    fn after_a_move_the_new_address_wins() {
        let mut observed = Observed::default();
        for n in 1..=30 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "9.9.9.9:4040");
        }
        for n in 1..=16 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "5.5.5.5:4040");
        }
        assert_eq!(observed.announced(), [address("5.5.5.5:4040")]);
        for n in 0..255 {
            vote(&mut observed, &format!("{n}.7.8.8:1"), "5.5.5.5:4040");
        }
        assert_eq!(observed.votes[&Scope::PublicV4].0.len(), VOTES);
    }

    #[test]
    fn many_keys_of_one_group_crowd_out_nobody() {
        let mut observed = Observed::default();
        for n in 1..=5 {
            vote(&mut observed, &format!("{n}.8.8.8:1"), "9.9.9.9:4040");
        }
        for port in 1..200 {
            vote(&mut observed, &format!("66.6.6.{port}:{port}"), "6.6.6.6:666");
        }
        assert_eq!(observed.announced(), [address("9.9.9.9:4040")]);
        vote(&mut observed, "6.6.6.6:1", "6.6.6.6:666");
        assert_eq!(observed.announced(), [address("9.9.9.9:4040")], "two groups are not five");
    }

    #[test]
    fn peers_on_our_own_machine_crowd_out_nobody_outside() {
        let mut observed = Observed::default();
        vote(&mut observed, "8.8.8.8:1", "9.9.9.9:4040");
        vote(&mut observed, "7.7.7.7:1", "9.9.9.9:4040");
        for port in 1..100 {
            vote(&mut observed, &format!("127.0.0.1:{port}"), "127.0.0.1:4040");
        }
        assert_eq!(observed.announced(), [address("9.9.9.9:4040"), address("127.0.0.1:4040")]);
    }
}
