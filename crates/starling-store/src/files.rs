//! Owner-only files that are either wholly there or not there at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::StoreError;

/// Read and write for the owner, nothing for others.
const PRIVATE: u32 = 0o600;

/// Creates a file that must not be there yet, mode 0600 whatever the umask.
pub(crate) fn create_private(path: &Path) -> Result<File, StoreError> {
    let create = || {
        let file = private_options().write(true).create_new(true).open(path)?;
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
        Ok(file)
    };
    create().map_err(StoreError::io("create", path))
}

/// Opens a file for reading and writing, creating it with mode 0600 if need be.
pub(crate) fn open_or_create_private(path: &Path) -> Result<File, StoreError> {
    let open = || {
        let file = private_options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
        Ok(file)
    };
    open().map_err(StoreError::io("open", path))
}

/// Writes a file as a whole: a reader, or a crash, sees the old bytes or the new ones.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".tmp");
    let new = Path::new(&new);
    remove_if_there(new)?;
    write_new(new, bytes)?;
    rename(new, path)
}

/// Writes and syncs a file that must not be there yet; removes it again if that fails.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = create_private(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // The first error is the one to report; a leftover is swept by the next attempt.
        let _ = fs::remove_file(path);
        StoreError::io("write", path)(error)
    })
}

/// Renames within one directory and syncs that directory, so that the new name survives a power cut.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io("rename", from))?;
    sync_parent(to)
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Reads at most `limit` bytes of a file that is no symbolic link; `None` if it is not there.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let file = match private_options().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StoreError::io("open", path))?,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0)));
    file.take(limit).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    Ok(Some(bytes))
}

/// Bytes of a file; 0 if it is not there.
pub(crate) fn size(path: &Path) -> Result<u64, StoreError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => Ok(found.map_err(StoreError::io("look at", path))?.len()),
    }
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    // The parent of a bare name is empty, which is no directory's name.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync", parent))
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(PRIVATE).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_for_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_whole(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap().as_slice()), (0o600, b"two".as_slice()));
    }

    #[test]
    fn a_leftover_of_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.tmp"), "half").unwrap();
        write_whole(&dir.path().join("key"), b"whole").unwrap();
        assert_eq!(fs::read(dir.path().join("key")).unwrap(), b"whole");
        assert!(!dir.path().join("key.tmp").exists());
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "theirs").unwrap();
        symlink(&target, &link).unwrap();
        assert!(matches!(read(&link, 10), Err(StoreError::Io { .. })));
        assert!(matches!(open_or_create_private(&link), Err(StoreError::Io { .. })));
        write_whole(&link, b"ours").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
    }

    #[test]
    fn reading_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().len(), 10);
        assert!(read(&dir.path().join("none"), 10).unwrap().is_none());
    }
}
