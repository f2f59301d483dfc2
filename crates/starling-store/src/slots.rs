//! State that the core reads and writes whole.

use rusqlite::{Connection, OptionalExtension as _, Row};
use starling_core::storage::{Slot, SlotStore, StorageError};

use crate::Database;
use crate::columns::Digest;

const PART: &str = "slots";

const SELECT: &str = "SELECT digest, bytes FROM slots WHERE number = ?1";

const UPSERT: &str = "
    INSERT INTO slots (number, digest, bytes) VALUES (?1, ?2, ?3)
    ON CONFLICT (number) DO UPDATE SET digest = excluded.digest, bytes = excluded.bytes";

impl SlotStore for Database {
    fn read_slot(&self, slot: Slot) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.read(PART, |connection| read(connection, slot))?)
    }

    fn write_slot(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            connection.prepare_cached(UPSERT)?.execute((slot.number(), Digest::of(bytes), bytes))
        });
        written?;
        Ok(())
    }
}

pub(crate) fn read(connection: &Connection, slot: Slot) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(SELECT)?.query_row([slot.number()], content).optional()
}

fn content(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let digest: Digest = row.get(0)?;
    Ok(digest.checked(row.get_ref(1)?.as_blob()?)?.to_vec())
}
