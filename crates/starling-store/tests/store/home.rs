//! Setting up, unlocking, and what a damaged key file does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{TestHome, flip, rng};
use proptest::prelude::*;
use starling_core::storage::{Slot, SlotStore as _};
use starling_crypto::kdf::{KdfParams, Passphrase};
use starling_store::{Database, Home, HomeLock, Protection, StoreError};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

/// Sets up a home whose first transaction writes the profile. Argon2id at its cheapest.
fn set_up(lock: &HomeLock, phrase: Option<&str>) -> Result<Database, StoreError> {
    let passphrase = phrase.map(passphrase);
    let protection = match &passphrase {
        Some(passphrase) => Protection::Passphrase { passphrase, params: KdfParams::new(8, 1, 1).unwrap() },
        None => Protection::None,
    };
    Home::set_up(lock, &protection, &mut rng(), |database| {
        database.write_slot(Slot::Profile, b"Ada").map_err(|_| StoreError::Corrupt("slots"))
    })
}

fn profile(database: &Database) -> Option<Vec<u8>> {
    database.read_slot(Slot::Profile).unwrap()
}

fn names(home: &TestHome) -> Vec<String> {
    let entries = fs::read_dir(home.home().path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_first_transaction_is_there() {
    for phrase in [None, Some("sesame")] {
        let home = TestHome::empty();
        assert_eq!(profile(&set_up(&home.lock, phrase).unwrap()), Some(b"Ada".to_vec()));
        assert_eq!(home.home().needs_passphrase().unwrap(), phrase.is_some());
        let key = home.home().unlock(phrase.map(passphrase).as_ref()).unwrap();
        assert_eq!(profile(&Database::open(&home.lock, &key).unwrap()), Some(b"Ada".to_vec()));
    }
}

#[test]
fn every_file_is_for_the_owner_only() {
    let home = TestHome::empty();
    let _database = set_up(&home.lock, None).unwrap();
    assert_eq!(names(&home), ["data.key", "lock", "starling.db", "starling.db-shm", "starling.db-wal"]);
    for name in names(&home) {
        let mode = fs::metadata(home.file(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[test]
fn an_account_is_not_overwritten() {
    let home = TestHome::empty();
    set_up(&home.lock, None).unwrap().close().unwrap();
    let before = (fs::read(home.file("data.key")).unwrap(), fs::read(home.file("starling.db")).unwrap());
    assert!(matches!(set_up(&home.lock, None), Err(StoreError::AccountExists)));
    assert_eq!(
        (fs::read(home.file("data.key")).unwrap(), fs::read(home.file("starling.db")).unwrap()),
        before
    );
}

#[test]
fn a_failing_first_transaction_leaves_no_account() {
    let home = TestHome::empty();
    let failed = Home::set_up(&home.lock, &Protection::None, &mut rng(), |_| Err(StoreError::Full));
    assert!(matches!(failed, Err(StoreError::Full)));
    assert_eq!(names(&home), ["lock"]);
    assert!(matches!(home.home().unlock(None), Err(StoreError::NoAccount)));
    set_up(&home.lock, None).unwrap();
}

/// Every state of the directory that a crash while setting up can leave.
#[test]
fn an_unfinished_set_up_is_swept() {
    let done = TestHome::empty();
    set_up(&done.lock, None).unwrap().close().unwrap();
    let key = fs::read(done.file("data.key")).unwrap();
    let database = fs::read(done.file("starling.db")).unwrap();
    let states: [&[(&str, &[u8])]; 6] = [
        &[("data.key.new", &key[..5])],
        &[("data.key.new", &key)],
        &[("data.key.new", &key), ("starling.db.new", b"")],
        &[("data.key.new", &key), ("starling.db.new", &database[..5000]), ("starling.db.new-wal", b"half")],
        &[("data.key.new", &key), ("starling.db.new", &database)],
        &[("data.key.new", &key), ("starling.db", &database)],
    ];
    for files in states {
        let home = TestHome::with_files(files);
        assert!(!home.home().has_account());
        assert!(matches!(home.home().unlock(None), Err(StoreError::NoAccount)));
        set_up(&home.lock, None).unwrap().close().unwrap();
        assert_eq!(names(&home), ["data.key", "lock", "starling.db"]);
    }
}

#[test]
fn a_database_without_its_key_is_kept() {
    let home = TestHome::empty();
    set_up(&home.lock, None).unwrap().close().unwrap();
    fs::rename(home.file("data.key"), home.file("elsewhere")).unwrap();
    let database = fs::read(home.file("starling.db")).unwrap();
    assert!(matches!(home.home().unlock(None), Err(StoreError::KeyMissing(_))));
    assert!(matches!(set_up(&home.lock, None), Err(StoreError::KeyMissing(_))));
    assert_eq!(fs::read(home.file("starling.db")).unwrap(), database);
}

#[test]
fn a_key_without_its_database_is_kept() {
    let home = TestHome::empty();
    set_up(&home.lock, None).unwrap().close().unwrap();
    fs::remove_file(home.file("starling.db")).unwrap();
    let key = home.key();
    assert!(matches!(Database::open(&home.lock, &key), Err(StoreError::DatabaseMissing(_))));
    assert!(matches!(set_up(&home.lock, None), Err(StoreError::AccountExists)));
    assert!(!home.file("starling.db").exists());
}

#[test]
fn another_homes_database_is_refused() {
    let (home, database) = TestHome::new();
    drop(database);
    let other = TestHome::empty();
    let mut seed = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([8; 32]);
    let made = Home::set_up(&other.lock, &Protection::None, &mut seed, |_| Ok::<_, StoreError>(()));
    made.unwrap().close().unwrap();
    assert!(matches!(Database::open(&other.lock, &home.key()), Err(StoreError::WrongKey(_))));
}

#[test]
fn ida_13_wrong_passphrases_change_nothing() {
    let home = TestHome::empty();
    set_up(&home.lock, Some("sesame")).unwrap().close().unwrap();
    let before = fs::read(home.file("data.key")).unwrap();
    for attempt in 0..50 {
        let wrong = passphrase(&format!("guess {attempt}"));
        assert!(matches!(home.home().unlock(Some(&wrong)), Err(StoreError::PassphraseWrong)));
    }
    assert!(matches!(home.home().unlock(None), Err(StoreError::PassphraseNeeded)));
    assert_eq!(fs::read(home.file("data.key")).unwrap(), before);
    assert_eq!(names(&home), ["data.key", "lock", "starling.db"]);
    home.home().unlock(Some(&passphrase("sesame"))).unwrap();
}

#[test]
fn ida_13_a_cut_key_file_is_damaged_not_wrong() {
    for phrase in [None, Some("sesame")] {
        let home = TestHome::empty();
        set_up(&home.lock, phrase).unwrap().close().unwrap();
        let whole = fs::read(home.file("data.key")).unwrap();
        let given = phrase.map(passphrase);
        for cut in 0..whole.len() {
            home.replace("data.key", &whole[..cut]);
            let refused = home.home().unlock(given.as_ref());
            assert!(matches!(refused, Err(StoreError::KeyDamaged(_))), "cut at {cut}: {refused:?}");
            assert!(matches!(set_up(&home.lock, None), Err(StoreError::AccountExists)));
            assert_eq!(fs::read(home.file("data.key")).unwrap(), whole[..cut]);
        }
    }
}

#[test]
fn dsk_03_every_flipped_bit_of_the_key_file_is_noticed() {
    for phrase in [None, Some("sesame")] {
        let home = TestHome::empty();
        set_up(&home.lock, phrase).unwrap().close().unwrap();
        let file = home.file("data.key");
        let given = phrase.map(passphrase);
        for bit in 0..fs::metadata(&file).unwrap().len() * 8 {
            flip(&file, bit);
            let refused = home.home().unlock(given.as_ref());
            let noticed = matches!(refused, Err(StoreError::KeyDamaged(_) | StoreError::KeyTooNew { .. }));
            assert!(noticed, "bit {bit}: {refused:?}");
            flip(&file, bit);
        }
        home.home().unlock(given.as_ref()).unwrap();
    }
}

#[test]
fn a_later_key_file_is_named_as_such() {
    let home = TestHome::with_files(&[("data.key", b"starling-key 2\nhardware 00\ncheck 00\n")]);
    assert!(matches!(home.home().unlock(None), Err(StoreError::KeyTooNew { found: 2, known: 1 })));
}

#[test]
fn the_passphrase_can_be_changed() {
    let home = TestHome::empty();
    set_up(&home.lock, None).unwrap().close().unwrap();
    let (key, new) = (home.key(), passphrase("sesame"));
    let protection = Protection::Passphrase { passphrase: &new, params: KdfParams::new(8, 1, 1).unwrap() };
    Home::protect(&home.lock, &key, &protection, &mut rng()).unwrap();
    assert!(matches!(home.home().unlock(None), Err(StoreError::PassphraseNeeded)));
    let key = home.home().unlock(Some(&new)).unwrap();
    assert_eq!(profile(&Database::open(&home.lock, &key).unwrap()), Some(b"Ada".to_vec()));
    assert_eq!(names(&home), ["data.key", "lock", "starling.db"]);
}

#[test]
fn what_is_on_disk_is_not_readable() {
    let (home, mut database) = TestHome::new();
    let secret = b"meet me at the lighthouse";
    database.begin().unwrap();
    database.write_slot(Slot::Profile, secret).unwrap();
    database.commit().unwrap();
    let in_a_file = |home: &TestHome| {
        fs::read_dir(home.home().path()).unwrap().any(|file| {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret)
        })
    };
    assert!(!in_a_file(&home), "while the log holds it");
    database.close().unwrap();
    assert!(!in_a_file(&home), "once it is in the database");
    assert_eq!(home.open().unwrap().read_slot(Slot::Profile).unwrap().as_deref(), Some(secret.as_slice()));
}

#[test]
fn the_key_is_not_shown() {
    let home = TestHome::empty();
    let database = set_up(&home.lock, None).unwrap();
    let text = fs::read_to_string(home.file("data.key")).unwrap();
    let digits = text.lines().nth(1).unwrap().strip_prefix("none ").unwrap();
    let key = home.key();
    for shown in [format!("{key:?}"), format!("{database:?}"), format!("{:?}", database.readers())] {
        assert!(!shown.contains(digits) && shown.contains("(..)"), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_key_file_is_read_or_refused(bytes: Vec<u8>, kind in 0usize..3) {
        let mut file = [b"".as_slice(), b"starling-key 1\n", b"starling-key 1\nnone "][kind].to_vec();
        file.extend(bytes);
        let home = TestHome::with_files(&[("data.key", &file)]);
        prop_assert!(home.home().unlock(None).is_err());
    }
}
