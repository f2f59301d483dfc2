//! The event stream: the last events, each with a cursor from which a reader can go on.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_core::io::Event;
use tokio::sync::watch;

use crate::limits;

/// A place in the event stream: `<boot>-<number>`, in hexadecimal and decimal. Good as long as the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    boot: u64,
    number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.boot, self.number)
    }
}

/// Not a cursor: it must be one that an event came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor as it stood at an event")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (boot, number) = text.split_once('-').ok_or(BadCursor)?;
        if boot.len() != 16 || boot.starts_with('+') || number.starts_with('+') {
            return Err(BadCursor);
        }
        let boot = u64::from_str_radix(boot, 16).map_err(|_| BadCursor)?;
        Ok(Self { boot, number: number.parse().map_err(|_| BadCursor)? })
    }
}

/// What a reader of the stream gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Where to go on after this.
    pub cursor: Cursor,
    /// What happened.
    pub what: News,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// An event.
    Event(Event),
    /// Events are missing here: the reader was too slow, or its cursor is of another run. Read everything anew.
    Resync,
}

/// The last [`limits::EVENTS`] events.
#[derive(Debug, Clone)]
pub(crate) struct EventLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    boot: u64,
    ring: Mutex<Ring>,
    /// The number of the next event; closed when the node ends.
    next: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    /// The number of the event after the last.
    next: u64,
    ended: bool,
}

impl Ring {
    /// The number of the oldest event that is still here.
    fn oldest(&self) -> u64 {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        self.next.saturating_sub(kept)
    }
}

impl EventLog {
    /// `boot`: a random number that tells this run from others.
    pub(crate) fn new(boot: u64) -> Self {
        let next = watch::Sender::new(0);
        Self { shared: Arc::new(Shared { boot, ring: Mutex::default(), next }) }
    }

    pub(crate) fn publish(&self, event: Event) {
        let mut ring = self.shared.lock();
        if ring.events.len() >= limits::EVENTS {
            ring.events.pop_front();
        }
        ring.events.push_back(event);
        ring.next = ring.next.saturating_add(1);
        let next = ring.next;
        drop(ring);
        self.shared.next.send_replace(next);
    }

    /// Nothing more will come: readers get what is left and then the end.
    pub(crate) fn end(&self) {
        self.shared.lock().ended = true;
        self.shared.next.send_modify(|_| ());
    }

    /// A reader from after `since`, or from now on.
    pub(crate) fn subscribe(&self, since: Option<Cursor>) -> EventStream {
        let ring = self.shared.lock();
        let known = since.map(|since| since.boot == self.shared.boot && since.number <= ring.next);
        let next = match (since, known) {
            (Some(since), Some(true)) => since.number,
            _ => ring.next,
        };
        let resync = known == Some(false);
        drop(ring);
        EventStream { shared: Arc::clone(&self.shared), wake: self.shared.next.subscribe(), next, resync }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        // No code that holds the lock can panic, so a poisoned lock holds a whole ring.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of the event stream. One that is slower than [`limits::EVENTS`] events gets [`News::Resync`] and goes on
/// with what comes after.
#[derive(Debug)]
pub struct EventStream {
    shared: Arc<Shared>,
    wake: watch::Receiver<u64>,
    next: u64,
    resync: bool,
}

impl EventStream {
    /// The place behind which this reader goes on: that of the event it got last, or where it began.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { boot: self.shared.boot, number: self.next }
    }

    /// The next event, as soon as there is one; `None` when the node has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Published> {
        loop {
            self.wake.mark_unchanged();
            if let Some(ready) = self.take() {
                return ready;
            }
            self.wake.changed().await.ok()?;
        }
    }

    /// What is there now: `Some(None)` for the end, `None` if there is nothing yet.
    fn take(&mut self) -> Option<Option<Published>> {
        let ring = self.shared.lock();
        if self.resync || self.next < ring.oldest() {
            self.resync = false;
            self.next = ring.next;
            let cursor = Cursor { boot: self.shared.boot, number: self.next };
            return Some(Some(Published { cursor, what: News::Resync }));
        }
        let index = usize::try_from(self.next.saturating_sub(ring.oldest())).unwrap_or(usize::MAX);
        let Some(event) = ring.events.get(index) else {
            return ring.ended.then_some(None);
        };
        let what = News::Event(event.clone());
        self.next = self.next.saturating_add(1);
        Some(Some(Published { cursor: Cursor { boot: self.shared.boot, number: self.next }, what }))
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::NodeKey;

    use super::*;

    fn event(n: u8) -> Event {
        Event::PeerUp(NodeKey::new([n; 32]))
    }

    async fn next_event(stream: &mut EventStream) -> Event {
        match stream.next().await.unwrap().what {
            News::Event(event) => event,
            News::Resync => panic!("resync"),
        }
    }

    #[tokio::test]
    async fn a_reader_goes_on_after_its_cursor() {
        let log = EventLog::new(7);
        let mut first = log.subscribe(None);
        log.publish(event(1));
        log.publish(event(2));
        let cursor = first.next().await.unwrap().cursor;
        assert_eq!(cursor.to_string(), "0000000000000007-1");
        let mut again = log.subscribe(Some(cursor.to_string().parse().unwrap()));
        assert_eq!(next_event(&mut again).await, event(2));
    }

    #[tokio::test]
    async fn a_cursor_of_another_run_or_of_the_future_asks_for_a_resync() {
        let log = EventLog::new(7);
        for text in ["0000000000000008-0", "0000000000000007-1"] {
            let mut stream = log.subscribe(Some(text.parse().unwrap()));
            assert_eq!(stream.next().await.unwrap().what, News::Resync);
        }
    }

    #[tokio::test]
    async fn a_reader_that_lags_gets_one_resync_and_then_what_is_new() {
        let log = EventLog::new(7);
        let mut slow = log.subscribe(None);
        for _ in 0..=limits::EVENTS {
            log.publish(event(0));
        }
        assert_eq!(slow.next().await.unwrap().what, News::Resync);
        log.publish(event(9));
        assert_eq!(next_event(&mut slow).await, event(9));
        assert_eq!(log.shared.lock().events.len(), limits::EVENTS);
    }

    #[tokio::test]
    async fn the_end_comes_after_the_last_event() {
        let log = EventLog::new(7);
        let mut stream = log.subscribe(None);
        let reader = tokio::spawn(async move { (stream.next().await, stream.next().await) });
        log.publish(event(1));
        log.end();
        let (first, second) = reader.await.unwrap();
        assert!(first.is_some() && second.is_none());
    }

    #[test]
    fn bad_cursors_are_refused() {
        for text in
            ["", "7-1", "0000000000000007", "0000000000000007-", "0000000000000007--1", "000000000000000g-1"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
