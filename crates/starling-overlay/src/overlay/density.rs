//! Whether those found around a place are as many as there should be.
//!
//! Identities are free, so that somebody can have made as many as are asked for a record closer to it than anybody else;
//! and those who collude name only one another, so that some are missing. Either shows in how far away they are, measured
//! by how far away our own neighbours are and those of the places of our records: a crowd that stands where we are, or at
//! some of those, does not tell us what is usual.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeId;
use starling_proto::limits;

use super::Overlay;
use crate::leading::leading;
use crate::lookup::{Found, Rings};
use crate::table::Contact;

/// How many neighbours are counted to tell how dense the network is around us.
const SAMPLE: usize = limits::K;
/// So many times closer than usual are those of a crowded place, the closest twenty or all that were found: whoever makes
/// identities can have them stand where the closest do not show it. By chance less than once in ten thousand for who knows
/// the places of five records of its own, and less than once in a thousand for who knows its neighbours alone.
const CROWDED: u64 = 3;
/// So many times farther are those of a place from which most are missing. By chance less than once in a thousand; after
/// a loss of more than half of the network everywhere for a while.
const SPARSE: u64 = 3;

/// Places of our own records of which is remembered how dense they were.
const PLACES: usize = 15;
/// With fewer of them our own neighbours alone tell: two that are attacked would decide.
const LEAST: usize = 5;

/// How far away the twentieth peer was at the places that we stored something at last, which nobody but us chose.
#[derive(Debug, Default)]
pub(super) struct Density {
    places: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    id: NodeId,
    there: u64,
    /// How far away our own twentieth neighbour was then. Networks grow, so that either alone says little a while later.
    here: u64,
}

impl Density {
    /// A record of ours is to be stored at a place. It counts once, however often it is looked up: one that is attacked is
    /// not to become what is usual.
    fn note(&mut self, id: NodeId, (there, here): (u64, u64)) {
        self.places.retain(|place| place.id != id);
        if self.places.len() >= PLACES {
            self.places.pop_front();
        }
        self.places.push_back(Place { id, there, here });
    }

    /// How far away the twentieth peer usually is when our own is so far away.
    fn usual(&self, here: u64) -> u64 {
        if self.places.len() < LEAST {
            return here;
        }
        let now = |place: &Place| {
            let far = u128::from(here).saturating_mul(u128::from(place.there));
            let far = far.checked_div(u128::from(place.here)).unwrap_or(u128::MAX);
            u64::try_from(far).unwrap_or(u64::MAX)
        };
        let mut all: Vec<u64> = self.places.iter().map(now).chain([here]).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(here)
    }
}

impl Overlay {
    /// How far away the twentieth peer of a place usually is: what is so where we are, corrected by how much farther or closer
    /// it was at the places of our records, the median of them; `None` while we know too few to tell.
    fn usual(&self) -> Option<u64> {
        self.here().map(|here| self.density.usual(here))
    }

    /// How far away our own twentieth neighbour is.
    fn here(&self) -> Option<u64> {
        if self.table.len() < SAMPLE.saturating_mul(2) {
            return None;
        }
        let neighbours = self.table.closest(&self.id, SAMPLE);
        neighbours.last().map(|farthest| leading(&self.id, farthest.id()))
    }

    /// A record of ours is to be stored where these are the closest.
    pub(super) fn note_density(&mut self, target: &NodeId, found: &Found) {
        let twentieth = found.peers.get(SAMPLE.saturating_sub(1));
        if let (Some((last, _)), Some(here)) = (twentieth, self.here()) {
            self.density.note(*target, (leading(target, last.id()), here));
        }
    }

    /// The rings in which those around a crowded place count; `None` where it is not crowded.
    pub(super) fn rings(&self, target: &NodeId, found: &Found, rng: &mut dyn CryptoRng) -> Option<Rings> {
        let usual = self.usual().filter(|_| self.is_crowded(target, found))?;
        Some(Rings { usual, salt: rng.next_u64() })
    }

    /// Contacts of ours that are closest to a place among those outside of what is usual: who was made to be there is not.
    pub(super) fn outside(&self, target: &NodeId, count: usize) -> Vec<Peer> {
        self.usual().map_or_else(Vec::new, |usual| self.beyond(target, usual, count))
    }

    /// Contacts of ours around a crowded place, the closest beyond each ring. Who is near knows who else is, where nodes come
    /// and go and those made for the place stay; who is far is not of the crowd.
    pub(super) fn around(&self, target: &NodeId, rings: &Rings) -> Vec<Peer> {
        let beyond = rings.ends().map(|end| self.beyond(target, end, self.config.lookup.entries));
        let mut peers: Vec<Peer> = beyond.into_iter().flatten().collect();
        peers.sort_by_key(Peer::key);
        peers.dedup_by_key(|peer| peer.key());
        peers
    }

