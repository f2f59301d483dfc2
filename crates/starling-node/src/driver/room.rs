//! Whether the disk is full, and when to try again whether it is.

use std::time::{Duration, Instant};

use crate::limits;

/// What is known of the room on the disk: it counts as full from the first write that found none until a trial has
/// succeeded, whatever smaller writes did in between.
#[derive(Debug, Default)]
pub(super) struct Room {
    full: Option<Full>,
}

#[derive(Debug)]
struct Full {
    /// When to try; `None` if that is beyond what the clock can count.
    trial: Option<Instant>,
    /// How long the wait for it was.
    wait: Duration,
}

impl Room {
    pub(super) const fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// A write found no room. True if that is news.
    pub(super) fn ran_out(&mut self, now: Instant) -> bool {
        let news = self.full.is_none();
        if news {
            self.full = Some(Full::after(limits::TRIAL_MIN, now));
        }
        news
    }

    /// When to try whether there is room.
    pub(super) fn next_trial(&self) -> Option<Instant> {
        self.full.as_ref().and_then(|full| full.trial)
    }

    /// A trial has ended. True if there is room from now on.
    pub(super) fn tried(&mut self, has_room: bool, now: Instant) -> bool {
        let wait = self.full.as_ref().map_or(Duration::ZERO, |full| full.wait);
        let longer = wait.saturating_mul(2).min(limits::TRIAL_MAX);
        self.full = (!has_room).then(|| Full::after(longer, now));
        has_room
    }
}

impl Full {
    fn after(wait: Duration, now: Instant) -> Self {
        Self { trial: now.checked_add(wait), wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_news_once_until_there_is_room() {
        let (mut room, now) = (Room::default(), Instant::now());
        assert!(!room.is_full() && room.next_trial().is_none());
        assert!(room.ran_out(now) && !room.ran_out(now));
        assert!(!room.tried(false, now) && !room.ran_out(now));
        assert!(room.tried(true, now) && !room.is_full());
        assert!(room.ran_out(now));
    }

    #[test]
    fn trials_become_rarer_and_do_not_cease() {
        let (mut room, mut now) = (Room::default(), Instant::now());
        room.ran_out(now);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let next = room.next_trial().unwrap();
            waits.push(next.duration_since(now).as_secs());
            now = next;
            room.tried(false, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn another_failure_does_not_put_the_trial_off() {
        let (mut room, now) = (Room::default(), Instant::now());
        room.ran_out(now);
        let due = room.next_trial();
        room.ran_out(now + Duration::from_millis(900));
        assert_eq!(room.next_trial(), due);
    }
}
