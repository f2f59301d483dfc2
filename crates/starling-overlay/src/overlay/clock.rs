//! Whether enough unrelated peers have our time, so that what is over by the clock may be destroyed.

use alloc::collections::VecDeque;

use starling_proto::time::{Now, Span};

use crate::group::AddressGroup;
use crate::holder::limits::CLOCK_DRIFT;

/// Groups that must agree with our clock; and they must be more than those that do not.
const GROUPS: usize = 5;
/// Groups whose word is kept, the latest ones.
const VOTES: usize = 32;
/// How far their minutes may be from ours.
const NEAR_MIN: u64 = 60;
/// How long a greeting counts.
const MEMORY: Span = Span::from_hours(24);

/// What the clocks of other address groups say: one word each, the latest, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockVotes {
    votes: VecDeque<(AddressGroup, Vote)>,
}

#[derive(Debug, Clone, Copy)]
struct Vote {
    agrees: bool,
    at: Now,
}

impl ClockVotes {
    /// Notes what a peer's clock says.
    pub(super) fn vote(&mut self, group: AddressGroup, minutes: u64, now: Now) {
        match self.votes.iter().position(|(other, _)| *other == group) {
            Some(before) => drop(self.votes.remove(before)),
            None if self.votes.len() >= VOTES => drop(self.votes.pop_front()),
            None => {}
        }
        let agrees = minutes.abs_diff(now.seconds().get() / 60) <= NEAR_MIN;
        self.votes.push_back((group, Vote { agrees, at: now }));
    }

    /// Whether enough agree with what the clock says now.
    pub(super) fn is_trusted(&self, now: Now) -> bool {
        let valid = || self.votes.iter().map(|(_, vote)| vote).filter(|vote| vote.counts(now));
        let agreeing = valid().filter(|vote| vote.agrees).count();
        agreeing >= GROUPS && agreeing > valid().count().saturating_sub(agreeing)
    }
}

impl Vote {
    /// Whether it was given lately, and on the clock that we still have: who agreed with a clock before it jumped has
    /// not agreed with what it says since.
    fn counts(&self, now: Now) -> bool {
        let running = now.tick.since(self.at.tick);
        let expected = self.at.seconds().after(running);
        let drift = expected.get().abs_diff(now.seconds().get());
        running < MEMORY && Span::from_secs(drift) <= CLOCK_DRIFT
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::time::{Tick, UnixMillis};

    use super::*;

    const MINUTE_MS: u64 = 60_000;

    /// Both clocks, so many minutes after the beginning, at minute 1000.
    fn at(minutes: u64) -> Now {
        let wall = UnixMillis::new((1_000 + minutes) * MINUTE_MS);
        Now { tick: Tick::from_ms(minutes * MINUTE_MS), wall }
    }

    fn vote(votes: &mut ClockVotes, n: u8, minutes: u64) {
        let group = AddressGroup::of(&format!("9.{n}.1.1:1").parse().unwrap());
        votes.vote(group, minutes, at(0));
    }

    #[test]
    fn five_groups_within_an_hour_make_a_clock() {
        let mut votes = ClockVotes::default();
        for _ in 0..9 {
            vote(&mut votes, 1, 1000);
        }
        assert!(!votes.is_trusted(at(0)), "one group is one voice");
        for n in 1..=5 {
            vote(&mut votes, n, 1030);
        }
        assert!(votes.is_trusted(at(0)));
        assert!(!votes.is_trusted(at(24 * 60)), "a day later their word is old");
        for n in 0..200 {
            vote(&mut votes, n, 1000);
        }
        assert_eq!(votes.votes.len(), VOTES);
    }

    #[test]
    fn clk_02_five_groups_do_not_outvote_many_that_disagree() {
        let mut votes = ClockVotes::default();
        (0..6).for_each(|n| vote(&mut votes, n, 2000));
        (10..15).for_each(|n| vote(&mut votes, n, 1000));
        assert!(!votes.is_trusted(at(0)), "six say that our clock is wrong");
        (15..17).for_each(|n| vote(&mut votes, n, 1000));
        assert!(votes.is_trusted(at(0)));
    }

    #[test]
    fn clk_02_no_single_group_confirms_or_blocks() {
        let mut votes = ClockVotes::default();
        (0..4).for_each(|n| vote(&mut votes, n, 1000));
        (0..100).for_each(|_| vote(&mut votes, 66, 1000));
        (0..100).for_each(|_| vote(&mut votes, 66, 5000));
        assert!(!votes.is_trusted(at(0)), "four and one that says this and that");
        (4..6).for_each(|n| vote(&mut votes, n, 1000));
        (0..100).for_each(|_| vote(&mut votes, 66, 5000));
        assert!(votes.is_trusted(at(0)), "one that shouts does not block six");
    }

    #[test]
    fn clk_02_who_agreed_before_a_jump_has_not_agreed_with_the_new_time() {
        let mut votes = ClockVotes::default();
        (0..9).for_each(|n| vote(&mut votes, n, 1000));
        let mut jumped = at(5);
        jumped.wall = UnixMillis::new(jumped.wall.get() + 365 * 24 * 60 * MINUTE_MS);
        assert!(votes.is_trusted(at(5)));
        assert!(!votes.is_trusted(jumped), "a year ahead, five minutes later");
    }
}
