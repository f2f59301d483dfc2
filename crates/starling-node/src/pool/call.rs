//! Requests of ours: over a connection that stands, or a new one.

use std::sync::Arc;

use starling_core::io::Way;
use starling_overlay::io::{CallError, ChannelBinding};
use starling_proto::addr::Peer;
use starling_proto::frame::FrameKind;
use starling_proto::message::{Request, Response};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::Ungreeted;
use super::{Link, Pool};
use crate::clock::Clock;
use crate::frames::read_response;
use crate::limits;
use crate::transport::{CloseCode, Connection, SendHalf, Transport};

impl<T: Transport> Pool<T> {
    /// Asks a peer in the given way. A connection on which nothing at all arrived until the
    /// deadline is closed: its peer has most likely moved or gone.
    pub(crate) async fn call(
        &self,
        to: &Peer,
        request: &Request,
        way: Way,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        let Ok(frame) = request.to_frame() else {
            tracing::error!("the core's request is too long for its frame");
            return Err(CallError::Malformed);
        };
        let mut using = None;
        let outcome = timeout_at(deadline, async {
            match way {
                Way::Any => self.ask(to, request.kind(), &frame, &mut using).await,
                Way::Fresh => {
                    let link = using.insert(self.connect(to).await?);
                    exchange(link.link.connection(), request.kind(), &frame).await
                }
                Way::Only(binding) => {
                    let link = using.insert(self.bound(to, &binding).ok_or(CallError::Closed)?);
                    let connection = link.link.connection();
                    let answer = exchange(connection, request.kind(), &frame).await;
                    // Whoever asked forgets a connection that is closed: of this one only a stream has ended.
                    let stands = answer == Err(CallError::Closed) && !connection.is_ended();
                    if stands { Err(CallError::Malformed) } else { answer }
                }
            }
        });
        let outcome = outcome.await;
        match (outcome, using) {
            (Ok(answer), _) => answer,
            (Err(_), None) => Err(CallError::Unreachable),
            (Err(_), Some(using)) => {
                if using.is_silent() {
                    self.remove(&using.link, CloseCode::Silent);
                }
                Err(CallError::TimedOut)
            }
        }
    }

    /// Asks on a connection that stands; if that turns out to have ended, once more on a new one, since every request
    /// may be repeated.
    async fn ask(
        &self,
        to: &Peer,
        kind: FrameKind,
        frame: &[u8],
        using: &mut Option<Use<T::Connection>>,
    ) -> Result<Response, CallError> {
        let link = &using.insert(self.link(to).await?).link;
        let answer = exchange(link.connection(), kind, frame).await;
        if answer != Err(CallError::Closed) || !link.connection().is_ended() {
            return answer;
        }
        self.remove(link, CloseCode::Goodbye);
        *using = None;
        let link = &using.insert(self.link(to).await?).link;
        exchange(link.connection(), kind, frame).await
    }

    /// The newest connection to a peer, or a new one.
    async fn link(&self, to: &Peer) -> Result<Use<T::Connection>, CallError> {
        // A second round, because somebody else's dial may fail at addresses that are not ours.
        let mut failed = CallError::Unreachable;
        for _ in 0..2 {
            let (mut ended, ours) = match self.link_or_dial(to)? {
                Found::Link(found) => return Ok(found),
                Found::Dial { ended, ours } => (ended, ours),
            };
            while ended.changed().await.is_ok() {}
            if let Some(found) = self.newest(to) {
                return Ok(found);
            }
            failed = (*ended.borrow()).unwrap_or(CallError::Closed);
            if ours {
                break;
            }
        }
        Err(failed)
    }

