//! Fetch, query, prove, hand-over.

use std::collections::BTreeSet;

use proptest::prelude::*;
use starling_proto::ids::RecordKey;
use starling_proto::limits as proto_limits;
use starling_proto::message::{Matches, Proof, Prove, Query, Records, Response, StoreOutcome};
use starling_proto::record::{Record, RecordKind};

use crate::holder::testing::{DAY, Desk, Maker, START, mailbox};
use crate::holder::{Found, Wanted};

fn fetch(desk: &mut Desk, maker: &Maker, count: usize) -> Found {
    let wanted = Wanted { key: maker.body.key, kind: maker.body.kind, count, reserved: 0 };
    desk.holder.fetch(desk.now, &desk.store, wanted).unwrap()
}

fn query(desk: &mut Desk, words: &[&str], count: u8) -> Matches {
    let words = words.iter().map(ToString::to_string).collect();
    let query = Query { key: RecordKey::for_token("alice"), words, count };
    let now = desk.now;
    let (holder, mut tools) = desk.tools();
    holder.query(now, &mut tools, &query).unwrap()
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.body().payload).into_owned()).collect()
}

#[test]
fn the_highest_sequence_comes_first_and_the_rest_is_counted() {
    let mut desk = Desk::new();
    for n in 0..10 {
        desk.put(&Maker::directory(n).sequence(n).text(&n.to_string()));
    }
    let found = fetch(&mut desk, &Maker::directory(0), 3);
    assert_eq!((texts(&found.records), found.left_out), (vec!["9".into(), "8".into(), "7".into()], 7));
    assert_eq!(fetch(&mut desk, &Maker::locator(77), 3), Found::default());
}

#[test]
fn mail_comes_oldest_first_and_contacts_before_strangers() {
    let mut desk = Desk::new();
    desk.put(&Maker::request(1, 1, 12).text("stranger"));
    for text in [7, 5, 6] {
        desk.pass(1);
        desk.put(&Maker::mail(1, text));
    }
    let found = fetch(&mut desk, &Maker::mail(1, 0), 64);
    assert_eq!(texts(&found.records), ["7", "5", "6", "stranger"]);
}

#[test]
fn a_tombstone_is_fetched_but_matches_nothing() {
    let mut desk = Desk::new();
    desk.put(&Maker::directory(1));
    desk.put(&Maker::directory(1).sequence(2).tombstone());
    assert_eq!(fetch(&mut desk, &Maker::directory(1), 9).records.len(), 1);
    assert_eq!(query(&mut desk, &["alice"], 9), Matches::default());
}

#[test]
fn what_only_bars_older_versions_is_not_served() {
    let mut desk = Desk::new();
    desk.put(&Maker::directory(1));
    desk.put(&Maker::directory(1).sequence(2).dated(START, START + DAY));
    desk.sweep(true);
    desk.pass(2 * DAY);
    assert_eq!(fetch(&mut desk, &Maker::directory(1), 9), Found::default());
    assert_eq!(query(&mut desk, &["alice"], 9), Matches::default());
    assert_eq!(desk.ids().len(), 1);
}

#[test]
fn most_words_first() {
    let mut desk = Desk::new();
    for (n, text) in ["alice", "alice gardener", "bob", "alice garden zurich"].into_iter().enumerate() {
        desk.put(&Maker::directory(n as u64).text(text));
    }
    let found = query(&mut desk, &["alice", "garden", "zur"], 2);
    assert_eq!(texts(&found.records), ["alice garden zurich", "alice gardener"]);
    assert_eq!(found.left_out, 1);
}

#[test]
fn byz_13_every_source_has_its_first_entry_before_any_has_its_second() {
    let mut desk = Desk::new();
    for n in 0..500 {
        desk.put_from(&Maker::directory(n), 1);
    }
    for n in 0..3 {
        desk.put_from(&Maker::directory(1_000 + n).text("alice honest"), 2 + u16::try_from(n).unwrap());
    }
    let found = query(&mut desk, &["alice"], 4);
    let honest = texts(&found.records).into_iter().filter(|text| text == "alice honest").count();
    assert_eq!((honest, found.left_out), (3, 499));
}

