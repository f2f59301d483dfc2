//! Whom to count where somebody has made identities to be there.

use alloc::vec::Vec;

use super::shortlist::Candidate;
use super::thinning::lot;

/// Where the rings end, in quarters of what is usual: five, five, ten and twenty are in them where nobody made any.
pub(super) const RINGS: [u64; 4] = [1, 2, 4, 8];

/// Rings around a target, in each of which the same number count, drawn by lot.
///
/// Identities are free, so whoever makes them stands wherever it helps: the closest of all, or the first beyond any bound at
/// which somebody begins to count. So nobody counts for being close to anything. Who is honest has the chance of one among
/// all of a ring, and a record that was stored and is looked up by such lots is found through whoever was drawn twice: to
/// hide it takes many times as many identities as are asked, in place of as many.
#[derive(Debug, Clone, Copy)]
pub struct Rings {
    /// How far away the twentieth peer of a place is where nobody made any, the first 64 bits of the distance.
    pub usual: u64,
    /// What decides the lot: random, new for each lookup, and told to nobody.
    pub salt: u64,
}

impl Rings {
    /// How far each of them reaches.
    #[must_use]
    pub fn ends(&self) -> [u64; RINGS.len()] {
        RINGS.map(|quarters| self.end(quarters))
    }

    const fn end(&self, quarters: u64) -> u64 {
        (self.usual / 4).saturating_mul(quarters)
    }

    /// The ring at this distance, if any reaches so far.
    pub(super) fn of(&self, leading: u64) -> Option<usize> {
        RINGS.iter().position(|quarters| leading <= self.end(*quarters))
    }

    /// The order in which these candidates, who are the closest first, come into question: those of a ring by lot. Who stands
    /// at the target itself is who is looked for, and nobody can make that identity.
    pub(super) fn order(&self, candidates: &[Candidate]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        let mut rest = order.as_mut_slice();
        let mut passed = 0;
        for quarters in RINGS {
            let end = candidates.partition_point(|candidate| candidate.leading() <= self.end(quarters));
            let (ring, beyond) = rest.split_at_mut(end.saturating_sub(passed));
            ring.sort_by_cached_key(|index| {
                let candidate = candidates.get(*index)?;
                Some((candidate.leading() > 0, lot(self.salt, &candidate.key())))
            });
            (rest, passed) = (beyond, end);
        }
        order
    }
}
