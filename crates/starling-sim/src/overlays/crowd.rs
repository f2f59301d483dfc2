//! Peers by their place, so that those closest to another place, or in one bucket of a table, are found without looking
//! at all of them.

use starling_proto::ids::NodeId;

/// Below this many it is cheaper to sort them than to divide them further.
const FEW: usize = 32;
/// Bits of a place.
const BITS: u32 = 256;

/// Something at each of many places.
#[derive(Debug, Clone)]
pub struct Crowd<T> {
    places: Vec<(NodeId, T)>,
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<T: Clone> Crowd<T> {
    /// All of these.
    pub fn new(all: impl IntoIterator<Item = (NodeId, T)>) -> Self {
        let mut places: Vec<(NodeId, T)> = all.into_iter().collect();
        places.sort_unstable_by_key(|(id, _)| *id);
        Self { places }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The `count` closest to a place, closest first.
    #[must_use]
    pub fn closest(&self, target: &NodeId, count: usize) -> Vec<T> {
        let mut found = Vec::with_capacity(count);
        gather(&self.places, 0, (target, count), &mut found);
        found
    }

    /// Those that share exactly the first `bits` bits with a place: one bucket of a routing table.
    #[must_use]
    pub fn bucket(&self, place: &NodeId, bits: u32) -> &[(NodeId, T)] {
        let mut within = self.places.as_slice();
        for at in 0..bits {
            within = half(within, at, bit(place, at));
        }
        half(within, bits, !bit(place, bits))
    }

    /// How many share at least the first `bits` bits with a place.
    #[must_use]
    pub fn sharing(&self, place: &NodeId, bits: u32) -> usize {
        (0..bits).fold(self.places.as_slice(), |within, at| half(within, at, bit(place, at))).len()
    }
}

/// Adds the closest of `places`, which share their first `depth` bits, until there are enough: those that share one bit
/// more with the target are all closer than the others.
fn gather<T: Clone>(places: &[(NodeId, T)], depth: u32, wanted: (&NodeId, usize), found: &mut Vec<T>) {
    let (target, count) = wanted;
    let room = count.saturating_sub(found.len());
    if room == 0 || places.is_empty() {
        return;
    }
    if places.len() <= FEW || depth >= BITS {
        let mut few: Vec<&(NodeId, T)> = places.iter().collect();
        few.sort_unstable_by_key(|(id, _)| id.distance(target));
        found.extend(few.into_iter().take(room).map(|(_, one)| one.clone()));
        return;
    }
    let side = bit(target, depth);
    for side in [side, !side] {
        gather(half(places, depth, side), depth.saturating_add(1), wanted, found);
    }
}

/// Of places that share their first `depth` bits, those whose next bit is `side`.
fn half<T>(places: &[(NodeId, T)], depth: u32, side: bool) -> &[(NodeId, T)] {
    let (zeros, ones) = places.split_at(places.partition_point(|(id, _)| !bit(id, depth)));
    if side { ones } else { zeros }
}

fn bit(id: &NodeId, at: u32) -> bool {
    let byte = usize::try_from(at / 8).ok().and_then(|byte| id.as_bytes().get(byte));
    byte.is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> NodeId {
        NodeId::new(*blake3::hash(&n.to_be_bytes()).as_bytes())
    }

    #[test]
    fn the_closest_are_those_that_sorting_gives() {
        let crowd = Crowd::new((0..1000).map(|n| (id(n), n)));
        for target in (2000..2050).map(id) {
            let mut all: Vec<u32> = (0..1000).collect();
            all.sort_by_key(|n| id(*n).distance(&target));
            assert_eq!(crowd.closest(&target, 80), all[..80]);
        }
        assert_eq!(crowd.closest(&id(0), 2000).len(), 1000);
    }

    #[test]
    fn buckets_are_all_there_is() {
        let crowd = Crowd::new((0..1000).map(|n| (id(n), n)));
        let me = id(7);
        for bits in 0..20 {
            let bucket = crowd.bucket(&me, bits);
            assert!(bucket.iter().all(|(other, _)| other.distance(&me).shared_bits() == bits));
            assert_eq!(crowd.sharing(&me, bits), bucket.len() + crowd.sharing(&me, bits + 1));
        }
    }
}
