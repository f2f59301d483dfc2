//! A running node as the API's backend.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use starling_core::io::{Command, CommandError, CommandOutput, ErrorCode};
use starling_node::{EventStream, News, NodeHandle};
use starling_proto::ids::AccountKey;

use crate::backend::{Backend, Cursor, EventFeed, NodeInfo, Notice};

/// A running node, with what the API tells about it and it does not know itself.
#[derive(Clone)]
pub struct NodeBackend {
    node: NodeHandle,
    account: AccountKey,
    database: PathBuf,
    since: Instant,
}

impl NodeBackend {
    /// The node of `account`, whose database file is `database`; it counts as started now.
    #[must_use]
    pub fn new(node: NodeHandle, account: AccountKey, database: PathBuf) -> Self {
        Self { node, account, database, since: Instant::now() }
    }
}

impl Backend for NodeBackend {
    fn command(&self, command: Command) -> BoxFuture<'_, Result<CommandOutput, CommandError>> {
        self.node.command(command).boxed()
    }

    fn events(&self, since: Option<&Cursor>) -> Result<EventFeed, CommandError> {
        let since = since.map(|since| since.to_string().parse()).transpose().map_err(bad_cursor)?;
        let events = self.node.events(since);
        let from = to_cursor(events.cursor())?;
        Ok(EventFeed { from, events: stream::unfold(events, next).boxed() })
    }

    fn info(&self) -> NodeInfo {
        let info = self.node.info();
        NodeInfo {
            account: self.account,
            node: info.key,
            join: info.join(),
            addresses: info.addresses,
            database_bytes: database_bytes(&self.database),
            uptime: self.since.elapsed(),
            counts: self.node.counts(),
        }
    }
}

async fn next(mut events: EventStream) -> Option<((Cursor, Notice), EventStream)> {
    let published = events.next().await?;
    let notice = match published.what {
        News::Event(event) => Notice::Event(event),
        // Whatever else the node learns to say: whoever reads everything anew has missed nothing.
        _ => Notice::Resync,
    };
    Some(((to_cursor(published.cursor).ok()?, notice), events))
}

/// The node's cursors are letters, digits and `-`, so each has this form.
fn to_cursor(cursor: starling_node::Cursor) -> Result<Cursor, CommandError> {
    cursor.to_string().parse().map_err(bad_cursor)
}

fn bad_cursor(cause: impl core::fmt::Display) -> CommandError {
    CommandError {
        code: ErrorCode::BadInput,
        message: cause.to_string(),
        hint: "use the cursor of the last line that was read, as it stands there".to_owned(),
    }
}

/// Size of the database and of its write-ahead log; the log may be absent.
fn database_bytes(database: &Path) -> Option<u64> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let size = fs::metadata(database).ok()?.len();
    Some(size.saturating_add(fs::metadata(log).map_or(0, |log| log.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_cursors_pass_unchanged() {
        let of_the_node: starling_node::Cursor = "00000000000000ab-18446744073709551615".parse().unwrap();
        let cursor = to_cursor(of_the_node).unwrap();
        assert_eq!(cursor.to_string().parse(), Ok(of_the_node));
    }

    #[test]
    fn the_databases_size_counts_its_log() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("x.db");
        assert_eq!(database_bytes(&database), None);
        fs::write(&database, [0; 10]).unwrap();
        assert_eq!(database_bytes(&database), Some(10));
        fs::write(home.path().join("x.db-wal"), [0; 5]).unwrap();
        assert_eq!(database_bytes(&database), Some(15));
    }
}
