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

/// So many of the closest to a place among those that are not within a distance of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// Not within this: the first 64 bits of the distance.
    pub from: u64,
    /// How many.
    pub count: usize,
}

/// Makes `tries` keys and keeps for each target, of each band, those that came out closest to it.
#[must_use]
pub fn grind(targets: &[NodeId], bands: &[Band], tries: u64, dice: &mut ChaCha8Rng) -> Vec<Ground> {
    let rows = |target: &NodeId| bands.iter().map(|band| Row::new(*target, *band)).collect();
    let mut places: Vec<Vec<Row>> = targets.iter().map(rows).collect();
    let mut key = [0; 32];
    dice.fill_bytes(&mut key);
    for number in 0..tries {
        // A counter makes keys as good as dice do, for a fraction of their time.
        key.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, count)| *byte = count);
        let key = NodeKey::new(key);
        let id = key.node_id();
        for row in places.iter_mut().flatten() {
            row.offer(&id, key);
        }
    }
    let keys = |rows: Vec<Row>| rows.into_iter().flat_map(Row::finish).collect();
    targets.iter().zip(places).map(|(target, rows)| Ground { target: *target, keys: keys(rows) }).collect()
}

/// The best so far for one band of a target, by the first 64 bits of their distances: more do not decide among so few.
struct Row {
    target: NodeId,
    band: Band,
    kept: Vec<(u64, NodeKey)>,
    /// What is not closer than this need not be looked at.
    farthest: u64,
}

impl Row {
    const fn new(target: NodeId, band: Band) -> Self {
        Self { target, band, kept: Vec::new(), farthest: u64::MAX }
    }

    fn offer(&mut self, id: &NodeId, key: NodeKey) {
        let distance = leading(id) ^ leading(&self.target);
        if distance >= self.farthest || distance < self.band.from {
            return;
        }
        self.kept.push((distance, key));
        if self.kept.len() >= self.band.count.saturating_mul(4).max(64) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        self.kept.sort_unstable();
        self.kept.truncate(self.band.count);
        self.farthest = self.kept.last().map_or(u64::MAX, |(distance, _)| *distance);
    }

    fn finish(mut self) -> impl Iterator<Item = NodeKey> {
        self.shrink();
        self.kept.into_iter().map(|(_, key)| key)
    }
}

fn leading(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng as _;

    use super::*;

    const PLACES: [NodeId; 2] = [NodeId::new([7; 32]), NodeId::new([200; 32])];

    fn made(bands: &[Band]) -> Vec<Ground> {
        grind(&PLACES, bands, 1 << 14, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn ground_identities_are_closer_than_chance() {
        for ground in made(&[Band { from: 0, count: 10 }]) {
            let bits: Vec<u32> =
                ground.keys.iter().map(|key| key.node_id().distance(&ground.target).shared_bits()).collect();
            assert_eq!(bits.len(), 10);
            assert!(bits[0] >= 12 && bits.iter().all(|bits| *bits >= 9), "{bits:?}");
        }
    }

    #[test]
    fn each_band_has_its_own_close_to_where_it_begins() {
        let from = u64::MAX / 64;
        for ground in made(&[Band { from: 0, count: 10 }, Band { from, count: 20 }]) {
            let distances: Vec<u64> =
                ground.keys.iter().map(|key| leading(&key.node_id()) ^ leading(&ground.target)).collect();
            assert!(distances.is_sorted());
            let (within, beyond) = distances.split_at(10);
            assert!(within.iter().all(|distance| *distance < from), "{within:?}");
            assert_eq!(beyond.len(), 20);
            assert!(beyond.iter().all(|distance| (from..from / 2 * 3).contains(distance)), "{beyond:?}");
        }
    }
}
