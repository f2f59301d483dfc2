//! The steps of messages.

use rusqlite::Row;
use starling_core::storage::{StorageError, TraceRow, TraceStore};
use starling_proto::ids::{DeviceKey, MessageId};
use starling_proto::time::UnixMillis;

use crate::Database;
use crate::columns::Bits;

const PART: &str = "trace";

const SELECT: &str =
    "SELECT message, at_ms, step, device, peers FROM trace WHERE message = ?1 ORDER BY number";

const INSERT: &str = "INSERT INTO trace (message, at_ms, step, device, peers) VALUES (?1, ?2, ?3, ?4, ?5)";

impl TraceStore for Database {
    fn trace(&self, message: &MessageId) -> Result<Vec<TraceRow>, StorageError> {
        let steps = self.read(PART, |connection| {
            connection.prepare_cached(SELECT)?.query_map([message.as_bytes()], step)?.collect()
        });
        Ok(steps?)
    }

    fn append_trace(&mut self, row: &TraceRow) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            connection.prepare_cached(INSERT)?.execute((
                row.message.as_bytes(),
                Bits(row.at.get()),
                row.step,
                row.device.as_ref().map(DeviceKey::as_bytes),
                row.peers,
            ))
        });
        written?;
        Ok(())
    }
}

fn step(row: &Row<'_>) -> rusqlite::Result<TraceRow> {
    Ok(TraceRow {
        message: MessageId::new(row.get("message")?),
        at: UnixMillis::new(row.get::<_, Bits>("at_ms")?.0),
        step: row.get("step")?,
        device: row.get::<_, Option<_>>("device")?.map(DeviceKey::new),
        peers: row.get("peers")?,
    })
}
