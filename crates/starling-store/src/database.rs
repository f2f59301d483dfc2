//! The one connection that writes.

use rusqlite::{Connection, TransactionBehavior};

use crate::connection::{self, Access};
use crate::home::{Home, HomeLock};
use crate::integrity::{self, Integrity};
use crate::key::DataKey;
use crate::reader::{DatabaseSize, Readers};
use crate::{StoreError, schema, wal};

/// The writing connection of a home's database. There is one at a time over all processes: it keeps the home's lock.
///
/// Reads see what was written since [`Database::begin`]; other connections see it after [`Database::commit`]. A read
/// that finds damage makes the whole connection unusable (SQLCipher does so deliberately): drop it and open another.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    transaction: Transaction,
    readers: Readers,
    lock: HomeLock,
}

/// Bytes that must fit before a disk that was full counts as having room: some hundred transactions of a messenger, so
/// that it does not count as full again at once.
const TRIAL: u32 = 1024 * 1024;

/// What the writer is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// Nothing: writes are refused.
    None,
    /// Everything so far was written.
    Open,
    /// Something was not written, so nothing may be committed. SQLite may have rolled back on its own.
    Failed,
}

impl Database {
    /// Opens the home's database, checks that it is whole enough to start with, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::DatabaseMissing`], [`StoreError::NotADatabase`], [`StoreError::WrongKey`],
    /// [`StoreError::Corrupt`], [`StoreError::SchemaTooNew`], [`StoreError::Full`], [`StoreError::Database`].
    pub fn open(lock: &HomeLock, key: &DataKey) -> Result<Self, StoreError> {
        let path = lock.home().database_file();
        wal::check(&path)?;
        Self::with_access(lock, Readers::new(path, key.clone()), Access::Write)
    }

    pub(crate) fn with_access(lock: &HomeLock, readers: Readers, access: Access) -> Result<Self, StoreError> {
        let mut connection = connection::open(readers.path(), readers.key(), access)?;
        schema::migrate(&mut connection, readers.path())?;
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        Ok(Self { connection, transaction: Transaction::None, readers, lock: lock.clone() })
    }