#[test]
fn a_very_full_key_is_sampled_and_the_rest_estimated() {
    let mut desk = Desk::new();
    for n in 0..3_000 {
        desk.put(&Maker::directory(n).text(if n % 2 == 0 { "alice" } else { "alina" }));
    }
    let before = desk.holder.work();
    let first = query(&mut desk, &["alice"], 20);
    let work = desk.holder.work().since(before);
    assert_eq!((work.rows, work.compared), (3_000, 1_024), "what it costs is bounded and counted");
    assert_eq!(first.records.len(), 20);
    assert!((1_200..1_800).contains(&first.left_out), "{}", first.left_out);
    let second = query(&mut desk, &["alice"], 20);
    assert_ne!(first.records, second.records, "another draw shows others");
}

#[test]
fn a_proof_needs_the_record() {
    let mut desk = Desk::new();
    let (here, nowhere) = (Maker::directory(1), Maker::directory(2).make().id());
    desk.put(&here);
    let record = here.make();
    let prove = Prove { record: record.id(), nonce: [9; proto_limits::NONCE] };
    assert_eq!(desk.holder.prove(&desk.store, &prove).unwrap(), Proof::Held(record.proof(&prove.nonce)));
    let none = Prove { record: nowhere, ..prove };
    assert_eq!(desk.holder.prove(&desk.store, &none).unwrap(), Proof::Missing);
}

#[test]
fn a_hand_over_comes_to_everything_that_is_wanted_once() {
    let mut desk = Desk::new();
    for n in 0..50 {
        desk.put(&Maker::locator(n));
        desk.put(&Maker::mail(n % 5, n));
    }
    let boxes: Vec<RecordKey> = (0..3).map(|at| RecordKey::for_mailbox(&mailbox(at))).collect();
    let mut wanted = |key: &RecordKey| boxes.contains(key);
    let (mut got, mut cursor) = (Vec::new(), None);
    loop {
        let step = desk.holder.handover(desk.now, cursor.as_ref(), 7, &mut wanted);
        assert!(step.records.len() <= 7);
        got.extend(step.records.iter().map(|row| row.id));
        cursor = step.next;
        if cursor.is_none() {
            break;
        }
    }
    let all: BTreeSet<_> = got.iter().copied().collect();
    assert_eq!((got.len(), all.len()), (30, 30));
    let record = desk.holder.record(&desk.store, &got[0]).unwrap().unwrap();
    assert_eq!((record.id(), record.body().kind), (got[0], RecordKind::Deposit));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn wir_02_every_answer_fits_its_frame(
        sizes in prop::collection::vec(0usize..=proto_limits::RECORD_PAYLOAD, 0..40),
        entries in prop::collection::vec(0usize..=proto_limits::DIRECTORY_ENTRY, 0..80),
        count in 0u8..=64,
    ) {
        let mut desk = Desk::new();
        for (n, size) in sizes.iter().enumerate() {
            desk.put(&Maker::mail(1, n as u64).sequence(n as u64).sized(*size));
        }
        for (n, size) in entries.iter().enumerate() {
            desk.put(&Maker::directory(n as u64).sized(*size));
        }
        let found = fetch(&mut desk, &Maker::mail(1, 0), usize::from(count));
        prop_assert_eq!(found.records.len() + found.left_out as usize, sizes.len());
        prop_assert!(count == 0 || sizes.is_empty() || !found.records.is_empty());
        let records = Records { records: found.records, peers: Vec::new(), left_out: found.left_out };
        prop_assert!(Response::Records(records).to_frame().is_ok());
        let matches = query(&mut desk, &["a"], count);
        prop_assert!(matches.records.len() <= usize::from(count));
        prop_assert!(Response::Matches(matches).to_frame().is_ok());
    }
}

#[test]
fn a_deletion_of_what_is_not_held_shows_nothing_and_hides_nothing() {
    let mut desk = Desk::new();
    for publisher in 2..80 {
        let refused = desk.put(&Maker::directory(publisher).sequence(u64::MAX).tombstone());
        assert_eq!(refused, StoreOutcome::Invalid);
    }
    desk.put(&Maker::directory(1));
    assert_eq!(fetch(&mut desk, &Maker::directory(1), 64).records.len(), 1);
}
