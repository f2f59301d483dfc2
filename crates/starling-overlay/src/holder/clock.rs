//! Whether wall time can be believed, and when a record ends.

use starling_proto::limits as proto_limits;
use starling_proto::record::RecordBody;
use starling_proto::time::{Now, Span, Tick, UnixSeconds};

use super::limits;

/// Compares wall time with running time since unrelated peers last agreed with it.
///
/// Clocks jump: a flat battery, a wrong time server, a person. What is destroyed is gone, so wall time counts only
/// while it has advanced with running time from a moment at which peers confirmed it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClockCheck {
    confirmed: Option<Now>,
}

impl ClockCheck {
    /// Notes that enough unrelated peers see the same time as we do.
    pub(super) const fn confirm(&mut self, now: Now) {
        self.confirmed = Some(now);
    }

    /// Whether wall time is to be believed.
    pub(super) fn believes(&self, now: Now) -> bool {
        self.confirmed.is_some_and(|then| {
            let expected = then.seconds().after(now.tick.since(then.tick));
            let drift = expected.get().abs_diff(now.seconds().get());
            Span::from_secs(drift) <= limits::CLOCK_DRIFT
        })
    }

    /// Whether something that came at `received` (by the wall) and has been here since `since` (running time) is past
    /// its `end`: by a wall clock that is to be believed, or because its whole life has run before our eyes.
    pub(super) fn is_over(&self, now: Now, life: Lifetime) -> bool {
        let watched = now.tick.since(life.since) >= life.end.since(life.received);
        watched || (now.seconds() >= life.end && self.believes(now))
    }
}

/// From when until when something is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    /// When it came, by the wall.
    pub(super) received: UnixSeconds,
    /// Since when this process has watched it.
    pub(super) since: Tick,
    /// When it ends, by the wall.
    pub(super) end: UnixSeconds,
}

/// When a record that comes now ends here; `None` if it is over already or issued in the future.
///
/// Its life is what the publisher signed, at most what its kind is granted, counted from receipt. As records are
/// handed on, an end that only counted from receipt would never come: a day after the signed end it does.
pub(super) fn end_of(body: &RecordBody, now: UnixSeconds) -> Option<UnixSeconds> {
    if body.issued > now.after(proto_limits::CLOCK_SLACK) {
        return None;
    }
    let signed_end = body.expires.min(body.issued.after(body.kind.longest_life()));
    let from_receipt = now.after(signed_end.since(body.issued));
    let end = from_receipt.min(signed_end.after(proto_limits::CLOCK_SLACK));
    (end > now).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use starling_proto::ids::{PublisherKey, RecordKey};
    use starling_proto::record::RecordKind;
    use starling_proto::time::UnixMillis;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(tick_s: u64, wall_s: u64) -> Now {
        Now { tick: Tick::from_ms(tick_s * 1000), wall: UnixMillis::new(wall_s * 1000) }
    }

    fn body(issued: u64, expires: u64) -> RecordBody {
        RecordBody {
            key: RecordKey::new([1; 32]),
            kind: RecordKind::Deposit,
            publisher: PublisherKey::new([2; 32]),
            sequence: 0,
            issued: UnixSeconds::new(issued),
            expires: UnixSeconds::new(expires),
            payload: Vec::new(),
            tombstone: false,
        }
    }

    fn end(issued: u64, expires: u64, now: u64) -> Option<u64> {
        end_of(&body(issued, expires), UnixSeconds::new(now)).map(UnixSeconds::get)
    }

    #[test]
    fn clk_02_a_jump_is_not_believed_until_peers_agree() {
        let mut clock = ClockCheck::default();
        assert!(!clock.believes(at(0, 1000)), "nobody has confirmed it yet");
        clock.confirm(at(0, 1000));
        assert!(clock.believes(at(5000, 6000)));
        assert!(!clock.believes(at(5001, 1000 + 5001 + 365 * DAY)), "a year ahead");
        assert!(!clock.believes(at(9000, 1000)), "hours behind");
        assert!(clock.believes(at(5002, 6002)), "mended");
    }

    #[test]
    fn what_has_run_out_before_our_eyes_is_over_whatever_the_wall_says() {
        let clock = ClockCheck::default();
        let life =
            Lifetime { received: UnixSeconds::new(100), since: Tick::ZERO, end: UnixSeconds::new(110) };
        assert!(!clock.is_over(at(9, 1_000_000), life));
        assert!(clock.is_over(at(10, 0), life));
    }

    #[test]
    fn life_counts_from_receipt_and_ends_a_day_after_the_signed_end() {
        let now = 1000 * DAY;
        assert_eq!(end(now, now + 5 * DAY, now), Some(now + 5 * DAY));
        assert_eq!(end(now - 4 * DAY, now + DAY, now), Some(now + 2 * DAY), "handed on late");
        assert_eq!(end(now, now + 99 * DAY, now), Some(now + 14 * DAY), "clamped to the kind's longest");
        assert_eq!(
            end(now + DAY / 2, now + DAY, now),
            Some(now + DAY / 2),
            "a publisher whose clock is ahead"
        );
    }

    #[test]
    fn clk_03_the_ends_of_the_scale_are_safe() {
        let now = 1000 * DAY;
        for (issued, expires) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (now, 0)] {
            assert_eq!(end(issued, expires, now), None, "{issued} {expires}");
        }
        assert_eq!(end(now, u64::MAX, now), Some(now + 14 * DAY));
        assert_eq!(end(0, u64::MAX, 0), Some(14 * DAY));
        assert_eq!(end(u64::MAX, u64::MAX, u64::MAX), None);
    }

    proptest! {
        #[test]
        fn no_hand_over_makes_a_record_immortal(issued: u64, expires: u64, now: u64) {
            if let Some(end) = end(issued, expires, now) {
                prop_assert!(end > now);
                prop_assert!(end - now <= 14 * DAY);
                prop_assert!(end <= issued.saturating_add(15 * DAY));
            }
        }
    }
}
