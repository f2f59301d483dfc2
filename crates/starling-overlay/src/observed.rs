//! Where others see us.
//!
//! Each peer tells us the address at which it sees us. One of them may lie, in order to point the whole network at a
//! victim; several unrelated ones rarely agree on the same lie.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::is_dialable;
use starling_proto::ids::NodeKey;

use crate::group::AddressGroup;

/// Peers whose word is kept: the latest ones, since addresses change.
const VOTES: usize = 32;
/// Groups of peers that must agree on a public address.
const PUBLIC_QUORUM: usize = 2;
/// Addresses announced at once: one for each scope and family that matters.
const ANNOUNCED: usize = 3;

/// What peers say about our address.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    votes: BTreeMap<NodeKey, Vote>,
    order: VecDeque<NodeKey>,
    announced: Vec<SocketAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Vote {
    voter: AddressGroup,
    address: SocketAddr,
}

/// Addresses of one scope and family compete with each other; those of different ones stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    PublicV4,
    PublicV6,
    Local,
    Loopback,
}

impl Observed {
    /// Notes that `peer`, seen at `at`, sees us at `address`. Returns the addresses that are announced now and were not
    /// before.
    pub fn vote(&mut self, peer: NodeKey, at: &SocketAddr, address: SocketAddr) -> Vec<SocketAddr> {
        let voter = AddressGroup::of(at);
        // Somebody far away cannot know what we are called on our own link.
        if !is_dialable(&address) || !AddressGroup::of(&address).may_be_told_to(&voter) {
            return Vec::new();
        }
        if self.votes.insert(peer, Vote { voter, address }).is_some() {
            self.order.retain(|other| *other != peer);
        }
        self.order.push_back(peer);
        if self.order.len() > VOTES
            && let Some(oldest) = self.order.pop_front()
        {
            self.votes.remove(&oldest);
        }
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
        let mut scopes: BTreeMap<Scope, BTreeMap<SocketAddr, BTreeSet<AddressGroup>>> = BTreeMap::new();
        for vote in self.votes.values() {
            let addresses = scopes.entry(Scope::of(&vote.address)).or_default();
            addresses.entry(vote.address).or_default().insert(vote.voter);
        }
        scopes.iter().filter_map(|(scope, addresses)| winner(*scope, addresses)).take(ANNOUNCED).collect()
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

/// The address with more than half of all voting groups behind it. A public one needs two; on a link or a machine
/// there may be only one other peer, and nobody beyond can be pointed at.
fn winner(scope: Scope, addresses: &BTreeMap<SocketAddr, BTreeSet<AddressGroup>>) -> Option<SocketAddr> {
    let quorum = match scope {
        Scope::PublicV4 | Scope::PublicV6 => PUBLIC_QUORUM,
        Scope::Local | Scope::Loopback => 1,
    };
    let all: usize = addresses.values().map(BTreeSet::len).fold(0, usize::saturating_add);
    let mut winners = addresses.iter().filter(|(_, groups)| groups.len().saturating_mul(2) > all);
    winners.next().filter(|(_, groups)| groups.len() >= quorum).map(|(address, _)| *address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn vote(observed: &mut Observed, n: u8, at: &str, seen: &str) -> Vec<SocketAddr> {
        observed.vote(NodeKey::new([n; 32]), &address(at), address(seen))
    }

    #[test]
    fn one_voice_does_not_make_a_public_address() {
        let mut observed = Observed::default();
        assert!(vote(&mut observed, 1, "8.8.8.8:1", "9.9.9.9:4040").is_empty());
        assert!(vote(&mut observed, 2, "8.8.8.9:1", "9.9.9.9:4040").is_empty(), "the same group twice");
        assert_eq!(vote(&mut observed, 3, "7.7.7.7:1", "9.9.9.9:4040"), [address("9.9.9.9:4040")]);
        assert!(observed.is_own_group(&AddressGroup::of(&address("9.9.9.1:7"))));
    }

    #[test]
    fn liars_in_the_minority_are_not_heard() {
        let mut observed = Observed::default();
        for n in 1..=5 {
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "9.9.9.9:4040");
        }
        for n in 11..=14 {
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "6.6.6.6:666");
        }
        assert_eq!(observed.announced(), [address("9.9.9.9:4040")]);
        vote(&mut observed, 15, "15.8.8.8:1", "6.6.6.6:666");
        assert!(observed.announced().is_empty(), "half is no majority");
    }

    #[test]
    fn on_one_machine_one_voice_suffices() {
        let mut observed = Observed::default();
        assert_eq!(vote(&mut observed, 1, "127.0.0.1:1", "127.0.0.1:2"), [address("127.0.0.1:2")]);
    }

    #[test]
    fn a_stranger_cannot_name_an_inner_address() {
        let mut observed = Observed::default();
        for n in 1..9 {
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "192.168.1.1:80");
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "127.0.0.1:80");
        }
        assert!(observed.announced().is_empty());
    }

    #[test]
    fn after_a_move_the_new_address_wins() {
        let mut observed = Observed::default();
        for n in 1..=30 {
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "9.9.9.9:4040");
        }
        for n in 1..=16 {
            vote(&mut observed, n, &format!("{n}.8.8.8:1"), "5.5.5.5:4040");
        }
        assert_eq!(observed.announced(), [address("5.5.5.5:4040")]);
        for n in 0..255 {
            vote(&mut observed, n, &format!("{n}.7.8.8:1"), "5.5.5.5:4040");
        }
        assert_eq!(observed.votes.len(), VOTES);
    }
}
