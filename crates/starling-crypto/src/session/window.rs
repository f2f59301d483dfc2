//! Which messages of one direction have come: what to open, what to hold back, what was seen.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use starling_proto::limits;

/// The sequence numbers that have been opened, kept as "all below `next` but the missing ones".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ReceiveWindow {
    next: u64,
    missing: BTreeSet<u64>,
}

/// What to do with a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Open it.
    Open,
    /// It was opened before.
    Seen,
    /// Opening it would leave more than [`limits::SKIPPED`] behind, and the ratchet would lose the oldest.
    TooFar,
}

impl ReceiveWindow {
    /// Restores what [`Self::parts`] gave; `None` if it cannot have.
    pub(super) fn from_parts(next: u64, missing: Vec<u64>) -> Option<Self> {
        let missing: BTreeSet<u64> = missing.into_iter().collect();
        let sound = missing.len() <= limits::SKIPPED && missing.last().is_none_or(|last| *last < next);
        sound.then_some(Self { next, missing })
    }

    /// Everything below the first has been opened but for the second.
    pub(super) fn parts(&self) -> (u64, Vec<u64>) {
        (self.next, self.missing.iter().copied().collect())
    }

    pub(super) fn place(&self, sequence: u64) -> Place {
        if sequence < self.next {
            return if self.missing.contains(&sequence) { Place::Open } else { Place::Seen };
        }
        let skipped = sequence.saturating_sub(self.next).saturating_add(self.missing.len() as u64);
        if skipped > limits::SKIPPED as u64 || sequence == u64::MAX { Place::TooFar } else { Place::Open }
    }

    /// Notes that `sequence`, whose place was [`Place::Open`], has been opened.
    pub(super) fn opened(&mut self, sequence: u64) {
        if sequence < self.next {
            self.missing.remove(&sequence);
        } else {
            self.missing.extend(self.next..sequence);
            self.next = sequence.saturating_add(1);
        }
    }

    /// No longer waits for these. Those beyond `next` count only if they follow on it.
    pub(super) fn give_up(&mut self, sequences: RangeInclusive<u64>) {
        let (first, last) = sequences.into_inner();
        self.missing.retain(|sequence| *sequence < first || *sequence > last);
        if first <= self.next && self.next <= last && last < u64::MAX {
            self.next = last.saturating_add(1);
        }
    }

    /// Runs of missing numbers, ascending, with all below `held` that has not come: (first, last).
    pub(super) fn gaps(&self, held: Option<u64>) -> Vec<(u64, u64)> {
        let mut gaps: Vec<(u64, u64)> = Vec::new();
        for sequence in &self.missing {
            match gaps.last_mut() {
                Some((_, last)) if last.saturating_add(1) == *sequence => *last = *sequence,
                _ => gaps.push((*sequence, *sequence)),
            }
        }
        if let Some(last) = held.and_then(|held| held.checked_sub(1)).filter(|last| *last >= self.next) {
            match gaps.last_mut() {
                Some((_, end)) if end.saturating_add(1) == self.next => *end = last,
                _ => gaps.push((self.next, last)),
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forty_may_be_missing_and_not_one_more() {
        let mut window = ReceiveWindow::default();
        assert_eq!(window.place(41), Place::TooFar);
        assert_eq!(window.place(40), Place::Open);
        window.opened(40);
        assert_eq!(window.place(41), Place::Open);
        assert_eq!(window.place(42), Place::TooFar);
        window.opened(7);
        assert_eq!(window.place(42), Place::Open);
        assert_eq!((window.place(7), window.place(40)), (Place::Seen, Place::Seen));
        assert_eq!(window.gaps(Some(45)), [(0, 6), (8, 39), (41, 44)]);
    }

    #[test]
    fn given_up_numbers_make_room() {
        let mut window = ReceiveWindow::default();
        window.opened(3);
        window.give_up(0..=199);
        assert_eq!(window.place(200), Place::Open);
        assert_eq!(window.place(2), Place::Seen);
        window.give_up(500..=600);
        assert_eq!(window.place(200), Place::Open);
        assert!(window.gaps(None).is_empty());
    }

    #[test]
    fn the_last_number_there_is_breaks_nothing() {
        let mut window = ReceiveWindow::default();
        assert_eq!(window.place(u64::MAX), Place::TooFar);
        window.give_up(0..=u64::MAX);
        window.give_up(0..=u64::MAX - 1);
        assert_eq!(window.place(u64::MAX), Place::TooFar);
        assert_eq!(window.gaps(Some(u64::MAX)), []);
    }

    #[test]
    fn unsound_state_is_not_restored() {
        assert_eq!(ReceiveWindow::from_parts(3, vec![3]), None);
        assert_eq!(ReceiveWindow::from_parts(100, (0..41).collect()), None);
    }

    proptest! {
        /// Against the plain set of everything that was opened.
        #[test]
        fn each_number_is_opened_once(offers in proptest::collection::vec(0u64..90, 0..200)) {
            let (mut window, mut opened) = (ReceiveWindow::default(), BTreeSet::new());
            for sequence in offers {
                let place = window.place(sequence);
                prop_assert_eq!(place == Place::Seen, opened.contains(&sequence));
                if place == Place::Open {
                    window.opened(sequence);
                    opened.insert(sequence);
                }
                let (next, missing) = window.parts();
                prop_assert!(missing.len() <= limits::SKIPPED);
                prop_assert_eq!((0..next).filter(|n| !opened.contains(n)).collect::<Vec<_>>(), missing.clone());
                prop_assert_eq!(ReceiveWindow::from_parts(next, missing), Some(window.clone()));
            }
        }
    }
}
