//! Sessions with peer devices, and what is left of those that must never be opened again.

use rusqlite::Row;
use starling_core::storage::{SessionStore, StorageError};
use starling_crypto::session::Tombstone;
use starling_proto::ids::{DeviceKey, OlmKey, SessionId};

use crate::Database;
use crate::columns::Digest;

const PART: &str = "sessions";
const TOMBSTONES: &str = "tombstones";

const SELECT: &str = "SELECT digest, bytes FROM sessions WHERE device = ?1 ORDER BY session";

const UPSERT: &str = "
    INSERT INTO sessions (device, session, digest, bytes) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (device, session) DO UPDATE SET digest = excluded.digest, bytes = excluded.bytes";

const DELETE: &str = "DELETE FROM sessions WHERE device = ?1 AND session = ?2";

const SELECT_TOMBSTONES: &str = "SELECT session, olm_key FROM tombstones WHERE device = ?1 ORDER BY session";

const UPSERT_TOMBSTONE: &str =
    "INSERT OR REPLACE INTO tombstones (device, session, olm_key) VALUES (?1, ?2, ?3)";

const DELETE_TOMBSTONE: &str = "DELETE FROM tombstones WHERE device = ?1 AND session = ?2";

impl SessionStore for Database {
    fn sessions(&self, device: &DeviceKey) -> Result<Vec<Vec<u8>>, StorageError> {
        let of_device = self.read(PART, |connection| {
            connection.prepare_cached(SELECT)?.query_map([device.as_bytes()], content)?.collect()
        });
        Ok(of_device?)
    }

    fn write_session(
        &mut self,
        device: &DeviceKey,
        session: &SessionId,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            let row = (device.as_bytes(), session.as_bytes(), Digest::of(bytes), bytes);
            connection.prepare_cached(UPSERT)?.execute(row)
        });
        written?;
        Ok(())
    }

    fn remove_session(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError> {
        let removed = self.write(PART, |connection| {
            connection.prepare_cached(DELETE)?.execute((device.as_bytes(), session.as_bytes()))
        });
        removed?;
        Ok(())
    }

    fn tombstones(&self, device: &DeviceKey) -> Result<Vec<Tombstone>, StorageError> {
        let of_device = self.read(TOMBSTONES, |connection| {
            connection.prepare_cached(SELECT_TOMBSTONES)?.query_map([device.as_bytes()], tombstone)?.collect()
        });
        Ok(of_device?)
    }

    fn write_tombstone(&mut self, device: &DeviceKey, tombstone: &Tombstone) -> Result<(), StorageError> {
        let written = self.write(TOMBSTONES, |connection| {
            let row = (device.as_bytes(), tombstone.session.as_bytes(), tombstone.key.as_bytes());
            connection.prepare_cached(UPSERT_TOMBSTONE)?.execute(row)
        });
        written?;
        Ok(())
    }

    fn remove_tombstone(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError> {
        let removed = self.write(TOMBSTONES, |connection| {
            connection.prepare_cached(DELETE_TOMBSTONE)?.execute((device.as_bytes(), session.as_bytes()))
        });
        removed?;
        Ok(())
    }
}

fn content(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let digest: Digest = row.get(0)?;
    Ok(digest.checked(row.get_ref(1)?.as_blob()?)?.to_vec())
}

fn tombstone(row: &Row<'_>) -> rusqlite::Result<Tombstone> {
    Ok(Tombstone { session: SessionId::new(row.get(0)?), key: OlmKey::new(row.get(1)?) })
}
