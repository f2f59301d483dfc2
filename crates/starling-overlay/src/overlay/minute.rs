//! How much of something that costs us more than it costs the asker we do in a minute, and how it is shared out: dials
//! for others, and what we do in others' place.

use alloc::collections::BTreeMap;

use starling_proto::time::{Span, Tick};

use crate::config::Rate;
use crate::group::AddressGroup;

/// The budget is that of a minute.
const MINUTE: Span = Span::from_secs(60);

/// What was done in the minute that began at a time, by the address group that asked for it.
#[derive(Debug)]
pub(super) struct Minute {
    began: Tick,
    total: u32,
    groups: BTreeMap<AddressGroup, u32>,
}

impl Minute {
    pub(super) const fn new(now: Tick) -> Self {
        Self { began: now, total: 0, groups: BTreeMap::new() }
    }

    /// Whether one more may be done because `group` asks; it counts if so.
    ///
    /// A group has at most its share. Once half of the minute's are done, the rest is for groups that have had none: a few
    /// that ask for all they can get leave as much as they take.
    pub(super) fn take(&mut self, group: AddressGroup, now: Tick, rate: Rate) -> bool {
        if now.since(self.began) >= MINUTE {
            *self = Self::new(now);
        }
        let had = self.groups.get(&group).copied().unwrap_or(0);
        let share = if self.total >= rate.per_min / 2 { 1 } else { rate.per_group };
        if self.total >= rate.per_min || had >= share {
            return false;
        }
        self.total = self.total.saturating_add(1);
        self.groups.insert(group, had.saturating_add(1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(n: u8) -> AddressGroup {
        AddressGroup::V4([11, n, 1])
    }

    fn taken(budget: &mut Minute, n: u8, wanted: usize, now: Tick) -> usize {
        let rate = Rate { per_min: 30, per_group: 10 };
        (0..wanted).filter(|_| budget.take(group(n), now, rate)).count()
    }

    #[test]
    fn one_group_has_its_share_and_no_more() {
        let mut budget = Minute::new(Tick::ZERO);
        assert_eq!(taken(&mut budget, 66, 1000, Tick::ZERO), 10);
        assert_eq!((1..=20).filter(|n| taken(&mut budget, *n, 1, Tick::ZERO) == 1).count(), 20);
        assert_eq!(taken(&mut budget, 99, 1, Tick::ZERO), 0, "thirty in all");
        let next = Tick::ZERO.after(MINUTE);
        assert_eq!(taken(&mut budget, 66, 1000, next), 10, "and again in the next minute");
    }

    #[test]
    fn a_few_greedy_groups_leave_half_to_others() {
        let mut budget = Minute::new(Tick::ZERO);
        let greedy: usize = (60..64).map(|n| taken(&mut budget, n, 1000, Tick::ZERO)).sum();
        assert_eq!(greedy, 17, "15, and one each for those who had none then");
        assert_eq!((1..=13).filter(|n| taken(&mut budget, *n, 1, Tick::ZERO) == 1).count(), 13);
    }
}
