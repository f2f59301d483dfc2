//! What goes into the core and what comes out: one closed enum each.
//!
//! The shell hands over [`Input`]s with the time and a random generator, commits, and then carries out the
//! [`Output`]s. Nothing else passes between them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_crypto::stamp::{StampPolicy, StampSubject};
use starling_overlay::io::{CallError, ChannelBinding, InboundId, Remote};
use starling_proto::addr::{JoinAddr, Peer};
use starling_proto::content::{MessageText, Reaction, Text};
use starling_proto::identity::DeviceRequest;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, NodeKey};
use starling_proto::invite::Invite;
use starling_proto::message::{Hello, Mode, Request, Response};
use starling_proto::record::Stamp;
use starling_proto::time::{Month, Span};

use crate::settings::{self, Settings};
use crate::storage::MessageState;
use crate::view::{self, Profile, SearchResults, Status, WhoAmI};

/// A request of ours on its way, and the machine that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallId {
    /// Sent by the overlay.
    Overlay(starling_overlay::io::CallId),
    /// Sent by the machine of contacts; the number is its own.
    Meet(u64),
    /// Sent by the machine of talking; the number is its own.
    Talk(u64),
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
    /// What do others learn of me while I talk?
    ShowSettings,
    /// Change that.
    SetSettings(settings::Changes),
    /// Tell a contact that we are typing to them, or have stopped: believed for ten seconds.
    Typing {
        /// Whom, as for [`Self::Contact`].
        who: String,
        /// Whether we are.
        typing: bool,
    },
    /// Find people by words or beginnings of words.
    Search {
        /// What the user typed, a word each.
        words: Vec<String>,
        /// How many results.
        limit: usize,
    },
    /// Everybody who is a contact, or asks to be one, or was asked.
    Contacts,
    /// Ask somebody to be a contact; accept them if they have asked.
    AddContact {
        /// Whom.
        whom: Newcomer,
        /// A few words that go with the request.
        note: String,
    },
    /// Change how somebody stands to us.
    Contact {
        /// Whom: a petname, an account id, or the beginning of a contact's.
        who: String,
        /// What to change.
        change: ContactChange,
    },
    /// The 60 digits to compare with a contact.
    SafetyNumber {
        /// With whom, as for [`Self::Contact`].
        who: String,
    },
    /// Make an invite for one person.
    Invite {
        /// How long it is good; [`LONGEST_INVITE_LIFE`](crate::meeting::LONGEST_INVITE_LIFE) at most.
        life: Span,
        /// Where this node may be dialled, as the shell sees its sockets: the invite names it as a way into the network.
        addresses: Vec<SocketAddr>,
    },
    /// Write a text to a contact.
    Send {
        /// To whom, as for [`Self::Contact`].
        who: String,
        /// What.
        text: Text,
        /// A name that the asker gives to this wish, 128 random bits or so: wanted again under the same name, the
        /// message is sent once, also across restarts.
        request: Option<String>,
    },
    /// Say something about a text of the conversation, to whoever has it.
    Change {
        /// About which.
        id: MessageId,
        /// What.
        change: MessageChange,
    },
    /// The messages of a conversation. Those of others count as read now.
    Messages {
        /// With whom, as for [`Self::Contact`].
        who: String,
        /// Those before this one; the latest if absent.
        before: Option<MessageId>,
        /// How many at most.
        limit: usize,
        /// Only those that hold this text.
        text: Option<String>,
    },
    /// Why has it not arrived: the steps of one message.
    Trace(MessageId),
    /// The account's devices.
    Devices,
    /// Make a device one of the account's; the same one twice is done once.
    LinkDevice(Box<DeviceRequest>),
    /// Take a device off the account's list.
    RevokeDevice(DeviceKey),
    /// Say goodbye: the process is about to end.
    SignOff,
}

/// Somebody who is to become a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomer {
    /// Somebody whose account id is known; asking costs the work of a stamp.
    Account(AccountKey),
    /// Somebody who has invited us; the invite also names ways into the network.
    Invite(Box<Invite>),
}

/// What is said about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// Ours reads otherwise.
    Edit(MessageText),
    /// Ours is to be no more, here and there.
    Delete,
    /// What we think of it.
    React(Reaction),
}

/// A change of how somebody stands to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactChange {
    /// Accept their request.
    Accept,
    /// Decline their request; they are told.
    Decline,
    /// Forget them; messages stay.
    Remove,
    /// Call them something else, or by their own name again.
    Rename(Option<String>),
    /// Want nothing of them any more.
    Block,
    /// Take the block back.
    Unblock,
    /// Note whether the safety number was the same on both sides.
    SetVerified(bool),
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
    /// To [`Command::ShowSettings`] and [`Command::SetSettings`].
    Settings(Settings),
    /// To [`Command::Search`].
    Search(SearchResults),
    /// To [`Command::Contacts`].
    Contacts(Vec<view::Contact>),
    /// To [`Command::AddContact`], [`Command::Contact`] and [`Command::Typing`]: how they stand now, or stood before they
    /// were forgotten.
    Contact(view::Contact),
    /// To [`Command::SafetyNumber`].
    SafetyNumber(view::SafetyNumber),
    /// To [`Command::Invite`].
    Invite(Box<Invite>),
    /// To [`Command::Send`] and [`Command::Change`]: it is in the outbox, on disk.
    Sent(view::Message),
    /// To [`Command::Messages`], oldest first.
    Messages(Vec<view::Message>),
    /// To [`Command::Trace`].
    Trace(view::Trace),
    /// To [`Command::Devices`], [`Command::LinkDevice`] and [`Command::RevokeDevice`]: the devices as they are now.
    Devices(view::Devices),
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
    /// Somebody asks to be a contact.
    ContactRequest {
        /// Who.
        account: AccountKey,
        /// What they call themselves; anybody may choose any name.
        name: String,
        /// What they say.
        note: String,
    },
    /// Both agree now.
    ContactAccepted {
        /// Who.
        account: AccountKey,
        /// What to call them.
        name: String,
    },
    /// They do not want to be a contact.
    ContactDeclined {
        /// Who.
        account: AccountKey,
    },
    /// Our request lies where they will find it.
    RequestStored {
        /// Whom we asked.
        account: AccountKey,
        /// How many peers keep it.
        holders: usize,
    },
    /// A contact's devices have changed.
    DevicesChanged {
        /// Whose.
        account: AccountKey,
        /// How many are new.
        added: usize,
        /// Whether the account began anew from its recovery phrase, without regard for the devices that were known.
        reset: bool,
    },
    /// Somebody appears different.
    Presence {
        /// Who.
        account: AccountKey,
        /// How.
        presence: view::Presence,
    },
    /// A message has come.
    Message(Box<view::Message>),
    /// A text reads otherwise, is no more, or somebody has said what they think of it.
    Changed(Box<view::Message>),
    /// A message of ours has come further.
    MessageState {
        /// Which.
        id: MessageId,
        /// With whom.
        conversation: AccountKey,
        /// How far.
        state: MessageState,
        /// How many peers keep it, of a message that is stored.
        holders: Option<u32>,
    },
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
    /// The disk is full: nothing is taken for others, and nothing of our own can be written.
    DiskFull,
    /// So much waits to be sent that something had to be left out.
    OutboxFull,
    /// Nobody does in our place what others are to do.
    NotPassed,
    /// The account's list names this device no more: another device has revoked it, or the account was restored.
    Revoked,
}
