//! A backup holds what was put into it, opens with its passphrase alone, and is there whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::common::{TestHome, contact, message, rng};
use starling_core::storage::{
    ContactStore as _, MessageRow, MessageStore as _, Slot, SlotStore as _, StorageError,
};
use starling_crypto::kdf::{KdfParams, Passphrase};
use starling_store::{Backup, Database, Home, Protection, StoreError};

const MESSAGES: u64 = 40;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn fill(database: &mut Database) -> Result<(), StorageError> {
    database.write_slot(Slot::Profile, b"Ada")?;
    database.write_contact(&contact(3, 5000))?;
    (1..=MESSAGES).try_for_each(|number| database.write_message(&message(2, number, &"word ".repeat(200))))
}

fn make(home: &TestHome, file: &Path) -> Result<u64, StoreError> {
    let own = passphrase("open sesame");
    Backup::create(home.home(), file, (&own, KdfParams::new(8, 1, 1).unwrap()), &mut rng(), |database| {
        fill(database).map_err(|_| StoreError::Corrupt("the test"))
    })
}

fn open(home: &TestHome, file: &Path) -> Result<Backup, StoreError> {
    Backup::open(home.home(), file, &passphrase("open sesame"))
}

/// A file beside a home, and a home.
fn made() -> (TestHome, tempfile::TempDir, PathBuf) {
    let (home, elsewhere) = (TestHome::empty(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join("ada.starling");
    assert_eq!(make(&home, &file).unwrap(), fs::metadata(&file).unwrap().len());
    (home, elsewhere, file)
}

fn names(of: &Path) -> Vec<String> {
    let entries = fs::read_dir(of).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_put_in_comes_out() {
    let (home, elsewhere, file) = made();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(elsewhere.path()), ["ada.starling"]);
    let backup = open(&home, &file).unwrap();
    let reader = backup.reader();
    assert_eq!(reader.slot(Slot::Profile).unwrap().as_deref(), Some(b"Ada".as_slice()));
    assert_eq!((reader.slot(Slot::Identity).unwrap(), reader.history_rows().unwrap()), (None, MESSAGES));
    assert_eq!(reader.contacts().unwrap(), [contact(3, 5000)]);
    let (mut last, mut rows): (i64, Vec<MessageRow>) = (0, Vec::new());
    loop {
        let page = reader.history(last, 7).unwrap();
        let Some((number, _)) = page.last() else { break };
        assert!(*number > last && page.len() <= 7);
        last = *number;
        rows.extend(page.into_iter().map(|(_, row)| row));
    }
    let expected: Vec<MessageRow> =
        (1..=MESSAGES).map(|number| message(2, number, &"word ".repeat(200))).collect();
    assert_eq!(rows, expected);
    drop(backup);
    assert_eq!(names(home.home().path()), ["backup.lock", "lock"], "nothing of it stays in the home");
}

#[test]
fn a_file_that_is_there_stays() {
    let (home, _elsewhere, file) = made();
    let before = fs::read(&file).unwrap();
    assert!(matches!(make(&home, &file), Err(StoreError::FileExists(_))));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn what_fails_leaves_nothing() {
    let (home, elsewhere) = (TestHome::empty(), tempfile::tempdir().unwrap());
    let nowhere = elsewhere.path().join("none/ada.starling");
    assert!(matches!(make(&home, &nowhere), Err(StoreError::Io { .. })));
    let (own, params) = (passphrase("open sesame"), KdfParams::new(8, 1, 1).unwrap());
    let ada = elsewhere.path().join("ada");
    let failed = Backup::create(home.home(), &ada, (&own, params), &mut rng(), |_| Err(StoreError::Full));
    assert!(matches!(failed, Err(StoreError::Full)));
    assert!(names(elsewhere.path()).is_empty());
    assert_eq!(names(home.home().path()), ["backup.lock", "lock"]);
    // What a crash left does not stand in the way.
    fs::create_dir(home.file("backup.part")).unwrap();
    fs::write(home.file("backup.part").join("data.key"), "half").unwrap();
    make(&home, &elsewhere.path().join("ada")).unwrap();
}

#[test]
fn another_passphrase_opens_nothing() {
    let (home, _elsewhere, file) = made();
    let wrong = Backup::open(home.home(), &file, &passphrase("open barley"));
    assert!(matches!(wrong, Err(StoreError::PassphraseWrong)), "{wrong:?}");
    assert_eq!(names(home.home().path()), ["backup.lock", "lock"]);
}

#[test]
fn whatever_is_cut_off_or_changed_is_found() {
    let (home, elsewhere, file) = made();
    let whole = fs::read(&file).unwrap();
    assert!(!whole.windows(4).any(|window| window == b"word"), "it is encrypted");
    let other = elsewhere.path().join("other");
    for length in [0, 1, 18, 19, 20, 100, 300, 4096, whole.len() - 4096, whole.len() - 1] {
        fs::write(&other, &whole[..length]).unwrap();
        assert!(open(&home, &other).is_err(), "cut to {length}");
    }
    for at in (0..whole.len()).step_by(997) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&other, &changed).unwrap();
        assert!(open(&home, &other).is_err(), "changed at {at}");
    }
    fs::write(&other, [&whole[..], &[0]].concat()).unwrap();
    assert!(open(&home, &other).is_err(), "a byte too many");
    assert!(open(&home, &elsewhere.path().join("none")).is_err());
    assert!(open(&home, elsewhere.path()).is_err(), "a directory");
}

/// Whoever can write where the file lies could put another in its place, which opens with any passphrase.
#[test]
fn one_that_anybody_could_have_made_is_none() {
    let (home, elsewhere) = (TestHome::empty(), tempfile::tempdir().unwrap());
    let (forged, file) = (TestHome::empty(), elsewhere.path().join("ada.starling"));
    let made = Home::set_up(&forged.lock, &Protection::None, &mut rng(), |database| {
        fill(database).map_err(|_| StoreError::Corrupt("the test"))
    });
    made.unwrap().close().unwrap();
    let key = fs::read(forged.file("data.key")).unwrap();
    let length = u16::try_from(key.len()).unwrap().to_be_bytes();
    let database = fs::read(forged.file("starling.db")).unwrap();
    fs::write(&file, [b"starling-backup 1\n", &length[..], &key, &database].concat()).unwrap();
    assert!(matches!(open(&home, &file), Err(StoreError::NotABackup(_))));
}

#[test]
fn one_at_a_time_and_what_a_crash_left_goes_with_the_next_start() {
    let (home, elsewhere, file) = made();
    let backup = open(&home, &file).unwrap();
    let second = make(&home, &elsewhere.path().join("second"));
    assert!(matches!(second, Err(StoreError::BackupUnderWay)), "{second:?}");
    assert!(backup.reader().history_rows().is_ok(), "the first is not disturbed");
    drop(backup);
    fs::create_dir(home.file("backup.part")).unwrap();
    fs::write(elsewhere.path().join("third.part"), "half").unwrap();
    make(&home, &elsewhere.path().join("third")).unwrap();
    fs::create_dir(home.file("backup.part")).unwrap();
    let path = home.home().path().to_owned();
    let TestHome { lock, .. } = &home;
    let again = lock.home().clone();
    assert!(matches!(again.lock(), Err(StoreError::Locked { .. })));
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("backup.part")).unwrap();
    fs::write(copy.path().join("data.key"), "").unwrap();
    let _lock = Home::open(copy.path()).unwrap().lock().unwrap();
    assert!(!copy.path().join("backup.part").exists() && path.join("backup.part").exists());
}
