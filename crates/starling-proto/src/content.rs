//! What two devices say to each other inside a session.

mod own;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use prost::Message as _;

use crate::contact::ReadKey;
use crate::identity::{DeviceList, Name};
use crate::ids::{DeviceKey, LocatorKey, MessageId, OlmKey};
use crate::record::Capability;
use crate::time::{Span, UnixMillis, UnixSeconds};
use crate::{DecodeError, limits, wire};

pub use own::{Card, CardStanding, Kept, KeptKind, Own};

/// One thing said, the same in every copy for every device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Chosen by the sender.
    pub id: MessageId,
    /// By the sender's clock.
    pub sent_at: UnixMillis,
    /// Its place in the conversation; only kinds that are shown have one.
    pub link: Option<ChainLink>,
    /// What is said.
    pub kind: ContentKind,
}

/// The place of a message in its author's chain, and what its author had seen of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// Counts the author device's messages in this conversation from 1.
    pub sequence: u64,
    /// BLAKE3 of the author's message before; `None` for the first.
    pub previous: Option<[u8; 32]>,
    /// The latest seen of other devices, at most [`limits::HEADS`].
    pub heads: Vec<Head>,
}

/// The end of a device's chain, as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whose chain.
    pub device: DeviceKey,
    /// The place of its last message.
    pub sequence: u64,
    /// BLAKE3 of it.
    pub hash: [u8; 32],
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentKind {
    /// A part of the conversation.
    Said(Said),
    /// These have come, and these have been read.
    Receipt {
        /// On the receiving device's disk.
        delivered: Vec<MessageId>,
        /// Seen by its user.
        read: Vec<MessageId>,
    },
    /// Where and how I can be reached; the first one accepts a contact request.
    HandOver(Box<HandOver>),
    /// Whether I am there.
    Presence(Presence),
    /// I am leaving.
    Goodbye,
    /// I have not got these.
    Resend {
        /// Messages known by name.
        ids: Vec<MessageId>,
        /// Places of the receiver's chain that are missing.
        sequences: Vec<u64>,
    },
    /// I do not want to be a contact.
    Decline,
    /// What a device tells the other devices of its account, and nobody else.
    Own(Own),
}

/// What is part of a conversation, and has its place in its author's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text.
    Text(Text),
    /// A text of the same account reads otherwise from now on.
    Edit {
        /// Which.
        of: MessageId,
        /// How it reads.
        text: MessageText,
    },
    /// A text of the same account is to be no more.
    Delete {
        /// Which.
        of: MessageId,
    },
    /// What the author thinks of a text, in the place of what they thought before.
    React {
        /// To which.
        to: MessageId,
        /// In a sign or two.
        reaction: Reaction,
    },
}

/// A text, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: MessageText,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// It disappears when it has been read for so long, and on its author's devices when it has been there for so long:
    /// whole seconds, at most [`limits::LONGEST_LIFE`].
    pub lives: Option<Span>,
}

impl From<MessageText> for Text {
    fn from(text: MessageText) -> Self {
        Self { text, reply_to: None, lives: None }
    }
}

impl From<MessageText> for ContentKind {
    fn from(text: MessageText) -> Self {
        Self::Said(Said::Text(text.into()))
    }
}

/// A reaction: at most [`limits::REACTION`] bytes; an empty one takes the one before back. It stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Reaction(String);

impl Reaction {
    /// Checks the length.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`].
    pub fn new(reaction: impl Into<String>) -> Result<Self, DecodeError> {
        let reaction = reaction.into();
        limits::bytes_at_most("reaction", reaction.len(), limits::REACTION)?;
        Ok(Self(reaction))
    }

    /// The reaction, as it was written: whoever shows it makes it safe.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reaction({} bytes)", self.0.len())
    }
}

/// A text: 1 to [`limits::TEXT`] bytes. Its content stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(String);

impl MessageText {
    /// Checks the length.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], or [`DecodeError::Missing`] for an empty text.
    pub fn new(text: impl Into<String>) -> Result<Self, DecodeError> {
        let text = text.into();
        limits::bytes_at_most("text", text.len(), limits::TEXT)?;
        if text.is_empty() { Err(DecodeError::Missing("text")) } else { Ok(Self(text)) }
    }

    /// The text, as it was written: whoever shows it makes it safe.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageText({} bytes)", self.0.len())
    }
}

