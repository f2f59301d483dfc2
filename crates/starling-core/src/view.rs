//! What the core shows to the faces: plain values, copied out of the machines.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::ids::{AccountKey, DeviceKey, MessageId, NodeKey};
use starling_proto::time::{Span, UnixMillis, UnixSeconds};

use crate::publisher::Progress;

pub use crate::storage::{ContactState, MessageState};
pub use crate::talking::presence::PresenceView as Presence;
pub use crate::talking::trace::{Step, TraceStep};
pub use starling_crypto::safety::SafetyNumber as SafetyDigits;
pub use starling_proto::content::PresenceStatus;

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The overlay: peers, table, what is held for others.
    pub overlay: starling_overlay::overlay::Status,
    /// Our own directory entries: how many are to be placed, how many are.
    pub entries: Progress,
    /// People by how they stand.
    pub contacts: ContactCounts,
    /// Messages, receipts and requests that wait to be sent or confirmed.
    pub queued: usize,
}

/// People by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactCounts {
    /// Both agreed.
    pub accepted: usize,
    /// They ask; the user has not answered.
    pub incoming: usize,
    /// We asked; they have not answered.
    pub requested: usize,
}

/// Answer to `whoami`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// The account.
    pub account: AccountKey,
    /// This installation.
    pub device: DeviceKey,
    /// This peer.
    pub node: NodeKey,
    /// The name.
    pub name: String,
    /// The short key tag that stands beside the name.
    pub tag: String,
}

/// Answer to `device list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// The account.
    pub account: AccountKey,
    /// Each that is active, the first one first.
    pub devices: Vec<Device>,
    /// Whether the account's list names this device no more: what is shown is the last list that did.
    pub revoked: bool,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub device: DeviceKey,
    /// When it was certified.
    pub added: UnixSeconds,
    /// Whether it is this one.
    pub this: bool,
    /// Whether it may link others.
    pub can_link: bool,
    /// Whether it is connected with this one.
    pub connected: bool,
}

/// What the user says about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The name.
    pub name: String,
    /// The about text.
    pub about: String,
    /// The keywords.
    pub keywords: Vec<String>,
    /// Whether it is in the directory.
    pub listed: bool,
}

/// Answer to `search`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResults {
    /// People, best first.
    pub results: Vec<SearchHit>,
    /// How many more there are, as far as the holders said.
    pub left_out: u32,
    /// How many peers answered, each counted once for all words together.
    pub asked_holders: usize,
}

/// A person found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Who.
    pub account: AccountKey,
    /// What they call themselves. Anybody may choose any name: the tag tells namesakes apart.
    pub name: String,
    /// What they say about themselves.
    pub about: String,
    /// How many of the searched words match.
    pub matched: usize,
    /// How many words were searched.
    pub total_words: usize,
    /// The short key tag.
    pub tag: String,
    /// Whether this is an accepted contact.
    pub contact: bool,
    /// Whether the name can be mistaken for a contact's, who is somebody else.
    pub look_alike: bool,
}

/// Somebody we know, asked, or were asked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub account: AccountKey,
    /// What they call themselves; anybody may choose any name.
    pub name: String,
    /// What we call them.
    pub petname: Option<String>,
    /// The short key tag.
    pub tag: String,
    /// How they stand.
    pub state: ContactState,
    /// What they said when they asked.
    pub note: String,
    /// Whether the safety number has been compared.
    pub verified: bool,
    /// When we came to know of them.
    pub added: UnixSeconds,
    /// How they appear now; offline where they are no accepted contact.
    pub presence: Presence,
    /// When one of their devices was last connected.
    pub last_seen: Option<UnixSeconds>,
    /// Devices on their newest list that we know.
    pub devices: usize,
}

/// The digits that two people compare to know that nobody stands between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    /// With whom.
    pub contact: Contact,
    /// The digits.
    pub digits: SafetyDigits,
}

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// With whom the conversation is.
    pub conversation: AccountKey,
    /// Who wrote it: that account, or our own.
    pub from: AccountKey,
    /// Whether it is ours.
    pub mine: bool,
    /// The text, as it was written: whoever shows it makes it safe.
    pub text: String,
    /// By the author's clock.
    pub sent_at: UnixMillis,
    /// By ours; for our own, when it was written down.
    pub received_at: UnixMillis,
    /// How far it has come.
    pub state: MessageState,
    /// How many peers keep it for a device of the contact, while it waits there.
    pub holders: Option<u32>,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// When its author changed the text last, by the author's clock.
    pub edited_at: Option<UnixMillis>,
    /// Whether its author has deleted it, or its time is over: nobody has the text any more.
    pub deleted: bool,
    /// How long it lives once it was read, or, of ours, written.
    pub lives: Option<Span>,
    /// When it disappears.
    pub ends: Option<UnixSeconds>,
    /// What people think of it, theirs first.
    pub reactions: Vec<Reaction>,
}

/// What somebody thinks of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Who.
    pub from: AccountKey,
    /// In a sign or two, as it was written: whoever shows it makes it safe.
    pub reaction: String,
}

/// The steps of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The message.
    pub message: Message,
    /// What happened to it, oldest first.
    pub steps: Vec<TraceStep>,
}
