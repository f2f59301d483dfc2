//! Ids that must not be taken twice.

use starling_core::storage::{SeenStore, StorageError};
use starling_proto::time::UnixSeconds;

use crate::Database;
use crate::columns::Ordered;

const PART: &str = "seen";

const INSERT: &str = "INSERT INTO seen (id, until_s) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "UPDATE seen SET until_s = ?2 WHERE id = ?1";

const DELETE_ENDED: &str = "DELETE FROM seen WHERE until_s <= ?1";

impl SeenStore for Database {
    fn note_seen(&mut self, id: &[u8; 32], until: UnixSeconds) -> Result<bool, StorageError> {
        let noted = self.write(PART, |connection| {
            let row = (id, Ordered(until.get()));
            let new = connection.prepare_cached(INSERT)?.execute(row)? == 1;
            if !new {
                connection.prepare_cached(UPDATE)?.execute(row)?;
            }
            Ok(new)
        });
        Ok(noted?)
    }

    fn forget_seen(&mut self, now: UnixSeconds) -> Result<(), StorageError> {
        let removed = self
            .write(PART, |connection| connection.prepare_cached(DELETE_ENDED)?.execute([Ordered(now.get())]));
        removed?;
        Ok(())
    }
}