/// What accepted contacts give each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// What the sender is called.
    pub name: Name,
    /// The sender's newest device list, unchecked.
    pub device_list: DeviceList,
    /// Where the sender's addresses are found.
    pub locator: LocatorKey,
    /// What reads them.
    pub read_key: ReadKey,
    /// Leave to deposit, at most [`limits::MAILBOX_GRANTS`].
    pub mailboxes: Vec<MailboxGrant>,
    /// Olm one-time keys reserved for the receiving device, at most [`limits::RESERVED_KEYS`].
    pub one_time_keys: Vec<OlmKey>,
}

/// The four weeks that a mailbox serves, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxEpoch(u32);

impl MailboxEpoch {
    /// Seconds in four weeks.
    const SECONDS: u64 = 28 * 24 * 3600;

    /// The four weeks that hold `at`.
    #[must_use]
    pub const fn of(at: UnixSeconds) -> Self {
        let index = at.get() / Self::SECONDS;
        // Past the year 300,000,000 all time is one epoch.
        #[expect(clippy::cast_possible_truncation, reason = "checked against u32::MAX")]
        Self(if index > u32::MAX as u64 { u32::MAX } else { index as u32 })
    }

    /// Wraps a number from the wire or the disk.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number of the epoch.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The epoch that comes `epochs` later.
    #[must_use]
    pub const fn later(self, epochs: u32) -> Self {
        Self(self.0.saturating_add(epochs))
    }

    /// The epoch that came `epochs` before; the first at the earliest.
    #[must_use]
    pub const fn earlier(self, epochs: u32) -> Self {
        Self(self.0.saturating_sub(epochs))
    }

    /// When it begins.
    #[must_use]
    pub const fn begin(self) -> UnixSeconds {
        // At most 2^32 * 2^22.
        UnixSeconds::new((self.0 as u64).saturating_mul(Self::SECONDS))
    }
}

/// Leave to deposit at one mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxGrant {
    /// Which four weeks it is for.
    pub epoch: MailboxEpoch,
    /// The owner's leave, unchecked.
    pub capability: Capability,
    /// The seed of the depositor's key, made by the owner for this contact alone.
    pub depositor_seed: [u8; 32],
}

impl fmt::Debug for MailboxGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxGrant(epoch {})", self.epoch.get())
    }
}

/// Whether somebody is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// In one word.
    pub status: PresenceStatus,
    /// In a line: at most [`limits::STATUS_LINE`] bytes.
    pub line: String,
    /// Whether they are typing to the receiver now.
    pub typing: bool,
}

/// Presence in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PresenceStatus {
    /// There.
    Online,
    /// Connected, but not at the keyboard.
    Away,
    /// There, and not to be disturbed.
    Busy,
}

impl PresenceStatus {
    const ALL: [Self; 3] = [Self::Online, Self::Away, Self::Busy];

    /// The number on the wire and on disk.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Online => 1,
            Self::Away => 2,
            Self::Busy => 3,
        }
    }

    /// The status of a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }
}

impl Content {
    /// The bytes that a session encrypts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let link = self.link.as_ref();
        wire::Content {
            message_id: self.id.as_bytes().to_vec(),
            sent_at_ms: self.sent_at.get(),
            sequence: link.map_or(0, |link| link.sequence),
            previous: link.and_then(|link| link.previous).map_or_else(Vec::new, |hash| hash.to_vec()),
            heads: link.map_or_else(Vec::new, |link| link.heads.iter().copied().map(Head::to_wire).collect()),
            kind: Some(self.kind.to_wire()),
        }
        .encode_to_vec()
    }

    /// Reads what a session has decrypted, and checks lengths and counts.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong; a kind of a later version is [`DecodeError::Missing`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("content", bytes.len(), limits::SESSION_CONTENT)?;
        Self::from_wire(wire::Content::decode(bytes).map_err(|_| DecodeError::Malformed("content"))?)
    }

    fn from_wire(content: wire::Content) -> Result<Self, DecodeError> {
        Ok(Self {
            id: MessageId::from_slice(&content.message_id)?,
            sent_at: UnixMillis::new(content.sent_at_ms),
            link: link_from_wire(&content)?,
            kind: ContentKind::from_wire(content.kind.ok_or(DecodeError::Missing("content kind"))?)?,
        })
    }

    /// What the next message of the chain names: BLAKE3 of the encoded content.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.encode()).as_bytes()
    }
}

