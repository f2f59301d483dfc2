//! A user gives less disk than is held already; and what of all this is counted.

use proptest::prelude::*;
use starling_proto::message::Operation;
use starling_proto::message::StoreOutcome::{QuotaFull, Stored};
use starling_proto::record::RecordKind;

use crate::holder::testing::{DAY, Desk, Maker};
use crate::holder::{Turnover, limits};

/// A disk whose pools hold 32 of the smallest records each.
const LARGE: u64 = 64 * limits::LEAST_CHARGE;
/// One whose pools hold 8 each, and a mailbox of which one.
const SMALL: u64 = 16 * limits::LEAST_CHARGE;

/// Both pools full, and then a quarter of the disk.
fn shrunk() -> Desk {
    let mut desk = Desk::with_disk(LARGE);
    for n in 0..32 {
        assert_eq!(desk.put(&Maker::locator(n)), Stored);
        assert_eq!(desk.put(&Maker::mail(n, 1)), Stored);
    }
    desk.restart_with_disk(SMALL);
    desk
}

#[test]
fn a_lower_cap_throws_nothing_away_and_takes_nothing_new() {
    let mut desk = shrunk();
    let before = desk.ids();
    assert_eq!(desk.put_from(&Maker::locator(60), 2), QuotaFull, "also of a source that has nothing here");
    assert_eq!(desk.put_from(&Maker::mail(60, 1), 2), QuotaFull);
    assert_eq!(desk.ids(), before);
    let usage = desk.holder.usage();
    assert_eq!(usage.pool_bytes, SMALL / 2);
    assert_eq!((usage.open_bytes, usage.welcome_bytes), (LARGE / 2, LARGE / 2), "and status says so");
    assert!(usage.is_full());
    assert_eq!(desk.holder.turnover(), Turnover { refused: 2, ..Turnover::default() });
}

#[test]
fn what_takes_no_more_may_replace_what_is_held() {
    let mut desk = shrunk();
    assert_eq!(desk.put(&Maker::locator(3).sequence(2)), Stored);
    assert_eq!(desk.put(&Maker::locator(3).sequence(3).tombstone()), Stored);
    assert_eq!(desk.holder.usage().open_bytes, LARGE / 2);
    assert_eq!(desk.holder.turnover().evicted, 0);
}

#[test]
fn a_larger_version_waits_for_room() {
    let mut desk = Desk::with_disk(LARGE);
    let mut list = Maker::locator(1);
    list.body.kind = RecordKind::Account;
    assert_eq!(desk.put(&list), Stored);
    for n in 0..31 {
        assert_eq!(desk.put(&Maker::locator(n)), Stored);
    }
    desk.restart_with_disk(SMALL);
    assert_eq!(desk.put(&list.clone().sequence(2).sized(4096)), QuotaFull);
    assert_eq!(desk.put(&list.sequence(2).sized(512)), Stored);
}

#[test]
fn a_pool_below_its_bound_takes_again() {
    let mut desk = shrunk();
    for n in 0..24 {
        let mail = Maker::mail(n, 1).make().id();
        desk.owner(1, n, Operation::Delete(vec![mail]));
    }
    assert_eq!(desk.put(&Maker::mail(60, 1)), QuotaFull, "exactly full, and of the largest group");
    desk.owner(1, 24, Operation::Delete(vec![Maker::mail(24, 1).make().id()]));
    assert_eq!(desk.put(&Maker::mail(60, 1)), Stored);
    assert_eq!(desk.put(&Maker::locator(60)), QuotaFull, "the other pool is as it was");
    desk.pass(12 * DAY);
    desk.sweep(true);
    assert_eq!(desk.put(&Maker::locator(60).dated(desk.now.seconds().get(), u64::MAX)), Stored);
}

#[test]
fn a_higher_cap_takes_at_once() {
    let mut desk = shrunk();
    desk.restart_with_disk(2 * LARGE);
    assert_eq!(desk.put(&Maker::locator(60)), Stored);
    assert_eq!(desk.put(&Maker::mail(60, 1)), Stored);
}

#[test]
fn what_comes_and_what_has_to_go_is_counted() {
    let mut desk = Desk::with_disk(SMALL);
    for n in 0..9 {
        assert_eq!(desk.holder.usage().is_full(), n >= 8);
        desk.put(&Maker::locator(n));
        desk.put(&Maker::mail(n, 1));
    }
    let counted = Turnover { taken: 16, taken_bytes: SMALL, refused: 2, ..Turnover::default() };
    assert_eq!(desk.holder.turnover(), counted);
    desk.put(&Maker::locator(0).sequence(2));
    desk.put(&Maker::locator(70).bad());
    assert_eq!(
        desk.holder.turnover().evicted,
        0,
        "a newer version pushes out nobody, nor does a forged record"
    );
    desk.put_from(&Maker::mail(70, 1), 2);
    desk.put_from(&Maker::locator(71), 2);
    let Turnover { taken, evicted, evicted_welcome, .. } = desk.holder.turnover();
    assert_eq!((taken, evicted, evicted_welcome), (19, 2, 1));
}

proptest! {
    /// However the cap moves: a pool never grows while it is above its bound, and whoever was held and did not go by its
    /// own end is counted.
    #[test]
    fn no_cap_loses_anything_uncounted(steps in prop::collection::vec((0u64..40, 0u16..3, 1u64..40, any::<bool>()), 1..60)) {
        let mut desk = Desk::with_disk(LARGE);
        let (mut counted, mut lost) = (0, 0);
        for (number, from, part, mail) in steps {
            if part < 5 {
                counted += desk.holder.turnover().evicted;
                desk.restart_with_disk(part * SMALL);
            }
            let (ids, before) = (desk.ids(), desk.holder.usage());
            let maker = if mail { Maker::mail(number, 1) } else { Maker::locator(number) };
            desk.put_from(&maker, from);
            let after = desk.holder.usage();
            prop_assert!(after.open_bytes <= before.open_bytes.max(after.pool_bytes));
            prop_assert!(after.welcome_bytes <= before.welcome_bytes.max(after.pool_bytes));
            let now = desk.ids();
            lost += ids.iter().filter(|id| !now.contains(id)).count();
        }
        prop_assert_eq!(counted + desk.holder.turnover().evicted, u64::try_from(lost).unwrap());
    }
}
