//! Connections that read, beside the one that writes.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use starling_core::storage::{ContactRow, MessageRow, Slot};

use crate::columns::Bits;
use crate::connection::{self, Access};
use crate::home::Home;
use crate::integrity::{self, Integrity};
use crate::key::DataKey;
use crate::{StoreError, contacts, files, messages, schema, slots, wal};

/// Opens read-only connections, from any thread.
#[derive(Debug, Clone)]
pub struct Readers {
    path: PathBuf,
    key: DataKey,
}

impl Home {
    /// Readers of a home that another process may be running a node on. [`Database::open`](crate::Database::open) checks
    /// more: after a crash, and with nobody running, prefer it.
    #[must_use]
    pub fn readers(&self, key: &DataKey) -> Readers {
        Readers::new(self.database_file(), key.clone())
    }
}

impl Readers {
    pub(crate) const fn new(path: PathBuf, key: DataKey) -> Self {
        Self { path, key }
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn key(&self) -> &DataKey {
        &self.key
    }

    /// Opens one.
    ///
    /// # Errors
    /// [`StoreError::DatabaseMissing`], [`StoreError::NotADatabase`], [`StoreError::WrongKey`],
    /// [`StoreError::Corrupt`], [`StoreError::SchemaTooNew`], [`StoreError::SchemaTooOld`], [`StoreError::Database`].
    pub fn open(&self) -> Result<Reader, StoreError> {
        let connection = connection::open(&self.path, &self.key, Access::Read)?;
        schema::check_current(&connection, &self.path)?;
        Ok(Reader { connection })
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn size(&self) -> Result<DatabaseSize, StoreError> {
        Ok(DatabaseSize {
            database_bytes: files::size(&self.path)?,
            log_bytes: files::size(&wal::path(&self.path))?,
        })
    }
}

/// Bytes of the database's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSize {
    /// The database.
    pub database_bytes: u64,
    /// The write-ahead log: what was committed and not yet copied back.
    pub log_bytes: u64,
}

/// What the database holds, counted in one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Records held for others.
    pub records: u64,
    /// Bytes of these records.
    pub record_bytes: u64,
    /// Known peers.
    pub peers: u64,
}

/// A connection that only reads. Each call sees one committed state; two calls may see two.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Counts what is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn summary(&self) -> Result<Summary, StoreError> {
        const SQL: &str =
            "SELECT count(*), coalesce(sum(size_bytes), 0), (SELECT count(*) FROM peers) FROM records";
        let read = self.connection.prepare_cached(SQL).and_then(|mut statement| {
            statement.query_row([], |row| {
                let (Bits(records), Bits(record_bytes), Bits(peers)) = row.try_into()?;
                Ok(Summary { records, record_bytes, peers })
            })
        });
        read.map_err(StoreError::sqlite("the summary"))
    }

    /// Sees one state from now on, whatever is written meanwhile, until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn hold(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN").map_err(StoreError::sqlite("begin"))
    }

    /// What the core wrote into a slot last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn slot(&self, slot: Slot) -> Result<Option<Vec<u8>>, StoreError> {
        slots::read(&self.connection, slot).map_err(StoreError::sqlite("slots"))
    }

    /// Everybody known.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        contacts::all(&self.connection).map_err(StoreError::sqlite("contacts"))
    }

    /// How many rows the whole history has.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn history_rows(&self) -> Result<u64, StoreError> {
        let count = self.connection.query_row("SELECT count(*) FROM messages", [], |row| row.get(0));
        count.map(|Bits(count)| count).map_err(StoreError::sqlite("messages"))
    }

    /// At most `limit` rows of the whole history behind the one with this number, each with its own, in the order in which
    /// they were written.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn history(&self, after: i64, limit: u32) -> Result<Vec<(i64, MessageRow)>, StoreError> {
        messages::after(&self.connection, after, limit).map_err(StoreError::sqlite("messages"))
    }

    /// Reads every page and checks it. A page that the writer is just copying back may be reported though it is sound:
    /// check again, or without a running node.
    ///
    /// # Errors
    /// [`StoreError::Database`] if even checking failed; damage is in the answer.
    pub fn check(&self) -> Result<Integrity, StoreError> {
        integrity::check(&self.connection)
    }
}
