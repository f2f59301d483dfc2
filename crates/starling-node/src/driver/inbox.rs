//! The queue into the core's thread: bounded, many writers, one reader that takes whatever waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What waits for the core.
///
/// Writers hold a permit for each thing they push (a call, a request, a command, a seat), so the queue cannot be full
/// unless a bound elsewhere is wrong; the capacity is the sum of those bounds, and [`Inbox::push`] still checks it.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There are items.
    Items,
    /// The time has come.
    TimedOut,
    /// The inbox is closed and empty.
    Closed,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new(), capacity }
    }

    /// Adds an item; gives it back if the inbox is closed or full.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.items.len() >= self.capacity {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Takes nothing more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for items until `until` (for ever if there is no time), and moves at most `most` of them into `into`.
    pub(crate) fn wait(&self, until: Option<Instant>, most: usize, into: &mut Vec<T>) -> Waited {
        let mut state = self.lock();
        loop {
            if !state.items.is_empty() {
                let count = most.min(state.items.len());
                into.extend(state.items.drain(..count));
                return Waited::Items;
            }
            if state.closed {
                return Waited::Closed;
            }
            match self.sleep(state, until) {
                Some(woken) => state = woken,
                None => return Waited::TimedOut,
            }
        }
    }

    /// Waits until `until` or until the inbox is closed, without taking anything; whether it is closed.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while !state.closed {
            match self.sleep(state, Some(until)) {
                Some(woken) => state = woken,
                None => return self.is_closed(),
            }
        }
        true
    }

    /// Sleeps until woken; `None` once `until` has come.
    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, State<T>>> {
        let Some(until) = until else {
            return Some(self.ready.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let woken = self.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        Some(woken.0)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A writer that panicked has either pushed or not: the queue is whole in both cases.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_batch_takes_at_most_so_many_in_order() {
        let inbox = Inbox::new(10);
        for n in 0..5 {
            inbox.push(n).unwrap();
        }
        let mut batch = Vec::new();
        assert_eq!(inbox.wait(None, 3, &mut batch), Waited::Items);
        assert_eq!(batch, [0, 1, 2]);
    }

    #[test]
    fn what_is_full_or_closed_gives_back() {
        let inbox = Inbox::new(1);
        inbox.push(1).unwrap();
        assert_eq!(inbox.push(2), Err(2));
        inbox.close();
        assert_eq!(inbox.push(3), Err(3));
        let mut batch = Vec::new();
        assert_eq!(inbox.wait(None, 9, &mut batch), Waited::Items);
        assert_eq!(inbox.wait(None, 9, &mut batch), Waited::Closed);
        assert_eq!(batch, [1]);
    }

    #[test]
    fn a_time_that_has_come_ends_the_wait() {
        let inbox: Inbox<u8> = Inbox::new(1);
        assert_eq!(inbox.wait(Some(Instant::now()), 1, &mut Vec::new()), Waited::TimedOut);
        assert!(!inbox.pause(Instant::now()));
    }

    #[test]
    fn a_writer_wakes_the_reader() {
        let inbox = Arc::new(Inbox::new(1));
        let reader = {
            let inbox = Arc::clone(&inbox);
            std::thread::spawn(move || {
                let mut batch = Vec::new();
                (inbox.wait(None, 1, &mut batch), batch)
            })
        };
        inbox.push(7).unwrap();
        assert_eq!(reader.join().unwrap(), (Waited::Items, vec![7]));
    }
}