impl Head {
    fn to_wire(self) -> wire::Head {
        wire::Head {
            device: self.device.as_bytes().to_vec(),
            sequence: self.sequence,
            hash: self.hash.to_vec(),
        }
    }

    fn from_wire(head: &wire::Head) -> Result<Self, DecodeError> {
        Ok(Self {
            device: DeviceKey::from_slice(&head.device)?,
            sequence: head.sequence,
            hash: exact("hash", &head.hash)?,
        })
    }
}

impl ContentKind {
    fn to_wire(&self) -> wire::content::Kind {
        use wire::content::Kind;
        match self {
            Self::Said(said) => said.to_wire(),
            Self::Receipt { delivered, read } => {
                Kind::Receipt(wire::Receipt { delivered: ids_to_wire(delivered), read: ids_to_wire(read) })
            }
            Self::HandOver(hand_over) => Kind::HandOver(hand_over.to_wire()),
            Self::Presence(presence) => Kind::Presence(wire::Presence {
                status: presence.status.number(),
                line: presence.line.clone(),
                typing: presence.typing,
            }),
            Self::Goodbye => Kind::Goodbye(wire::Goodbye {}),
            Self::Resend { ids, sequences } => {
                Kind::Resend(wire::Resend { message_ids: ids_to_wire(ids), sequences: sequences.clone() })
            }
            Self::Decline => Kind::Decline(wire::Decline {}),
            Self::Own(own) => own.to_wire(),
        }
    }

    fn from_wire(kind: wire::content::Kind) -> Result<Self, DecodeError> {
        use wire::content::Kind;
        Ok(match kind {
            Kind::Text(text) => Self::Said(Said::Text(Text::from_wire(text)?)),
            Kind::Edit(edit) => Self::Said(Said::Edit {
                of: MessageId::from_slice(&edit.message_id)?,
                text: MessageText::new(edit.text)?,
            }),
            Kind::Delete(delete) => {
                Self::Said(Said::Delete { of: MessageId::from_slice(&delete.message_id)? })
            }
            Kind::Reaction(reaction) => Self::Said(Said::React {
                to: MessageId::from_slice(&reaction.message_id)?,
                reaction: Reaction::new(reaction.reaction)?,
            }),
            Kind::Receipt(receipt) => Self::Receipt {
                delivered: ids_from_wire(&receipt.delivered)?,
                read: ids_from_wire(&receipt.read)?,
            },
            Kind::HandOver(hand_over) => Self::HandOver(Box::new(HandOver::from_wire(hand_over)?)),
            Kind::Presence(presence) => Self::Presence(Presence::from_wire(presence)?),
            Kind::Goodbye(_) => Self::Goodbye,
            Kind::Resend(resend) => {
                limits::at_most("sequences", resend.sequences.len(), limits::MESSAGE_IDS)?;
                Self::Resend { ids: ids_from_wire(&resend.message_ids)?, sequences: resend.sequences }
            }
            Kind::Decline(_) => Self::Decline,
            Kind::Copy(copy) => Self::Own(Own::copy_from_wire(&copy)?),
            Kind::Card(card) => Self::Own(Own::Card(Card::from_wire(card)?)),
            Kind::Kept(kept) => Self::Own(Own::Kept(Kept::from_wire(kept)?)),
        })
    }
}

impl Said {
    fn to_wire(&self) -> wire::content::Kind {
        use wire::content::Kind;
        let id = |id: &MessageId| id.as_bytes().to_vec();
        match self {
            Self::Text(text) => Kind::Text(wire::Text {
                text: text.text.0.clone(),
                reply_to: text.reply_to.as_ref().map_or_else(Vec::new, id),
                lives_s: text.lives.map_or(0, |lives| u32::try_from(lives.as_secs()).unwrap_or(u32::MAX)),
            }),
            Self::Edit { of, text } => Kind::Edit(wire::Edit { message_id: id(of), text: text.0.clone() }),
            Self::Delete { of } => Kind::Delete(wire::Delete { message_id: id(of) }),
            Self::React { to, reaction } => {
                Kind::Reaction(wire::Reaction { message_id: id(to), reaction: reaction.0.clone() })
            }
        }
    }
}

