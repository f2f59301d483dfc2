//! Moments, as people and scripts read them.

use core::fmt;
use core::str::FromStr;

use jiff::Timestamp;
use starling_proto::time::{UnixMillis, UnixSeconds};

/// A moment by a clock that may be wrong. Its text is RFC 3339 in UTC, always with milliseconds, so that texts sort as
/// the moments do: `2026-11-21T11:02:13.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(UnixMillis);

/// A text that is no moment after 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time as 2026-11-21T11:02:13.000Z")]
pub struct TimeError;

impl Time {
    /// The last one that has a text: the second of [`Timestamp::MAX`], a day before the year 10,000.
    pub const LAST: Self = Self(UnixMillis::new(253_402_207_200_000));

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> UnixMillis {
        self.0
    }
}

impl From<UnixMillis> for Time {
    /// A clock that is off by thousands of years says [`Time::LAST`].
    fn from(at: UnixMillis) -> Self {
        Self(at.min(Self::LAST.0))
    }
}

impl From<UnixSeconds> for Time {
    fn from(at: UnixSeconds) -> Self {
        UnixMillis::new(at.get().saturating_mul(1000)).into()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Up to the last one there is always a text.
        let ms = i64::try_from(self.0.get()).ok();
        let at = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
        write!(f, "{at:.3}")
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let at: Timestamp = text.parse().map_err(|_| TimeError)?;
        u64::try_from(at.as_millisecond()).map(|ms| UnixMillis::new(ms).into()).map_err(|_| TimeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_kept() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_258_933_007, "2026-11-21T11:02:13.007Z"),
            (1_795_258_933_500, "2026-11-21T11:02:13.500Z"),
        ] {
            let time = Time::from(UnixMillis::new(ms));
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
            assert_eq!(time.millis(), UnixMillis::new(ms));
        }
        assert_eq!(Time::from(UnixSeconds::new(1)).to_string(), "1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn the_end_of_time_is_a_text_too() {
        for ms in [u64::MAX, i64::MAX.unsigned_abs(), 253_402_300_800_000] {
            let time = Time::from(UnixMillis::new(ms));
            assert_eq!((time, time.to_string().as_str()), (Time::LAST, "9999-12-30T22:00:00.000Z"));
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("9999-12-30T22:00:00.999Z".parse(), Ok(Time::LAST));
        assert_eq!(Timestamp::MAX.as_second().unsigned_abs(), Time::LAST.millis().get() / 1000);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "yesterday", "1795258933", "2026-11-21", "2026-11-21T11:02:13", "1969-12-31T23:59:59Z"]
        {
            assert_eq!(text.parse::<Time>(), Err(TimeError), "{text:?}");
        }
    }
}