    /// The home, which stays locked as long as this is open.
    #[must_use]
    pub const fn home(&self) -> &Home {
        self.lock.home()
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`StoreError::TransactionOpen`], [`StoreError::Database`].
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if self.transaction != Transaction::None {
            return Err(StoreError::TransactionOpen);
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::sqlite("begin"))?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Commits. When this returns, what was written since [`Database::begin`] survives a power cut. If it fails, nothing
    /// of it was written, and no transaction is open any more.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`]; [`StoreError::TransactionFailed`] if a write failed before, whatever became of
    /// its error; [`StoreError::Full`], [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let committed = match self.transaction {
            Transaction::None => return Err(StoreError::NoTransaction),
            Transaction::Failed => Err(StoreError::TransactionFailed),
            Transaction::Open => {
                self.connection.execute_batch("COMMIT").map_err(StoreError::sqlite("commit"))
            }
        };
        match committed {
            Ok(()) => self.transaction = Transaction::None,
            // The error of the commit is the one to report, and there is nothing more to do about a second.
            Err(_) => drop(self.rollback()),
        }
        committed
    }

    /// Forgets what was written since [`Database::begin`].
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`]; [`StoreError::Database`], after which the connection should be dropped: that rolls
    /// back as well.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        if self.transaction == Transaction::None {
            return Err(StoreError::NoTransaction);
        }
        self.transaction = Transaction::None;
        // After some errors SQLite has rolled back already, and another ROLLBACK would be an error.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK").map_err(StoreError::sqlite("rollback"))
    }

    /// Whether there is room for a good while, found out by writing 1 MiB and removing it in one transaction. What a file
    /// system calls free may be another user's; only a write tells. The database keeps the room that it has found.
    ///
    /// # Errors
    /// [`StoreError::TransactionOpen`], [`StoreError::Corrupt`], [`StoreError::Database`].
    pub fn has_room(&mut self) -> Result<bool, StoreError> {
        if self.in_transaction() {
            return Err(StoreError::TransactionOpen);
        }
        let tried = self.begin().and_then(|()| {
            // Removed pages are overwritten (`secure_delete`), so each of them goes through the log.
            self.write("the trial", |connection| {
                let row = "INSERT INTO slots (number, digest, bytes) VALUES (0, zeroblob(16), zeroblob(?1))";
                connection.execute(row, [TRIAL])?;
                connection.execute("DELETE FROM slots WHERE number = 0", [])
            })?;
            self.commit()
        });
        if self.in_transaction() {
            self.rollback()?;
        }
        match tried {
            Ok(()) => Ok(true),
            Err(StoreError::Full) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// What opens read-only connections; may go to other threads.
    #[must_use]
    pub const fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Bytes on the disk.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn size(&self) -> Result<DatabaseSize, StoreError> {
        self.readers.size()
    }

    /// Reads every page and checks it.
    ///
    /// # Errors
    /// [`StoreError::Database`] if even checking failed; damage is in the answer.
    pub fn check(&self) -> Result<Integrity, StoreError> {
        integrity::check(&self.connection)
    }

    /// Rolls back what is open, copies the log back into the database, empties it and closes both. Dropping does the
    /// same except that errors are lost; nothing committed depends on either.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn close(mut self) -> Result<(), StoreError> {
        if self.in_transaction() {
            self.rollback()?;
        }
        let copied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(StoreError::sqlite("closing"))?;
        self.connection.close().map_err(|(_, error)| StoreError::sqlite("closing")(error))
    }

    /// Runs a statement that changes nothing.
    pub(crate) fn read<T>(
        &self,
        part: &'static str,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        run(&self.connection).map_err(StoreError::sqlite(part))
    }

    /// Runs a statement that changes something, inside the open transaction only.
    pub(crate) fn write<T>(
        &mut self,
        part: &'static str,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match self.transaction {
            Transaction::None => return Err(StoreError::NoTransaction),
            Transaction::Failed => return Err(StoreError::TransactionFailed),
            Transaction::Open => {}
        }
        run(&self.connection).map_err(|error| {
            self.transaction = Transaction::Failed;
            StoreError::sqlite(part)(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use starling_core::storage::{
        MessageKind, MessageRow, MessageState, MessageStore as _, Slot, SlotStore as _, StorageError,
    };
    use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
    use starling_proto::time::UnixMillis;

    use super::*;
    use crate::Protection;

    /// A database that can grow by `pages` pages more.
    fn nearly_full(pages: u32) -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().unwrap();
        let lock = Home::create(dir.path()).unwrap().lock().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let database = Home::set_up(&lock, &Protection::None, &mut rng, |_| Ok::<_, StoreError>(())).unwrap();
        let used: u32 = database.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        limit(&database, used + pages);
        (dir, database)
    }

    fn limit(database: &Database, pages: u32) {
        let sql = format!("PRAGMA max_page_count = {pages}");
        database.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    }

    #[test]
    fn dsk_01_a_full_disk_is_reported_and_survived() {
        for pages in 0..6 {
            let (_dir, mut database) = nearly_full(pages);
            database.begin().unwrap();
            database.write_slot(Slot::Profile, b"small").unwrap();
            database.commit().unwrap();

            database.begin().unwrap();
            database.write_slot(Slot::Profile, b"changed").unwrap();
            assert_eq!(database.write_slot(Slot::Identity, &[7; 30_000]), Err(StorageError::Full));
            // The caller went on regardless: nothing of a broken transaction is kept.
            assert!(matches!(database.write_slot(Slot::Profile, b"more"), Err(StorageError::Failed(_))));
            assert!(matches!(database.commit(), Err(StoreError::TransactionFailed)));
            assert!(!database.in_transaction());
            assert_eq!(database.read_slot(Slot::Profile).unwrap().as_deref(), Some(b"small".as_slice()));
            assert_eq!(database.read_slot(Slot::Identity).unwrap(), None);
            assert!(database.check().unwrap().is_sound());

            limit(&database, 1000);
            database.begin().unwrap();
            database.write_slot(Slot::Identity, &[7; 30_000]).unwrap();
            database.commit().unwrap();
            assert_eq!(database.read_slot(Slot::Identity).unwrap(), Some(vec![7; 30_000]));
        }
    }

    #[test]
    fn dsk_01_room_is_found_by_trying() {
        for pages in [0, 3, 100] {
            let (_dir, mut database) = nearly_full(pages);
            assert!(!database.has_room().unwrap(), "{pages} pages are no room");
            assert!(!database.in_transaction());
            database.begin().unwrap();
            database.write_slot(Slot::Profile, b"what fits is still written").unwrap();
            database.commit().unwrap();

            limit(&database, 1000);
            assert!(database.has_room().unwrap());
            assert!(!database.in_transaction());
            let rows = "SELECT count(*) FROM slots WHERE number = 0";
            assert_eq!(database.connection.query_row(rows, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
            let used: u32 = database.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
            limit(&database, used);
            database.begin().unwrap();
            database.write_slot(Slot::Identity, &[7; 500_000]).unwrap();
            database.commit().unwrap();
            assert!(database.check().unwrap().is_sound());
        }
    }

    #[test]
    fn an_open_transaction_is_not_disturbed_by_a_trial() {
        let (_dir, mut database) = nearly_full(1000);
        database.begin().unwrap();
        database.write_slot(Slot::Profile, b"kept").unwrap();
        assert!(matches!(database.has_room(), Err(StoreError::TransactionOpen)));
        database.commit().unwrap();
        assert_eq!(database.read_slot(Slot::Profile).unwrap().as_deref(), Some(b"kept".as_slice()));
    }

    #[test]
    fn a_failed_transaction_can_be_rolled_back() {
        let (_dir, mut database) = nearly_full(0);
        database.begin().unwrap();
        database.write_slot(Slot::Identity, &[7; 30_000]).unwrap_err();
        database.rollback().unwrap();
        database.begin().unwrap();
        database.write_slot(Slot::Identity, b"fits").unwrap();
        database.commit().unwrap();
    }

    /// SQLite keeps the words of new messages in memory and writes them down when it commits.
    #[test]
    fn dsk_01_a_message_whose_words_do_not_fit_is_not_committed() {
        let message = long_message();
        let mut refused = 0;
        for pages in 0..12 {
            let (_dir, mut database) = nearly_full(pages);
            let find = |database: &Database| {
                database.messages(&message.conversation, None, 9, Some("word599")).unwrap()
            };
            database.begin().unwrap();
            if database.write_message(&message).is_err() {
                continue;
            }
            assert_eq!(find(&database).len(), 1);
            if database.commit().is_ok() {
                assert_eq!(find(&database).len(), 1);
                continue;
            }
            refused += 1;
            assert!(!database.in_transaction());
            assert_eq!(find(&database), []);
            assert_eq!(database.message(&message.id).unwrap(), None);
            assert!(database.check().unwrap().is_sound());
        }
        assert!(refused > 0, "the words always fitted; the test shows nothing");
    }

    fn long_message() -> MessageRow {
        MessageRow {
            id: MessageId::new([1; 16]),
            conversation: AccountKey::new([2; 32]),
            author: DeviceKey::new([3; 32]),
            mine: true,
            sequence: 1,
            hash: [4; 32],
            position: 1,
            sent_at: UnixMillis::new(1),
            received_at: UnixMillis::new(1),
            state: MessageState::Queued,
            kind: MessageKind::Text,
            about: None,
            edited_at: None,
            lives: None,
            ends: None,
            text: (0..800).map(|number| format!("word{number} ")).collect(),
        }
    }

    #[test]
    fn a_second_writer_is_refused() {
        let (_dir, database) = nearly_full(9);
        let home = database.home().clone();
        assert!(matches!(home.lock(), Err(StoreError::Locked { .. })));
        drop(database);
        home.lock().unwrap();
    }
}