impl Text {
    fn from_wire(text: wire::Text) -> Result<Self, DecodeError> {
        let reply_to = (!text.reply_to.is_empty()).then(|| MessageId::from_slice(&text.reply_to));
        let lives = (text.lives_s > 0).then(|| Span::from_secs(u64::from(text.lives_s)));
        if lives.is_some_and(|lives| lives > limits::LONGEST_LIFE) {
            return Err(DecodeError::Malformed("life of a text"));
        }
        Ok(Self { text: MessageText::new(text.text)?, reply_to: reply_to.transpose()?, lives })
    }
}

impl HandOver {
    fn to_wire(&self) -> wire::HandOver {
        wire::HandOver {
            name: self.name.as_str().into(),
            device_list: self.device_list.encode(),
            locator_key: self.locator.as_bytes().to_vec(),
            read_key: self.read_key.as_bytes().to_vec(),
            mailboxes: self.mailboxes.iter().map(MailboxGrant::to_wire).collect(),
            one_time_keys: self.one_time_keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        }
    }

    fn from_wire(hand_over: wire::HandOver) -> Result<Self, DecodeError> {
        limits::at_most("mailbox grants", hand_over.mailboxes.len(), limits::MAILBOX_GRANTS)?;
        limits::at_most("one-time keys", hand_over.one_time_keys.len(), limits::RESERVED_KEYS)?;
        Ok(Self {
            name: Name::new(hand_over.name)?,
            device_list: DeviceList::decode(&hand_over.device_list)?,
            locator: LocatorKey::from_slice(&hand_over.locator_key)?,
            read_key: ReadKey::new(exact("read key", &hand_over.read_key)?),
            mailboxes: hand_over.mailboxes.iter().map(MailboxGrant::from_wire).collect::<Result<_, _>>()?,
            one_time_keys: hand_over
                .one_time_keys
                .iter()
                .map(|key| OlmKey::from_slice(key))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl MailboxGrant {
    /// The bytes that are kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    /// Reads what [`Self::encode`] gave.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_wire(&wire::MailboxGrant::decode(bytes).map_err(|_| DecodeError::Malformed("grant"))?)
    }

    fn to_wire(&self) -> wire::MailboxGrant {
        wire::MailboxGrant {
            epoch: self.epoch.get(),
            capability: self.capability.encode(),
            depositor_seed: self.depositor_seed.to_vec(),
        }
    }

    fn from_wire(grant: &wire::MailboxGrant) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: MailboxEpoch::new(grant.epoch),
            capability: Capability::decode(&grant.capability)?,
            depositor_seed: exact("depositor seed", &grant.depositor_seed)?,
        })
    }
}

impl Presence {
    fn from_wire(presence: wire::Presence) -> Result<Self, DecodeError> {
        limits::bytes_at_most("status line", presence.line.len(), limits::STATUS_LINE)?;
        let status = PresenceStatus::from_number(presence.status);
        let bad = DecodeError::OutOfRange { what: "status", got: u64::from(presence.status) };
        Ok(Self { status: status.ok_or(bad)?, line: presence.line, typing: presence.typing })
    }
}

fn link_from_wire(content: &wire::Content) -> Result<Option<ChainLink>, DecodeError> {
    limits::at_most("heads", content.heads.len(), limits::HEADS)?;
    if content.sequence == 0 {
        return Ok(None);
    }
    let previous =
        if content.previous.is_empty() { None } else { Some(exact("previous", &content.previous)?) };
    let heads = content.heads.iter().map(Head::from_wire).collect::<Result<_, _>>()?;
    Ok(Some(ChainLink { sequence: content.sequence, previous, heads }))
}

fn ids_to_wire(ids: &[MessageId]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.as_bytes().to_vec()).collect()
}

fn ids_from_wire(ids: &[Vec<u8>]) -> Result<Vec<MessageId>, DecodeError> {
    limits::at_most("message ids", ids.len(), limits::MESSAGE_IDS)?;
    ids.iter().map(|id| MessageId::from_slice(id)).collect()
}

