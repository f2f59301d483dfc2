//! One greeted connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use starling_overlay::io::Remote;
use starling_overlay::seats::Standing;
use starling_proto::time::{Span, Tick};

use super::seats::Seat;
use crate::transport::{CloseCode, Connection};

/// A greeted connection and its use.
pub(crate) struct Link<C> {
    connection: C,
    remote: Remote,
    dialled: bool,
    began: Tick,
    /// Streams that are open, either way.
    active: AtomicUsize,
    /// When the last one ended, in ticks.
    used: AtomicU64,
    seat: Arc<Seat>,
}

impl<C: Connection> Link<C> {
    pub(crate) fn new(connection: C, dialled: bool, seat: Seat, now: Tick) -> Self {
        let remote = connection.remote();
        let used = AtomicU64::new(now.as_ms());
        let seat = Arc::new(seat);
        Self { connection, remote, dialled, began: now, active: AtomicUsize::new(0), used, seat }
    }

    pub(crate) const fn connection(&self) -> &C {
        &self.connection
    }

    pub(crate) const fn remote(&self) -> Remote {
        self.remote
    }

    pub(crate) const fn is_dialled(&self) -> bool {
        self.dialled
    }

    pub(crate) fn close(&self, code: CloseCode) {
        self.connection.close(code);
    }

    /// A stream begins.
    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream has ended.
    pub(crate) fn end(&self, now: Tick) {
        self.used.store(now.as_ms(), Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// How long no stream has been open; `None` if one is.
    pub(crate) fn idle(&self, now: Tick) -> Option<Span> {
        if self.active.load(Ordering::Relaxed) > 0 {
            return None;
        }
        Some(now.since(Tick::from_ms(self.used.load(Ordering::Relaxed))))
    }

    /// As those who share out the seats want to know it.
    pub(crate) fn standing(self: &Arc<Self>, now: Tick) -> Standing<Arc<Self>> {
        Standing {
            connection: Arc::clone(self),
            from: self.seat.group(),
            began: self.began,
            idle: self.idle(now),
        }
    }

    /// Its seat: free when the link is gone and the core has heard of it.
    pub(crate) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }
}
