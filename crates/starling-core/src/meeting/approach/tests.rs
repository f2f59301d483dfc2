use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_proto::time::Tick;

use super::*;
use crate::meeting::Output;
use crate::wish::Tag;

const BOB: AccountKey = AccountKey::new([1; 32]);

fn device(n: u8) -> DeviceKey {
    DeviceKey::new([n; 32])
}

fn approach() -> Approach {
    let (round, placed) = (Some(BTreeMap::new()), BTreeMap::new());
    Approach {
        began: Tick::ZERO,
        due: Tick::ZERO,
        retry: FIRST_RETRY,
        rest: FIRST_REST,
        round,
        placed,
        few: false,
    }
}

/// Ends a round in which each of `asked` got its request or not; gives the wait.
fn round(approach: &mut Approach, now: Tick, asked: &[(u8, bool)]) -> Span {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    approach.round = Some(asked.iter().map(|(n, _)| (device(*n), Ask::Ended)).collect());
    for (n, placed) in asked {
        if *placed {
            approach.placed.insert(device(*n), now.after(LEFT_ALONE));
        }
    }
    approach.close_round(now, &mut rng);
    assert!(approach.round.is_none());
    approach.due.since(now)
}

#[test]
fn a_request_that_lies_everywhere_rests_for_a_week() {
    let wait = round(&mut approach(), Tick::ZERO, &[(1, true), (2, true)]);
    assert!(wait > LEFT_ALONE && wait < limits::MAIL_LIFE, "{wait:?}");
}

#[test]
fn where_holders_are_few_rests_grow_to_a_week() {
    let mut approach = approach();
    let (mut now, mut rests) = (Tick::ZERO, 0);
    while now < Tick::ZERO.after(PATIENCE) {
        approach.few = true;
        let wait = round(&mut approach, now, &[(1, true)]);
        assert!(wait <= REPEAT.times(2));
        now = now.after(wait);
        rests += 1;
    }
    assert!((14..20).contains(&rests), "{rests}");
}

#[test]
fn a_device_without_its_request_is_tried_again_ever_more_slowly() {
    let mut approach = approach();
    let (mut now, mut tries) = (Tick::ZERO, 0);
    while now < Tick::ZERO.after(Span::from_hours(24)) {
        let wait = round(&mut approach, now, &[(1, true), (2, false)]);
        assert!(wait <= LONGEST_RETRY.times(2));
        now = now.after(wait);
        tries += 1;
    }
    assert!((25..60).contains(&tries), "{tries}");
}

#[test]
fn a_round_waits_for_every_device() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut approach = approach();
    approach.round = Some(BTreeMap::from([(device(1), Ask::Ended), (device(2), Ask::Placing)]));
    approach.close_round(Tick::ZERO, &mut rng);
    assert!(approach.round.is_some());
}

#[test]
fn few_are_asked_at_once() {
    let (mut approaches, mut errands) = (Approaches::default(), Errands::default());
    for n in 0..20 {
        approaches.begin(AccountKey::new([n; 32]), Tick::ZERO);
    }
    approaches.tick(Tick::ZERO, &mut errands);
    let mut wishes = 0;
    while let Some(output) = errands.poll() {
        assert!(matches!(output, Output::Wish(Wish::Fetch { tag: Tag::Meet(_), .. })));
        wishes += 1;
    }
    assert_eq!((wishes, approaches.next_timeout()), (AT_ONCE, None), "time alone begins nothing more");
    approaches.end(&AccountKey::new([0; 32]));
    assert!(approaches.next_timeout().is_some());
}

#[test]
fn what_is_no_bundle_of_the_device_is_none() {
    assert_eq!(newest_bundle(&device(1), &[]), None);
    let mut approaches = Approaches::default();
    assert!(approaches.worked(&BOB, &device(1)).is_none(), "nobody asked for work");
}
