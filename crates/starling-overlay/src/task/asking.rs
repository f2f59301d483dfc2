//! Asking the holders of an index key, after they have been found.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;

/// A round of one question to several holders.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    queue: VecDeque<Peer>,
    under_way: BTreeSet<NodeKey>,
    parallelism: usize,
    /// Holders that answered.
    pub(crate) holders: Vec<NodeKey>,
    /// The most that any of them left out.
    pub(crate) left_out: u32,
    /// Requests so far, those of the lookup included.
    pub(crate) requests: u32,
}

impl Asking {
    /// Begins to ask `peers`, a few at a time; `requests` were spent on finding them.
    pub(crate) fn new(peers: Vec<Peer>, parallelism: usize, requests: u32) -> Self {
        let queue = peers.into();
        Self { queue, under_way: BTreeSet::new(), parallelism, holders: Vec::new(), left_out: 0, requests }
    }

    /// The next peer to ask, if one more may be asked now.
    pub(crate) fn next(&mut self) -> Option<Peer> {
        if self.under_way.len() >= self.parallelism {
            return None;
        }
        let peer = self.queue.pop_front()?;
        self.under_way.insert(peer.key());
        self.requests = self.requests.saturating_add(1);
        Some(peer)
    }

    /// Notes that a holder has answered, and how much it left out.
    pub(crate) fn answered(&mut self, key: &NodeKey, left_out: u32) {
        if self.under_way.remove(key) {
            self.holders.push(*key);
            self.left_out = self.left_out.max(left_out);
        }
    }

    /// Notes that we hold some of it ourselves.
    pub(crate) fn counts_ourselves(&mut self, me: NodeKey, left_out: u32) {
        self.holders.push(me);
        self.left_out = self.left_out.max(left_out);
    }

    /// Notes that a holder did not answer.
    pub(crate) fn failed(&mut self, key: &NodeKey) {
        self.under_way.remove(key);
    }

    /// Whether nobody is left.
    pub(crate) fn is_done(&self) -> bool {
        self.queue.is_empty() && self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_asked_once_and_only_answers_count() {
        let key = |n: u8| NodeKey::new([n; 32]);
        let mut asking = Asking::new((0..5).map(|n| Peer::new(key(n), [])).collect(), 2, 10);
        assert!(asking.next().is_some() && asking.next().is_some() && asking.next().is_none());
        asking.answered(&key(0), 3);
        asking.answered(&key(0), 9);
        asking.failed(&key(1));
        assert!(!asking.is_done());
        while let Some(peer) = asking.next() {
            asking.answered(&peer.key(), 1);
        }
        assert!(asking.is_done());
        assert_eq!((asking.holders.len(), asking.left_out, asking.requests), (4, 3, 15));
    }
}
