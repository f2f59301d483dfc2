//! Asking some of a region instead of all of it.

use alloc::vec::Vec;

use starling_proto::ids::NodeKey;

use super::shortlist::{Candidate, Window};

/// Whom a thinned lookup asks: the closest, and some drawn by lot from the others within its width.
///
/// The lot is drawn among those that are known at the end, not among those that were known first: who comes to be
/// known later, because somebody who was drawn named it, takes part like everybody else. Who is silent goes out of the
/// draw, and whoever named many of these loses credit as in any lookup. So the draw is as good as one among all of
/// them after each had been asked, for half of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thinning {
    /// The closest of whom all are asked.
    pub closest: usize,
    /// How many of the others are.
    pub drawn: usize,
    /// What decides the lot: random, new for each lookup, and told to nobody.
    pub salt: u64,
}

impl Thinning {
    /// How many are asked in all.
    pub(super) const fn wanted(&self) -> usize {
        self.closest.saturating_add(self.drawn)
    }

    /// Leaves in `window`, which is `width` wide where so many are known, those who are to be asked. Who is beyond the
    /// caps, or is there only because of those who are closer not all are known, takes nobody's place.
    pub(super) fn thin<'a>(
        &self,
        window: &mut Window,
        width: usize,
        get: impl Fn(usize) -> Option<&'a Candidate>,
    ) {
        if window.members.len() <= self.wanted() {
            return;
        }
        let all = core::mem::take(&mut window.members);
        let (beyond, within) = all.into_iter().partition::<Vec<_>, _>(|n| window.beyond_caps.contains(n));
        window.members = within;
        let mut others = window.members.split_off(self.closest.min(window.members.len()));
        let last = window.members.last().and_then(|index| get(*index)).map_or(0, Candidate::leading);
        let reach = self.reach(last, width);
        others.sort_by_cached_key(|index| {
            get(*index).map(|other| (other.leading() > reach, lot(self.salt, &other.key())))
        });
        window.members.extend(others.into_iter().chain(beyond).take(self.drawn));
        window.members.sort_unstable();
    }

    /// How far the `width` closest are away, about, where the last of the closest is `last` away; a quarter more, for
    /// an estimate from twenty is that uncertain.
    fn reach(&self, last: u64, width: usize) -> u64 {
        let times = u128::try_from(width).unwrap_or(1).saturating_mul(5);
        let of = u128::try_from(self.closest).unwrap_or(1).saturating_mul(4);
        let reach = u128::from(last).saturating_mul(times).checked_div(of).unwrap_or(u128::MAX);
        u64::try_from(reach).unwrap_or(u64::MAX)
    }
}

/// The lot of a key: `SplitMix64` of it and the salt. Without the salt no key can be ground to win.
pub(super) fn lot(salt: u64, key: &NodeKey) -> u64 {
    let start = key.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut mixed = (start ^ salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use starling_proto::addr::Peer;
    use starling_proto::ids::NodeId;

    use super::super::hearsay::SourceId;
    use super::super::shortlist::Shortlist;
    use super::*;

    const WIDTH: usize = 80;

    /// Who is to be asked of eighty, the closest of `count` peers, some of whom are `beyond_caps`.
    fn drawn(salt: u64, count: u8, beyond_caps: Vec<usize>) -> (Shortlist, Vec<usize>) {
        let mut list = Shortlist::new(NodeId::new([0; 32]), 640, 3);
        for n in 0..count {
            let peer = Peer::new(NodeKey::new([n; 32]), [([9, n, 1, 1], 1).into()]);
            list.add(peer, SourceId::OURSELVES);
        }
        let members = (0..WIDTH.min(usize::from(count))).collect();
        let mut window = Window { members, beyond_caps, doubtful: false };
        Thinning { closest: 20, drawn: 20, salt }.thin(&mut window, WIDTH, |index| list.get(index));
        assert!(window.members.is_sorted());
        (list, window.members)
    }

    #[test]
    fn the_closest_stay_and_the_others_have_equal_chances() {
        let mut wins = [0; WIDTH];
        for salt in 0..3000 {
            let (_, members) = drawn(salt, 200, Vec::new());
            assert_eq!(members.len(), 40);
            assert!(members[..20].iter().copied().eq(0..20));
            members.iter().for_each(|index| wins[*index] += 1);
        }
        assert!(wins[20..].iter().all(|wins| (850..1150).contains(wins)), "{wins:?}");
    }

    #[test]
    fn who_is_beyond_the_caps_is_asked_for_want_of_others_only() {
        assert!(drawn(1, 200, (0..30).collect()).1.into_iter().all(|index| index >= 30));
        let (_, members) = drawn(1, 200, (0..50).collect());
        assert_eq!((members.len(), members[39]), (40, 79));
        assert!(members[..10].iter().copied().eq(0..10));
    }

    #[test]
    fn who_is_far_beyond_the_width_is_not_drawn() {
        let target = NodeId::new([0; 32]);
        let mut keys: Vec<NodeKey> = (0..200).map(|n| NodeKey::new([n; 32])).collect();
        keys.sort_by_key(|key| key.node_id().distance(&target));
        let mut list = Shortlist::new(target, 640, 3);
        for key in keys[..40].iter().chain(&keys[170..]) {
            list.add(Peer::new(*key, [([9, key.as_bytes()[0], 1, 1], 1).into()]), SourceId::OURSELVES);
        }
        let mut window = Window { members: (0..70).collect(), ..Window::default() };
        Thinning { closest: 20, drawn: 20, salt: 1 }.thin(&mut window, WIDTH, |index| list.get(index));
        assert!(window.members.into_iter().eq(0..40));
    }

    #[test]
    fn who_is_few_is_asked_whole() {
        assert_eq!(drawn(1, 40, Vec::new()).1.len(), 40);
    }
}
