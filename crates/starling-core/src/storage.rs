//! What the core keeps across a restart, behind a trait that the shell implements over its database.

use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::session::Tombstone;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, SessionId};
use starling_proto::time::{Span, UnixMillis, UnixSeconds};

pub use starling_overlay::storage::{OverlayStore, PeerStore, RecordStore, StorageError};

/// One machine's state that is read and written whole. Each holds a versioned protobuf message of
/// `schema/storage.proto`; the number is the row's key for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Slot {
    /// Account, device and node: who this installation is.
    Identity,
    /// Name, about text, keywords, listed or not.
    Profile,
    /// What has been published, and when it is due again.
    Publications,
    /// The Olm account.
    OlmAccount,
    /// Inbox keys and request inbox.
    InboxKeys,
    /// Under which keys contacts find our addresses.
    Locator,
    /// What others learn of us while we talk.
    Settings,
    /// In a backup: whose it is.
    Origin,
    /// A device that waits to be one of an account.
    Candidate,
    /// When what the account's devices have in common was changed.
    Shared,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 10] = [
        Self::Identity,
        Self::Profile,
        Self::Publications,
        Self::OlmAccount,
        Self::InboxKeys,
        Self::Locator,
        Self::Settings,
        Self::Origin,
        Self::Candidate,
        Self::Shared,
    ];

    /// The row's key.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Identity => 1,
            Self::Profile => 2,
            Self::Publications => 3,
            Self::OlmAccount => 4,
            Self::InboxKeys => 5,
            Self::Locator => 6,
            Self::Settings => 7,
            Self::Origin => 8,
            Self::Candidate => 9,
            Self::Shared => 10,
        }
    }
}

/// State that is read and written whole.
pub trait SlotStore {
    /// What was written last.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn read_slot(&self, slot: Slot) -> Result<Option<Vec<u8>>, StorageError>;

    /// Replaces what is there.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_slot(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), StorageError>;
}

/// Where a contact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContactState {
    /// We asked, they have not answered.
    Requested,
    /// They ask.
    Incoming,
    /// Both agreed.
    Accepted,
    /// One of both said no.
    Declined,
    /// We want nothing of them.
    Blocked,
}

impl ContactState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Requested, Self::Incoming, Self::Accepted, Self::Declined, Self::Blocked];

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Requested => 1,
            Self::Incoming => 2,
            Self::Accepted => 3,
            Self::Declined => 4,
            Self::Blocked => 5,
        }
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// A contact: what is searched and shown in columns, the rest as one versioned message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRow {
    /// Who.
    pub account: AccountKey,
    /// Where they stand.
    pub state: ContactState,
    /// What we call them; unique where it is set.
    pub petname: Option<String>,
    /// What they call themselves.
    pub name: String,
    /// Whether the safety number has been compared.
    pub verified: bool,
    /// When the row was made.
    pub added: UnixSeconds,
    /// When one of their devices was last connected.
    pub last_seen: Option<UnixSeconds>,
    /// `ContactBody` of `schema/storage.proto`.
    pub body: Vec<u8>,
}

/// Contacts, a row each.
pub trait ContactStore {
    /// All of them, by account.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn contacts(&self) -> Result<Vec<ContactRow>, StorageError>;

    /// Writes a contact; a row of the same account is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_contact(&mut self, row: &ContactRow) -> Result<(), StorageError>;

    /// Forgets a contact.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_contact(&mut self, account: &AccountKey) -> Result<(), StorageError>;
}

/// Sessions with peer devices, a row each, and what is left of those that must never be opened again.
pub trait SessionStore {
    /// The sessions with one device, by id; secret.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn sessions(&self, device: &DeviceKey) -> Result<Vec<Vec<u8>>, StorageError>;

    /// Writes a session; one of the same id is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_session(
        &mut self,
        device: &DeviceKey,
        session: &SessionId,
        bytes: &[u8],
    ) -> Result<(), StorageError>;

    /// Forgets a session.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_session(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError>;

    /// The tombstones of one device, by session.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn tombstones(&self, device: &DeviceKey) -> Result<Vec<Tombstone>, StorageError>;

    /// Writes a tombstone.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_tombstone(&mut self, device: &DeviceKey, tombstone: &Tombstone) -> Result<(), StorageError>;

    /// Forgets a tombstone.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_tombstone(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError>;
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageState {
    /// In the sender's outbox.
    Queued,
    /// On disk at enough holders.
    Stored,
    /// On disk at one of the recipient's devices, by its receipt.
    Delivered,
    /// Seen, by a receipt.
    Read,
    /// Given up; the trace says why.
    Failed,
}

