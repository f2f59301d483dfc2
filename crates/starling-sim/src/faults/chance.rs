//! How likely something is.

use rand_core::Rng;

const WHOLE: u32 = 1_000_000;

/// A probability in millionths, so that a scenario means the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);

    /// So many in a million; more than a million is always.
    #[must_use]
    pub const fn per_million(count: u32) -> Self {
        Self(if count > WHOLE { WHOLE } else { count })
    }

    /// So many in a hundred; more than a hundred is always.
    #[must_use]
    pub const fn percent(count: u32) -> Self {
        Self::per_million(count.saturating_mul(WHOLE / 100))
    }

    /// Throws the die. Where it cannot happen none is thrown, so that a world without faults needs no dice.
    pub fn happens(self, dice: &mut impl Rng) -> bool {
        self.0 > 0 && dice.next_u32() % WHOLE < self.0
    }
}

/// A number below `bound`, or 0 if there is none.
pub(crate) fn below(dice: &mut impl Rng, bound: usize) -> usize {
    dice.next_u64().checked_rem(bound as u64).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn it_happens_as_often_as_it_says() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut count = |chance: Chance| (0..10_000).filter(|_| chance.happens(&mut dice)).count();
        assert_eq!(count(Chance::NEVER), 0);
        assert_eq!(count(Chance::percent(100)), 10_000);
        assert!((2_800..3_200).contains(&count(Chance::percent(30))));
    }
}
