//! Texts between us and a contact.

use core::fmt;

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::view;
use starling_proto::content::MessageText;
use starling_proto::ids::{AccountKey, MessageId};
use starling_proto::limits;
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
    /// The text, as it was written: whoever shows it makes it safe.
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
    /// The command, to be carried out once for each `id`, also across restarts of the node.
    pub(crate) fn command(self, id: Option<RequestId>) -> Result<Command, ErrorBody> {
        let text = message_text(self.text)?;
        Ok(Command::Send { who: self.who, text, request: id.map(|id| id.to_string()) })
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
        }
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
