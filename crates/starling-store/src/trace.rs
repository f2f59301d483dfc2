//! The steps of messages.

use rusqlite::{Connection, OptionalExtension as _, Row};
use starling_core::storage::{StorageError, TraceRow, TraceStore};
use starling_proto::ids::{DeviceKey, MessageId};
use starling_proto::time::UnixMillis;

use crate::Database;
use crate::columns::Bits;

const PART: &str = "trace";

const SELECT: &str = "
    SELECT at_ms, step, device, peers FROM trace
    WHERE message = (SELECT number FROM messages WHERE id = ?1) ORDER BY number";

/// Of one message: its row, the last step's number, and of one copy the last step and how many it has.
const SELECT_LAST: &str = "
    SELECT messages.number,
        (SELECT max(number) FROM trace WHERE message = messages.number),
        (SELECT step FROM trace WHERE message = messages.number AND device IS ?2 ORDER BY number DESC LIMIT 1),
        (SELECT count(*) FROM trace WHERE message = messages.number AND device IS ?2)
    FROM messages WHERE id = ?1";

const INSERT: &str =
    "INSERT INTO trace (message, number, at_ms, step, device, peers) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

impl TraceStore for Database {
    fn trace(&self, message: &MessageId) -> Result<Vec<TraceRow>, StorageError> {
        let steps = self.read(PART, |connection| {
            let mut statement = connection.prepare_cached(SELECT)?;
            statement.query_map([message.as_bytes()], |row| step(*message, row))?.collect()
        });
        Ok(steps?)
    }

    fn append_trace(&mut self, row: &TraceRow, most: usize) -> Result<(), StorageError> {
        Ok(self.write(PART, |connection| append(connection, row, most))?)
    }
}

fn append(connection: &Connection, row: &TraceRow, most: usize) -> rusqlite::Result<()> {
    let device = row.device.as_ref().map(DeviceKey::as_bytes);
    let mut select = connection.prepare_cached(SELECT_LAST)?;
    let last = select.query_row((row.message.as_bytes(), device), |row| row.try_into()).optional()?;
    let Some(last) = last else { return Ok(()) };
    let (message, number, step, count): (i64, Option<i64>, Option<u32>, u32) = last;
    if step == Some(row.step) || usize::try_from(count).is_ok_and(|count| count >= most) {
        return Ok(());
    }
    let number = number.map_or(0, |last| last.saturating_add(1));
    let step = (message, number, Bits(row.at.get()), row.step, device, row.peers);
    connection.prepare_cached(INSERT)?.execute(step)?;
    Ok(())
}

fn step(message: MessageId, row: &Row<'_>) -> rusqlite::Result<TraceRow> {
    Ok(TraceRow {
        message,
        at: UnixMillis::new(row.get::<_, Bits>(0)?.0),
        step: row.get(1)?,
        device: row.get::<_, Option<_>>(2)?.map(DeviceKey::new),
        peers: row.get(3)?,
    })
}
