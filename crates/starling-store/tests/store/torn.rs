//! Power cuts in the middle of a write. A disk writes whole sectors, in any order: of what was under way any of them may
//! be there and any may hold what was there before.

use std::fs;
use std::ops::Range;

use crate::common::{TestHome, message, outbox_row, rng, step};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use starling_core::storage::{
    MessageStore as _, OutboxStore as _, SessionStore as _, Slot, SlotStore as _, TraceStore as _,
};
use starling_proto::ids::{AccountKey, DeviceKey, SessionId};
use starling_store::Database;

/// Bytes of the log's header, of a frame's header, and of a frame.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const FRAME: usize = FRAME_HEADER + 4096;
/// What a disk writes whole, at the least.
const SECTOR: usize = 512;
const PAGE: usize = 4096;
const DEVICE: DeviceKey = DeviceKey::new([1; 32]);
const SESSION: SessionId = SessionId::new([1; 32]);
const LOG: &str = "starling.db-wal";

/// What one message does to the disk: history, outbox, trace, and the session that has sealed it, `size` bytes long.
fn commit(database: &mut Database, number: u64, size: usize) {
    database.begin().unwrap();
    database.write_session(&DEVICE, &SESSION, &vec![number as u8; size]).unwrap();
    database.write_message(&message(1, number, &format!("text {number}"))).unwrap();
    database.write_outbox(&outbox_row(number, 300)).unwrap();
    database.remove_outbox(number - 1).unwrap();
    database.append_trace(&step(1, number as u32), 1_000).unwrap();
    database.write_slot(Slot::OlmAccount, &number.to_le_bytes()).unwrap();
    database.commit().unwrap();
}

/// After how many of these transactions the database is, if it is after any.
fn state(database: &Database) -> Result<u64, String> {
    let slot = database.read_slot(Slot::OlmAccount).unwrap();
    let number = slot.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let sessions = database.sessions(&DEVICE).unwrap();
    let outbox: Vec<u64> = database.outbox().unwrap().iter().map(|row| row.number).collect();
    let texts = database.messages(&AccountKey::new([1; 32]), None, 10_000, None).unwrap();
    let steps = database.trace(&step(1, 0).message).unwrap();
    let agree = sessions.iter().all(|session| session.iter().all(|byte| *byte == number as u8))
        && outbox == [number]
        && texts.iter().map(|row| row.sequence).eq(1..=number)
        && steps.len() as u64 == number;
    if agree {
        Ok(number)
    } else {
        Err(format!("a mix: {number}, {outbox:?}, {}, {}", texts.len(), steps.len()))
    }
}

fn log(home: &TestHome) -> Vec<u8> {
    fs::read(home.file(LOG)).unwrap()
}

/// The home as it stands, but with this log, opened: in which state it is. It goes on from there, and that is there too
/// when it is opened again.
fn reopened(home: &TestHome, log: &[u8]) -> Result<u64, String> {
    let copy = home.copy();
    copy.replace(LOG, log);
    let mut database = copy.open().map_err(|error| error.to_string())?;
    let number = state(&database)?;
    commit(&mut database, number + 1, 100);
    drop(database);
    let after = state(&copy.open().map_err(|error| error.to_string())?)?;
    if after == number + 1 { Ok(number) } else { Err(format!("{after} after {number} and one more")) }
}

/// A home after five transactions; its log before the last of them and after it.
fn five() -> (TestHome, Database, Vec<u8>, Vec<u8>) {
    let (home, mut database) = TestHome::new();
    for number in 1..=4 {
        commit(&mut database, number, 9_000);
    }
    let before = log(&home);
    commit(&mut database, 5, 9_000);
    let after = log(&home);
    assert!(after.len() >= before.len() + 4 * FRAME, "a transaction of several frames");
    (home, database, before, after)
}

/// `after`, but with what was there before in those sectors for which `keeps` says so.
fn mixed(before: &[u8], after: &[u8], mut keeps: impl FnMut(Range<usize>) -> bool) -> Vec<u8> {
    let mut mixed = after.to_vec();
    for at in (0..after.len()).step_by(SECTOR) {
        let sector = at..(at + SECTOR).min(after.len());
        if before.get(sector.clone()) != after.get(sector.clone()) && keeps(sector.clone()) {
            for place in sector {
                mixed[place] = before.get(place).copied().unwrap_or(0);
            }
        }
    }
    mixed
}

#[test]
fn cra_02_cut_anywhere_in_the_last_transaction_the_log_holds_those_before() {
    let (home, _database, before, after) = five();
    let cuts = (before.len()..after.len()).step_by(331).chain([before.len() + 1, after.len() - 1]);
    for cut in cuts {
        assert_eq!(reopened(&home, &after[..cut]), Ok(4), "cut at {cut}");
    }
    assert_eq!(reopened(&home, &after), Ok(5));
}