fn exact(what: &'static str, bytes: &[u8]) -> Result<[u8; 32], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::WrongLength { what, expected: 32, got: bytes.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(kind: ContentKind) -> Content {
        Content { id: MessageId::new([1; 16]), sent_at: UnixMillis::new(2), link: None, kind }
    }

    fn text() -> Content {
        let head = Head { device: DeviceKey::new([4; 32]), sequence: 5, hash: [6; 32] };
        Content {
            link: Some(ChainLink { sequence: 3, previous: Some([7; 32]), heads: vec![head] }),
            ..content(MessageText::new("hello").unwrap().into())
        }
    }

    #[test]
    fn a_text_has_these_bytes() {
        let hex: String = text().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(
            hex,
            @"0a100101010101010101010101010101010110021803222007070707070707070707070707070707070707070707070707070707070707072a460a20040404040404040404040404040404040404040404040404040404040404040410051a20060606060606060606060606060606060606060606060606060606060606060652070a0568656c6c6f"
        );
    }

    #[test]
    fn each_kind_round_trips() {
        let ids = vec![MessageId::new([8; 16])];
        let kinds = [
            ContentKind::Receipt { delivered: ids.clone(), read: Vec::new() },
            ContentKind::Presence(Presence {
                status: PresenceStatus::Away,
                line: "tea".into(),
                typing: true,
            }),
            ContentKind::Goodbye,
            ContentKind::Said(Said::Text(Text {
                text: MessageText::new("soon gone").unwrap(),
                reply_to: Some(MessageId::new([8; 16])),
                lives: Some(Span::from_days(7)),
            })),
            ContentKind::Said(Said::Edit {
                of: MessageId::new([8; 16]),
                text: MessageText::new("better").unwrap(),
            }),
            ContentKind::Said(Said::Delete { of: MessageId::new([8; 16]) }),
            ContentKind::Said(Said::React {
                to: MessageId::new([8; 16]),
                reaction: Reaction::new("♥").unwrap(),
            }),
            ContentKind::Said(Said::React {
                to: MessageId::new([8; 16]),
                reaction: Reaction::new("").unwrap(),
            }),
            ContentKind::Resend { ids, sequences: vec![9] },
            ContentKind::Decline,
        ];
        for kind in kinds {
            let content = content(kind);
            assert_eq!(Content::decode(&content.encode()), Ok(content));
        }
        assert_eq!(Content::decode(&text().encode()), Ok(text()));
    }

    #[test]
    fn counts_and_lengths_are_bounded() {
        let many = vec![MessageId::new([0; 16]); limits::MESSAGE_IDS + 1];
        let receipt = content(ContentKind::Receipt { delivered: many, read: Vec::new() });
        assert!(matches!(Content::decode(&receipt.encode()), Err(DecodeError::TooMany { .. })));
        assert!(MessageText::new("x".repeat(limits::TEXT + 1)).is_err() && MessageText::new("").is_err());
        assert!(Reaction::new("x".repeat(limits::REACTION + 1)).is_err());
        let lives = Some(Span::from_secs(limits::LONGEST_LIFE.as_secs() + 1));
        let text = Text { lives, ..MessageText::new("hello").unwrap().into() };
        let text = content(ContentKind::Said(Said::Text(text)));
        assert_eq!(Content::decode(&text.encode()), Err(DecodeError::Malformed("life of a text")));
    }

    #[test]
    fn a_mailbox_serves_four_weeks() {
        let epoch = MailboxEpoch::of(UnixSeconds::new(1_767_225_600));
        assert_eq!(epoch, MailboxEpoch::new(730));
        assert_eq!(MailboxEpoch::of(epoch.begin()), epoch);
        assert_eq!(MailboxEpoch::of(UnixSeconds::new(epoch.later(1).begin().get() - 1)), epoch);
        assert_eq!(MailboxEpoch::of(UnixSeconds::new(u64::MAX)), MailboxEpoch::new(u32::MAX));
        assert_eq!(MailboxEpoch::new(0).earlier(1), MailboxEpoch::new(0));
    }

    #[test]
    fn a_text_stays_out_of_debug_output() {
        assert!(!format!("{:?}", text()).contains("hello"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            if let Ok(content) = Content::decode(&bytes) {
                prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
            }
        }

        #[test]
        fn a_cut_text_is_another_or_none(cut in 0usize..200) {
            let bytes = text().encode();
            prop_assume!(cut < bytes.len());
            prop_assert_ne!(Content::decode(&bytes[..cut]), Ok(text()));
        }
    }
}
