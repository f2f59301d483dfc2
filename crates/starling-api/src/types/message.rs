//! Texts between us and a contact.

use core::fmt;

use serde::{Deserialize, Serialize};
use starling_core::io::{self, Command};
use starling_core::view;
use starling_proto::content::{self, MessageText, Text};
use starling_proto::ids::{AccountKey, MessageId};
use starling_proto::limits;
use starling_proto::time::Span;
use utoipa::ToSchema;

use super::{Code, ErrorBody, Time, text};
use crate::request_id::RequestId;

/// Write a text to a contact.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// A petname, an account id, or 8 letters or more of the beginning of a contact's.
    pub who: String,
    /// What to write: 1 to 8,192 bytes.
    pub text: String,
    /// The message that it answers, one of the same conversation.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reply_to: Option<MessageId>,
    /// It disappears so many seconds after they have read it, and here so many after it was written: 1 to 31,536,000 (a
    /// year); never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disappears_after_s: Option<u32>,
}

/// Say something about a text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMessageRequest {
    /// The text's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// What to say.
    pub change: MessageChange,
    /// With `edit` how it reads from now on, 1 to 8,192 bytes; with `react` the reaction, at most 64 bytes, an empty one
    /// takes back the one before; with nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What is said about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageChange {
    /// Ours reads otherwise.
    Edit,
    /// Ours is to be no more, here and there.
    Delete,
    /// What we think of it.
    React,
}

/// The message is in the outbox, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendReply {
    /// The message's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The account to which `who` led.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub conversation: AccountKey,
    /// How far it has come.
    pub state: MessageState,
    /// How many peers keep it for the contact, while it waits there; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<u32>,
}

/// Read a conversation. The messages of others that are shown count as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagesRequest {
    /// A petname, an account id, or 8 letters or more of the beginning of a contact's.
    pub who: String,
    /// Only messages before this one; the latest if absent.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub before: Option<MessageId>,
    /// How many at most: 1 to 500; 50 if absent.
    #[serde(default = "MessagesRequest::default_limit")]
    pub limit: u16,
    /// Only those that hold this text; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
}

/// Messages of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Messages {
    /// Oldest first.
    pub messages: Vec<Message>,
}

/// A message of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The message's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The account of the contact with whom the conversation is.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub conversation: AccountKey,
    /// The account that wrote it: that contact's, or our own.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub from: AccountKey,
    /// Whether it is ours.
    pub mine: bool,
    /// The text, as its author wrote it last: whoever shows it makes it safe. Empty if it was deleted.
    pub text: String,
    /// By the author's clock.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Time,
    /// By our clock; for our own, when it was written down.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Time,
    /// How far it has come.
    pub state: MessageState,
    /// How many peers keep it for the contact, while it waits there; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<u32>,
    /// The message that it answers; absent for none.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reply_to: Option<MessageId>,
    /// When its author changed the text last, by the author's clock; absent if never.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub edited_at: Option<Time>,
    /// Whether its author has deleted it, or its time is over; absent if not.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub deleted: bool,
    /// It disappears so many seconds after it was read, or, ours, written; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disappears_after_s: Option<u64>,
    /// When it disappears; absent while that is not known, and for never.
    #[serde(default, with = "text::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disappears_at: Option<Time>,
    /// What people think of it, theirs first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// What somebody thinks of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reaction {
    /// Their account, or our own.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub from: AccountKey,
    /// In a sign or two, as it was written: whoever shows it makes it safe.
    pub reaction: String,
}

/// How far a message has come, in order; `failed` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// In the sender's outbox.
    Queued,
    /// On disk at enough holders.
    Stored,
    /// On disk at one of the recipient's devices.
    Delivered,
    /// Seen.
    Read,
    /// Given up; the trace says why.
    Failed,
}

impl MessagesRequest {
    /// Messages if no limit is given: a few screenfuls.
    pub const DEFAULT_LIMIT: u16 = 50;
    /// Messages in one answer at most: the longest is then some 25 MB of JSON.
    pub const LONGEST: u16 = 500;

    /// The latest messages with `who`.
    #[must_use]
    pub fn latest(who: impl Into<String>) -> Self {
        Self { who: who.into(), before: None, limit: Self::DEFAULT_LIMIT, search: None }
    }

    const fn default_limit() -> u16 {
        Self::DEFAULT_LIMIT
    }
}

/// The text is between two people.
impl fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendRequest").field("who", &self.who).finish_non_exhaustive()
    }
}

impl SendRequest {
    /// A text and nothing that goes with it.
    #[must_use]
    pub fn new(who: impl Into<String>, text: impl Into<String>) -> Self {
        Self { who: who.into(), text: text.into(), reply_to: None, disappears_after_s: None }
    }

