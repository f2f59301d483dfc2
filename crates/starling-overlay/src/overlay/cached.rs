//! Who is kept on disk as a way back in, without reading the disk each time.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::time::UnixSeconds;

/// The peers on disk, the newest first, as [`known_peers`](crate::storage::PeerStore::known_peers) gives them.
#[derive(Debug, Default)]
pub(super) struct Cached(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    key: NodeKey,
    /// When it was written; nothing for what was on disk before the start.
    at: Option<UnixSeconds>,
    /// Whether it is a contact now. Looking for sixty-four of them in the table whenever that changes was a thirtieth of
    /// all that a node does.
    is_there: bool,
}

impl Cached {
    pub(super) fn load(known: &[Peer]) -> Self {
        Self(known.iter().map(|peer| Kept::new(peer.key(), None)).collect())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that are contacts, as far as it was told.
    #[cfg(test)]
    pub(super) fn there(&self) -> impl Iterator<Item = (NodeKey, bool)> {
        self.0.iter().map(|kept| (kept.key, kept.is_there))
    }

    pub(super) fn contains(&self, key: &NodeKey) -> bool {
        self.0.iter().any(|kept| kept.key == *key)
    }

    /// It is a contact now, or is none any more, if it is kept.
    pub(super) fn note(&mut self, key: &NodeKey, is_there: bool) {
        if let Some(kept) = self.0.iter_mut().find(|kept| kept.key == *key) {
            kept.is_there = is_there;
        }
    }

    /// A contact has been written.
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
    pub(super) fn leaves(&self, room: usize) -> Option<NodeKey> {
        let is_there = |kept: &&Kept| kept.is_there;
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
    const fn new(key: NodeKey, at: Option<UnixSeconds>) -> Self {
        Self { key, at, is_there: at.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::storage::PeerStore as _;

    fn key(n: u8) -> NodeKey {
        NodeKey::new([n; 32])
    }

    /// Eight peers, the first of them the newest; those in `there` are contacts.
    fn eight(there: &[u8]) -> Cached {
        let mut cached = Cached::default();
        (1..=8).for_each(|n| cached.insert(key(n), UnixSeconds::new(100 - u64::from(n))));
        (1..=9).for_each(|n| cached.note(&key(n), there.contains(&n)));
        cached
    }

    #[test]
    fn the_one_gone_for_longest_leaves_while_half_are_gone() {
        assert_eq!(eight(&[1, 2, 3, 8]).leaves(8), Some(key(7)));
    }

    #[test]
    fn else_one_of_the_newest_quarter_leaves_and_no_old_acquaintance() {
        assert_eq!(eight(&[2, 3, 5, 6, 8]).leaves(8), Some(key(5)));
        assert_eq!(eight(&[1, 2, 3, 4, 5, 6, 7, 8]).leaves(8), Some(key(3)));
        assert_eq!(Cached::default().leaves(0), None);
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
