//! A long history: what it costs to open it, to page through it and to search it.
//!
//! `STARLING_HISTORY` says how many messages: a million if it is not set. They are of ten conversations, one of which has
//! half of all; texts are of eight words whose frequencies fall as in a language.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::ops::Range;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_core::storage::{MessageKind, MessageRow, MessageState, MessageStore as _};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::time::UnixMillis;
use starling_store::{Database, Home, Protection, StoreError};

/// Messages of one commit, as when a pile of mail is read.
const COMMIT: u64 = 1000;
/// Different words: the frequencies of a language's words fall with their rank.
const VOCABULARY: f64 = 50_000.0;
/// How often each figure is taken.
const RUNS: usize = 15;
/// The rank of a common word that the conversation which is searched does not have.
const ELSEWHERE: u64 = 1;
/// The rank of a common word that only the older half of the conversation has.
const LONG_AGO: u64 = 2;
/// Between two messages.
const INTERVAL_MS: u64 = 60_000;
/// Messages of a page.
const PAGE: usize = 50;

fn main() {
    let count = std::env::var("STARLING_HISTORY").map_or(1_000_000, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let lock = Home::create(&path).unwrap().lock().unwrap();
    let made = Home::set_up(&lock, &Protection::None, &mut rng, |_| Ok::<_, StoreError>(()));
    let mut database = made.unwrap();
    let begun = Instant::now();
    for first in (0..count).step_by(COMMIT as usize) {
        write(&mut database, first..count.min(first + COMMIT), count / 2, &mut rng);
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    database.close().unwrap();
    let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let size = files.sum::<u64>() >> 20;
    println!("{count} messages, {size} MiB, written at {rate:.0} a second in commits of {COMMIT}\n");
    let key = lock.home().unlock(None).unwrap();
    let opened = times(|| drop(Database::open(&lock, &key).unwrap()));
    let database = Database::open(&lock, &key).unwrap();
    println!("| what | median ms | worst of {RUNS} ms |\n|---|---|---|");
    row("opening", &opened);
    let page = |before: Option<u64>, text: Option<&str>| {
        times(|| drop(database.messages(&conversation(0), before, PAGE, text).unwrap()))
    };
    row("the newest page", &page(None, None));
    row("a page from the middle", &page(Some(position(count / 2)), None));
    for rank in [0, 30, 180, 1000, 40_000] {
        let word = word(rank);
        let found = database.messages(&conversation(0), None, usize::MAX, Some(&word)).unwrap().len();
        row(&format!("searching a word of {found} messages, newest page"), &page(None, Some(&word)));
    }
    let both = format!("{} {}", word(0), word(30));
    row("searching two common words", &page(None, Some(&both)));
    for letters in 1..=3 {
        let beginning = word(1000).get(..letters).unwrap().to_owned();
        row(&format!("searching a word by its first letters, {letters}"), &page(None, Some(&beginning)));
    }
    let early = page(Some(position(count / 2)), Some(&word(0)));
    row("searching the commonest word, a page from the middle", &early);
    row("searching a common word that only the older half has", &page(None, Some(&word(LONG_AGO))));
    row("searching a word that nobody wrote", &page(None, Some("zzzzzzzz")));
    let other = database.messages(&conversation(1), None, usize::MAX, Some(&word(ELSEWHERE))).unwrap().len();
    let what =
        format!("searching a word that is not in the conversation, and in {other} messages of the next");
    row(&what, &page(None, Some(&word(ELSEWHERE))));
    let elsewhere = times(|| drop(database.messages(&conversation(99), None, PAGE, Some(&word(0))).unwrap()));
    row("searching the commonest word where nobody wrote", &elsewhere);
}

fn write(database: &mut Database, numbers: Range<u64>, recent: u64, rng: &mut ChaCha20Rng) {
    database.begin().unwrap();
    for number in numbers {
        database.write_message(&message(number, recent, rng)).unwrap();
    }
    database.commit().unwrap();
}

fn message(number: u64, recent: u64, rng: &mut ChaCha20Rng) -> MessageRow {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let with = if number.is_multiple_of(2) { 0 } else { 1 + (number % 9) as u8 };
    let said = |rank| match rank {
        ELSEWHERE if with == 0 => LONG_AGO + 1,
        LONG_AGO if number >= recent => LONG_AGO + 1,
        rank => rank,
    };
    let words: Vec<String> = (0..8).map(|_| word(said(rank(rng)))).collect();
    MessageRow {
        id: MessageId::new(id),
        conversation: conversation(with),
        author: DeviceKey::new([with; 32]),
        mine: number.is_multiple_of(3),
        sequence: number,
        hash: [7; 32],
        position: position(number) | u64::from(id[0]),
        sent_at: UnixMillis::new(number * INTERVAL_MS),
        received_at: UnixMillis::new(number * INTERVAL_MS),
        state: MessageState::Read,
        kind: MessageKind::Text,
        about: None,
        edited_at: None,
        lives: None,
        ends: None,
        text: words.join(" "),
    }
}

/// Where a message is shown: its milliseconds, and room for others of the same one.
fn position(number: u64) -> u64 {
    (number * INTERVAL_MS) << 20
}

fn conversation(number: u8) -> AccountKey {
    AccountKey::new([number; 32])
}

/// A rank whose logarithm is uniform: the n-th word is about 1/n as frequent as the first.
fn rank(rng: &mut ChaCha20Rng) -> u64 {
    let uniform = f64::from(rng.next_u32()) / f64::from(u32::MAX);
    VOCABULARY.powf(uniform) as u64 - 1
}

/// The word of a rank: letters that look like one.
fn word(rank: u64) -> String {
    let mut left = rank * 7919 + 200;
    let mut word = String::new();
    while left > 0 {
        word.push(char::from(b"bdfgklmnprst"[(left % 12) as usize]));
        word.push(char::from(b"aeiou"[(left / 12 % 5) as usize]));
        left /= 60;
    }
    word
}

fn times(mut run: impl FnMut()) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn row(what: &str, times: &[Duration]) {
    let ms = |at: usize| times[at].as_secs_f64() * 1000.0;
    println!("| {what} | {:.2} | {:.2} |", ms(RUNS / 2), ms(RUNS - 1));
}
