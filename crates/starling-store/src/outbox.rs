//! What waits for a device to confirm it.

use rusqlite::{Row, named_params, params};
use starling_core::storage::{Mailed, OutboxRow, OutboxStore, StorageError};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::time::{UnixMillis, UnixSeconds};

use crate::Database;
use crate::columns::{Bits, Digest, Ordered};

const PART: &str = "outbox";

const SELECT_ALL: &str = "
    SELECT number, account, device, message, queued_at_ms, expires_s, digest, content, mailed_s, mailed_holders
    FROM outbox ORDER BY number";

const UPSERT: &str = "
    INSERT OR REPLACE INTO outbox
        (number, account, device, message, queued_at_ms, expires_s, digest, content, mailed_s, mailed_holders)
    VALUES
        (:number, :account, :device, :message, :queued_at_ms, :expires_s, :digest, :content, :mailed_s, :mailed_holders)";

const SET_MAILED: &str = "UPDATE outbox SET mailed_s = ?2, mailed_holders = ?3 WHERE number = ?1";

const DELETE: &str = "DELETE FROM outbox WHERE number = ?1";

impl OutboxStore for Database {
    fn outbox(&self) -> Result<Vec<OutboxRow>, StorageError> {
        let all = self.read(PART, |connection| {
            connection.prepare_cached(SELECT_ALL)?.query_map([], outbox_row)?.collect()
        });
        Ok(all?)
    }

    fn write_outbox(&mut self, row: &OutboxRow) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            connection.prepare_cached(UPSERT)?.execute(named_params! {
                ":number": Ordered(row.number),
                ":account": row.account.as_bytes(),
                ":device": row.device.as_bytes(),
                ":message": row.message.as_bytes(),
                ":queued_at_ms": Bits(row.queued_at.get()),
                ":expires_s": Bits(row.expires.get()),
                ":digest": Digest::of(&row.content),
                ":content": row.content,
                ":mailed_s": row.mailed.map(|mailed| Bits(mailed.at.get())),
                ":mailed_holders": row.mailed.map(|mailed| mailed.holders),
            })
        });
        written?;
        Ok(())
    }

    fn set_mailed(&mut self, number: u64, mailed: Option<Mailed>) -> Result<(), StorageError> {
        let (at, holders) = (mailed.map(|mailed| Bits(mailed.at.get())), mailed.map(|mailed| mailed.holders));
        let written = self.write(PART, |connection| {
            connection.prepare_cached(SET_MAILED)?.execute(params![Ordered(number), at, holders])
        });
        written?;
        Ok(())
    }

    fn remove_outbox(&mut self, number: u64) -> Result<(), StorageError> {
        let removed =
            self.write(PART, |connection| connection.prepare_cached(DELETE)?.execute([Ordered(number)]));
        removed?;
        Ok(())
    }
}

fn outbox_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    let digest: Digest = row.get("digest")?;
    let mailed = row.get::<_, Option<Bits>>("mailed_s")?.zip(row.get("mailed_holders")?);
    Ok(OutboxRow {
        number: row.get::<_, Ordered>("number")?.0,
        account: AccountKey::new(row.get("account")?),
        device: DeviceKey::new(row.get("device")?),
        message: MessageId::new(row.get("message")?),
        content: digest.checked(row.get_ref("content")?.as_blob()?)?.to_vec(),
        queued_at: UnixMillis::new(row.get::<_, Bits>("queued_at_ms")?.0),
        expires: UnixSeconds::new(row.get::<_, Bits>("expires_s")?.0),
        mailed: mailed.map(|(at, holders)| Mailed { at: UnixSeconds::new(at.0), holders }),
    })
}
