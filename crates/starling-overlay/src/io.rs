//! What goes into the overlay and what comes out: one closed enum each.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Hello, Mode, Request, Response, StoreOutcome};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use crate::sampling::{Sample, Samples, Shown};

/// A request of ours on its way; comes back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A request of a peer that waits for our reply; chosen by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboundId(pub u64);

/// A command that was given; chosen by whoever gives it, comes back with its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// What the TLS session exports: the same on both ends of one connection and on no other.
pub type ChannelBinding = [u8; limits::CHANNEL_BINDING];

/// Who sent something, as the connection proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// The node key that the handshake proved.
    pub key: NodeKey,
    /// The address at the other end.
    pub address: SocketAddr,
    /// The connection's binding.
    pub binding: ChannelBinding,
}

/// Why a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CallError {
    /// None of the peer's addresses took a connection.
    Unreachable,
    /// No answer within the deadline.
    TimedOut,
    /// The connection ended first.
    Closed,
    /// The answer was not well formed, or of another kind.
    Malformed,
    /// Our own queue is full.
    Overloaded,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection stands and both sides have greeted. Comes once for each connection, before any request or answer
    /// that used it; greetings that follow on the same connection come as [`Input::Request`].
    PeerUp {
        /// The peer.
        remote: Remote,
        /// What it said.
        hello: Hello,
        /// Whether we dialled. A peer that we have not dialled shows that we can be reached.
        dialled: bool,
    },
    /// The last connection to a peer ended.
    PeerDown(NodeKey),
    /// A peer asks something; exactly one [`Output::Reply`] follows, at once or later.
    Request {
        /// Who asks.
        remote: Remote,
        /// Which reply this waits for.
        inbound: InboundId,
        /// What is asked.
        request: Request,
    },
    /// A request of ours has ended.
    Answer {
        /// Which one.
        call: CallId,
        /// How.
        answer: Result<Response, CallError>,
    },
    /// Somebody above wants something.
    Command {
        /// Comes back in [`Output::Done`].
        op: OpId,
        /// What is wanted.
        command: Command,
    },
    /// The time that `next_timeout` named has come.
    Timer,
}

/// Something wanted from above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Enter the network through these peers and those known from before.
    Join(Vec<Peer>),
    /// Find the peers closest to a place.
    Lookup {
        /// The place.
        target: NodeId,
        /// How many; up to 80 come back from a place where identities were made, or peers are kept from us.
        width: usize,
    },
    /// Place a record.
    Store(Record),
    /// Find records.
    Fetch {
        /// Where they are kept.
        key: RecordKey,
        /// Which kind.
        kind: RecordKind,
    },
    /// Search the directory at one index key.
    Query {
        /// The index key.
        key: RecordKey,
        /// All the words, folded.
        words: Vec<String>,
    },
    /// Ask some holders of a record whether they keep it.
    Sample(Sample),
    /// Have another peer do something in our place, so that holders do not see who wants it. It ends as if we had done it
    /// ourselves, or with [`OpResult::NotPassed`].
    PassOn {
        /// What.
        favour: Favour,
        /// Peers that are not to be asked: they know something else of us.
        avoid: Vec<NodeKey>,
    },
}

/// What another peer can do in our place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Favour {
    /// Place a record. Others still are asked then whether holders show it.
    Store(Record),
    /// Find records.
    Fetch {
        /// Where they are kept.
        key: RecordKey,
        /// Which kind.
        kind: RecordKind,
    },
    /// Search the directory at one index key.
    Query {
        /// The index key.
        key: RecordKey,
        /// All the words, folded.
        words: Vec<String>,
    },
}

