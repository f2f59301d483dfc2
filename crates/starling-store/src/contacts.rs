//! Contacts, a row each.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, named_params};
use starling_core::storage::{ContactRow, ContactState, ContactStore, StorageError};
use starling_proto::ids::AccountKey;
use starling_proto::time::UnixSeconds;

use crate::Database;
use crate::columns::{Bits, Digest};

const PART: &str = "contacts";

const SELECT_ALL: &str = "
    SELECT account, state, petname, name, verified, added_s, last_seen_s, digest, body
    FROM contacts ORDER BY account";

const UPSERT: &str = "
    INSERT INTO contacts (account, state, petname, name, verified, added_s, last_seen_s, digest, body)
    VALUES (:account, :state, :petname, :name, :verified, :added_s, :last_seen_s, :digest, :body)
    ON CONFLICT (account) DO UPDATE SET
        state = excluded.state, petname = excluded.petname, name = excluded.name, verified = excluded.verified,
        added_s = excluded.added_s, last_seen_s = excluded.last_seen_s, digest = excluded.digest,
        body = excluded.body";

const DELETE: &str = "DELETE FROM contacts WHERE account = ?1";

impl ContactStore for Database {
    fn contacts(&self) -> Result<Vec<ContactRow>, StorageError> {
        Ok(self.read(PART, all)?)
    }

    fn write_contact(&mut self, row: &ContactRow) -> Result<(), StorageError> {
        let written = self.write(PART, |connection| {
            connection.prepare_cached(UPSERT)?.execute(named_params! {
                ":account": row.account.as_bytes(),
                ":state": row.state.number(),
                ":petname": row.petname,
                ":name": row.name,
                ":verified": row.verified,
                ":added_s": Bits(row.added.get()),
                ":last_seen_s": row.last_seen.map(|at| Bits(at.get())),
                ":digest": Digest::of(&row.body),
                ":body": row.body,
            })
        });
        written?;
        Ok(())
    }

    fn remove_contact(&mut self, account: &AccountKey) -> Result<(), StorageError> {
        let removed =
            self.write(PART, |connection| connection.prepare_cached(DELETE)?.execute([account.as_bytes()]));
        removed?;
        Ok(())
    }
}

pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<ContactRow>> {
    connection.prepare_cached(SELECT_ALL)?.query_map([], contact)?.collect()
}

fn contact(row: &Row<'_>) -> rusqlite::Result<ContactRow> {
    let digest: Digest = row.get("digest")?;
    Ok(ContactRow {
        account: AccountKey::new(row.get("account")?),
        state: ContactState::from_number(row.get("state")?).ok_or(FromSqlError::InvalidType)?,
        petname: row.get("petname")?,
        name: row.get("name")?,
        verified: row.get("verified")?,
        added: UnixSeconds::new(row.get::<_, Bits>("added_s")?.0),
        last_seen: row.get::<_, Option<Bits>>("last_seen_s")?.map(|at| UnixSeconds::new(at.0)),
        body: digest.checked(row.get_ref("body")?.as_blob()?)?.to_vec(),
    })
}
