//! Which version is kept.

use starling_proto::message::StoreOutcome::{HaveNewer, Invalid, NotNear, Stored};

use crate::holder::Offer;
use crate::holder::testing::{DAY, Desk, Maker, START, group};

#[test]
fn what_is_not_near_is_not_looked_at() {
    let mut desk = Desk::new();
    let offer = Offer { record: Maker::directory(1).make(), near: false, from: group(1) };
    let now = desk.now;
    let (holder, mut tools) = desk.tools();
    assert_eq!(holder.store(now, &mut tools, &offer).unwrap().outcome, NotNear);
    assert_eq!((desk.ids().len(), desk.verify.asked.get()), (0, 0));
}

#[test]
fn rpl_02_an_older_sequence_never_comes_back() {
    let mut desk = Desk::new();
    let old = Maker::directory(1);
    let new = Maker::directory(1).sequence(2).text("alice again");
    assert_eq!(desk.put(&old), Stored);
    assert_eq!(desk.put(&new), Stored);
    assert_eq!(desk.put(&new), Stored, "said twice");
    assert_eq!(desk.put(&old), HaveNewer);
    assert_eq!(desk.put(&old.sequence(2)), HaveNewer, "another of the same sequence");
    assert_eq!(desk.ids(), [new.make().id()]);
    assert_eq!(desk.verify.asked.get(), 2, "what is known is not checked again");
}

#[test]
fn rpl_02_a_short_lived_version_bars_the_long_lived_one_it_replaced() {
    let mut desk = Desk::new();
    let old = Maker::directory(1);
    let new = Maker::directory(1).sequence(2).dated(START, START + DAY);
    assert_eq!((desk.put(&old), desk.put(&new)), (Stored, Stored));
    desk.sweep(true);
    desk.pass(2 * DAY);
    assert_eq!((desk.sweep(false), desk.put(&old)), (0, HaveNewer));
    desk.restart();
    assert_eq!(desk.put(&old), HaveNewer);
    desk.sweep(true);
    desk.pass(8 * DAY);
    assert_eq!(desk.sweep(false), 1);
}

#[test]
fn a_tombstone_replaces_and_bars() {
    let mut desk = Desk::new();
    let entry = Maker::directory(1);
    let tombstone = Maker::directory(1).sequence(2).dated(START, START + DAY).tombstone();
    assert_eq!((desk.put(&entry), desk.put(&tombstone), desk.put(&entry)), (Stored, Stored, HaveNewer));
    desk.sweep(true);
    desk.pass(10 * DAY - 1);
    assert_eq!(desk.sweep(false), 0, "until the old one's end");
    desk.pass(1);
    assert_eq!(desk.sweep(false), 1);
}

#[test]
fn nothing_invalid_is_kept_and_nothing_valid_is_lost_to_it() {
    let mut desk = Desk::new();
    assert_eq!(desk.put(&Maker::directory(1).bad()), Invalid);
    let good = Maker::directory(1);
    assert_eq!(desk.put(&good), Stored);
    assert_eq!(desk.put(&Maker::directory(1).sequence(9).bad()), Invalid);
    assert_eq!(desk.ids(), [good.make().id()]);
}

#[test]
fn clk_03_dates_at_the_ends_of_the_scale_are_refused_unchecked() {
    let mut desk = Desk::new();
    for (issued, expires) in [(0, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (START + 2 * DAY, START + 9 * DAY)]
    {
        assert_eq!(desk.put(&Maker::directory(1).dated(issued, expires)), Invalid);
    }
    assert_eq!(desk.verify.asked.get(), 0);
    assert_eq!(desk.put(&Maker::directory(1).dated(START, u64::MAX)), Stored);
}

#[test]
fn deposits_are_many_per_publisher_and_have_no_tombstones() {
    let mut desk = Desk::new();
    for text in 0..5 {
        assert_eq!(desk.put(&Maker::mail(1, text)), Stored);
    }
    assert_eq!(desk.put(&Maker::mail(1, 9).tombstone()), Invalid);
    assert_eq!(desk.ids().len(), 5);
}
