//! Who may keep how much, and who goes.

use starling_proto::message::StoreOutcome::{QuotaFull, Stored};
use starling_proto::record::RecordKind;

use crate::holder::limits;
use crate::holder::testing::{Desk, Maker, group};

/// A disk whose pools hold 16 of the smallest records each.
const SMALL: u64 = 32 * limits::LEAST_CHARGE;

#[test]
fn a_publisher_has_its_share() {
    let mut desk = Desk::new();
    let entries = limits::PUBLISHER / limits::LEAST_CHARGE;
    let entry = |word: u64| {
        let mut maker = Maker::directory(1);
        maker.body.key = starling_proto::ids::RecordKey::for_token(&word.to_string());
        maker
    };
    for word in 0..entries {
        assert_eq!(desk.put(&entry(word)), Stored);
    }
    assert_eq!(desk.put(&entry(entries)), QuotaFull);
    assert_eq!(desk.put(&entry(0).sequence(2)), Stored, "what replaces takes no more");
    assert_eq!(desk.put(&Maker::directory(2)), Stored);
}

#[test]
fn a_depositor_has_what_the_owner_granted() {
    let mut desk = Desk::new();
    let mail = |text| Maker { quota_kib: Some(6), ..Maker::mail(1, text) };
    let outcomes: Vec<_> = (0..4).map(|text| desk.put(&mail(text))).collect();
    assert_eq!(outcomes, [Stored, Stored, Stored, QuotaFull]);
}

#[test]
fn a_mailbox_has_its_share_whatever_its_owner_grants() {
    let mut desk = Desk::with_disk(SMALL);
    let mail = |text| Maker { quota_kib: Some(u32::MAX), ..Maker::mail(1, text) };
    let outcomes: Vec<_> = (0..3).map(|text| desk.put(&mail(text))).collect();
    assert_eq!(outcomes, [Stored, Stored, QuotaFull]);
}

#[test]
fn spm_06_a_flood_fills_half_and_makes_way() {
    let mut desk = Desk::with_disk(SMALL);
    let flood: Vec<_> = (0..40).map(|n| desk.put(&Maker::locator(n))).collect();
    assert_eq!(flood.iter().filter(|outcome| **outcome == Stored).count(), 16);
    assert_eq!(flood[16..], [QuotaFull; 24]);
    let usage = desk.holder.usage();
    assert_eq!(usage.open_bytes, usage.pool_bytes);
    for n in 0..8 {
        assert_eq!(desk.put_from(&Maker::locator(100 + n), 2), Stored);
    }
    assert_eq!(desk.put_from(&Maker::locator(200), 2), QuotaFull, "both have the same now");
    assert_eq!(desk.put_from(&Maker::locator(201), 3), Stored);
    assert_eq!(desk.ids().len(), 16);
}

#[test]
fn spm_06_what_bears_no_stamp_goes_first() {
    let mut desk = Desk::with_disk(SMALL);
    for n in 0..16 {
        let maker = if n % 2 == 0 { Maker::directory(n) } else { Maker::locator(n) };
        assert_eq!(desk.put(&maker), Stored);
    }
    for n in 0..8 {
        assert_eq!(desk.put_from(&Maker::directory(100 + n), 2), Stored);
    }
    let kinds = desk.holder.index.rows().map(|entry| entry.held.kind);
    assert_eq!(kinds.filter(|kind| *kind == RecordKind::Locator).count(), 0);
}

#[test]
fn dsk_06_strangers_leave_the_contacts_share_alone() {
    let mut desk = Desk::with_disk(SMALL);
    for n in 0..40 {
        desk.put(&Maker::request(1, n, 12));
        desk.put(&Maker::locator(100 + n));
    }
    for at in 0..16 {
        assert_eq!(desk.put(&Maker::mail(at, 1)), Stored);
    }
    let usage = desk.holder.usage();
    assert_eq!(usage.welcome_bytes, usage.pool_bytes);
    desk.put_from(&Maker::request(1, 99, 40), 2);
    assert_eq!(desk.holder.usage().welcome_bytes, usage.pool_bytes);
}

#[test]
fn at_most_so_many_requests_wait_and_the_least_work_goes_first() {
    let mut desk = Desk::new();
    for n in 0..31 {
        assert_eq!(desk.put(&Maker::request(1, n, 14)), Stored);
    }
    let least = Maker::request(1, 31, 13);
    assert_eq!(desk.put(&least), Stored);
    assert_eq!(desk.put(&Maker::request(1, 40, 12)), QuotaFull);
    assert_eq!(desk.put(&Maker::request(1, 41, 13)), QuotaFull, "as little work, from the same source");
    assert_eq!(desk.put(&Maker::request(1, 42, 14)), Stored);
    assert!(!desk.has(&least));
    assert_eq!(desk.put_from(&Maker::request(1, 43, 14), 2), Stored, "as much work, from another source");
    let there = |desk: &Desk| desk.ids().len();
    assert_eq!(there(&desk), limits::REQUESTS);
    assert_eq!(desk.put(&Maker::mail(1, 1)), Stored, "a contact is not in their queue");
    assert_eq!(there(&desk), limits::REQUESTS + 1);
}

#[test]
fn a_stamp_that_nobody_checks_counts_for_nothing() {
    let mut desk = Desk::new();
    let boast = Maker { bits: Some(255), ..Maker::locator(1) };
    desk.put(&boast);
    assert_eq!(desk.holder.index.get(&boast.make().id()).unwrap().held.work, 0);
}

#[test]
fn byz_13_one_source_of_alices_cannot_keep_another_out() {
    let mut desk = Desk::new();
    for n in 0..5_000 {
        desk.put(&Maker::directory(n));
    }
    assert_eq!(desk.ids().len(), limits::DIRECTORY);
    for n in 0..50 {
        assert_eq!(desk.put_from(&Maker::directory(10_000 + n), 2), Stored);
    }
    let tally = desk.holder.index.tally(crate::holder::index::Pool::Open);
    assert_eq!(tally.of(&group(2)), 50 * limits::LEAST_CHARGE);
    assert_eq!(desk.ids().len(), limits::DIRECTORY);
}

#[test]
fn a_refused_record_evicts_nobody() {
    let mut desk = Desk::with_disk(SMALL);
    for n in 0..16 {
        desk.put(&Maker::locator(n));
    }
    let before = desk.ids();
    desk.put_from(&Maker::locator(50).bad(), 2);
    desk.put(&Maker::locator(51));
    assert_eq!(desk.ids(), before);
}