    /// A connection, or the dial that will end in one; begins a dial if there is none.
    fn link_or_dial(&self, to: &Peer) -> Result<Found<T::Connection>, CallError> {
        if to.key() == self.0.transport.key() {
            return Err(CallError::Unreachable);
        }
        let mut book = self.book();
        if let Some(link) = book.of(&to.key()).last() {
            return Ok(Found::Link(Use::begin(link, self.0.clock)));
        }
        if let Some(ended) = book.dial(&to.key()) {
            return Ok(Found::Dial { ended, ours: false });
        }
        if to.addresses().is_empty() || self.is_stopping() {
            return Err(CallError::Unreachable);
        }
        let (ending, ended) = watch::channel(None);
        book.begin_dial(to.key(), ended.clone());
        tokio::spawn(self.clone().dial(to.clone(), ending));
        Ok(Found::Dial { ended, ours: true })
    }

    fn newest(&self, to: &Peer) -> Option<Use<T::Connection>> {
        let book = self.book();
        book.of(&to.key()).last().map(|link| Use::begin(link, self.0.clock))
    }

    /// The connection to a peer that has this binding.
    fn bound(&self, to: &Peer, binding: &ChannelBinding) -> Option<Use<T::Connection>> {
        let book = self.book();
        let bound = book.of(&to.key()).iter().find(|link| link.remote().binding == *binding)?;
        Some(Use::begin(bound, self.0.clock))
    }

    /// Dials, greets, and adds the connection; says how it ended by dropping `ending`.
    async fn dial(self, peer: Peer, ending: watch::Sender<Option<CallError>>) {
        let dialled = timeout(limits::DIAL_TIME, self.connect(&peer)).await;
        self.book().end_dial(&peer.key());
        if let Err(error) = dialled.unwrap_or(Err(CallError::Unreachable)) {
            tracing::debug!(?error, "a dial failed");
            ending.send_replace(Some(error));
        }
    }

    /// Opens a connection, whatever stands already.
    ///
    /// A dial of ours takes the path of a connection to the same peer, if one stands: so it shows that the *address* can
    /// be dialled only where there is none. Whoever checks addresses must ask peers that are not connected to it.
    async fn connect(&self, peer: &Peer) -> Result<Use<T::Connection>, CallError> {
        if peer.key() == self.0.transport.key() {
            return Err(CallError::Unreachable);
        }
        let _dial = self.0.dials.acquire().await.map_err(|_| CallError::Unreachable)?;
        let seat = self.seat().await.ok_or(CallError::Overloaded)?;
        let connection = self.0.transport.connect(peer).await.map_err(|_| CallError::Unreachable)?;
        let ungreeted = Ungreeted(Some(connection.clone()));
        let hello = self.greet_first(&connection).await.ok_or(CallError::Unreachable)?;
        if self.is_stopping() {
            return Err(CallError::Closed);
        }
        let link = self.add(connection, hello, true, seat);
        ungreeted.keep();
        Ok(Use::begin(&link, self.0.clock))
    }
}

enum Found<C: Connection> {
    Link(Use<C>),
    Dial { ended: watch::Receiver<Option<CallError>>, ours: bool },
}

/// A connection in use: not idle until this is dropped.
struct Use<C: Connection> {
    link: Arc<Link<C>>,
    clock: Clock,
    /// What had arrived when the use began.
    received: u64,
}

impl<C: Connection> Use<C> {
    fn begin(link: &Arc<Link<C>>, clock: Clock) -> Self {
        link.begin();
        Self { link: Arc::clone(link), clock, received: link.connection().received() }
    }

    /// Whether nothing has arrived since.
    fn is_silent(&self) -> bool {
        self.link.connection().received() == self.received
    }
}

impl<C: Connection> Drop for Use<C> {
    fn drop(&mut self) {
        self.link.end(self.clock.tick());
    }
}

/// One request and its answer on a stream of their own.
async fn exchange<C: Connection>(
    connection: &C,
    kind: FrameKind,
    frame: &[u8],
) -> Result<Response, CallError> {
    let (mut send, mut receive) = connection.open().await.map_err(|_| CallError::Closed)?;
    // A peer that refuses after the header stops the sending; its answer is there all the same.
    let _ = send.send_last(frame).await;
    read_response(&mut receive, kind).await
}
