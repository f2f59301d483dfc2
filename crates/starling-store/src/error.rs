//! What can go wrong between the program and its disk.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;
use starling_core::storage::StorageError;

/// Why the home, its key or its database could not be used. Names files and tables, never what is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room: nothing was written, and later writes may succeed.
    #[error("the disk is full")]
    Full,
    /// The home is not there.
    #[error("there is no home at {}", .0.display())]
    NoHome(PathBuf),
    /// The home belongs to another user of this machine.
    #[error("{} belongs to user {owner}, this is user {user}", path.display())]
    ForeignOwner {
        /// The home.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// Our effective user id.
        user: u32,
    },
    /// The directory is open to others and holds things that are not ours, so its mode is not ours to change.
    #[error("{} is open to other users (mode {mode:o}) and is no home yet; run chmod 700 on it or name another", path.display())]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process runs a node on this home.
    #[error("another node is running on this home{}", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// That process, if it got as far as saying so.
        pid: Option<u32>,
    },
    /// The home has an account already; it is not overwritten.
    #[error("this home has an account already")]
    AccountExists,
    /// The home has no account yet.
    #[error("this home has no account yet")]
    NoAccount,
    /// There is a database and no key file: without it nobody can read the database.
    #[error("the key file {} is missing; without it the database cannot be read", .0.display())]
    KeyMissing(PathBuf),
    /// The key file is cut or altered. It was left as it is.
    #[error("the key file is damaged: {0}")]
    KeyDamaged(&'static str),
    /// The key file was written by a later version.
    #[error("the key file has version {found}; this program knows up to {known}")]
    KeyTooNew {
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The key is wrapped and no passphrase was given.
    #[error("this home needs its passphrase")]
    PassphraseNeeded,
    /// The passphrase does not open the key file, which is itself intact.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// The key could not be wrapped or unwrapped for another reason: no memory for Argon2id, most likely.
    #[error("the key could not be derived from the passphrase: {0}")]
    KeyDerivation(String),
    /// The key file is there and the database is not.
    #[error("the database {} is missing", .0.display())]
    DatabaseMissing(PathBuf),
    /// The file is not one of our databases, whatever the key.
    #[error("{} is not a database of this program", .0.display())]
    NotADatabase(PathBuf),
    /// What is to be made is there already, and is not overwritten.
    #[error("there is a file at {} already", .0.display())]
    FileExists(PathBuf),
    /// Another process makes a backup of this home, or restores one into it.
    #[error("another backup of this home is under way")]
    BackupUnderWay,
    /// The file does not begin as a backup does, or ends before its database.
    #[error("{} is no backup of this program, or is cut off", .0.display())]
    NotABackup(PathBuf),
    /// The file is encrypted, but not under this key: it is another home's, or its first 16 bytes are damaged.
    #[error("{} is not encrypted under this home's key", .0.display())]
    WrongKey(PathBuf),
    /// Bytes that cannot be what was written.
    #[error("corrupt data in {0}")]
    Corrupt(&'static str),
    /// SQLite cannot keep a write-ahead log here: a network file system, most likely.
    #[error("{} is on a file system that cannot hold a database of this kind", .0.display())]
    NoWriteAheadLog(PathBuf),
    /// The database was written by a later version.
    #[error("the database has schema {found}; this program knows up to {known}")]
    SchemaTooNew {
        /// Its schema version.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// A read-only connection met a schema that only the writer may bring up to date.
    #[error("the database has schema {found}, which must be brought up to {known} first")]
    SchemaTooOld {
        /// Its schema version.
        found: u32,
        /// The schema that this program reads.
        known: u32,
    },
    /// A write outside a transaction. A fault of the caller.
    #[error("no transaction is open")]
    NoTransaction,
    /// A second `begin`. A fault of the caller.
    #[error("a transaction is open already")]
    TransactionOpen,
    /// A write of this transaction failed, so nothing of it can be committed.
    #[error("a write failed earlier in this transaction")]
    TransactionFailed,
    /// Any other failure of the database.
    #[error("the database failed in {part}: {text} (code {code})")]
    Database {
        /// The table or step.
        part: &'static str,
        /// SQLite's words for the code.
        text: &'static str,
        /// SQLite's extended result code.
        code: i32,
    },
}

impl StoreError {
    /// For `map_err`: says what was attempted on which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }

    /// For `map_err`: says in which part of the database. Drops SQLite's message and statement, which can quote rows.
    pub(crate) fn sqlite(part: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| match error {
            rusqlite::Error::SqliteFailure(code, _) | rusqlite::Error::SqlInputError { error: code, .. } => {
                Self::from_code(part, code)
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Corrupt(part),
            _ => Self::Database { part, text: "the statement does not fit", code: ffi::SQLITE_MISUSE },
        }
    }

    fn from_code(part: &'static str, code: ffi::Error) -> Self {
        match code.code {
            ErrorCode::DiskFull => Self::Full,
            // The shared-memory file is grown by writing to it, and that is how SQLite reports a full disk there.
            _ if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(part),
            _ => {
                Self::Database { part, text: ffi::code_to_str(code.extended_code), code: code.extended_code }
            }
        }
    }
}

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Corrupt(part) => Self::Corrupt(part),
            other => Self::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_quotes_is_dropped() {
        let quoted = rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CONSTRAINT_UNIQUE),
            Some("UNIQUE constraint failed: 'secret text'".into()),
        );
        let error = StoreError::sqlite("records")(quoted);
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(matches!(error, StoreError::Database { part: "records", .. }));
    }

    #[test]
    fn full_and_corrupt_keep_their_meaning() {
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        assert_eq!(StorageError::from(StoreError::sqlite("x")(full)), StorageError::Full);
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_CORRUPT_INDEX] {
            let broken = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(StorageError::from(StoreError::sqlite("x")(broken)), StorageError::Corrupt("x"));
        }
    }

    #[test]
    fn a_full_disk_is_full_whoever_says_it() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(StoreError::io("write", Path::new("key"))(error), StoreError::Full));
    }

    #[test]
    fn the_lock_names_its_holder() {
        assert_eq!(
            StoreError::Locked { pid: Some(7) }.to_string(),
            "another node is running on this home (process 7)"
        );
    }
}
