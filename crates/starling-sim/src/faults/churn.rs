//! How long nodes stay and stay away.

use rand_core::Rng;
use starling_proto::time::Span;

use super::link::{exponential, scaled, unit};

/// The distribution of a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Duration {
    /// Many short ones and few very long ones.
    Weibull {
        /// Below 1 the more so.
        shape: f64,
        /// 63 % are shorter.
        scale: Span,
    },
    /// Without memory.
    Exponential {
        /// Half are shorter.
        median: Span,
    },
}

impl Duration {
    /// Draws one, at least a second long.
    pub fn draw(self, dice: &mut impl Rng) -> Span {
        let drawn = match self {
            Self::Weibull { shape, scale } => scaled(scale, (-unit(dice).ln()).powf(shape.recip())),
            Self::Exponential { median } => exponential(scaled(median, std::f64::consts::LN_2.recip()), dice),
        };
        drawn.max(Span::from_secs(1))
    }
}

/// How nodes come and go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Churn {
    /// How long they stay.
    pub on: Duration,
    /// How long they stay away.
    pub off: Duration,
}

impl Churn {
    /// What was measured of KAD (Steiner, En-Najjary and Biersack, "A global view of KAD", 2007): a Weibull shape of
    /// 0.615 and a scale of 169.5 min on, 0.476 and 413.7 min off.
    pub const KAD: Self = Self {
        on: Duration::Weibull { shape: 0.615, scale: Span::from_ms(10_170_000) },
        off: Duration::Weibull { shape: 0.476, scale: Span::from_ms(24_822_000) },
    };
    /// Medians of an hour on and an hour off.
    pub const HOURS: Self = Self::exponential(Span::from_hours(1), Span::from_hours(1));
    /// Medians of 15 min on and 60 min off.
    pub const QUARTERS: Self = Self::exponential(Span::from_secs(15 * 60), Span::from_hours(1));
    /// Medians of 2.4 min on and 10 min off.
    pub const MINUTES: Self = Self::exponential(Span::from_secs(144), Span::from_secs(600));

    const fn exponential(on: Span, off: Span) -> Self {
        Self { on: Duration::Exponential { median: on }, off: Duration::Exponential { median: off } }
    }
}

/// How nodes come and go, by the name of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// All stay.
    Steady,
    /// As was measured of KAD: [`Churn::KAD`].
    Kad,
    /// Medians of an hour on and an hour off: [`Churn::HOURS`].
    Hours,
    /// Medians of 15 minutes on and 60 off: [`Churn::QUARTERS`].
    Quarters,
    /// Medians of 2.4 minutes on and 10 off: [`Churn::MINUTES`].
    Minutes,
}

impl Coming {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Steady, Self::Kad, Self::Hours, Self::Quarters, Self::Minutes];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Kad => "kad",
            Self::Hours => "hours",
            Self::Quarters => "quarters",
            Self::Minutes => "minutes",
        }
    }

    /// The distributions.
    #[must_use]
    pub const fn churn(self) -> Option<Churn> {
        match self {
            Self::Steady => None,
            Self::Kad => Some(Churn::KAD),
            Self::Hours => Some(Churn::HOURS),
            Self::Quarters => Some(Churn::QUARTERS),
            Self::Minutes => Some(Churn::MINUTES),
        }
    }
}

/// A day on which fewer are there at night: of every hundred nodes, this many at noon and this many at midnight, with a
/// cosine between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// At noon, in percent.
    pub noon: u32,
    /// At midnight, in percent.
    pub midnight: u32,
    /// How long a day is; they begin at noon.
    pub length: Span,
}

impl Day {
    /// How many of `count` are there when so much of the first day has passed.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, between none and all"
    )]
    pub fn present(&self, passed: Span, count: usize) -> usize {
        let turn = passed.as_ms() as f64 / self.length.as_ms().max(1) as f64 * std::f64::consts::TAU;
        let (noon, midnight) = (f64::from(self.noon), f64::from(self.midnight));
        let percent = midnight + (noon - midnight) * (1.0 + turn.cos()) / 2.0;
        ((percent * count as f64 / 100.0).round() as usize).min(count)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn median(duration: Duration) -> u64 {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut drawn: Vec<u64> = (0..10_001).map(|_| duration.draw(&mut dice).as_secs()).collect();
        drawn.sort_unstable();
        drawn[5_000]
    }

    #[test]
    fn medians_are_those_of_the_formulas() {
        // scale * ln(2)^(1/shape): 93.4 and 191.6 minutes.
        assert!((5_300..5_900).contains(&median(Churn::KAD.on)), "{}", median(Churn::KAD.on));
        assert!((10_700..12_300).contains(&median(Churn::KAD.off)), "{}", median(Churn::KAD.off));
        assert!((137..151).contains(&median(Churn::MINUTES.on)));
        assert!((3_450..3_750).contains(&median(Churn::QUARTERS.off)));
    }

    #[test]
    fn a_day_goes_from_noon_over_midnight_to_noon() {
        let day = Day { noon: 90, midnight: 20, length: Span::from_hours(24) };
        let present = [0, 6, 12, 18, 24].map(|hour| day.present(Span::from_hours(hour), 100));
        assert_eq!(present, [90, 55, 20, 55, 90]);
    }
}
