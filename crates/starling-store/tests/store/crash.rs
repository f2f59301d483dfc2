//! What is there after the process or the power has gone.

use std::fs;

use crate::common::{TestHome, record};
use starling_core::storage::{RecordStore as _, Slot, SlotStore as _, StorageError};
use starling_store::{Database, StoreError};

/// Bytes of the log's header, of a frame's header, and of a frame.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const FRAME: usize = FRAME_HEADER + 4096;

fn put(database: &mut Database, value: u8) {
    database.write_slot(Slot::Profile, &[value]).unwrap();
    // Several pages, so that a commit is several frames.
    database.write_slot(Slot::Publications, &[value; 9000]).unwrap();
}

fn commit(database: &mut Database, value: u8) {
    database.begin().unwrap();
    put(database, value);
    database.commit().unwrap();
}

/// The value that both slots agree on; 0 before the first.
fn value(database: &Database) -> u8 {
    let small = database.read_slot(Slot::Profile).unwrap();
    let large = database.read_slot(Slot::Publications).unwrap();
    match (small.as_deref(), large.as_deref()) {
        (None, None) => 0,
        (Some(&[small]), Some(large)) if large == [small; 9000] => small,
        _ => panic!("half of a transaction"),
    }
}

#[test]
fn what_was_not_committed_is_not_there() {
    let (home, mut database) = TestHome::new();
    commit(&mut database, 1);
    database.begin().unwrap();
    put(&mut database, 2);
    assert_eq!(value(&database), 2);
    drop(database);
    let mut database = home.open().unwrap();
    assert_eq!(value(&database), 1);
    database.begin().unwrap();
    put(&mut database, 3);
    database.close().unwrap();
    assert_eq!(value(&home.open().unwrap()), 1);
}

#[test]
fn cra_02_a_copy_in_the_middle_of_a_transaction_holds_what_was_committed() {
    let (home, mut database) = TestHome::new();
    commit(&mut database, 1);
    database.begin().unwrap();
    put(&mut database, 2);
    let log = fs::metadata(home.file("starling.db-wal")).unwrap().len();
    // More than the cache holds, so that pages go to the log before the commit.
    for number in 0..800 {
        let (held, encoded) = record(number, 20_000);
        database.write_record(&held, &encoded).unwrap();
    }
    assert!(fs::metadata(home.file("starling.db-wal")).unwrap().len() > log + 1_000_000);
    home.copy().open_and(|copy| {
        assert_eq!(value(&copy), 1);
        assert_eq!(copy.held_records().unwrap(), []);
        assert!(copy.check().unwrap().is_sound());
    });
    database.commit().unwrap();
    home.copy().open_and(|copy| {
        assert_eq!((value(&copy), copy.held_records().unwrap().len()), (2, 800));
    });
}

/// Cuts the log everywhere near a frame's edge: each acknowledged commit whose bytes are there is there.
#[test]
fn cra_02_a_torn_log_holds_every_whole_commit() {
    let (home, mut database) = TestHome::new();
    let log = home.file("starling.db-wal");
    let mut ends = vec![];
    for number in 1..=6 {
        commit(&mut database, number);
        ends.push(fs::metadata(&log).unwrap().len() as usize);
    }
    let whole = fs::read(&log).unwrap();
    let edges = (0..=(whole.len() - HEADER) / FRAME).map(|frame| HEADER + frame * FRAME);
    for cut in edges.flat_map(|edge| [edge.saturating_sub(1), edge, edge + 30]).chain([0, 5]) {
        let copy = home.copy();
        copy.replace("starling.db-wal", &whole[..cut.min(whole.len())]);
        let expected = ends.iter().filter(|&&end| end <= cut).count();
        copy.open_and(|copy| assert_eq!(usize::from(value(&copy)), expected, "cut at {cut}"));
    }
}

/// The disk may write the frames of the last, unacknowledged transaction in any order.
#[test]
fn cra_02_a_log_with_holes_in_its_last_transaction_is_torn_not_damaged() {
    let (home, mut database) = TestHome::new();
    commit(&mut database, 1);
    let begin = fs::metadata(home.file("starling.db-wal")).unwrap().len() as usize;
    commit(&mut database, 2);
    let whole = fs::read(home.file("starling.db-wal")).unwrap();
    let frames = (whole.len() - begin) / FRAME;
    assert!(frames >= 3);
    for hole in 0..frames {
        let copy = home.copy();
        let mut log = whole.clone();
        let at = begin + hole * FRAME;
        log[at..at + FRAME].fill(0);
        copy.replace("starling.db-wal", &log);
        copy.open_and(|copy| assert_eq!(value(&copy), 1, "hole in frame {hole}"));
    }
}

/// SQLite alone would drop every commit after the flipped bit and say nothing.
#[test]
fn dsk_03_a_flipped_bit_in_the_log_loses_no_commit_silently() {
    let (home, mut database) = TestHome::new();
    for number in 1..=3 {
        commit(&mut database, number);
    }
    let last = fs::metadata(home.file("starling.db-wal")).unwrap().len() as usize;
    commit(&mut database, 4);
    let whole = fs::read(home.file("starling.db-wal")).unwrap();
    let places = (0..HEADER).chain((HEADER..whole.len()).step_by(97));
    for at in places {
        let copy = home.copy();
        let mut log = whole.clone();
        log[at] ^= 4;
        copy.replace("starling.db-wal", &log);
        match copy.open() {
            Err(StoreError::Corrupt("the write-ahead log")) => assert!(at < last, "byte {at}"),
            Ok(copy) => assert!(at >= last && value(&copy) == 3, "byte {at}: {}", value(&copy)),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn a_used_log_with_frames_of_an_earlier_round_is_sound() {
    let (home, mut database) = TestHome::new();
    for number in 1..=26 {
        database.begin().unwrap();
        put(&mut database, number);
        // Fifty frames: the log begins anew after a thousand.
        database.write_slot(Slot::OlmAccount, &[number; 200_000]).unwrap();
        database.commit().unwrap();
    }
    let log = fs::read(home.file("starling.db-wal")).unwrap();
    let salts = |frame: usize| log[HEADER + frame * FRAME + 8..][..8].to_vec();
    let frames = (log.len() - HEADER) / FRAME;
    assert_ne!(salts(0), salts(frames - 1), "the log was not used twice; the test shows nothing");
    home.copy().open_and(|copy| assert_eq!(value(&copy), 26));
}

#[test]
fn writes_need_a_transaction() {
    let (_home, mut database) = TestHome::new();
    assert!(matches!(database.write_slot(Slot::Profile, b"x"), Err(StorageError::Failed(_))));
    assert!(matches!(database.commit(), Err(StoreError::NoTransaction)));
    assert!(matches!(database.rollback(), Err(StoreError::NoTransaction)));
    database.begin().unwrap();
    assert!(matches!(database.begin(), Err(StoreError::TransactionOpen)));
    put(&mut database, 1);
    database.rollback().unwrap();
    assert_eq!(value(&database), 0);
    assert!(!database.in_transaction());
    commit(&mut database, 2);
    assert_eq!(value(&database), 2);
}

impl TestHome {
    fn open_and(self, look: impl FnOnce(Database)) {
        look(self.open().unwrap());
    }
}
