//! To whom something went out lately: a router lets them in, and nobody else.

use alloc::collections::VecDeque;

use starling_proto::ids::NodeKey;
use starling_proto::time::{Span, Tick};

/// Most routers close a way in within two minutes of the last packet out (RFC 4787, REQ-5), some later.
const OPEN: Span = Span::from_secs(300);
/// Peers that are remembered, the latest: more than one meets in that time where thousands join.
const MOST: usize = 512;

/// Peers that are connected no more, or could not be reached, since when; the oldest first.
#[derive(Debug, Default)]
pub(super) struct Parted(VecDeque<(Tick, NodeKey)>);

impl Parted {
    /// The last packet that goes to a peer for now has gone.
    pub(super) fn note(&mut self, key: NodeKey, now: Tick) {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) >= OPEN) || self.0.len() >= MOST {
            self.0.pop_front();
        }
        if self.0.len().saturating_mul(4) < self.0.capacity() {
            self.0.shrink_to_fit();
        }
        self.0.push_back((now, key));
    }

    /// Whether a way in may still be open for a peer.
    pub(super) fn lately(&self, key: &NodeKey, now: Tick) -> bool {
        self.0.iter().any(|(at, other)| other == key && now.since(*at) < OPEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_for_five_minutes_and_not_without_bound() {
        let at = |s: u64| Tick::from_ms(s * 1000);
        let key =
            |n: u64| NodeKey::new(core::array::from_fn(|i| if i < 2 { n.to_be_bytes()[6 + i] } else { 0 }));
        let mut parted = Parted::default();
        parted.note(key(1), at(10));
        assert!(parted.lately(&key(1), at(309)) && !parted.lately(&key(2), at(11)));
        assert!(!parted.lately(&key(1), at(310)));
        for n in 0..2_000 {
            parted.note(key(n), at(20 + n / 100));
        }
        assert!(parted.0.len() <= MOST && parted.lately(&key(1_999), at(41)));
        parted.note(key(3), at(1_000));
        assert_eq!(parted.0.len(), 1);
        parted.note(key(4), at(1_000));
        assert!(parted.0.capacity() < MOST, "{}", parted.0.capacity());
    }
}
