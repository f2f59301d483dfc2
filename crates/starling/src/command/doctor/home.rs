//! What lies on the disk: directory, key file, lock, database, room.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use starling_crypto::kdf::Passphrase;
use starling_store::{Database, Home, HomeLock, StoreError};

use super::Checkup;
use crate::command::status::size;

/// What others must not have on a file of the home.
const OTHERS: u32 = 0o077;
/// Below this a node cannot work for long: a day's mail of an ordinary user.
const LITTLE_BYTES: u64 = 64 * 1024 * 1024;
/// Below this the user should know.
const SCARCE_BYTES: u64 = 1024 * 1024 * 1024;

/// Checks the home; whether a node is running on it.
pub(super) fn check(path: &Path, passphrase: Option<&Passphrase>, checkup: &mut Checkup) -> bool {
    let Some(home) = directory(path, checkup) else { return false };
    files(&home, checkup);
    disk(&home, checkup);
    if let Err(error) = home.needs_passphrase() {
        checkup.fail_with("key", error);
        return false;
    }
    let lock = match home.lock() {
        Ok(lock) => lock,
        Err(StoreError::Locked { pid }) => {
            let process = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
            checkup.ok("lock", format!("a node is running on this home{process}"));
            key(&home, checkup);
            checkup
                .ok("database", "in use by the running node; its pages are checked when no node is running");
            return true;
        }
        Err(error) => {
            checkup.fail_with("lock", error);
            return false;
        }
    };
    checkup.ok("lock", "no node is running on this home");
    key(&home, checkup);
    database(&lock, passphrase, checkup);
    false
}

/// The directory itself. Opening a home closes it to others, so its mode is looked at before.
fn directory(path: &Path, checkup: &mut Checkup) -> Option<Home> {
    let before = fs::metadata(path).map(|meta| meta.permissions().mode() & 0o777);
    match (Home::open(path), before) {
        (Err(error), _) => {
            checkup.fail_with("home", error);
            None
        }
        (Ok(home), Ok(mode)) if mode & OTHERS != 0 => {
            let message = format!("{} was open to other users (mode {mode:o})", path.display());
            checkup.warn("home", message, "it is closed now; find out what opened it");
            Some(home)
        }
        (Ok(home), _) => {
            checkup.ok("home", format!("{} is closed to other users", path.display()));
            Some(home)
        }
    }
}

fn files(home: &Home, checkup: &mut Checkup) {
    match open_files(home.path()) {
        Err(error) => {
            checkup.fail("files", format!("the home cannot be listed: {error}"), "check its permissions");
        }
        Ok(open) if open.is_empty() => checkup.ok("files", "all are closed to other users"),
        Ok(open) => checkup.warn(
            "files",
            format!("open to other users, were it not for the home's own mode: {}", open.join(", ")),
            format!("run chmod -R go= {}", home.path().display()),
        ),
    }
}

/// The names of files that others could open.
fn open_files(home: &Path) -> io::Result<Vec<String>> {
    let mut open = Vec::new();
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // A link's own mode means nothing.
        if !kind.is_symlink() && entry.metadata()?.permissions().mode() & OTHERS != 0 {
            open.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    open.sort();
    Ok(open)
}

fn disk(home: &Home, checkup: &mut Checkup) {
    match home.free_bytes() {
        Err(error) => checkup.fail_with("disk", error),
        Ok(free) if free < LITTLE_BYTES => checkup.fail(
            "disk",
            format!("only {} free", size(free)),
            "make room: a node refuses mail and messages while the disk is full",
        ),
        Ok(free) if free < SCARCE_BYTES => {
            checkup.warn("disk", format!("only {} free", size(free)), "make room before the disk is full");
        }
        Ok(free) => checkup.ok("disk", format!("{} free", size(free))),
    }
}

fn key(home: &Home, checkup: &mut Checkup) {
    match home.needs_passphrase() {
        Err(error) => checkup.fail_with("key", error),
        Ok(true) => checkup.ok("key", "the key file is whole and protected by a passphrase"),
        Ok(false) => checkup.ok(
            "key",
            "the key file is whole, without a passphrase: whoever can read it can read everything here",
        ),
    }
}

fn database(lock: &HomeLock, passphrase: Option<&Passphrase>, checkup: &mut Checkup) {
    let key = match lock.home().unlock(passphrase) {
        Err(StoreError::PassphraseNeeded) => {
            return checkup.warn(
                "database",
                "not checked: it is closed without the passphrase",
                "give --passphrase-file or STARLING_PASSPHRASE to have it checked",
            );
        }
        Err(error) => return checkup.fail_with("passphrase", error),
        Ok(key) => key,
    };
    if passphrase.is_some() {
        checkup.ok("passphrase", "opens the key file");
    }
    match Database::open(lock, &key) {
        Err(error) => checkup.fail_with("database", error),
        Ok(database) => pages(&database, checkup),
    }
}

fn pages(database: &Database, checkup: &mut Checkup) {
    let checked = database.check().and_then(|found| Ok((found, database.size()?)));
    match checked {
        Err(error) => checkup.fail_with("database", error),
        Ok((found, bytes)) if found.is_sound() => {
            let bytes = bytes.database_bytes.saturating_add(bytes.log_bytes);
            checkup.ok("database", format!("every page is whole, {}", size(bytes)));
        }
        Ok((found, _)) => checkup.fail(
            "database",
            format!("damaged: {}", found.problems.join("; ")),
            "copy the home as it is to another disk, check this one, and put the home back from a backup",
        ),
    }
}
