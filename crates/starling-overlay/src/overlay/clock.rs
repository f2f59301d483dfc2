//! Whether enough unrelated peers have our time, so that what is over by the clock may be destroyed.

use alloc::collections::BTreeMap;

use starling_proto::time::{Now, Span, Tick};

use crate::group::AddressGroup;

/// Groups that must agree with our clock.
const GROUPS: usize = 5;
/// How far their minutes may be from ours.
const NEAR_MIN: u64 = 60;
/// How long a greeting counts.
const MEMORY: Span = Span::from_hours(24);

/// Who greeted with about our time, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockVotes {
    agreeing: BTreeMap<AddressGroup, Tick>,
}

impl ClockVotes {
    /// Notes what a peer's clock says.
    pub(super) fn vote(&mut self, group: AddressGroup, minutes: u64, now: Now) {
        if minutes.abs_diff(now.seconds().get() / 60) > NEAR_MIN {
            self.agreeing.remove(&group);
            return;
        }
        if self.agreeing.len() >= GROUPS.saturating_mul(2) && !self.agreeing.contains_key(&group) {
            let oldest = self.agreeing.iter().min_by_key(|(_, at)| **at).map(|(group, _)| *group);
            oldest.map(|group| self.agreeing.remove(&group));
        }
        self.agreeing.insert(group, now.tick);
    }

    /// Whether enough agree.
    pub(super) fn is_trusted(&self, now: Tick) -> bool {
        self.agreeing.values().filter(|at| now.since(**at) < MEMORY).count() >= GROUPS
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::time::UnixMillis;

    use super::*;

    fn vote(votes: &mut ClockVotes, n: u8, minutes: u64) {
        let group = AddressGroup::of(&format!("9.{n}.1.1:1").parse().unwrap());
        let now = Now { tick: Tick::from_ms(1), wall: UnixMillis::new(1_000 * 60_000) };
        votes.vote(group, minutes, now);
    }

    #[test]
    fn five_groups_within_an_hour_make_a_clock() {
        let mut votes = ClockVotes::default();
        for n in 0..9 {
            vote(&mut votes, n, 2000);
            vote(&mut votes, 1, 1000);
        }
        assert!(
            !votes.is_trusted(Tick::from_ms(1)),
            "one group is one voice, strangers to our time are none"
        );
        for n in 1..=5 {
            vote(&mut votes, n, 1030);
        }
        assert!(votes.is_trusted(Tick::from_ms(1)));
        assert!(!votes.is_trusted(Tick::from_ms(1).after(MEMORY)));
        for n in 0..200 {
            vote(&mut votes, n, 1000);
        }
        assert_eq!(votes.agreeing.len(), 10);
    }
}
