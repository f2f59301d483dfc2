//! The directory that holds everything of one installation.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{StoreError, backup, files};

/// What others must not have on the directory.
const OTHERS: u32 = 0o077;
/// More digits than a process id has.
const PID_TEXT: u64 = 16;

/// A directory that belongs to this user and that nobody else can enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Without symbolic links, so that every later use means the directory that was checked.
    path: PathBuf,
}

impl Home {
    /// Opens a home that is there.
    ///
    /// A home whose mode lets others in is closed to them again; see [`Home::create`] for when that is refused.
    ///
    /// # Errors
    /// [`StoreError::NoHome`], [`StoreError::ForeignOwner`], [`StoreError::OpenToOthers`], [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoHome(path.to_owned()));
            }
            found => found.map_err(StoreError::io("open", path))?,
        };
        let home = Self { path };
        home.close_to_others()?;
        Ok(home)
    }

    /// Opens a home, and makes its directory with mode 0700 if it is not there.
    ///
    /// A directory of ours with a looser mode is repaired if it is empty or holds a key file. Any other is refused: it
    /// may be `/srv` or a home directory, whose mode is not ours to change. A symbolic link is followed once, here; what
    /// counts is who owns the directory at its end.
    ///
    /// # Errors
    /// As [`Home::open`], except that a missing directory is none.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(StoreError::io("create", path))?;
        Self::open(path)
    }

    /// The directory, absolute and without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an account was set up here. Setting up is all or nothing, so half an account does not count.
    #[must_use]
    pub fn has_account(&self) -> bool {
        self.key_file().exists()
    }

    /// Takes the home for this process until the [`HomeLock`] and every database opened with it are dropped. The system
    /// releases it when the process ends, however it ends.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with the process that has it, [`StoreError::Io`].
    pub fn lock(&self) -> Result<HomeLock, StoreError> {
        let path = self.path.join("lock");
        let mut file = files::open_or_create_private(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::Locked { pid: read_pid(&file) }),
            Err(fs::TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
        }
        let noted = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        // The lock holds without its holder's number, which is only there for the other's error message.
        drop(noted);
        backup::sweep(self)?;
        Ok(HomeLock { home: self.clone(), file: Arc::new(file) })
    }

    /// Writes a file of the home, mode 0600, as a whole: a reader sees the old bytes or the new ones.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`].
    pub fn write_file(&self, name: HomeFile, bytes: &[u8]) -> Result<(), StoreError> {
        files::write_whole(&self.file(name), bytes)
    }

    /// Removes a file of the home; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove_file(&self, name: HomeFile) -> Result<(), StoreError> {
        files::remove_if_there(&self.file(name))
    }

    /// Where a file of the home is, whether it is there or not.
    #[must_use]
    pub fn file(&self, name: HomeFile) -> PathBuf {
        self.path.join(name.name())
    }

    /// Bytes that this user may still write to the disk beneath.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::statvfs(&self.path);
        let stat = stat.map_err(|error| StoreError::io("look at", &self.path)(error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("data.key")
    }

    pub(crate) fn database_file(&self) -> PathBuf {
        self.path.join("starling.db")
    }

    fn close_to_others(&self) -> Result<(), StoreError> {
        let path = &self.path;
        let meta = fs::metadata(path).map_err(StoreError::io("look at", path))?;
        if !meta.is_dir() {
            return Err(StoreError::io("enter", path)(io::ErrorKind::NotADirectory.into()));
        }
        let (owner, user) = (meta.uid(), rustix::process::geteuid().as_raw());
        if owner != user {
            return Err(StoreError::ForeignOwner { path: path.clone(), owner, user });
        }
        let mode = meta.permissions().mode() & 0o7777;
        if mode & OTHERS == 0 {
            return Ok(());
        }
        if !self.has_account() && !self.is_empty()? {
            return Err(StoreError::OpenToOthers { path: path.clone(), mode });
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(StoreError::io("close", path))
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let mut entries = fs::read_dir(&self.path).map_err(StoreError::io("list", &self.path))?;
        Ok(entries.next().is_none())
    }
}

/// Files of the home that other crates write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HomeFile {
    /// Address and token of the running node's API.
    Api,
}

impl HomeFile {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api.json",
        }
    }
}

/// The right to write in a home: there is one per home at a time, over all processes.
#[derive(Debug, Clone)]
pub struct HomeLock {
    home: Home,
    /// Never read again: the lock lasts as long as the file is open.
    #[expect(dead_code, reason = "held for its effect")]
    file: Arc<File>,
}

impl HomeLock {
    /// The home that is held.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }
}

/// Who holds the lock. Nothing is promised about the text: the holder may not have written it yet.
fn read_pid(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(PID_TEXT).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_home_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(&dir.path().join("a/b")).unwrap();
        assert_eq!(mode(home.path()), 0o700);
        assert!(!home.has_account());
    }

    #[test]
    fn a_missing_home_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert!(matches!(Home::open(&path), Err(StoreError::NoHome(named)) if named == path));
    }

    #[test]
    fn a_loose_home_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        chmod(dir.path(), 0o755);
        Home::create(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o700);
        fs::write(dir.path().join("data.key"), "x").unwrap();
        chmod(dir.path(), 0o777);
        Home::open(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o700);
    }

    #[test]
    fn a_strange_loose_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "x").unwrap();
        chmod(dir.path(), 0o755);
        assert!(matches!(Home::create(dir.path()), Err(StoreError::OpenToOthers { mode: 0o755, .. })));
        assert_eq!(mode(dir.path()), 0o755);
    }

    #[test]
    fn a_link_is_resolved_once() {
        let dir = tempfile::tempdir().unwrap();
        let real = Home::create(&dir.path().join("real")).unwrap();
        symlink(real.path(), dir.path().join("link")).unwrap();
        assert_eq!(Home::open(&dir.path().join("link")).unwrap(), real);
    }

    #[test]
    fn a_file_is_no_home() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(matches!(Home::open(&path), Err(StoreError::Io { .. })));
        assert!(matches!(Home::create(&path), Err(StoreError::Io { .. })));
    }

    #[test]
    fn one_node_per_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(dir.path()).unwrap();
        let held = home.lock().unwrap();
        let refused = home.lock().unwrap_err();
        assert!(matches!(refused, StoreError::Locked { pid: Some(pid) } if pid == std::process::id()));
        let copy = held.clone();
        drop(held);
        assert!(matches!(home.lock(), Err(StoreError::Locked { .. })));
        drop(copy);
        home.lock().unwrap();
    }

    #[test]
    fn files_of_the_home_are_for_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(dir.path()).unwrap();
        home.write_file(HomeFile::Api, b"{}").unwrap();
        assert_eq!(mode(&home.file(HomeFile::Api)), 0o600);
        home.remove_file(HomeFile::Api).unwrap();
        home.remove_file(HomeFile::Api).unwrap();
        assert!(!home.file(HomeFile::Api).exists());
    }

    #[test]
    fn there_is_room_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Home::create(dir.path()).unwrap().free_bytes().unwrap() > 0);
    }
}
