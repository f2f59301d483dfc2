//! What goes into the core and what comes out: one closed enum each.
//!
//! The shell hands over [`Input`]s with the time and a random generator, commits, and then carries out the
//! [`Output`]s. Nothing else passes between them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_crypto::stamp::{StampPolicy, StampSubject};
use starling_overlay::io::{CallError, ChannelBinding, InboundId, Remote};
use starling_proto::addr::{JoinAddr, Peer};
use starling_proto::ids::NodeKey;
use starling_proto::message::{Hello, Mode, Request, Response};
use starling_proto::record::Stamp;
use starling_proto::time::{Month, Span};

use crate::view::{Profile, SearchResults, Status, WhoAmI};

/// A request of ours on its way, and the machine that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallId {
    /// Sent by the overlay.
    Overlay(starling_overlay::io::CallId),
}

/// A user's command that waits for its result; chosen by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// Heavy work on its way; comes back with its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A connection stands and both sides have greeted.
    PeerUp {
        /// The peer.
        remote: Remote,
        /// What it said.
        hello: Hello,
        /// Whether we dialled.
        dialled: bool,
    },
    /// The last connection to a peer ended.
    PeerDown(NodeKey),
    /// A peer asks something; exactly one [`Output::Reply`] follows.
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
    /// The user wants something; exactly one [`Output::Result`] follows.
    Command {
        /// Comes back with the result.
        id: CommandId,
        /// What is wanted.
        command: Command,
    },
    /// Heavy work is done.
    JobDone {
        /// Which.
        job: JobId,
        /// Its result.
        result: JobResult,
    },
    /// The time that `Core::next_timeout` named has come.
    Timer,
}

/// What the user wants. Every face and every script comes through here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Enter the network through these peers, and those known from before.
    Join(Vec<JoinAddr>),
    /// What is going on?
    Status,
    /// Who am I?
    WhoAmI,
    /// What do I say about myself?
    ShowProfile,
    /// Change what I say about myself; absent fields stay.
    SetProfile {
        /// The name.
        name: Option<String>,
        /// The about text.
        about: Option<String>,
        /// The keywords.
        keywords: Option<Vec<String>>,
    },
    /// Appear in the directory, or no longer.
    SetListed(bool),
    /// Find people by words or beginnings of words.
    Search {
        /// What the user typed, a word each.
        words: Vec<String>,
        /// How many results.
        limit: usize,
    },
    /// Say goodbye: the process is about to end.
    SignOff,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CommandOutput {
    /// To [`Command::Join`]: peers in the table; 0 means that nobody answered.
    Joined {
        /// Peers in the table.
        peers: usize,
    },
    /// To [`Command::Status`].
    Status(Status),
    /// To [`Command::WhoAmI`].
    WhoAmI(WhoAmI),
    /// To [`Command::ShowProfile`], [`Command::SetProfile`] and [`Command::SetListed`].
    Profile(Profile),
    /// To [`Command::Search`].
    Search(SearchResults),
    /// To [`Command::SignOff`]: everything that was to be said has been handed to the shell.
    SignedOff,
}

/// Why a command was refused. The message is for the user: what happened, the likely cause, the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// For programs.
    pub code: ErrorCode,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What kind of refusal: the exit code and the HTTP status follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The command's words are off.
    BadInput,
    /// There is nothing of that name.
    NotFound,
    /// It does not go with what is there: already a contact, already listed.
    Conflict,
    /// Nobody answered in time.
    TimedOut,
    /// The disk is full or the database failed.
    Storage,
    /// Anything else.
    Failed,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Ask a peer, dialling it if there is no connection; exactly one [`Input::Answer`] follows.
    Call {
        /// Comes back with the answer.
        call: CallId,
        /// Whom.
        to: Peer,
        /// What.
        request: Request,
        /// On which connection.
        way: Way,
        /// After this long without an answer it has failed, dialling included.
        deadline: Span,
    },
    /// Answer a peer.
    Reply {
        /// Which request.
        inbound: InboundId,
        /// The answer.
        response: Response,
        /// Whether it may leave before the commit.
        stateless: bool,
    },
    /// How to greet from now on.
    Greet {
        /// Whether we serve.
        mode: Mode,
        /// Where we believe that we can be dialled.
        addresses: Vec<SocketAddr>,
    },
    /// The result of a command.
    Result {
        /// Which command.
        id: CommandId,
        /// How it ended.
        result: Result<CommandOutput, CommandError>,
    },
    /// Something that the faces may want to show.
    Event(Event),
    /// Heavy work, to be done off the core's thread.
    Job {
        /// Comes back with the result.
        job: JobId,
        /// What to do.
        work: Job,
    },
}

/// On which connection a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On any that stands, or a new one.
    Any,
    /// On a new one, which shows whether the peer can be dialled.
    Fresh,
    /// On this one alone, since the request is bound to it; [`CallError::Closed`] if it is gone.
    Only(ChannelBinding),
}

/// Heavy work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Job {
    /// Search a stamp: about 4,096 tries of Argon2id at 12 bits, one second.
    Stamp {
        /// What the stamp is for.
        subject: StampSubject,
        /// Its month.
        month: Month,
        /// How many zero bits it commits to.
        policy: StampPolicy,
        /// Where to begin: random, so that two searches differ.
        start: u64,
    },
}

/// What heavy work gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobResult {
    /// To [`Job::Stamp`].
    Stamp(Stamp),
    /// The shell is ending and did not finish.
    Cancelled,
}

/// Something that the faces may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer greeted.
    PeerUp(NodeKey),
    /// A peer's last connection ended.
    PeerDown(NodeKey),
    /// The user should know.
    Warning {
        /// For programs.
        code: WarningCode,
        /// For people.
        message: String,
    },
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningCode {
    /// Our clock and that of several peers differ by more than an hour.
    Clock,
    /// The directory entry is not where it should be.
    Directory,
    /// No peer answers.
    Alone,
}
