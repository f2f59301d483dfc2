//! One connection to an encrypted database: opened only if it is ours, set up the same way every time.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use crate::key::DataKey;
use crate::{StoreError, hex};

/// How long a statement waits for another connection's lock. There is one writer, so only checkpoints are waited for.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept prepared: more than there are.
const STATEMENTS: usize = 64;
/// Bytes to which the write-ahead log is cut after a checkpoint: that of SQLite's usual thousand pages.
const LOG_LIMIT: u32 = 4 * 1024 * 1024;
/// Pages that the writer keeps, in KiB: each that is read anew is authenticated and decrypted. A message's id is random,
/// so the pages of some hundred thousand ids are among those that every message needs.
const CACHE_KIB: i32 = 8 * 1024;
/// SQLCipher's page, in bytes.
pub(crate) const PAGE: u64 = 4096;
/// Bytes in clear before the first page: SQLCipher's salt.
const SALT_LEN: usize = 16;
/// How an unencrypted SQLite database begins.
const PLAIN: &[u8; SALT_LEN] = b"SQLite format 3\0";

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Fill a file that is there and empty.
    Create,
    /// Read and write.
    Write,
    /// Read.
    Read,
}

/// Opens the database at `path`, which must have no symbolic link in it.
pub(crate) fn open(path: &Path, key: &DataKey, access: Access) -> Result<Connection, StoreError> {
    if access != Access::Create {
        check_salt(path, key)?;
    }
    let mode = match access {
        Access::Create | Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite("opening"))?;
    set_key(&connection, key).map_err(StoreError::sqlite("opening"))?;
    // Reads the first page, and so proves the key.
    let read = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    read.map_err(StoreError::sqlite("the first page"))?;
    set_up(&connection).map_err(StoreError::sqlite("opening"))?;
    if access == Access::Read {
        connection.execute_batch("PRAGMA query_only = ON").map_err(StoreError::sqlite("opening"))?;
    } else {
        set_up_writer(&connection, path)?;
    }
    Ok(connection)
}

/// SQLCipher draws its salt at random and reads it from the file. Ours follows from the key: that tells another key's
/// database from a damaged one before a page is read, and no byte of the file is left that nothing checks.
fn salt(key: &DataKey) -> [u8; SALT_LEN] {
    let mut salt = [0; SALT_LEN];
    blake3::Hasher::new_derive_key("starling/1/database-salt")
        .update(key.expose())
        .finalize_xof()
        .fill(&mut salt);
    salt
}

fn check_salt(path: &Path, key: &DataKey) -> Result<(), StoreError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::DatabaseMissing(path.to_owned()));
        }
        opened => opened.map_err(StoreError::io("open", path))?,
    };
    let size = file.metadata().map_err(StoreError::io("look at", path))?.len();
    let mut found = [0; SALT_LEN];
    if size < PAGE || file.read_exact(&mut found).is_err() || found == *PLAIN {
        return Err(StoreError::NotADatabase(path.to_owned()));
    }
    if found == salt(key) {
        return Ok(());
    }
    // Encrypted pages cannot be told from noise; only the size speaks for a database under another key.
    let path = path.to_owned();
    Err(if size.is_multiple_of(PAGE) { StoreError::WrongKey(path) } else { StoreError::NotADatabase(path) })
}

fn set_key(connection: &Connection, key: &DataKey) -> rusqlite::Result<()> {
    // SQLCipher would write to standard error; what it says there comes back as an error as well.
    connection.query_row("PRAGMA cipher_log_level = NONE", [], |_| Ok(()))?;
    let (key, salt) = (hex::encode(key.expose()), hex::encode(&salt(key)));
    let mut statement = Zeroizing::new(String::with_capacity(128));
    for part in ["PRAGMA key = \"x'", &key, &salt, "'\""] {
        statement.push_str(part);
    }
    connection.query_row(&statement, [], |_| Ok(()))
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // No plan depends on a value: without this, statements with a limit or a range are planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Temporary tables would be written in clear. A schema must not be able to call functions with side effects.
    connection.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON",
    )
}

