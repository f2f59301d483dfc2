//! Peers that served records which were not in order.

use alloc::collections::BTreeMap;

use starling_proto::ids::NodeKey;
use starling_proto::time::{Span, Tick};

/// Whom not to ask for a while. Bounded: the one caught first is forgotten first.
#[derive(Debug, Clone)]
pub struct Liars {
    until: BTreeMap<NodeKey, Tick>,
    most: usize,
    memory: Span,
}

impl Liars {
    /// Remembers at most `most` peers, each for `memory`.
    #[must_use]
    pub const fn new(most: usize, memory: Span) -> Self {
        Self { until: BTreeMap::new(), most, memory }
    }

    /// Remembers a peer.
    pub fn caught(&mut self, key: NodeKey, now: Tick) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= self.most
            && let Some(first) = self.until.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
        {
            self.until.remove(&first);
        }
        self.until.insert(key, now.after(self.memory));
    }

    /// Whether a peer is remembered.
    #[must_use]
    pub fn contains(&self, key: &NodeKey, now: Tick) -> bool {
        self.until.get(key).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_liar_is_remembered_for_a_while_and_never_too_many() {
        let mut liars = Liars::new(3, Span::from_secs(10));
        for n in 0..5 {
            liars.caught(NodeKey::new([n; 32]), Tick::from_ms(u64::from(n)));
        }
        let known = |at: u64| -> Vec<u8> {
            let at = Tick::from_ms(at);
            (0..5).filter(|n| liars.contains(&NodeKey::new([*n; 32]), at)).collect()
        };
        assert_eq!(known(5), [2, 3, 4]);
        assert_eq!(known(10_003), [4]);
    }
}
