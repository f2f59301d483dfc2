//! Who is kept on disk as a way back in, without reading the disk each time.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::UnixSeconds;

use crate::table::Table;

/// The peers on disk, the newest first, as [`known_peers`](crate::storage::PeerStore::known_peers) gives them.
#[derive(Debug, Default)]
pub(super) struct Cached(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    key: NodeKey,
    // Hashing sixty-four keys whenever the table changes would be a good part of all that a node does.
    id: NodeId,
    /// When it was written; nothing for what was on disk before the start.
    at: Option<UnixSeconds>,
}

impl Cached {
    pub(super) fn load(known: &[Peer]) -> Self {
        Self(known.iter().map(|peer| Kept::new(peer.key(), None)).collect())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, key: &NodeKey) -> bool {
        self.0.iter().any(|kept| kept.key == *key)
    }

    /// It has been written.
    pub(super) fn insert(&mut self, key: NodeKey, at: UnixSeconds) {
        self.remove(&key);
        let newer = |kept: &Kept| kept.at.is_some_and(|its| its > at || (its == at && kept.key < key));
        let place = self.0.iter().position(|kept| !newer(kept)).unwrap_or(self.0.len());
        self.0.insert(place, Kept::new(key, Some(at)));
    }

    /// It has been removed, if it was there.
    pub(super) fn remove(&mut self, key: &NodeKey) -> bool {
        let before = self.0.len();
        self.0.retain(|kept| kept.key != *key);
        self.0.len() < before
    }

    /// Who leaves for a newcomer where `room` is taken: the one that has been gone for longest, as long as half are gone;
    /// else one of the newest quarter of those that are there.
    pub(super) fn leaves(&self, room: usize, table: &Table) -> Option<NodeKey> {
        let is_there = |kept: &&Kept| table.has(&kept.id);
        let gone = self.0.iter().filter(|kept| !is_there(kept)).count();
        if gone >= room / 2
            && let Some(longest) = self.0.iter().rev().find(|kept| !is_there(kept))
        {
            return Some(longest.key);
        }
        let there = self.0.len().saturating_sub(gone);
        let newest = (room / 4).min(there.checked_sub(1)?);
        self.0.iter().filter(is_there).nth(newest).map(|kept| kept.key)
    }
}

impl Kept {
    fn new(key: NodeKey, at: Option<UnixSeconds>) -> Self {
        Self { key, id: key.node_id(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::memory::MemoryStore;
    use crate::storage::PeerStore as _;
    use crate::table::Contact;
    use starling_proto::time::Tick;

    fn key(n: u8) -> NodeKey {
        NodeKey::new([n; 32])
    }

    /// Eight peers, the first of them the newest; those in `there` are contacts.
    fn eight(there: &[u8]) -> (Cached, Table) {
        let mut cached = Cached::default();
        (1..=8).for_each(|n| cached.insert(key(n), UnixSeconds::new(100 - u64::from(n))));
        let mut table = Table::new(key(99).node_id(), Config::default().table);
        for n in there {
            table.offer(Contact::new(key(*n), format!("8.{n}.8.8:1").parse().unwrap(), &[], Tick::ZERO));
        }
        (cached, table)
    }

    #[test]
    fn the_one_gone_for_longest_leaves_while_half_are_gone() {
        let (cached, table) = eight(&[1, 2, 3, 8]);
        assert_eq!(cached.leaves(8, &table), Some(key(7)));
    }

    #[test]
    fn else_one_of_the_newest_quarter_leaves_and_no_old_acquaintance() {
        let (cached, table) = eight(&[2, 3, 5, 6, 8]);
        assert_eq!(cached.leaves(8, &table), Some(key(5)));
        let (cached, table) = eight(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(cached.leaves(8, &table), Some(key(3)));
        assert_eq!(Cached::default().leaves(0, &table), None);
    }

    #[test]
    fn it_stands_in_the_order_of_the_disk() {
        let (mut disk, mut cached) = (MemoryStore::default(), Cached::default());
        for (n, at) in [(5, 10), (3, 10), (9, 10), (1, 12), (4, 11), (5, 12), (9, 13)] {
            let at = UnixSeconds::new(at);
            disk.write_peer(&Peer::new(key(n), []), at).unwrap();
            cached.insert(key(n), at);
        }
        disk.remove_peer(&key(4)).unwrap();
        assert!(cached.remove(&key(4)));
        assert!(!cached.remove(&key(4)));
        let order = |cached: &Cached| cached.0.iter().map(|kept| kept.key).collect::<Vec<_>>();
        let known = disk.known_peers().unwrap();
        assert_eq!(order(&cached), known.iter().map(Peer::key).collect::<Vec<_>>());
        assert_eq!(order(&Cached::load(&known)), order(&cached));
    }
}
