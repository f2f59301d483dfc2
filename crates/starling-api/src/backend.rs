//! What the API needs of a running node, as a trait: the server can be tested without one.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use starling_core::io::{Command, CommandError, CommandOutput, Event};
use starling_node::Counts;
use starling_proto::addr::JoinAddr;
use starling_proto::ids::{AccountKey, NodeKey};

/// A running node, as the API sees it.
pub trait Backend: Send + Sync + 'static {
    /// Gives the core a command. The result is on disk when the future ends. Dropping the future before does not take
    /// the command back.
    fn command(&self, command: Command) -> BoxFuture<'_, Result<CommandOutput, CommandError>>;

    /// Events behind `since`, or from now on. If those behind `since` are no longer kept, or `since` is of another run
    /// of the node, the first one is [`Notice::Resync`]; so is the next one after a reader was too slow.
    ///
    /// # Errors
    /// [`ErrorCode::BadInput`](starling_core::io::ErrorCode::BadInput) if `since` never was a cursor.
    fn events(&self, since: Option<&Cursor>) -> Result<EventFeed, CommandError>;

    /// Who runs, where, and what it has done. Called for each `status`, each `metrics` and each new event stream: it answers from memory.
    fn info(&self) -> NodeInfo;
}

/// Who runs, where, and what it has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The account.
    pub account: AccountKey,
    /// The peer.
    pub node: NodeKey,
    /// The node's own socket addresses.
    pub addresses: Vec<SocketAddr>,
    /// What another node's `--join` takes; `None` while no address is known.
    pub join: Option<JoinAddr>,
    /// Size of the database in bytes; `None` if it could not be read.
    pub database_bytes: Option<u64>,
    /// For how long it has been running.
    pub uptime: Duration,
    /// What it has done since.
    pub counts: Counts,
}

/// Events, and the place from which they run.
pub struct EventFeed {
    /// The place behind which the events begin.
    pub from: Cursor,
    /// The events in order, each with its place. Ends when the node does.
    pub events: BoxStream<'static, (Cursor, Notice)>,
}

/// Something for the readers of the event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What the core said.
    Event(Event),
    /// What was before is lost to this reader: read the state anew.
    Resync,
}

/// A place in the event stream, as text that only the node reads. Whether it is one of this run is for the node to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

/// A text that cannot be a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the cursor of an event, as it stands there")]
pub struct CursorError;

impl Cursor {
    /// Letters at most.
    const MAX: usize = 64;
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    /// Takes letters, digits and `-`: what needs no escaping in an address.
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain && (1..=Self::MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CursorError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_needs_no_escaping() {
        assert_eq!("0f-7".parse::<Cursor>().map(|cursor| cursor.to_string()), Ok("0f-7".to_owned()));
        for text in ["", "a b", "a&b=c", "a\n", "\u{e4}", "%20", &"x".repeat(65)] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
