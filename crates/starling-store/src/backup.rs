//! A backup: one file, with a database and the key that a passphrase opens.
//!
//! ```text
//! starling-backup 1\n
//! 2 bytes              length of the key file, big-endian
//! the key file         as `data.key` of a home
//! the database         to the end: encrypted under that key
//! ```
//!
//! It is made as a small home of its own, so that whatever holds for a home's key and database holds here: another
//! passphrase opens nothing, damage is found, and a later program brings an older schema up to date.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use starling_crypto::kdf::{KdfParams, Passphrase};

use crate::home::Home;
use crate::key::Protection;
use crate::reader::Reader;
use crate::{Database, StoreError, files};

/// Where in a home a backup is put together or taken apart.
const SCRATCH: &str = "backup.part";
/// How a backup begins.
const MAGIC: &[u8; 18] = b"starling-backup 1\n";

/// A backup that is open for reading. Its pages lie in a directory of the home until it is dropped.
#[derive(Debug)]
pub struct Backup {
    reader: Reader,
    _scratch: Scratch,
}

impl Backup {
    /// Makes a backup of what `fill` writes, at a path where nothing is yet. Gives its size in bytes. It is made in
    /// `home`'s directory, whether a node runs on it or not, and is at `path` whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::FileExists`], [`StoreError::BackupUnderWay`], [`StoreError::Io`], [`StoreError::KeyDerivation`],
    /// [`StoreError::Full`], [`StoreError::Database`]; and whatever `fill` answers.
    pub fn create<E: From<StoreError>>(
        home: &Home,
        path: &Path,
        (passphrase, params): (&Passphrase, KdfParams),
        rng: &mut dyn CryptoRng,
        fill: impl FnOnce(&mut Database) -> Result<(), E>,
    ) -> Result<u64, E> {
        // Said before the work and not after it.
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::FileExists(path.to_owned()).into());
        }
        let scratch = Scratch::make(home)?;
        let inner = Home::open(&scratch.path)?;
        let protection = Protection::Passphrase { passphrase, params };
        Home::set_up(&inner.lock()?, &protection, rng, fill)?.close()?;
        Ok(pack(&inner, path)?)
    }

    /// Opens the backup at `path`, in the directory of a home that is being made.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::NotABackup`], [`StoreError::PassphraseWrong`], [`StoreError::KeyDamaged`], [`StoreError::WrongKey`], [`StoreError::Corrupt`],
    /// [`StoreError::SchemaTooNew`], [`StoreError::Full`], [`StoreError::Database`].
    pub fn open(home: &Home, path: &Path, passphrase: &Passphrase) -> Result<Self, StoreError> {
        let scratch = Scratch::make(home)?;
        let inner = Home::open(&scratch.path)?;
        unpack(path, &inner)?;
        if !inner.needs_passphrase()? {
            // Anybody could have made it: that it opens with the user's passphrase is what says whose it is.
            return Err(StoreError::NotABackup(path.to_owned()));
        }
        let key = inner.unlock(Some(passphrase))?;
        let database = Database::open(&inner.lock()?, &key)?;
        let found = database.check()?;
        database.close()?;
        if !found.is_sound() {
            return Err(StoreError::Corrupt("the backup"));
        }
        Ok(Self { reader: inner.readers(&key).open()?, _scratch: scratch })
    }

    /// What it holds.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }
}

/// A directory of ours, which goes when this does. There is one at a time in a home; one that a crash left is replaced.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    /// Held for its effect.
    _lock: File,
}

impl Scratch {
    fn make(home: &Home) -> Result<Self, StoreError> {
        let lock = Self::lock(home)?;
        let path = home.path().join(SCRATCH);
        remove(&path)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(StoreError::io("create", &path))?;
        Ok(Self { path, _lock: lock })
    }

    fn lock(home: &Home) -> Result<File, StoreError> {
        let path = home.path().join("backup.lock");
        let file = files::open_or_create_private(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::BackupUnderWay),
            Err(fs::TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
        }
    }
}

/// Removes what a backup that was interrupted left in a home, unless one is under way.
pub(crate) fn sweep(home: &Home) -> Result<(), StoreError> {
    let path = home.path().join(SCRATCH);
    if !path.exists() {
        return Ok(());
    }
    match Scratch::lock(home) {
        Ok(_lock) => remove(&path),
        Err(StoreError::BackupUnderWay) => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is encrypted, and is removed before the next one is made.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn pack(inner: &Home, path: &Path) -> Result<u64, StoreError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // One that an interrupted backup left under this name is none.
    files::remove_if_there(&part)?;
    // Without a second word about its mode, which the file systems of sticks refuse.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let mut file = file.map_err(StoreError::io("create", &part))?;
    let packed = write(inner, &mut file).map_err(StoreError::io("write", &part));
    let packed = packed.and_then(|bytes| match path.symlink_metadata() {
        Ok(_) => Err(StoreError::FileExists(path.to_owned())),
        Err(_) => files::rename(&part, path).map(|()| bytes),
    });
    if packed.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&part);
    }
    packed
}

fn write(inner: &Home, file: &mut File) -> io::Result<u64> {
    let key = fs::read(inner.key_file())?;
    let length = u16::try_from(key.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    file.write_all(MAGIC)?;
    file.write_all(&length.to_be_bytes())?;
    file.write_all(&key)?;
    io::copy(&mut File::open(inner.database_file())?, file)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn unpack(path: &Path, inner: &Home) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StoreError::NotABackup(path.to_owned()),
        _ => StoreError::io("read", path)(error),
    };
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(cut)?;
    if magic != *MAGIC {
        return Err(StoreError::NotABackup(path.to_owned()));
    }
    let mut length = [0; 2];
    file.read_exact(&mut length).map_err(cut)?;
    let mut key = vec![0; usize::from(u16::from_be_bytes(length))];
    file.read_exact(&mut key).map_err(cut)?;
    files::write_new(&inner.key_file(), &key)?;
    let database = inner.database_file();
    let mut to = files::create_private(&database)?;
    let copied = io::copy(&mut file, &mut to).and_then(|_| to.sync_all());
    copied.map_err(StoreError::io("write", &database))
}
