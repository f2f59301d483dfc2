//! One flipped bit anywhere in the database (DSK-03).

use std::fs;

use crate::common::{TestHome, record};
use proptest::prelude::*;
use starling_core::storage::{
    CoreStore, PeerStore as _, RecordStore as _, Slot, SlotStore as _, StorageError,
};
use starling_overlay::storage::DeletedRecord;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::time::UnixSeconds;
use starling_store::{Database, StoreError};

const PAGE: usize = 4096;
const RECORDS: u32 = 60;

/// A closed home with something in every table, some of it longer than a page.
fn filled() -> TestHome {
    let (home, mut database) = TestHome::new();
    database.begin().unwrap();
    for number in 0..RECORDS {
        let (held, encoded) = record(number, number as usize * 331);
        database.write_record(&held, &encoded).unwrap();
        let peer = Peer::new(NodeKey::new([number as u8; 32]), ["8.8.8.8:1".parse().unwrap()]);
        database.write_peer(&peer, UnixSeconds::new(u64::from(number))).unwrap();
        database.write_deletion(&deletion(number)).unwrap();
    }
    for slot in Slot::ALL {
        database.write_slot(slot, &vec![slot.number() as u8; slot.number() as usize * 3000]).unwrap();
    }
    database.commit().unwrap();
    database.close().unwrap();
    home
}

fn deletion(number: u32) -> DeletedRecord {
    let (held, _) = record(number, 0);
    let at = UnixSeconds::new(u64::from(number));
    DeletedRecord { key: held.key, id: held.id, deleted: at, keep_until: at, group: held.group }
}

/// All that can be read, each part on its own; a part that cannot says so. Parts that read well must be right.
fn wrong_parts(home: &TestHome, expected: &Database) -> usize {
    let mut refused = 0;
    let mut compare = |same: &dyn Fn(&Database) -> Result<bool, StorageError>| match home.open() {
        // Each part on a connection of its own: SQLCipher closes one for good after a bad page.
        Ok(database) => match same(&database) {
            Ok(same) => assert!(same, "wrong data"),
            Err(_) => refused += 1,
        },
        Err(error) => {
            let known = matches!(
                error,
                StoreError::Corrupt(_) | StoreError::WrongKey(_) | StoreError::NotADatabase(_)
            );
            assert!(known, "{error}");
            refused += 1;
        }
    };
    compare(&|database| Ok(database.held_records()? == expected.held_records()?));
    compare(&|database| Ok(database.deleted_records()? == expected.deleted_records()?));
    compare(&|database| Ok(database.known_peers()? == expected.known_peers()?));
    for slot in Slot::ALL {
        compare(&|database| Ok(database.read_slot(slot)? == expected.read_slot(slot)?));
    }
    compare(&|database| same_records(database, expected));
    refused
}

fn same_records(database: &Database, expected: &Database) -> Result<bool, StorageError> {
    for number in 0..RECORDS {
        let id = record(number, 0).0.id;
        if database.read_record(&id)? != expected.read_record(&id)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn damaged(home: &TestHome, damage: impl FnOnce(&mut Vec<u8>)) -> TestHome {
    let copy = home.copy();
    let mut bytes = fs::read(copy.file("starling.db")).unwrap();
    damage(&mut bytes);
    copy.replace("starling.db", &bytes);
    copy
}

#[test]
fn dsk_03_a_flipped_bit_in_any_page_is_found() {
    let home = filled();
    let pages = fs::metadata(home.file("starling.db")).unwrap().len() as usize / PAGE;
    assert!(pages > 100);
    let expected = home.open().unwrap();
    for page in 0..pages {
        let at = page * PAGE + (page * 1237 + 17) % PAGE;
        let copy = damaged(&home, |bytes| bytes[at] ^= 1 << (page % 8));
        assert!(wrong_parts(&copy, &expected) > 0, "page {page} is used and its damage was not noticed");
    }
}

/// SQLCipher takes a page of zeros for one that was never written.
#[test]
fn dsk_03_a_page_of_zeros_is_never_data() {
    let home = filled();
    let pages = fs::metadata(home.file("starling.db")).unwrap().len() as usize / PAGE;
    let expected = home.open().unwrap();
    for page in 0..pages {
        let copy = damaged(&home, |bytes| bytes[page * PAGE..(page + 1) * PAGE].fill(0));
        assert!(wrong_parts(&copy, &expected) > 0, "page {page}");
    }
}

#[test]
fn dsk_03_a_page_in_the_wrong_place_is_found() {
    let home = filled();
    let expected = home.open().unwrap();
    let pages = fs::metadata(home.file("starling.db")).unwrap().len() as usize / PAGE;
    for (from, to) in [(3, 4), (10, pages - 1), (pages - 1, 2), (20, 21)] {
        let copy = damaged(&home, |bytes| bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE));
        assert!(wrong_parts(&copy, &expected) > 0, "page {from} in the place of {to}");
    }
}

#[test]
fn dsk_03_a_cut_database_is_found() {
    let home = filled();
    let expected = home.open().unwrap();
    let size = fs::metadata(home.file("starling.db")).unwrap().len() as usize;
    for length in [0, 1, 16, 100, PAGE - 1, PAGE, PAGE + 1, 7 * PAGE, size - PAGE, size - 1] {
        let copy = damaged(&home, |bytes| bytes.truncate(length));
        assert!(wrong_parts(&copy, &expected) > 0, "cut to {length}");
        assert_eq!(
            fs::metadata(copy.file("starling.db")).unwrap().len() as usize,
            length,
            "it was written to"
        );
    }
}

#[test]
fn the_check_names_the_page() {
    let home = filled();
    assert!(home.open().unwrap().check().unwrap().is_sound());
    let copy = damaged(&home, |bytes| bytes[40 * PAGE + 5] ^= 1);
    let found = copy.open().unwrap().check().unwrap();
    assert!(!found.is_sound());
    assert!(found.problems[0].contains("41"), "{:?}", found.problems);
    let reader = copy.open().unwrap().readers().open().unwrap();
    assert!(!reader.check().unwrap().is_sound());
}

#[test]
fn dsk_03_any_flipped_bit_is_found_or_harmless() {
    let home = filled();
    let expected = home.open().unwrap();
    proptest!(ProptestConfig::with_cases(100), |(place: prop::sample::Index, bit in 0u8..8)| {
        let copy = damaged(&home, |bytes| {
            let at = place.index(bytes.len());
            bytes[at] ^= 1 << bit;
        });
        wrong_parts(&copy, &expected);
    });
}

#[test]
fn the_database_is_the_cores_store() {
    fn wants_a_core_store(_: &impl CoreStore) {}
    wants_a_core_store(&filled().open().unwrap());
}
