//! Records held for others, and deletions that are remembered.

use std::sync::Arc;

use rusqlite::types::FromSqlError;
use rusqlite::{OptionalExtension as _, Row, named_params};
use starling_core::storage::{RecordStore, StorageError};
use starling_overlay::storage::{DeletedRecord, HeldRecord};
use starling_proto::ids::{PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;

use crate::Database;
use crate::columns::{Bits, Digest, Group};

const PART: &str = "records";
const DELETIONS: &str = "deletions";

const SELECT_ALL: &str = "
    SELECT id, record_key, kind, publisher, sequence, size_bytes, received_s, expires_s, keep_until_s, tombstone,
           welcome, work_bits, address_group
    FROM records ORDER BY id";

const SELECT_BODY: &str = "
    SELECT body.digest, body.encoded
    FROM records JOIN record_bodies AS body USING (number) WHERE records.id = ?1";

const UPSERT: &str = "
    INSERT INTO records (id, record_key, kind, publisher, sequence, size_bytes, received_s, expires_s, keep_until_s,
                         tombstone, welcome, work_bits, address_group)
    VALUES (:id, :record_key, :kind, :publisher, :sequence, :size_bytes, :received_s, :expires_s, :keep_until_s,
            :tombstone, :welcome, :work_bits, :address_group)
    ON CONFLICT (id) DO UPDATE SET
        record_key = excluded.record_key, kind = excluded.kind, publisher = excluded.publisher,
        sequence = excluded.sequence, size_bytes = excluded.size_bytes, received_s = excluded.received_s,
        expires_s = excluded.expires_s, keep_until_s = excluded.keep_until_s, tombstone = excluded.tombstone,
        welcome = excluded.welcome, work_bits = excluded.work_bits, address_group = excluded.address_group
    RETURNING number";

const UPSERT_BODY: &str = "
    INSERT INTO record_bodies (number, digest, encoded) VALUES (?1, ?2, ?3)
    ON CONFLICT (number) DO UPDATE SET digest = excluded.digest, encoded = excluded.encoded";

const DELETE: &str = "DELETE FROM records WHERE id = ?1";

const SELECT_DELETIONS: &str = "
    SELECT record_key, id, deleted_s, keep_until_s, address_group FROM deletions ORDER BY record_key, id";

const UPSERT_DELETION: &str = "
    INSERT OR REPLACE INTO deletions (record_key, id, deleted_s, keep_until_s, address_group)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const DELETE_DELETION: &str = "DELETE FROM deletions WHERE record_key = ?1 AND id = ?2";

impl RecordStore for Database {
    fn held_records(&self) -> Result<Vec<HeldRecord>, StorageError> {
        let all = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_ALL)?.query_map([], held_record)?.collect()
        });
        Ok(all?)
    }

    fn read_record(&self, id: &RecordId) -> Result<Option<Arc<[u8]>>, StorageError> {
        let found = self.read(PART, |connection| {
            let mut statement = connection.prepare_cached(SELECT_BODY)?;
            statement.query_row([id.as_bytes()], body).optional()
        });
        Ok(found?)
    }

    fn write_record(&mut self, held: &HeldRecord, encoded: &Arc<[u8]>) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            let mut upsert = connection.prepare_cached(UPSERT)?;
            let number: i64 = upsert.query_row(
                named_params! {
                    ":id": held.id.as_bytes(),
                    ":record_key": held.key.as_bytes(),
                    ":kind": held.kind.number(),
                    ":publisher": held.publisher.as_bytes(),
                    ":sequence": Bits(held.sequence),
                    ":size_bytes": held.size,
                    ":received_s": Bits(held.received.get()),
                    ":expires_s": Bits(held.expires.get()),
                    ":keep_until_s": Bits(held.keep_until.get()),
                    ":tombstone": held.tombstone,
                    ":welcome": held.welcome,
                    ":work_bits": held.work,
                    ":address_group": Group(held.group),
                },
                |row| row.get(0),
            )?;
            let mut upsert_body = connection.prepare_cached(UPSERT_BODY)?;
            upsert_body.execute((number, Digest::of(encoded), encoded.as_ref()))?;
            Ok(())
        });
        Ok(written?)
    }

    fn remove_record(&mut self, id: &RecordId) -> Result<(), StorageError> {
        let removed =
            self.write(PART, |connection| connection.prepare_cached(DELETE)?.execute([id.as_bytes()]));
        removed?;
        Ok(())
    }

    fn deleted_records(&self) -> Result<Vec<DeletedRecord>, StorageError> {
        let all = self.read(DELETIONS, |connection| {
            connection.prepare_cached(SELECT_DELETIONS)?.query_map([], deleted_record)?.collect()
        });
        Ok(all?)
    }

    fn write_deletion(&mut self, deleted: &DeletedRecord) -> Result<(), StorageError> {
        let written = self.write(DELETIONS, |connection| {
            connection.prepare_cached(UPSERT_DELETION)?.execute((
                deleted.key.as_bytes(),
                deleted.id.as_bytes(),
                Bits(deleted.deleted.get()),
                Bits(deleted.keep_until.get()),
                Group(deleted.group),
            ))
        });
        written?;
        Ok(())
    }

    fn remove_deletion(&mut self, key: &RecordKey, id: &RecordId) -> Result<(), StorageError> {
        let removed = self.write(DELETIONS, |connection| {
            connection.prepare_cached(DELETE_DELETION)?.execute((key.as_bytes(), id.as_bytes()))
        });
        removed?;
        Ok(())
    }
}

fn held_record(row: &Row<'_>) -> rusqlite::Result<HeldRecord> {
    // A kind of a later version cannot be here: its program would have raised the schema's number.
    let kind = RecordKind::from_number(row.get("kind")?).map_err(|_| FromSqlError::InvalidType)?;
    Ok(HeldRecord {
        id: RecordId::new(row.get("id")?),
        key: RecordKey::new(row.get("record_key")?),
        kind,
        publisher: PublisherKey::new(row.get("publisher")?),
        sequence: row.get::<_, Bits>("sequence")?.0,
        size: row.get("size_bytes")?,
        received: seconds(row, "received_s")?,
        expires: seconds(row, "expires_s")?,
        keep_until: seconds(row, "keep_until_s")?,
        tombstone: row.get("tombstone")?,
        welcome: row.get("welcome")?,
        work: row.get("work_bits")?,
        group: row.get::<_, Group>("address_group")?.0,
    })
}

fn deleted_record(row: &Row<'_>) -> rusqlite::Result<DeletedRecord> {
    Ok(DeletedRecord {
        key: RecordKey::new(row.get("record_key")?),
        id: RecordId::new(row.get("id")?),
        deleted: seconds(row, "deleted_s")?,
        keep_until: seconds(row, "keep_until_s")?,
        group: row.get::<_, Group>("address_group")?.0,
    })
}

fn seconds(row: &Row<'_>, column: &str) -> rusqlite::Result<UnixSeconds> {
    Ok(UnixSeconds::new(row.get::<_, Bits>(column)?.0))
}

fn body(row: &Row<'_>) -> rusqlite::Result<Arc<[u8]>> {
    let digest: Digest = row.get(0)?;
    Ok(digest.checked(row.get_ref(1)?.as_blob()?)?.into())
}