impl MessageState {
    /// Every state, in order.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Stored, Self::Delivered, Self::Read, Self::Failed];

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Queued => 1,
            Self::Stored => 2,
            Self::Delivered => 3,
            Self::Read => 4,
            Self::Failed => 5,
        }
    }

    /// The state of a stored number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// What a row of the history is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A text, as it reads now.
    Text,
    /// What a text reads from then on.
    Edit,
    /// That a text is to be no more.
    Deletion,
    /// What its author thinks of a text.
    Reaction,
    /// A text that its author has deleted: its place, and no word of it.
    Deleted,
    /// A text whose time is over: its place, and no word of it. It is not shown.
    Ended,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Text, Self::Edit, Self::Deletion, Self::Reaction, Self::Deleted, Self::Ended];

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Text => 1,
            Self::Edit => 2,
            Self::Deletion => 3,
            Self::Reaction => 4,
            Self::Deleted => 5,
            Self::Ended => 6,
        }
    }

    /// The kind of a stored number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Whether a page of the conversation has it.
    #[must_use]
    pub const fn is_shown(self) -> bool {
        matches!(self, Self::Text | Self::Deleted)
    }

    /// Whether it says something about another message.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Edit | Self::Deletion | Self::Reaction)
    }
}

/// A message of the history, or what was said about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The message.
    pub id: MessageId,
    /// With whom.
    pub conversation: AccountKey,
    /// The device that wrote it.
    pub author: DeviceKey,
    /// Whether that is one of ours.
    pub mine: bool,
    /// Its place in the author's chain.
    pub sequence: u64,
    /// BLAKE3 of its content as it was sent: what the next of the chain names.
    pub hash: [u8; 32],
    /// Its place in the conversation as it is shown; unique there.
    pub position: u64,
    /// By the author's clock.
    pub sent_at: UnixMillis,
    /// By ours; for our own, when it was written down.
    pub received_at: UnixMillis,
    /// How far it has come.
    pub state: MessageState,
    /// What it is.
    pub kind: MessageKind,
    /// The message that it answers, or of which it says something.
    pub about: Option<MessageId>,
    /// When its author changed the text last, by the author's clock.
    pub edited_at: Option<UnixMillis>,
    /// How long the text lives once it was read, or, of ours, written.
    pub lives: Option<Span>,
    /// When the text ends.
    pub ends: Option<UnixSeconds>,
    /// The text, or the reaction.
    pub text: String,
}

/// Changes of one kind that one side says about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeOf {
    /// About which.
    pub message: MessageId,
    /// In which conversation it is said.
    pub conversation: AccountKey,
    /// Whether by us.
    pub mine: bool,
    /// Which kind.
    pub kind: MessageKind,
}

/// One message of an author's chain, as far as others find their places by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPlace {
    /// The device that wrote it.
    pub author: DeviceKey,
    /// Its place in the author's chain.
    pub sequence: u64,
    /// BLAKE3 of its content.
    pub hash: [u8; 32],
    /// Its place in the conversation as it is shown.
    pub position: u64,
}

impl From<&MessageRow> for ChainPlace {
    fn from(row: &MessageRow) -> Self {
        Self { author: row.author, sequence: row.sequence, hash: row.hash, position: row.position }
    }
}

/// What a receipt must agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageStatus {
    /// With whom.
    pub conversation: AccountKey,
    /// Whether it is ours.
    pub mine: bool,
    /// How far it has come.
    pub state: MessageState,
}

/// The history.
pub trait MessageStore {
    /// One message.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StorageError>;

    /// Writes a message; one of the same id is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_message(&mut self, row: &MessageRow) -> Result<(), StorageError>;

    /// What a receipt must agree with: the message without its text.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn message_status(&self, id: &MessageId) -> Result<Option<MessageStatus>, StorageError>;

    /// Writes down how far a message has come, and nothing else of it. Nothing happens if there is no such message.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn set_message_state(&mut self, id: &MessageId, state: MessageState) -> Result<(), StorageError>;

