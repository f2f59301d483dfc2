//! The event stream: one JSON object per line.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use starling_core::io;
use starling_proto::addr::JoinAddr;
use starling_proto::ids::{AccountKey, MessageId, NodeKey};
use utoipa::ToSchema;

use super::{Message, MessageState, Presence, count, text};
use crate::backend::{Cursor, NodeInfo, Notice};

/// One line of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventLine {
    /// Where in the stream this is: `since=` this resumes behind it. Opaque: only the node reads it.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub cursor: Cursor,
    /// What happened.
    #[serde(flatten)]
    pub event: EventBody,
}

/// What happened. More kinds come; a reader skips those it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// The node runs. First line of a stream that was opened without a cursor, and of `starling run`.
    Ready(Ready),
    /// A peer greeted.
    PeerUp {
        /// The peer's id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        node: NodeKey,
    },
    /// A peer's last connection ended.
    PeerDown {
        /// The peer's id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        node: NodeKey,
    },
    /// Somebody asks to be a contact.
    ContactRequest {
        /// Their account id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
        /// What they call themselves; anybody may choose any name.
        name: String,
        /// What they say.
        note: String,
    },
    /// Both agree now: texts can be written.
    ContactAccepted {
        /// Their account id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
        /// What to call them.
        name: String,
    },
    /// They do not want to be a contact.
    ContactDeclined {
        /// Their account id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
    },
    /// Our contact request lies where they will find it.
    RequestStored {
        /// The account id of whom we asked.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
        /// How many peers keep it.
        holders: u64,
    },
    /// A contact's devices have changed.
    DevicesChanged {
        /// Their account id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
        /// How many are new.
        added: u64,
        /// Whether the account began anew from its recovery phrase, without regard for the devices that were known:
        /// compare the safety number again.
        reset: bool,
    },
    /// Somebody appears different.
    Presence {
        /// Their account id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        account: AccountKey,
        /// How they appear now.
        presence: Presence,
        /// What they say about it; empty if nothing.
        status_line: String,
        /// Whether they are typing to us now.
        typing: bool,
    },
    /// A message has come.
    Message(Message),
    /// A text reads otherwise, is no more, or somebody has said what they think of it: as it is now.
    MessageChanged(Message),
    /// A message of ours has come further.
    MessageState {
        /// The message's id.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        id: MessageId,
        /// The account of the contact with whom the conversation is.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        conversation: AccountKey,
        /// How far it has come.
        state: MessageState,
        /// How many peers keep it for the contact, if it is `stored`; absent otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holders: Option<u32>,
    },
    /// The user should know.
    Warning {
        /// For programs.
        code: WarningCode,
        /// For people.
        message: String,
    },
    /// Events before this line are lost to this reader, which was too slow or away for too long: read the state anew.
    Resync,
    /// An event that this version has no form for.
    #[serde(other)]
    Unknown,
}

/// Who runs and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// The account id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// The peer's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// The node's own socket addresses.
    #[schema(value_type = Vec<String>)]
    pub addrs: Vec<SocketAddr>,
    /// What another node's `--join` takes; null while no address is known.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub join: Option<JoinAddr>,
    /// Where the API listens: `IP:PORT`, or `unix:PATH`.
    pub api: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningCode {
    /// The clock and that of several peers differ by more than an hour.
    Clock,
    /// The directory entry is not where it should be.
    Directory,
    /// No peer answers.
    Alone,
    /// The disk is full.
    DiskFull,
    /// So much waits to be sent that something was left out.
    OutboxFull,
    /// Nobody places or finds in our place what the settings want to be done so; it waits.
    NotPassed,
    /// The account's list names this device no more.
    Revoked,
    /// A warning that this version has no name for.
    #[serde(other)]
    Other,
}

impl Ready {
    /// What `info` says, and where the API listens.
    #[must_use]
    pub fn new(info: NodeInfo, api: String) -> Self {
        Self { account: info.account, node: info.node, addrs: info.addresses, join: info.join, api }
    }
}

impl From<Notice> for EventBody {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Event(event) => event.into(),
            Notice::Resync => Self::Resync,
        }
    }
}

impl From<io::Event> for EventBody {
    fn from(event: io::Event) -> Self {
        match event {
            io::Event::PeerUp(node) => Self::PeerUp { node },
            io::Event::PeerDown(node) => Self::PeerDown { node },
            io::Event::ContactRequest { account, name, note } => Self::ContactRequest { account, name, note },
            io::Event::ContactAccepted { account, name } => Self::ContactAccepted { account, name },
            io::Event::ContactDeclined { account } => Self::ContactDeclined { account },
            io::Event::RequestStored { account, holders } => {
                Self::RequestStored { account, holders: count(holders) }
            }
            io::Event::DevicesChanged { account, added, reset } => {
                Self::DevicesChanged { account, added: count(added), reset }
            }
            io::Event::Presence { account, presence } => Self::Presence {
                account,
                presence: presence.status.into(),
                status_line: presence.line,
                typing: presence.typing,
            },
            io::Event::Message(message) => Self::Message((*message).into()),
            io::Event::Changed(message) => Self::MessageChanged((*message).into()),
            io::Event::MessageState { id, conversation, state, holders } => {
                Self::MessageState { id, conversation, state: state.into(), holders }
            }
            io::Event::Warning { code, message } => Self::Warning { code: code.into(), message },
            // The reader learns that something happened, whatever it is.
            _ => Self::Unknown,
        }
    }
}

impl From<io::WarningCode> for WarningCode {
    fn from(code: io::WarningCode) -> Self {
        match code {
            io::WarningCode::Clock => Self::Clock,
            io::WarningCode::Directory => Self::Directory,
            io::WarningCode::Alone => Self::Alone,
            io::WarningCode::DiskFull => Self::DiskFull,
            io::WarningCode::OutboxFull => Self::OutboxFull,
            io::WarningCode::NotPassed => Self::NotPassed,
            io::WarningCode::Revoked => Self::Revoked,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_flat() {
        let line = EventLine {
            cursor: "ab-7".parse().unwrap(),
            event: EventBody::Warning { code: WarningCode::Alone, message: "no peer answers".into() },
        };
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(json, r#"{"cursor":"ab-7","event":"warning","code":"alone","message":"no peer answers"}"#);
        assert_eq!(serde_json::from_str::<EventLine>(&json).unwrap(), line);
    }

    #[test]
    fn a_newer_event_is_read_as_unknown() {
        let line = r#"{"cursor":"1-2","event":"of_next_year","weight":3}"#;
        assert_eq!(serde_json::from_str::<EventLine>(line).unwrap().event, EventBody::Unknown);
    }
}