/// Why nobody has done something in our place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NotPassed {
    /// We know nobody who may be asked.
    Nobody,
    /// All who were asked have too much to do.
    Busy,
    /// Nobody who was asked has answered.
    Silence,
    /// Somebody says that it is done, and no other has confirmed it: the same is to be tried again.
    Unproven,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask a peer, dialling it if there is no connection; exactly one [`Input::Answer`] follows.
    Call {
        /// Comes back with the answer.
        call: CallId,
        /// Whom.
        to: Peer,
        /// What.
        request: Request,
        /// After this long without an answer it has failed, dialling included.
        deadline: Span,
        /// Whether a standing connection must not be used: a new one shows whether the peer can be dialled.
        fresh: bool,
    },
    /// Answer a peer.
    Reply {
        /// Which request.
        inbound: InboundId,
        /// The answer.
        response: Response,
        /// Whether it may leave before the commit: it tells of nothing that this batch changed.
        stateless: bool,
    },
    /// How to greet on new connections from now on. The shell fills in what it observes, and the clock, and leaves out
    /// the addresses that [`AddressGroup::may_be_told_to`](crate::group::AddressGroup::may_be_told_to) keeps from the
    /// peer. Peers that are connected already are told by a [`Request::Hello`] of the overlay's own.
    Greet {
        /// Whether we serve.
        mode: Mode,
        /// Where we believe that we can be dialled.
        addresses: Vec<SocketAddr>,
    },
    /// A command has ended.
    Done {
        /// Which one.
        op: OpId,
        /// How.
        result: OpResult,
    },
    /// Something that those above may want to know.
    Event(Event),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// [`Command::Join`]: how many peers the table holds; 0 means that nobody answered.
    Joined {
        /// Peers in the table.
        peers: usize,
    },
    /// [`Command::Lookup`].
    Found {
        /// The closest peers that answered, closest first.
        peers: Vec<Peer>,
        /// What it cost, in requests.
        requests: u32,
    },
    /// [`Command::Store`].
    Stored(Placement),
    /// [`Command::Fetch`]: verified records, one for each publisher (every one of them for deposits).
    Fetched {
        /// The records.
        records: Vec<Record>,
        /// How many holders answered.
        holders: usize,
        /// What it cost, in requests.
        requests: u32,
    },
    /// [`Command::Query`]: verified entries that match, one for each publisher.
    Matched {
        /// The entries.
        records: Vec<Record>,
        /// The most that any one holder said it left out.
        left_out: u32,
        /// Holders that answered.
        holders: Vec<NodeKey>,
        /// What it cost, in requests.
        requests: u32,
    },
    /// [`Command::Sample`]: what each of those that were asked has shown; nothing if nobody can be asked, since we are
    /// cut off.
    Sampled(Vec<(NodeKey, Shown)>),
    /// [`Command::PassOn`]: it was not done. Nobody else was asked in place of go-betweens.
    NotPassed(NotPassed),
    /// Too much was wanted at once: nothing was done, and the command may be given again later.
    Overloaded,
}

/// Where a record came to lie, truthfully.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The record.
    pub id: RecordId,
    /// Peers that said "on disk", ourselves included when we keep it.
    pub holders: Vec<NodeKey>,
    /// Peers of which somebody else says that they keep it, and some of which have shown it to yet another peer.
    pub unnamed: usize,
    /// How many were to hold it: the width, or every server there is in a small network.
    pub wanted: usize,
    /// What the others said.
    pub refused: Vec<(NodeKey, StoreOutcome)>,
    /// Whether too few address groups exist for the caps, so that they were relaxed.
    pub caps_relaxed: bool,
    /// What it cost, in requests.
    pub requests: u32,
    /// What those holders can be asked later; ourselves we need not ask.
    pub samples: Samples,
}

impl Placement {
    /// How many keep it, ourselves included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.holders.len().saturating_add(self.unnamed)
    }

    /// How many keep it besides `me`.
    #[must_use]
    pub fn others(&self, me: &NodeKey) -> usize {
        self.count().saturating_sub(usize::from(self.holders.contains(me)))
    }
}

/// Something that happened inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer greeted.
    PeerUp(NodeKey),
    /// A peer's last connection ended.
    PeerDown(NodeKey),
    /// The routing table has its first contact, for the first time or again: what found nobody may find somebody.
    Acquainted,
    /// We serve from now on, or no longer.
    ModeChanged(Mode),
    /// Several unrelated peers agree on where they see us.
    AddressObserved(SocketAddr),
    /// Something was deposited at a mailbox that an owner connected here has subscribed to.
    Deposited(RecordKey),
}