    /// The last `limit` messages of a conversation that are [shown](MessageKind::is_shown), before a position, oldest
    /// first; only those that hold `text` where it is given, as [`searchable`](crate::words::searchable) says. A `text` without a word is in none, and one
    /// that is to disappear is not found.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn messages(
        &self,
        conversation: &AccountKey,
        before: Option<u64>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<Vec<MessageRow>, StorageError>;

    /// The last two [changes](MessageKind::is_change) of one kind that one side said about a message, the last first.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn last_changes(&self, of: &ChangeOf) -> Result<Vec<MessageRow>, StorageError>;

    /// At most `limit` of those whose text ends by then, the first first.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn ended(&self, by: UnixSeconds, limit: usize) -> Result<Vec<MessageRow>, StorageError>;

    /// When the next text ends.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn next_end(&self) -> Result<Option<UnixSeconds>, StorageError>;

    /// Whether a message of the conversation has this position.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn is_taken(&self, conversation: &AccountKey, position: u64) -> Result<bool, StorageError>;

    /// The newest message of each author's chain in a conversation, by author. Of several at one place here and below
    /// the one with the smallest id.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn chain_heads(&self, conversation: &AccountKey) -> Result<Vec<ChainPlace>, StorageError>;

    /// The newest message of one chain that stands at a place or before it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn chain_until(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError>;

    /// The first message of one chain that stands behind a place.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn chain_beyond(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError>;
}

/// Something that waits for one device until that device has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The order in which rows were written, and their name.
    pub number: u64,
    /// For whom.
    pub account: AccountKey,
    /// For which device.
    pub device: DeviceKey,
    /// The message, named by its receipt.
    pub message: MessageId,
    /// The encoded content, to be encrypted afresh each time.
    pub content: Vec<u8>,
    /// When it was written.
    pub queued_at: UnixMillis,
    /// When it is given up.
    pub expires: UnixSeconds,
    /// Whether it lies at the device's mailbox.
    pub mailed: Option<Mailed>,
}

/// That a row lies at a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailed {
    /// Since when.
    pub at: UnixSeconds,
    /// How many peers said that it is on their disk.
    pub holders: u32,
}

/// What has not been confirmed.
pub trait OutboxStore {
    /// All of it, in the order of the numbers.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn outbox(&self) -> Result<Vec<OutboxRow>, StorageError>;

    /// Writes a row.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_outbox(&mut self, row: &OutboxRow) -> Result<(), StorageError>;

    /// Writes down whether a row lies at the device's mailbox, and nothing else of it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn set_mailed(&mut self, number: u64, mailed: Option<Mailed>) -> Result<(), StorageError>;

    /// Forgets a row.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_outbox(&mut self, number: u64) -> Result<(), StorageError>;
}

/// One step of a message's way, for `trace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// Which message.
    pub message: MessageId,
    /// When.
    pub at: UnixMillis,
    /// What happened: a number of `talking::trace::Step`.
    pub step: u32,
    /// To which device's copy.
    pub device: Option<DeviceKey>,
    /// How many peers had to do with it.
    pub peers: u32,
}

/// The steps of the messages in the history.
pub trait TraceStore {
    /// The steps of one message, in order.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn trace(&self, message: &MessageId) -> Result<Vec<TraceRow>, StorageError>;

    /// Adds a step, unless it repeats the last one of the same device's copy, or the copy has `most` steps already.
    /// Nothing happens if there is no such message.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn append_trace(&mut self, row: &TraceRow, most: usize) -> Result<(), StorageError>;
}

/// Ids that must not be taken twice: message ids, contact requests.
pub trait SeenStore {
    /// Notes an id until a date; false if it is noted already.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn note_seen(&mut self, id: &[u8; 32], until: UnixSeconds) -> Result<bool, StorageError>;

    /// Forgets what has ended.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn forget_seen(&mut self, now: UnixSeconds) -> Result<(), StorageError>;
}

/// Everything that conversations need.
pub trait TalkStore:
    SlotStore + ContactStore + SessionStore + MessageStore + OutboxStore + TraceStore + SeenStore
{
}

impl<T> TalkStore for T where
    T: SlotStore + ContactStore + SessionStore + MessageStore + OutboxStore + TraceStore + SeenStore + ?Sized
{
}

/// Everything the core keeps.
pub trait CoreStore: OverlayStore + TalkStore {}

impl<T: OverlayStore + TalkStore + ?Sized> CoreStore for T {}
