//! When a key that others may still be using can be destroyed.

use starling_proto::time::{Span, UnixSeconds};

/// How long a key outlives the publication of its successor: a message waits up to 30 days in an outbox and up to 14
/// in a mailbox.
pub const OVERLAP: Span = Span::from_days(44);

/// Wall time, and whether it can be relied on to destroy something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// What our clock says.
    pub now: UnixSeconds,
    /// Whether at least 5 peers of different address groups are within an hour of it.
    pub confirmed: bool,
}

/// Since when a key has been published, by a clock that was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publication {
    /// It is not known to be on its holders.
    #[default]
    No,
    /// It is, but our clock was not to be trusted.
    Undated,
    /// It is, since then.
    Since(UnixSeconds),
}

impl Publication {
    /// Notes that the key is on its holders. The first time counts.
    pub fn note(&mut self, clock: WallClock) {
        if *self == Self::No {
            *self = Self::Undated;
        }
        self.settle(clock);
    }

    /// Dates a publication as soon as the clock is confirmed: later than it was, never earlier.
    pub fn settle(&mut self, clock: WallClock) {
        if *self == Self::Undated && clock.confirmed {
            *self = Self::Since(clock.now);
        }
    }

    pub(crate) const fn parts(self) -> (u32, u64) {
        match self {
            Self::No => (0, 0),
            Self::Undated => (1, 0),
            Self::Since(at) => (2, at.get()),
        }
    }

    pub(crate) const fn from_parts(kind: u32, at: u64) -> Option<Self> {
        match kind {
            0 => Some(Self::No),
            1 => Some(Self::Undated),
            2 => Some(Self::Since(UnixSeconds::new(at))),
            _ => None,
        }
    }
}

/// Whether nothing can come any more for the keys before the one with this publication: it has been published for
/// [`OVERLAP`], and after that every mailbox was read to the end, at `fetched`. Never on the word of a clock that is
/// not confirmed.
#[must_use]
pub fn outlived(successor: Publication, fetched: Option<UnixSeconds>, clock: WallClock) -> bool {
    match (successor, fetched) {
        (Publication::Since(at), Some(fetched)) => {
            clock.confirmed && at.after(OVERLAP) <= fetched && fetched <= clock.now
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(days: u64, confirmed: bool) -> WallClock {
        WallClock { now: UnixSeconds::new(0).after(Span::from_days(days)), confirmed }
    }

    #[test]
    fn it_takes_44_days_and_a_fetch_after_them() {
        let mut publication = Publication::default();
        publication.note(clock(100, true));
        publication.note(clock(120, true));
        let at = |days| Some(clock(days, true).now);
        assert!(outlived(publication, at(144), clock(144, true)));
        assert!(!outlived(publication, at(143), clock(200, true)));
        assert!(!outlived(publication, None, clock(200, true)));
        assert!(!outlived(publication, at(144), clock(144, false)));
        assert!(!outlived(publication, at(500), clock(200, true)));
    }

    #[test]
    fn clk_02_a_clock_that_was_wrong_dates_nothing() {
        let mut publication = Publication::default();
        publication.note(clock(1, false));
        publication.settle(clock(2, false));
        assert_eq!(publication, Publication::Undated);
        publication.settle(clock(400, true));
        assert_eq!(publication, Publication::Since(clock(400, true).now));
    }
}