fn set_up_writer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    if mode.map_err(StoreError::sqlite("opening"))? != "wal" {
        return Err(StoreError::NoWriteAheadLog(path.to_owned()));
    }
    // FULL: a commit is on the disk when it returns, not when the log is next copied back. The fullfsync pragmas do the
    // same on systems where fsync stops at the drive's cache.
    let durable = connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = ON",
    );
    durable
        .and_then(|()| connection.pragma_update(None, "journal_size_limit", LOG_LIMIT))
        .and_then(|()| connection.pragma_update(None, "cache_size", -CACHE_KIB))
        .map_err(StoreError::sqlite("opening"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn key(byte: u8) -> DataKey {
        DataKey::new(starling_crypto::secret::Secret::copy_of(&[byte; 32]))
    }

    fn pragma(connection: &Connection, name: &str) -> i64 {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
    }

    fn fresh(dir: &Path) -> (std::path::PathBuf, Connection) {
        let path = dir.canonicalize().unwrap().join("db");
        files::create_private(&path).unwrap();
        let connection = open(&path, &key(1), Access::Create).unwrap();
        connection.execute_batch("CREATE TABLE t (x) STRICT").unwrap_err();
        connection.execute_batch("CREATE TABLE t (x INTEGER) STRICT; INSERT INTO t VALUES (7)").unwrap();
        (path, connection)
    }

    #[test]
    fn the_writer_is_set_up_for_durability() {
        let dir = tempfile::tempdir().unwrap();
        let (_, connection) = fresh(dir.path());
        for (name, expected) in [
            ("synchronous", 2),
            ("secure_delete", 1),
            ("temp_store", 2),
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
            ("fullfsync", 1),
            ("query_only", 0),
            ("journal_size_limit", i64::from(LOG_LIMIT)),
        ] {
            assert_eq!(pragma(&connection, name), expected, "{name}");
        }
    }

    #[test]
    fn nothing_in_the_files_is_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let (path, connection) = fresh(dir.path());
        connection
            .execute_batch("CREATE TABLE words (w TEXT) STRICT; INSERT INTO words VALUES ('marmalade')")
            .unwrap();
        let log = path.with_file_name("db-wal");
        let find = |path: &Path| std::fs::read(path).unwrap().windows(9).any(|window| window == b"marmalade");
        assert!(!find(&log) && std::fs::metadata(&log).unwrap().len() > PAGE);
        drop(connection);
        assert!(!find(&path));
        assert_eq!(std::fs::read(&path).unwrap()[..SALT_LEN], salt(&key(1)));
    }

    #[test]
    fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _writer) = fresh(dir.path());
        let reader = open(&path, &key(1), Access::Read).unwrap();
        assert_eq!(reader.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
        assert!(reader.execute_batch("INSERT INTO t VALUES (8)").is_err());
    }

    #[test]
    fn another_key_is_told_from_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, connection) = fresh(dir.path());
        drop(connection);
        assert!(matches!(open(&path, &key(2), Access::Write), Err(StoreError::WrongKey(_))));
        let other = path.with_file_name("other");
        assert!(matches!(open(&other, &key(1), Access::Write), Err(StoreError::DatabaseMissing(_))));
        for content in [Vec::new(), b"hello".to_vec(), [PLAIN.as_slice(), &[0; 8176]].concat(), vec![9; 5000]]
        {
            std::fs::write(&other, &content).unwrap();
            assert!(matches!(open(&other, &key(1), Access::Write), Err(StoreError::NotADatabase(_))));
            assert_eq!(std::fs::read(&other).unwrap(), content, "a file that is not ours was written to");
        }
    }

    #[test]
    fn a_damaged_first_page_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let (path, connection) = fresh(dir.path());
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SALT_LEN + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(open(&path, &key(1), Access::Write), Err(StoreError::Corrupt("the first page"))));
    }

    #[test]
    fn a_link_in_the_databases_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, connection) = fresh(dir.path());
        drop(connection);
        let link = path.with_file_name("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(open(&link, &key(1), Access::Write), Err(StoreError::Database { .. })));
    }
}
