//! Whether those found around a place are as many as there should be.
//!
//! Identities are free, so that somebody can have made as many as are asked for a record closer to it than anybody else;
//! and those who collude name only one another, so that some are missing. Either shows in how far away they are, measured
//! by how far away our own neighbours are.

use starling_proto::ids::NodeId;
use starling_proto::limits;

use super::Overlay;
use crate::leading::leading;
use crate::lookup::Found;

/// How many neighbours are counted to tell how dense the network is around us.
const SAMPLE: usize = limits::K;
/// So many times closer than our own neighbours are the closest of a crowded place: by chance less than once in a million.
const CROWDED: u64 = 4;
/// So many times farther are those of a place from which most are missing. By chance less than once in a thousand; after
/// a loss of more than half of the network everywhere for a while.
const SPARSE: u64 = 3;

impl Overlay {
    /// How far away the farthest of our twenty neighbours is; `None` while we know too few to tell.
    pub(super) fn neighbourhood(&self) -> Option<u64> {
        if self.table.len() < SAMPLE.saturating_mul(2) {
            return None;
        }
        let neighbours = self.table.closest(&self.id, SAMPLE);
        neighbours.last().map(|farthest| leading(&self.id, farthest.id()))
    }

    /// Whether the closest of those found are too close to be there by chance.
    pub(super) fn is_crowded(&self, target: &NodeId, found: &Found) -> bool {
        self.spacing(target, found).is_some_and(|(there, here)| there.saturating_mul(CROWDED) < here)
    }

    /// Whether they are, or are too far for all to be there.
    pub(super) fn is_odd(&self, target: &NodeId, found: &Found) -> bool {
        let is_sparse = |(there, here): (u64, u64)| there > here.saturating_mul(SPARSE);
        self.is_crowded(target, found) || self.spacing(target, found).is_some_and(is_sparse)
    }

    /// How far a crowd reaches.
    pub(super) fn crowd_radius(&self) -> u64 {
        self.neighbourhood().unwrap_or(0) / CROWDED
    }

    /// How far away the twentieth of those found is, and our own twentieth neighbour.
    fn spacing(&self, target: &NodeId, found: &Found) -> Option<(u64, u64)> {
        let (last, _) = found.peers.get(SAMPLE.saturating_sub(1))?;
        Some((leading(target, &last.key().node_id()), self.neighbourhood()?))
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::addr::Peer;
    use starling_proto::ids::NodeKey;
    use starling_proto::time::{Now, Tick};

    use super::*;
    use crate::config::Config;
    use crate::group::AddressGroup;
    use crate::holder::HolderConfig;
    use crate::memory::MemoryStore;
    use crate::table::Contact;

    /// Knows `count` peers at random places.
    fn overlay(count: u32) -> Overlay {
        let (store, me) = (MemoryStore::default(), NodeKey::new([7; 32]));
        let new = Overlay::new(Config::default(), me, HolderConfig::new(me), Now::default(), &store);
        let mut overlay = new.unwrap();
        for n in 0..count {
            let key = NodeKey::new(*blake3::hash(&n.to_be_bytes()).as_bytes());
            let address = format!("{}.{}.1.1:1", 11 + n / 250, n % 250).parse().unwrap();
            overlay.table.offer(Contact::new(key, address, &[], Tick::ZERO));
        }
        overlay
    }

    /// Twenty peers, the farthest of them about `distance` away from the first.
    fn found(distance: u64) -> (NodeId, Found) {
        let target = *NodeKey::new([3; 32]).node_id().as_bytes();
        let target = NodeId::new(target);
        let keys = (0_u32..).map(|n| NodeKey::new(*blake3::hash(&(n + 7_000).to_be_bytes()).as_bytes()));
        let near = |key: &NodeKey| leading(&target, &key.node_id()) <= distance;
        let mut peers: Vec<_> = keys.filter(near).take(20).collect();
        peers.sort_by_key(|key| key.node_id().distance(&target));
        let address: core::net::SocketAddr = "9.9.9.9:1".parse().unwrap();
        let peers = peers.into_iter().map(|key| (Peer::new(key, [address]), AddressGroup::of(&address)));
        (target, Found { peers: peers.collect(), ..Found::default() })
    }

    #[test]
    fn byz_03_a_place_is_crowded_or_sparse_by_what_is_usual_around_us() {
        let overlay = overlay(500);
        let usual = overlay.neighbourhood().unwrap();
        let judged = |distance| {
            let (target, found) = found(distance);
            (overlay.is_crowded(&target, &found), overlay.is_odd(&target, &found))
        };
        assert_eq!(judged(usual), (false, false));
        assert_eq!(judged(usual / 3), (false, false), "chance does that");
        assert_eq!(judged(usual / 5), (true, true));
        assert_eq!(judged(usual.saturating_mul(4)), (false, true));
    }

    #[test]
    fn who_knows_few_cannot_tell() {
        let (target, mut found) = found(1 << 50);
        assert!(overlay(500).is_crowded(&target, &found));
        assert!(!overlay(30).is_odd(&target, &found));
        found.peers.pop();
        assert!(!overlay(500).is_odd(&target, &found), "a small network has fewer than twenty");
    }
}
