//! The network side behind one narrow trait, so that another transport could be put in its place.
//!
//! A transport dials peers by node key, proves keys, opens streams, and says where it sees the other end. It knows
//! nothing of frames, greetings, pools or deadlines: those stand in [`crate::pool`] and hold for every transport.

mod quic;

use std::future::Future;
use std::net::SocketAddr;

use starling_overlay::io::Remote;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;

pub use quic::{BindFailed, QuicConnection, QuicIncoming, QuicTransport, log_target_is_ours};

/// A network that peers are dialled on.
pub trait Transport: Clone + Send + Sync + 'static {
    /// A proven connection.
    type Connection: Connection;
    /// A connection that somebody wants to open.
    type Incoming: Incoming<Connection = Self::Connection>;

    /// Our own node key.
    fn key(&self) -> NodeKey;

    /// Where peers on this machine, its links or the world may dial us, as far as the sockets tell.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// Connects to `peer` at whichever of its addresses answers first. Has no deadline of its own that callers may
    /// rely on; dropping the future gives up.
    fn connect(&self, peer: &Peer) -> impl Future<Output = Result<Self::Connection, ConnectFailed>> + Send;

    /// The next connection that somebody wants to open; `None` when the transport has been closed. What does not speak
    /// our protocol on our network is dropped here, silently.
    fn accept(&self) -> impl Future<Output = Option<Self::Incoming>> + Send;

    /// Ends the transport; returns when peers have been told or cannot be.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A connection that somebody wants to open; nothing is proven yet.
pub trait Incoming: Send + 'static {
    /// What it becomes.
    type Connection: Connection;

    /// The address that the packet claims to come from.
    fn address(&self) -> SocketAddr;

    /// Whether that address has shown that it receives what we send to it.
    fn address_proven(&self) -> bool;

    /// Has the address prove itself; it comes back as a new incoming connection.
    fn prove_address(self);

    /// Forgets it without a word.
    fn ignore(self);

    /// Says no: the other side fails at once instead of trying again.
    fn refuse(self);

    /// Does the handshake. Has no deadline; dropping the future gives up.
    fn accept(self) -> impl Future<Output = Result<Self::Connection, ConnectFailed>> + Send;
}

/// A connection whose other end has proven its node key. Clones are the same connection.
pub trait Connection: Clone + Send + Sync + 'static {
    /// The sending half of a stream.
    type Send: SendHalf;
    /// The receiving half of a stream.
    type Receive: ReceiveHalf;

    /// Who is at the other end, where, and what binds signatures to this connection.
    fn remote(&self) -> Remote;

    /// Opens a stream; waits while the peer allows no more.
    fn open(&self) -> impl Future<Output = Result<(Self::Send, Self::Receive), ConnectionEnded>> + Send;

    /// The next stream that the peer opens.
    fn accept(&self) -> impl Future<Output = Result<(Self::Send, Self::Receive), ConnectionEnded>> + Send;

    /// A number that grows with everything that arrives: if it has not grown, nothing came.
    fn received(&self) -> u64;

    /// Whether it has ended.
    fn is_ended(&self) -> bool;

    /// Ends the connection; streams on it fail at both ends.
    fn close(&self, code: CloseCode);
}

/// The sending half of a stream.
pub trait SendHalf: Send + 'static {
    /// Sends `frame` and says that nothing follows.
    fn send_last(&mut self, frame: &[u8]) -> impl Future<Output = Result<(), StreamEnded>> + Send;

    /// Gives up: what has not arrived will not.
    fn reset(&mut self);
}

/// The receiving half of a stream.
pub trait ReceiveHalf: Send + 'static {
    /// Fills `buffer`.
    fn receive(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<(), StreamEnded>> + Send;

    /// Waits for the end of the stream; `false` if there is another byte.
    fn ended(&mut self) -> impl Future<Output = Result<bool, StreamEnded>> + Send;

    /// Tells the peer not to send more.
    fn stop(&mut self);
}

/// No connection came about: nobody there, another key, another network, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no connection came about")]
pub struct ConnectFailed;

/// The connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct ConnectionEnded;

/// The stream or its connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream has ended")]
pub struct StreamEnded;

/// Why we end a connection, for the other side's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCode {
    /// The node ends.
    Goodbye,
    /// Nothing was asked for long.
    Idle,
    /// We have too many connections.
    Full,
    /// No greeting came, or none that we understand.
    NotGreeted,
    /// Nothing at all arrived while an answer was due.
    Silent,
    /// A newer connection of the same peer takes its place.
    Replaced,
}

impl CloseCode {
    /// The application error code on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Goodbye => 1,
            Self::Idle => 2,
            Self::Full => 3,
            Self::NotGreeted => 4,
            Self::Silent => 5,
            Self::Replaced => 6,
        }
    }
}
