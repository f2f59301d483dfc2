//! One flipped bit anywhere in the database (DSK-03).

use std::fs;

use crate::common::{TestHome, contact, message, outbox_row, record, step};
use proptest::prelude::*;
use starling_core::storage::{
    ChangeOf, ContactStore as _, CoreStore, MessageKind, MessageRow, MessageStore as _, OutboxStore as _,
    PeerStore as _, RecordStore as _, SeenStore as _, SessionStore as _, Slot, SlotStore as _, StorageError,
    TraceStore as _,
};
use starling_crypto::session::Tombstone;
use starling_overlay::storage::DeletedRecord;
use starling_proto::addr::Peer;
use starling_proto::ids::{AccountKey, DeviceKey, NodeKey, OlmKey, SessionId};
use starling_proto::time::UnixSeconds;
use starling_store::{Database, StoreError};

const PAGE: usize = 4096;
const RECORDS: u32 = 60;
const CONVERSATION: AccountKey = AccountKey::new([1; 32]);
const DEVICE: DeviceKey = DeviceKey::new([1; 32]);

/// Whether two databases agree on something.
type Same = fn(&Database, &Database) -> Result<bool, StorageError>;

/// What can be read of conversations, with the table that an error names, and how many of its pages are read at least
/// where a row is 8 KiB long.
const TALK: [(&str, usize, Same); 11] = [
    ("contacts", 3, |left, right| Ok(left.contacts()? == right.contacts()?)),
    ("sessions", 3, |left, right| Ok(left.sessions(&DEVICE)? == right.sessions(&DEVICE)?)),
    ("tombstones", 1, |left, right| Ok(left.tombstones(&DEVICE)? == right.tombstones(&DEVICE)?)),
    ("messages", 3, |left, right| {
        let id = message(2, 2, "").id;
        Ok(left.message(&id)? == right.message(&id)?)
    }),
    ("messages", 3, |left, right| Ok(page(left, None)? == page(right, None)?)),
    ("messages", 3, |left, right| Ok(page(left, Some("wor"))? == page(right, Some("wor"))?)),
    ("messages", 1, |left, right| Ok(left.chain_heads(&CONVERSATION)? == right.chain_heads(&CONVERSATION)?)),
    ("messages", 1, |left, right| {
        let (message, kind) = (message(1, 1, "").id, MessageKind::Reaction);
        let of = ChangeOf { message, conversation: CONVERSATION, mine: false, kind };
        Ok(left.last_changes(&of)? == right.last_changes(&of)?)
    }),
    ("messages", 1, |left, right| {
        let by = UnixSeconds::new(u64::MAX);
        Ok(left.next_end()? == right.next_end()? && left.ended(by, 9)? == right.ended(by, 9)?)
    }),
    ("outbox", 3, |left, right| Ok(left.outbox()? == right.outbox()?)),
    ("trace", 1, |left, right| {
        let id = step(1, 0).message;
        Ok(left.trace(&id)? == right.trace(&id)?)
    }),
];

fn page(database: &Database, text: Option<&str>) -> Result<Vec<MessageRow>, StorageError> {
    database.messages(&CONVERSATION, None, 9, text)
}

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
    fill_talk(&mut database, 4000).unwrap();
    // More than a search reads before it asks the index.
    for number in 10..27 {
        database.write_message(&message(number, number.into(), &"o".repeat(8000))).unwrap();
    }
    database.commit().unwrap();
    database.close().unwrap();
    home
}

/// Three rows for each table of conversations: the first is empty, and each is longer than the one before.
fn fill_talk(database: &mut Database, step_bytes: usize) -> Result<(), StorageError> {
    for number in 0..3u8 {
        let length = usize::from(number) * step_bytes;
        database.write_contact(&contact(number, length))?;
        database.write_session(&DEVICE, &SessionId::new([number; 32]), &vec![number; length])?;
        let tombstone = Tombstone { session: SessionId::new([number; 32]), key: OlmKey::new([number; 32]) };
        database.write_tombstone(&DEVICE, &tombstone)?;
        database.write_message(&message(number, u64::from(number), &"word ".repeat(length / 5)))?;
        database.write_outbox(&outbox_row(u64::from(number), length))?;
        database.append_trace(&step(1, u32::from(number)), 9)?;
        database.note_seen(&[number; 32], UnixSeconds::new(1))?;
    }
    let (kind, about) = (MessageKind::Reaction, Some(message(1, 1, "").id));
    let ends = Some(UnixSeconds::new(1));
    database.write_message(&MessageRow { kind, about, ends, ..message(9, 1, "♥") })
}

/// Touches what only writing reads: the index of petnames, what is seen, which words belong to a message.
fn writes(database: &mut Database) -> Result<bool, StorageError> {
    database.begin()?;
    fill_talk(database, 300)?;
    database.forget_seen(UnixSeconds::new(9))?;
    database.rollback()?;
    Ok(true)
}

fn deletion(number: u32) -> DeletedRecord {
    let (held, _) = record(number, 0);
    let at = UnixSeconds::new(u64::from(number));
    DeletedRecord { key: held.key, id: held.id, deleted: at, keep_until: at, group: held.group }
}

/// All that can be read, each part on its own; a part that cannot says so. Parts that read well must be right.
fn wrong_parts(home: &TestHome, expected: &Database) -> usize {
    let mut refused = 0;
    let mut compare = |same: &dyn Fn(&mut Database) -> Result<bool, StorageError>| match home.open() {
        // Each part on a connection of its own: SQLCipher closes one for good after a bad page.
        Ok(mut database) => match same(&mut database) {
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
    for (_, _, same) in TALK {
        compare(&|database| same(database, expected));
    }
    compare(&writes);
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

/// Longer texts, sessions, contacts and contents lie on pages whose loss SQLite does not notice.
#[test]
fn dsk_03_a_damaged_conversation_is_corrupt_and_names_its_table() {
    let (home, mut database) = TestHome::new();
    database.begin().unwrap();
    fill_talk(&mut database, 4096).unwrap();
    database.commit().unwrap();
    database.close().unwrap();
    let expected = home.open().unwrap();
    let pages = fs::metadata(home.file("starling.db")).unwrap().len() as usize / PAGE;
    let mut noticed = [0; TALK.len()];
    for number in 1..pages {
        for zeros in [false, true] {
            let copy = damaged(&home, |bytes| {
                let page = &mut bytes[number * PAGE..][..PAGE];
                if zeros { page.fill(0) } else { page[1000] ^= 1 }
            });
            for ((table, _, same), noticed) in TALK.iter().zip(&mut noticed) {
                let Ok(database) = copy.open() else { continue };
                match same(&database, &expected) {
                    Ok(same) => assert!(same, "{table}, page {number}"),
                    Err(error) => {
                        assert_eq!(error, StorageError::Corrupt(table), "page {number}");
                        *noticed += 1;
                    }
                }
            }
        }
    }
    // Each page was damaged twice.
    for ((table, pages, _), noticed) in TALK.iter().zip(noticed) {
        assert!(noticed >= 2 * pages, "{table}: {noticed}");
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
