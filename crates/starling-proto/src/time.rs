//! Two clocks that are never mixed: running time, which only goes forward, and wall time, which people set.
//!
//! Time-outs and everything that is destroyed count in [`Tick`]; dates that others read are [`UnixSeconds`].

use core::fmt;

/// Milliseconds of running time since the process began: never goes back, never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick(u64);

impl Tick {
    /// The moment the process began.
    pub const ZERO: Self = Self(0);

    /// `ms` milliseconds after the process began.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the process began.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// `span` later; the end of time at most.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Time since `earlier`; zero if that is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// `s` seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1000))
    }

    /// `h` hours.
    #[must_use]
    pub const fn from_hours(h: u64) -> Self {
        Self::from_secs(h.saturating_mul(3600))
    }

    /// `d` days.
    #[must_use]
    pub const fn from_days(d: u64) -> Self {
        Self::from_hours(d.saturating_mul(24))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// `times` as long; the longest there is at most.
    #[must_use]
    pub const fn times(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// Half as long.
    #[must_use]
    pub const fn halved(self) -> Self {
        Self(self.0 / 2)
    }

    /// A random length from three quarters to five quarters of this one: what keeps many peers that started
    /// together from acting together. `random` is any uniform number.
    #[must_use]
    pub const fn jittered(self, random: u32) -> Self {
        let half = self.0 / 2;
        let scaled = (half as u128).saturating_mul(random as u128) >> 32;
        let base = self.0.saturating_sub(self.0 / 4);
        // `scaled` is below `half`, so it fits.
        #[expect(clippy::cast_possible_truncation, reason = "scaled is at most half, a u64")]
        Self(base.saturating_add(scaled as u64))
    }
}

/// Seconds since 1970 by a clock that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// `s` seconds since 1970.
    #[must_use]
    pub const fn new(s: u64) -> Self {
        Self(s)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `span` later, whole seconds; the end of time at most.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// `span` earlier; 1970 at the least.
    #[must_use]
    pub const fn before(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// Time since `earlier`; zero if that is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since 1970, for what people see in order: the time of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// `ms` milliseconds since 1970.
    #[must_use]
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }
}

/// Both clocks at one instant, handed to every machine with every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Running time.
    pub tick: Tick,
    /// Wall time.
    pub wall: UnixMillis,
}

impl Now {
    /// Wall time in whole seconds.
    #[must_use]
    pub const fn seconds(&self) -> UnixSeconds {
        self.wall.seconds()
    }

    /// The month a stamp belongs to.
    #[must_use]
    pub const fn month(&self) -> Month {
        Month::of(self.seconds())
    }
}

/// Thirty days, counted from 1970: the life of a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(u32);

impl Month {
    /// Seconds in a month.
    const SECONDS: u64 = 30 * 24 * 3600;

    /// The month that holds `at`.
    #[must_use]
    pub const fn of(at: UnixSeconds) -> Self {
        let index = at.get() / Self::SECONDS;
        // Past the year 350,000,000 all time is one month.
        #[expect(clippy::cast_possible_truncation, reason = "checked against u32::MAX")]
        Self(if index > u32::MAX as u64 { u32::MAX } else { index as u32 })
    }

    /// Wraps a number from the wire.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number of the month.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether a stamp of this month counts in `current`: the same one, the one before (clocks differ and records
    /// outlive a month's end), or the next (a clock that is ahead).
    #[must_use]
    pub const fn counts_in(self, current: Self) -> bool {
        self.0.abs_diff(current.0) <= 1
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_never_underflows() {
        assert_eq!(Tick::ZERO.since(Tick::from_ms(9)), Span::ZERO);
        assert_eq!(UnixSeconds::new(1).before(Span::from_days(1)), UnixSeconds::new(0));
        assert_eq!(UnixSeconds::new(u64::MAX).after(Span::from_days(1)).get(), u64::MAX);
    }

    #[test]
    fn a_stamp_counts_a_month_either_side() {
        let month = Month::new(600);
        assert!(month.counts_in(Month::new(599)) && month.counts_in(Month::new(601)));
        assert!(!month.counts_in(Month::new(602)));
        assert_eq!(Month::of(UnixSeconds::new(u64::MAX)).get(), u32::MAX);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_quarter(ms in 0u64..1 << 50, random: u32) {
            let got = Span::from_ms(ms).jittered(random).as_ms();
            prop_assert!(got >= ms - ms / 4 && got <= ms + ms / 4 + 1);
        }
    }
}