    /// Contacts of ours that are closest to a place among those farther than `reach`.
    fn beyond(&self, target: &NodeId, reach: u64, count: usize) -> Vec<Peer> {
        let is_beyond = |contact: &Contact| leading(target, contact.id()) > reach;
        self.table.closest_among(target, count, is_beyond).into_iter().map(Contact::peer).collect()
    }

    /// Whether those found are too close to be there by chance, the closest of them or all.
    pub(super) fn is_crowded(&self, target: &NodeId, found: &Found) -> bool {
        self.spacing(target, found).is_some_and(|(there, here)| {
            there.saturating_mul(CROWDED) < here || self.are_all_close(target, found, here)
        })
    }

    fn are_all_close(&self, target: &NodeId, found: &Found, here: u64) -> bool {
        let Some((last, _)) = found.peers.last().filter(|_| found.peers.len() > SAMPLE) else { return false };
        let count = u128::try_from(found.stand_for).unwrap_or(0);
        let sample = u128::try_from(SAMPLE).unwrap_or(1);
        let usual = u128::from(here).saturating_mul(count).checked_div(sample).unwrap_or(0);
        u128::from(leading(target, last.id())).saturating_mul(u128::from(CROWDED)) < usual
    }

    /// Whether they are, or are too far for all to be there.
    pub(super) fn is_odd(&self, target: &NodeId, found: &Found) -> bool {
        let is_sparse = |(there, here): (u64, u64)| there > here.saturating_mul(SPARSE);
        self.is_crowded(target, found) || self.spacing(target, found).is_some_and(is_sparse)
    }

    /// How far away the twentieth of those found is, and how far it usually is.
    fn spacing(&self, target: &NodeId, found: &Found) -> Option<(u64, u64)> {
        let (last, _) = found.peers.get(SAMPLE.saturating_sub(1))?;
        Some((leading(target, last.id()), self.usual()?))
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::NodeKey;
    use starling_proto::time::{Now, Tick};

    use super::*;
    use crate::config::Config;
    use crate::group::AddressGroup;
    use crate::holder::HolderConfig;
    use crate::memory::MemoryStore;

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
        let usual = overlay.usual().unwrap();
        let judged = |distance| {
            let (target, found) = found(distance);
            (overlay.is_crowded(&target, &found), overlay.is_odd(&target, &found))
        };
        assert_eq!(judged(usual), (false, false));
        assert_eq!(judged(usual / 2), (false, false), "chance does that");
        assert_eq!(judged(usual / 5), (true, true));
        assert_eq!(judged(usual.saturating_mul(4)), (false, true));
    }

    #[test]
    fn byz_03_a_place_is_crowded_if_all_that_were_found_are_too_close() {
        let overlay = overlay(500);
        let usual = overlay.usual().unwrap();
        let judged = |stand_for| {
            // Twenty within what is usual, and twice as many not much farther.
            let (target, mut found) = found(usual / 4 * 5);
            let last = found.peers.last().unwrap().clone();
            found.peers.push(last);
            found.stand_for = stand_for;
            overlay.is_crowded(&target, &found)
        };
        assert!(!judged(40));
        assert!(judged(80), "eighty where there should be twenty-five");
    }

    #[test]
    fn byz_03_what_is_usual_is_not_told_by_a_crowd_around_us_or_at_one_of_our_places() {
        let mut density = Density::default();
        let place = |n: u8| NodeId::new([n; 32]);
        assert_eq!(density.usual(1000), 1000);
        for _ in 0..PLACES {
            density.note(place(0), (10, 1000));
        }
        assert_eq!((density.places.len(), density.usual(1000)), (1, 1000), "a place counts once");
        (1..4).for_each(|n| density.note(place(n), (10, 1000)));
        assert_eq!(density.usual(1000), 1000, "four that are attacked are too few to tell");
        // A crowd stands around us: what we see is a tenth of what is usual, then and now.
        (1..=40).for_each(|n| density.note(place(n), (1000 + u64::from(n), 100)));
        assert_eq!(density.places.len(), PLACES, "old places are forgotten");
        assert!((1000..1050).contains(&density.usual(100)));
        assert!((250..300).contains(&density.usual(25)), "the network has grown to four times as many");
        // Somebody attacks the places of our records.
        (41..=47).for_each(|n| density.note(place(n), (10, 100)));
        assert!((1000..1050).contains(&density.usual(100)), "seven of fifteen do not decide");
        (48..=50).for_each(|n| density.note(place(n), (10, 100)));
        assert!(density.usual(100) <= 100);
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
