//! The event stream: one JSON object per line.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use starling_core::io;
use starling_proto::addr::JoinAddr;
use starling_proto::ids::{AccountKey, NodeKey};
use utoipa::ToSchema;

use super::text;
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