    /// The command, to be carried out once for each `id`, also across restarts of the node.
    pub(crate) fn command(self, id: Option<RequestId>) -> Result<Command, ErrorBody> {
        let lives = self.disappears_after_s.map(|seconds| Span::from_secs(u64::from(seconds)));
        if lives.is_some_and(|lives| lives == Span::ZERO || lives > limits::LONGEST_LIFE) {
            return Err(ErrorBody::new(
                Code::BadInput,
                format!("disappears_after_s must be 1 to {}", limits::LONGEST_LIFE.as_secs()),
                "leave it out for a text that stays",
            ));
        }
        let text = Text { text: message_text(self.text)?, reply_to: self.reply_to, lives };
        Ok(Command::Send { who: self.who, text, request: id.map(|id| id.to_string()) })
    }
}

/// The text is between two people.
impl fmt::Debug for ChangeMessageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeMessageRequest").field("change", &self.change).finish_non_exhaustive()
    }
}

impl TryFrom<ChangeMessageRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: ChangeMessageRequest) -> Result<Self, ErrorBody> {
        let ChangeMessageRequest { id, change, text } = request;
        let off = |message: &str, hint: &str| ErrorBody::new(Code::BadInput, message, hint);
        let change = match (change, text) {
            (MessageChange::Edit, Some(text)) => io::MessageChange::Edit(message_text(text)?),
            (MessageChange::Delete, None) => io::MessageChange::Delete,
            (MessageChange::React, Some(text)) => {
                let too_long = |_| off("the reaction is too long: at most 64 bytes", "use a sign or two");
                io::MessageChange::React(content::Reaction::new(text).map_err(too_long)?)
            }
            (MessageChange::Edit, None) => return Err(off("edit needs `text`", "how it is to read")),
            (MessageChange::React, None) => {
                return Err(off(
                    "react needs `text`",
                    "the reaction; an empty one takes back the one before",
                ));
            }
            (MessageChange::Delete, Some(_)) => {
                return Err(off("delete takes no `text`", "edit the message to make it read otherwise"));
            }
        };
        Ok(Self::Change { id, change })
    }
}

fn message_text(text: String) -> Result<MessageText, ErrorBody> {
    let bytes = text.len();
    MessageText::new(text).map_err(|_| match bytes {
        0 => ErrorBody::new(Code::BadInput, "the text is empty", "write at least one letter"),
        _ => ErrorBody::new(
            Code::BadInput,
            format!("the text is too long: at most {} bytes, got {bytes}", limits::TEXT),
            "send it as several messages",
        ),
    })
}

impl TryFrom<MessagesRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: MessagesRequest) -> Result<Self, ErrorBody> {
        let MessagesRequest { who, before, limit, search: text } = request;
        if !(1..=MessagesRequest::LONGEST).contains(&limit) {
            return Err(ErrorBody::new(
                Code::BadInput,
                format!("limit must be 1 to {}, got {limit}", MessagesRequest::LONGEST),
                "read the rest with another request, whose `before` is the first message of this one",
            ));
        }
        Ok(Self::Messages { who, before, limit: usize::from(limit), text })
    }
}

impl From<Vec<view::Message>> for Messages {
    fn from(view: Vec<view::Message>) -> Self {
        Self { messages: view.into_iter().map(Into::into).collect() }
    }
}

impl From<view::Message> for Message {
    fn from(view: view::Message) -> Self {
        Self {
            id: view.id,
            conversation: view.conversation,
            from: view.from,
            mine: view.mine,
            text: view.text,
            sent_at: view.sent_at.into(),
            received_at: view.received_at.into(),
            state: view.state.into(),
            holders: view.holders,
            reply_to: view.reply_to,
            edited_at: view.edited_at.map(Into::into),
            deleted: view.deleted,
            disappears_after_s: view.lives.map(Span::as_secs),
            disappears_at: view.ends.map(Into::into),
            reactions: view.reactions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<view::Reaction> for Reaction {
    fn from(view: view::Reaction) -> Self {
        Self { from: view.from, reaction: view.reaction }
    }
}

impl From<view::Message> for SendReply {
    fn from(view: view::Message) -> Self {
        Self { id: view.id, conversation: view.conversation, state: view.state.into(), holders: view.holders }
    }
}

impl From<view::MessageState> for MessageState {
    fn from(state: view::MessageState) -> Self {
        match state {
            view::MessageState::Queued => Self::Queued,
            view::MessageState::Stored => Self::Stored,
            view::MessageState::Delivered => Self::Delivered,
            view::MessageState::Read => Self::Read,
            view::MessageState::Failed => Self::Failed,
        }
    }
}
