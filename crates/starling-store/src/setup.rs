//! Making an account's home: all of it, or nothing.

use std::path::{Path, PathBuf};

use rand_core::CryptoRng;

use crate::connection::Access;
use crate::home::{Home, HomeLock};
use crate::key::{self, DataKey, Protection};
use crate::reader::Readers;
use crate::{Database, StoreError, files, wal};

impl Home {
    /// Sets up the home: draws the data key, makes the database, lets `first` write into it inside one transaction, and
    /// opens it. The account is there once the key file has its name, which is the last step; a crash before leaves
    /// files that the next attempt removes, and whose key nobody ever had.
    ///
    /// # Errors
    /// [`StoreError::AccountExists`]; [`StoreError::KeyMissing`] if there is a database that a lost key file belongs to;
    /// [`StoreError::KeyDerivation`], [`StoreError::Full`], [`StoreError::Io`], [`StoreError::Database`]; and whatever
    /// `first` answers. The home then has no account.
    pub fn set_up<E: From<StoreError>>(
        lock: &HomeLock,
        protection: &Protection<'_>,
        rng: &mut dyn CryptoRng,
        first: impl FnOnce(&mut Database) -> Result<(), E>,
    ) -> Result<Database, E> {
        let home = lock.home();
        home.sweep()?;
        let key = DataKey::random(rng);
        files::write_new(&home.new_key_file(), &key::encode(&key, protection, rng)?)?;
        let made = make_database(lock, &key, first);
        if made.is_err() {
            // The first error is the one to report; what is left is swept by the next attempt.
            drop(home.sweep());
        }
        made?;
        files::rename(&home.new_database_file(), &home.database_file())?;
        files::rename(&home.new_key_file(), &home.key_file())?;
        Ok(Database::open(lock, &key)?)
    }

    /// Whether a set-up was begun and did not come to its end. Its key file then still has the name of a new one.
    pub(crate) fn setup_unfinished(&self) -> bool {
        self.new_key_file().exists()
    }

    /// Removes what an unfinished set-up left. The new key file goes last: it is the sign that the rest may go.
    fn sweep(&self) -> Result<(), StoreError> {
        if self.has_account() {
            return Err(StoreError::AccountExists);
        }
        let database = self.database_file();
        if database.exists() && !self.setup_unfinished() {
            return Err(StoreError::KeyMissing(self.key_file()));
        }
        for database in [self.new_database_file(), database] {
            for path in [wal::path(&database), shared_memory(&database), database] {
                files::remove_if_there(&path)?;
            }
        }
        files::remove_if_there(&self.new_key_file())
    }

    fn new_key_file(&self) -> PathBuf {
        self.path().join("data.key.new")
    }

    fn new_database_file(&self) -> PathBuf {
        self.path().join("starling.db.new")
    }
}

fn make_database<E: From<StoreError>>(
    lock: &HomeLock,
    key: &DataKey,
    first: impl FnOnce(&mut Database) -> Result<(), E>,
) -> Result<(), E> {
    let path = lock.home().new_database_file();
    let file = files::create_private(&path)?;
    let readers = Readers::new(path.clone(), key.clone());
    let mut database = Database::with_access(lock, readers, Access::Create)?;
    database.begin()?;
    first(&mut database)?;
    database.commit()?;
    database.close()?;
    Ok(file.sync_all().map_err(StoreError::io("sync", &path))?)
}

fn shared_memory(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-shm");
    path.into()
}
