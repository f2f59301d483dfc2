//! Identities that are made until they stand where they are wanted: a place is the hash of a key, and keys are free.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;
use starling_proto::ids::{NodeId, NodeKey};

/// Identities at one place.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The place.
    pub target: NodeId,
    /// The closest keys of all that were tried, closest first.
    pub keys: Vec<NodeKey>,
}

/// Makes `tries` keys and keeps for each target the `count` that came out closest to it.
#[must_use]
pub fn grind(targets: &[NodeId], count: usize, tries: u64, dice: &mut ChaCha8Rng) -> Vec<Ground> {
    let mut rows: Vec<Row> = targets.iter().map(|target| Row::new(*target, count)).collect();
    let mut key = [0; 32];
    dice.fill_bytes(&mut key);
    for number in 0..tries {
        // A counter makes keys as good as dice do, for a fraction of their time.
        key.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, count)| *byte = count);
        let key = NodeKey::new(key);
        let id = key.node_id();
        for row in &mut rows {
            row.offer(&id, key);
        }
    }
    rows.into_iter().map(Row::finish).collect()
}

/// The best so far for one target, by the first 64 bits of their distances: more do not decide among so few.
struct Row {
    target: NodeId,
    count: usize,
    kept: Vec<(u64, NodeKey)>,
    /// What is not closer than this need not be looked at.
    farthest: u64,
}

impl Row {
    const fn new(target: NodeId, count: usize) -> Self {
        Self { target, count, kept: Vec::new(), farthest: u64::MAX }
    }

    fn offer(&mut self, id: &NodeId, key: NodeKey) {
        let distance = leading(id) ^ leading(&self.target);
        if distance >= self.farthest {
            return;
        }
        self.kept.push((distance, key));
        if self.kept.len() >= self.count.saturating_mul(4).max(64) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        self.kept.sort_unstable();
        self.kept.truncate(self.count);
        self.farthest = self.kept.last().map_or(u64::MAX, |(distance, _)| *distance);
    }

    fn finish(mut self) -> Ground {
        self.shrink();
        Ground { target: self.target, keys: self.kept.into_iter().map(|(_, key)| key).collect() }
    }
}

fn leading(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn ground_identities_are_closer_than_chance() {
        let targets = [NodeId::new([7; 32]), NodeId::new([200; 32])];
        for ground in grind(&targets, 10, 1 << 14, &mut ChaCha8Rng::seed_from_u64(1)) {
            let bits: Vec<u32> =
                ground.keys.iter().map(|key| key.node_id().distance(&ground.target).shared_bits()).collect();
            assert_eq!(bits.len(), 10);
            assert!(bits[0] >= 12 && bits.iter().all(|bits| *bits >= 9), "{bits:?}");
        }
    }
}
