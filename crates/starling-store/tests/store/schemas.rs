//! Databases of every released schema are opened by this program.
//!
//! `tests/fixtures/vN/` holds a home as the release with schema N left it. A new schema gets its fixture by running
//! this test once with `STARLING_WRITE_FIXTURE=1`; one that was released is never written again.

use std::fs;
use std::path::PathBuf;

use crate::common::{TestHome, contact, message, outbox_row, record, rng, step};
use starling_core::storage::{
    ContactStore as _, MessageStore as _, OutboxStore as _, PeerStore as _, RecordStore as _, SeenStore as _,
    SessionStore as _, Slot, SlotStore as _, StorageError, TraceStore as _,
};
use starling_crypto::kdf::{KdfParams, Passphrase};
use starling_crypto::session::Tombstone;
use starling_overlay::storage::DeletedRecord;
use starling_proto::addr::Peer;
use starling_proto::ids::{DeviceKey, NodeKey, OlmKey, RecordKey, SessionId};
use starling_proto::time::UnixSeconds;
use starling_store::{Database, Home, Protection, SCHEMA_VERSION, StoreError};

const DEVICE: DeviceKey = DeviceKey::new([7; 32]);
const SESSION: SessionId = SessionId::new([8; 32]);
const TOMBSTONE: Tombstone = Tombstone { session: SESSION, key: OlmKey::new([9; 32]) };

fn passphrase() -> Passphrase {
    Passphrase::new("open sesame".to_owned())
}

fn fixture(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}"))
}

fn peer() -> Peer {
    Peer::new(NodeKey::new([4; 32]), ["8.8.8.8:4040".parse().unwrap(), "[2001:db8::1]:4041".parse().unwrap()])
}

fn deletion() -> DeletedRecord {
    let held = record(2, 0).0;
    DeletedRecord {
        key: RecordKey::new([5; 32]),
        id: held.id,
        deleted: UnixSeconds::new(6),
        keep_until: UnixSeconds::new(u64::MAX),
        group: held.group,
    }
}

fn fill(database: &mut Database) -> Result<(), StorageError> {
    let (held, encoded) = record(1, 5000);
    database.write_record(&held, &encoded)?;
    database.write_deletion(&deletion())?;
    database.write_peer(&peer(), UnixSeconds::new(7))?;
    database.write_slot(Slot::Profile, b"Ada")?;
    fill_talk(database)
}

fn fill_talk(database: &mut Database) -> Result<(), StorageError> {
    database.write_contact(&contact(3, 5000))?;
    database.write_session(&DEVICE, &SESSION, &[8; 5000])?;
    database.write_tombstone(&DEVICE, &TOMBSTONE)?;
    database.write_message(&message(1, 1, "Hello, brave new world"))?;
    database.write_outbox(&outbox_row(1, 5000))?;
    database.append_trace(&step(1, 2), 9)?;
    database.note_seen(&[9; 32], UnixSeconds::new(9)).map(drop)
}

fn check(database: &mut Database) {
    let (held, encoded) = record(1, 5000);
    assert_eq!(database.read_record(&held.id).unwrap(), Some(encoded));
    assert_eq!(database.held_records().unwrap(), [held]);
    assert_eq!(database.deleted_records().unwrap(), [deletion()]);
    assert_eq!(database.known_peers().unwrap(), [peer()]);
    assert_eq!(database.read_slot(Slot::Profile).unwrap().as_deref(), Some(b"Ada".as_slice()));
    check_talk(database);
    assert!(database.check().unwrap().is_sound());
}

fn check_talk(database: &mut Database) {
    assert_eq!(database.contacts().unwrap(), [contact(3, 5000)]);
    assert_eq!(database.sessions(&DEVICE).unwrap(), [[8; 5000]]);
    assert_eq!(database.tombstones(&DEVICE).unwrap(), [TOMBSTONE]);
    let said = message(1, 1, "Hello, brave new world");
    assert_eq!(database.message(&said.id).unwrap().as_ref(), Some(&said));
    assert_eq!(database.chain_heads(&said.conversation).unwrap(), [(&said).into()]);
    assert_eq!(database.messages(&said.conversation, None, 9, Some("BRAVE n")).unwrap(), [said]);
    assert_eq!(database.outbox().unwrap(), [outbox_row(1, 5000)]);
    assert_eq!(database.trace(&step(1, 2).message).unwrap(), [step(1, 2)]);
    database.begin().unwrap();
    assert!(!database.note_seen(&[9; 32], UnixSeconds::new(9)).unwrap());
    database.rollback().unwrap();
}

fn write_fixture() {
    let home = TestHome::empty();
    let protection =
        Protection::Passphrase { passphrase: &passphrase(), params: KdfParams::new(8, 1, 1).unwrap() };
    let database = Home::set_up(&home.lock, &protection, &mut rng(), |database| {
        fill(database).map_err(|_| StoreError::Corrupt("fixture"))
    });
    database.unwrap().close().unwrap();
    fs::create_dir_all(fixture(SCHEMA_VERSION)).unwrap();
    for name in ["data.key", "starling.db"] {
        fs::copy(home.file(name), fixture(SCHEMA_VERSION).join(name)).unwrap();
    }
}

#[test]
fn every_released_schema_is_opened() {
    if std::env::var_os("STARLING_WRITE_FIXTURE").is_some() {
        write_fixture();
    }
    for version in 1..=SCHEMA_VERSION {
        let read = |name: &str| fs::read(fixture(version).join(name)).unwrap();
        let home =
            TestHome::with_files(&[("data.key", &read("data.key")), ("starling.db", &read("starling.db"))]);
        let key = home.home().unlock(Some(&passphrase())).unwrap();
        check(&mut Database::open(&home.lock, &key).unwrap());
    }
}
