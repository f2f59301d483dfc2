//! Moments, for people: by the clock on their wall.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use starling_api::types::Time;

/// A moment in this machine's time zone; in UTC if the machine does not say which that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local(Zoned);

impl Local {
    /// The moment `at`.
    pub(crate) fn of(at: Time) -> Self {
        Self::within(at, TimeZone::system())
    }

    fn within(at: Time, zone: TimeZone) -> Self {
        let ms = i64::try_from(at.millis().get()).unwrap_or(i64::MAX);
        Self(Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).to_zoned(zone))
    }

    /// The day and how far its clock is from UTC, as in `2026-11-21 (+01:00)`.
    pub(crate) fn day(&self) -> String {
        self.0.strftime("%Y-%m-%d (%:z)").to_string()
    }

    /// Hour and minute, as in `09:05`.
    pub(crate) fn minute(&self) -> String {
        self.0.strftime("%H:%M").to_string()
    }

    /// The time of day to the millisecond, as in `09:05:07.001`.
    pub(crate) fn precise(&self) -> String {
        self.0.strftime("%H:%M:%S%.3f").to_string()
    }
}

/// Day and minute, as in `2026-11-21 09:05 +01:00`.
impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%d %H:%M %:z"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    fn at(text: &str, hours: i8) -> Local {
        Local::within(text.parse().unwrap(), TimeZone::fixed(Offset::constant(hours)))
    }

    #[test]
    fn a_moment_is_told_by_the_clock_on_the_wall() {
        let moment = at("2026-11-21T23:05:07.001Z", 1);
        assert_eq!(moment.day(), "2026-11-22 (+01:00)");
        assert_eq!((moment.minute().as_str(), moment.precise().as_str()), ("00:05", "00:05:07.001"));
        assert_eq!(moment.to_string(), "2026-11-22 00:05 +01:00");
        assert_eq!(at("2026-11-21T23:05:07.000Z", -5).to_string(), "2026-11-21 18:05 -05:00");
    }

    #[test]
    fn the_end_of_time_is_a_moment() {
        assert!(at("9999-12-30T22:00:00.000Z", 25).day().starts_with("9999-12-31"));
    }

    #[test]
    fn without_a_zone_it_is_utc() {
        let unknown = Local::within("2026-11-21T11:05:07.001Z".parse().unwrap(), TimeZone::unknown());
        assert_eq!(unknown.to_string(), "2026-11-21 11:05 +00:00");
    }
}
