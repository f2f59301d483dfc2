//! Durable commits: what a message costs before it may be acknowledged.
//!
//! Prints rows per second for batches of 1, 10 and 100 rows of 1,400 bytes, each batch one commit with
//! `synchronous = FULL`, beside a plain SQLite file that is set up the same way.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a benchmark")]

use std::path::Path;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rusqlite::Connection;
use starling_overlay::group::AddressGroup;
use starling_overlay::storage::{HeldRecord, RecordStore as _};
use starling_proto::ids::{PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;
use starling_store::{Home, Protection, StoreError};

/// A deposit of one padding bucket.
const ROW_BYTES: usize = 1400;
/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let dir = tempfile::tempdir().unwrap();
    println!("durable commits, rows of {ROW_BYTES} bytes, synchronous = FULL, in {}", dir.path().display());
    println!("{:>6} {:>16} {:>16} {:>16} {:>8}", "batch", "commits/s", "rows/s", "plain rows/s", "ratio");
    for batch in [1, 10, 100] {
        let store = store_rows(&dir.path().join(format!("home-{batch}")), batch);
        let plain = plain_rows(&dir.path().join(format!("plain-{batch}.db")), batch);
        let commits = store / f64::from(batch);
        println!("{batch:>6} {commits:>16.0} {store:>16.0} {plain:>16.0} {:>8.2}", store / plain);
    }
}

/// Rows per second through the store.
fn store_rows(path: &Path, batch: u32) -> f64 {
    let lock = Home::create(path).unwrap().lock().unwrap();
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let made = Home::set_up(&lock, &Protection::None, &mut rng, |_| Ok::<_, StoreError>(()));
    let mut database = made.unwrap();
    let encoded = vec![7; ROW_BYTES].into();
    measure(batch, |numbers| {
        database.begin().unwrap();
        for number in numbers {
            database.write_record(&held(number), &encoded).unwrap();
        }
        database.commit().unwrap();
    })
}

/// Rows per second into the same two tables of an unencrypted file.
fn plain_rows(path: &Path, batch: u32) -> f64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON").unwrap();
    connection.execute_batch(include_str!("../src/schema/v1.sql")).unwrap();
    let encoded = vec![7; ROW_BYTES];
    measure(batch, |numbers| {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for number in numbers {
            let id = held(number).id;
            let sql =
                "INSERT INTO records VALUES (?1, ?2, ?2, 5, ?2, 1, 1400, 1, 2, 3, 0, 1, 0, x'01080808')";
            connection.prepare_cached(sql).unwrap().execute((number, id.as_bytes())).unwrap();
            let sql = "INSERT INTO record_bodies VALUES (?1, zeroblob(16), ?2)";
            connection.prepare_cached(sql).unwrap().execute((number, &encoded)).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    })
}

fn measure(batch: u32, mut run: impl FnMut(std::ops::Range<u32>)) -> f64 {
    let (begun, mut rows) = (Instant::now(), 0);
    while begun.elapsed() < MEASURED {
        run(rows..rows + batch);
        rows += batch;
    }
    f64::from(rows) / begun.elapsed().as_secs_f64()
}

/// A record whose id falls anywhere, as hashes do.
fn held(number: u32) -> HeldRecord {
    let id = *blake3::hash(&number.to_le_bytes()).as_bytes();
    HeldRecord {
        id: RecordId::new(id),
        key: RecordKey::new(id),
        kind: RecordKind::Deposit,
        publisher: PublisherKey::new(id),
        sequence: 1,
        size: 1400,
        received: UnixSeconds::new(1),
        expires: UnixSeconds::new(2),
        keep_until: UnixSeconds::new(3),
        tombstone: false,
        welcome: true,
        work: 0,
        group: AddressGroup::V4([8, 8, 8]),
    }
}