#[test]
fn cra_02_cut_anywhere_the_log_holds_each_transaction_that_is_there_whole() {
    let (home, mut database) = TestHome::new();
    let mut ends = Vec::new();
    for number in 1..=5 {
        commit(&mut database, number, 5_000);
        ends.push(log(&home).len());
    }
    let after = log(&home);
    for cut in (ends[0]..=after.len()).step_by(997) {
        let whole = ends.iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(reopened(&home, &after[..cut]), Ok(whole), "cut at {cut}");
    }
}

#[test]
fn cra_02_noise_at_the_end_of_the_last_transaction_is_torn_not_damaged() {
    let (home, _database, before, after) = five();
    for from in (before.len()..after.len()).step_by(1_013) {
        let mut torn = after.clone();
        rng().fill_bytes(&mut torn[from..]);
        assert_eq!(reopened(&home, &torn), Ok(4), "noise from {from}");
    }
}

#[test]
fn cra_02_each_sector_of_the_last_transaction_may_be_missing_alone_and_with_others() {
    let (home, _database, before, after) = five();
    let missing = |only: usize| mixed(&before, &after, |sector| sector.contains(&only));
    for only in (before.len()..after.len()).step_by(SECTOR).chain([after.len() - 1]) {
        assert_eq!(reopened(&home, &missing(only)), Ok(4), "without the sector at {only}");
    }
    for (nth, torn) in torn_at_random(&before, &after, 60).into_iter().enumerate() {
        assert_eq!(reopened(&home, &torn), Ok(4), "the {nth}th choice");
    }
}

/// A log that begins anew writes over frames of its last round, so that what is missing looks like a frame. Of a frame
/// whose header lies across two sectors, half may be of the last round, and say that a transaction ends there.
#[test]
fn cra_02_what_is_missing_of_a_used_log_holds_what_was_there_before() {
    let (home, mut database) = TestHome::new();
    commit(&mut database, 1, 100);
    let salt = |log: &[u8]| log[16..24].to_vec();
    let first = salt(&log(&home));
    // A page each, so that every frame of the first round ends a transaction.
    for number in 0_u64.. {
        if number.is_multiple_of(50) && salt(&log(&home)) != first {
            break;
        }
        database.begin().unwrap();
        database.write_slot(Slot::Profile, &number.to_le_bytes()).unwrap();
        database.commit().unwrap();
    }
    let before = log(&home);
    commit(&mut database, 2, 1_600_000);
    let after = log(&home);
    assert_eq!(salt(&before), salt(&after), "the same round");
    assert!(after.len() == before.len(), "over the last round's frames");
    let ends = |frame: usize| before[HEADER + frame * FRAME + 4..][..4] != [0; 4];
    let across = |frame: usize| (HEADER + frame * FRAME) % SECTOR == SECTOR - 8;
    let nasty: Vec<usize> = (0..400).filter(|frame| across(*frame) && ends(*frame)).collect();
    assert!(!nasty.is_empty(), "no such frame; the test shows less than it should");
    for frame in nasty {
        let start = HEADER + frame * FRAME;
        let torn = mixed(&before, &after, |sector| sector.contains(&start));
        assert_eq!(reopened(&home, &torn), Ok(1), "half the header of frame {frame}");
    }
    for (nth, torn) in torn_at_random(&before, &after, 20).into_iter().enumerate() {
        assert_eq!(reopened(&home, &torn), Ok(1), "the {nth}th choice");
    }
}

/// While the log is copied back the power goes: the database holds some of its pages in the new form.
#[test]
fn cra_02_a_database_into_which_half_the_log_was_copied_is_whole_with_its_log() {
    let (home, database, _, after) = five();
    let old = fs::read(home.file("starling.db")).unwrap();
    let copied = home.copy();
    copied.open().unwrap().close().unwrap();
    let new = fs::read(copied.file("starling.db")).unwrap();
    let changed = old.chunks(PAGE).zip(new.chunks(PAGE)).filter(|(old, new)| old != new).count();
    assert!(changed >= 4 && new.len() > old.len(), "the log was copied back");
    let mut dice = rng();
    for choice in 0..40 {
        let torn = mixed(&old, &new, |_| dice.next_u64().is_multiple_of(2));
        let copy = home.copy();
        copy.replace("starling.db", &torn);
        assert_eq!(state(&copy.open().unwrap()), Ok(5), "choice {choice}");
        let copy = home.copy();
        copy.replace("starling.db", &torn[..old.len()]);
        assert_eq!(state(&copy.open().unwrap()), Ok(5), "choice {choice}, not grown");
    }
    assert_eq!(log(&home), after);
    drop(database);
}

/// Some of the many ways in which sectors may be missing, at least one each.
fn torn_at_random(before: &[u8], after: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut dice: ChaCha20Rng = rng();
    let torn = std::iter::repeat_with(|| {
        let one_in = 2 + dice.next_u64() % 7;
        mixed(before, after, |_| dice.next_u64().is_multiple_of(one_in))
    });
    torn.filter(|torn| torn != after).take(count).collect()
}
