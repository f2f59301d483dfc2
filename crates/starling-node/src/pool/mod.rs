//! Connections to peers: dialled when needed, greeted, shared by all requests, closed when idle, bounded.
//!
//! Between two peers there is at most one dial of ours at a time and mostly one connection; when both dial at once both
//! connections stand, and either is used. The core hears of each connection once both sides have greeted, and of the
//! end when the last one is gone.

mod accept;
mod book;
mod call;
mod greet;
mod link;
mod seats;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starling_overlay::seats::{Full, Seats as Places, Standing};
use starling_proto::message::{Hello, Mode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::counts::Counters;
use crate::driver::Item;
use crate::driver::inbox::Inbox;
use crate::limits::{self, Limits};
use crate::transport::{CloseCode, Transport};

pub(crate) use book::Book;
pub(crate) use link::Link;
pub(crate) use seats::{Seat, Seats};

/// Held by a peer's request until its answer has left: shared by the core's side and the stream's.
pub(crate) type InboundPermit = Arc<OwnedSemaphorePermit>;

/// The pool; clones are the same one.
pub(crate) struct Pool<T: Transport>(Arc<Shared<T>>);

impl<T: Transport> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What all tasks of the pool share.
struct Shared<T: Transport> {
    transport: T,
    inbox: Arc<Inbox<Item>>,
    clock: Clock,
    limits: Limits,
    counters: Counters,
    seats: Seats,
    book: Mutex<Book<T::Connection>>,
    greeting: Mutex<Greeting>,
    /// Peers' requests under way.
    inbound: Arc<Semaphore>,
    /// Bytes of request bodies being read.
    reading: Semaphore,
    /// Dials under way.
    dials: Semaphore,
    /// Incoming handshakes under way.
    handshakes: Arc<Semaphore>,
    /// Set when the node ends.
    stopping: watch::Sender<bool>,
}

/// How we greet.
#[derive(Debug, Clone)]
struct Greeting {
    mode: Mode,
    addresses: Vec<SocketAddr>,
}

impl<T: Transport> Pool<T> {
    /// A pool that accepts nothing yet. Before the core says otherwise it greets as a client without addresses.
    pub(crate) fn new(
        transport: T,
        inbox: Arc<Inbox<Item>>,
        clock: Clock,
        limits: Limits,
        counters: Counters,
    ) -> Self {
        Self(Arc::new(Shared {
            transport,
            inbox,
            clock,
            limits,
            counters,
            seats: Seats::new(limits.seats),
            book: Mutex::new(Book::default()),
            greeting: Mutex::new(Greeting { mode: Mode::Client, addresses: Vec::new() }),
            inbound: Arc::new(Semaphore::new(limits.inbound)),
            reading: Semaphore::new(limits::READING),
            dials: Semaphore::new(limits::DIALS),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Accepts connections and closes idle ones until [`Self::hang_up`].
    pub(crate) fn start(&self) {
        tokio::spawn(self.clone().accept_all());
        tokio::spawn(self.clone().sweep());
    }

    /// Greets like this from now on.
    pub(crate) fn greet_as(&self, mode: Mode, addresses: Vec<SocketAddr>) {
        *lock(&self.0.greeting) = Greeting { mode, addresses };
    }

    /// Takes no more connections and ends those that stand.
    pub(crate) fn hang_up(&self) {
        self.0.stopping.send_replace(true);
        for link in self.book().all() {
            link.close(CloseCode::Goodbye);
        }
    }

    /// Hangs up and ends the transport.
    pub(crate) async fn stop(&self) {
        self.hang_up();
        self.0.transport.close().await;
    }

    fn book(&self) -> MutexGuard<'_, Book<T::Connection>> {
        lock(&self.0.book)
    }

    fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Resolves when the node ends.
    async fn stopping(&self) {
        // The sender lives as long as the pool, so waiting ends only with the value.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Takes in a greeted connection and tells the core.
    fn add(
        &self,
        connection: T::Connection,
        hello: Hello,
        dialled: bool,
        seat: Seat,
    ) -> Arc<Link<T::Connection>> {
        let link = Arc::new(Link::new(connection, dialled, seat, self.0.clock.tick()));
        {
            let mut book = self.book();
            if !dialled {
                self.make_room(&mut book, &link);
            }
            book.add(Arc::clone(&link));
            // Inside the lock, so that ups and downs of one peer reach the core in the order in which they happen.
            let up = Item::PeerUp { remote: link.remote(), hello, dialled, _seat: link.seat() };
            if self.0.inbox.push(up).is_err() {
                link.close(CloseCode::Goodbye);
            }
        }
        tracing::debug!(dialled, "a connection is up");
        tokio::spawn(self.clone().serve(Arc::clone(&link)));
        link
    }

    /// Closes the oldest incoming connection of a peer that has too many.
    fn make_room(&self, book: &mut Book<T::Connection>, link: &Link<T::Connection>) {
        let key = link.remote().key;
        let accepted: Vec<_> = book.of(&key).iter().filter(|other| !other.is_dialled()).cloned().collect();
        let spare = accepted.len().saturating_add(1).saturating_sub(self.0.limits.incoming_per_key);
        for old in accepted.iter().take(spare) {
            // Not the last one: `link` follows, so the core hears of no end.
            book.remove(old);
            old.close(CloseCode::Replaced);
        }
    }

    /// Takes a connection out and ends it; tells the core if it was the peer's last.
    fn remove(&self, link: &Arc<Link<T::Connection>>, code: CloseCode) {
        let mut book = self.book();
        self.remove_from(&mut book, link, code);
    }

    fn remove_from(&self, book: &mut Book<T::Connection>, link: &Arc<Link<T::Connection>>, code: CloseCode) {
        link.close(code);
        let key = link.remote().key;
        if !book.remove(link) || !book.of(&key).is_empty() {
            return;
        }
        if self.0.inbox.push(Item::PeerDown { key, _seat: link.seat() }).is_err() {
            tracing::debug!("the core has ended before a connection did");
        }
    }

    /// Closes idle connections from time to time.
    async fn sweep(self) {
        let mut times = tokio::time::interval(self.0.limits.idle_sweep);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = times.tick() => self.close_idle(),
                () = self.stopping() => return,
            }
        }
    }

    fn close_idle(&self) {
        let now = self.0.clock.tick();
        let mut book = self.book();
        for link in book.all() {
            let allowed = if link.is_dialled() { self.0.limits.idle } else { self.0.limits.idle_accepted };
            if link.idle(now).is_some_and(|idle| Duration::from_millis(idle.as_ms()) >= allowed) {
                self.remove_from(&mut book, &link, CloseCode::Idle);
            }
        }
    }

    /// A seat for a dial; the connection that has been idle longest makes room if there is none.
    async fn seat(&self) -> Option<Seat> {
        self.seat_or_room(|seats| seats.outgoing(), |_, standing| Places::room_for_dial(standing)).await
    }

    /// A seat for a connection from `address`; one that is idle makes room if there is none and one may.
    async fn seat_for(&self, address: &SocketAddr) -> Option<Seat> {
        let take = |seats: &Seats| seats.incoming(address);
        self.seat_or_room(take, |seats, standing| seats.room_for(address, standing)).await
    }

    /// Takes a seat; if there is none, closes one connection that may be closed for it, and waits.
    async fn seat_or_room(
        &self,
        take: impl Fn(&Seats) -> Result<Seat, Full>,
        choose: impl Fn(&Seats, Vec<Standing<Arc<Link<T::Connection>>>>) -> Option<Arc<Link<T::Connection>>>,
    ) -> Option<Seat> {
        let mut evicted = false;
        loop {
            let freed = self.0.seats.freed();
            if let Ok(seat) = take(&self.0.seats) {
                return Some(seat);
            }
            if !evicted {
                let now = self.0.clock.tick();
                let mut book = self.book();
                let standing = book.all().iter().map(|link| link.standing(now)).collect();
                let link = choose(&self.0.seats, standing)?;
                self.remove_from(&mut book, &link, CloseCode::Full);
                evicted = true;
            }
            // The seat is free once the core has heard of the end.
            freed.await;
        }
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    // No code that holds these locks can panic, so a poisoned one holds whole values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
