//! What becomes of requests that cannot be checked, or count for nothing now; and of our own that nobody answers.

use starling_proto::ids::RecordKey;
use starling_proto::record::RecordKind;

use super::*;
use crate::meeting::fixture::World;
use crate::storage::{Slot, SlotStore as _};
use crate::wish::Wish;

#[test]
fn spm_01_the_request_of_an_account_that_nobody_finds_is_deleted() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    let key = RecordKey::for_account(&ada.account());
    world.records.remove(&(key, RecordKind::Account));
    for seconds in 700..1300 {
        bob.tick(at(seconds), &mut world);
    }
    assert_eq!((world.waiting(), bob.state_of(&ada.account())), (0, None));
}

#[test]
fn a_request_while_blocked_may_be_repeated_when_unblocked() {
    let (mut ada, mut bob, mut world) = two();
    let who = ada.account().to_string();
    bob.act(at(1), &mut world, |meeting, context| meeting.block(context, &who).unwrap());
    add(&mut ada, &bob, at(2), &mut world);
    bob.tick(at(700), &mut world);
    assert_eq!(world.waiting(), 0);
    bob.act(at(701), &mut world, |meeting, context| meeting.unblock(context, &who).unwrap());
    ada.restart(at(702), &mut world);
    ada.tick(at(703), &mut world);
    assert_eq!(world.deposits, 2);
    bob.tick(at(1400), &mut world);
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Incoming));
}

#[test]
fn clk_02_a_wrong_clock_deletes_no_request() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.clock_confirmed = false;
    let late = 60 * 24 * 3600;
    bob.tick(at(late), &mut world);
    assert_eq!((world.waiting(), bob.state_of(&ada.account())), (1, None));
    bob.clock_confirmed = true;
    bob.tick(at(late + 700), &mut world);
    assert_eq!((world.waiting(), bob.state_of(&ada.account())), (0, None));
}

#[test]
fn clk_02_a_wrong_clock_ends_no_approach() {
    let (mut ada, bob, mut world) = two();
    world.down = true;
    add(&mut ada, &bob, at(1), &mut world);
    world.down = false;
    ada.clock_confirmed = false;
    let wrong = Now { tick: at(10).tick, wall: at(60 * 24 * 3600).wall };
    ada.tick(wrong, &mut world);
    assert!(ada.contact(&bob.account()).approach.is_some());
    let retry = ada.meeting.as_ref().unwrap().approaches.next_timeout();
    assert!(retry.is_some(), "it goes on");
}

#[test]
fn after_a_month_somebody_can_be_asked_again() {
    let days = |n: u64| n * 24 * 3600;
    for confirmed in [true, false] {
        let (mut ada, bob, mut world) = two();
        add(&mut ada, &bob, at(1), &mut world);
        ada.clock_confirmed = confirmed;
        ada.tick(at(days(31)), &mut world);
        assert_eq!((world.deposits, ada.contact(&bob.account()).approach.is_some()), (1, false));
        ada.restart(at(days(31) + 1), &mut world);
        assert_eq!(ada.meeting.as_ref().unwrap().approaches.next_timeout(), None, "nothing is repeated");
        let account = bob.account();
        ada.with_context(at(days(31) + 3), |meeting, context| {
            meeting.unwrap().add(context, account, "again").unwrap();
        });
        let meeting = ada.meeting.as_mut().unwrap();
        let asks = core::iter::from_fn(|| meeting.poll_output()).any(
            |output| matches!(output, Output::Wish(Wish::Fetch { kind, .. }) if kind == RecordKind::Account),
        );
        assert!(asks && ada.contact(&account).approach.is_some());
    }
}

#[test]
fn the_first_tick_after_a_start_makes_up_for_what_loading_must_not_write() {
    let (_, mut bob, mut world) = two();
    let key = RecordKey::for_bundle(&bob.identity.device());
    let bundle = |world: &World| world.at(key, RecordKind::Bundle).first().unwrap().body().payload.clone();
    let first = bundle(&world);
    let next_week = 8 * 24 * 3600;
    let slot = Slot::InboxKeys;
    let before = bob.store.read_slot(slot).unwrap();
    bob.meeting = None;
    let meeting = bob.with_context(at(next_week), |_, context| Meeting::load(context).unwrap());
    assert_eq!(bob.store.read_slot(slot).unwrap(), before);
    bob.meeting = Some(meeting);
    bob.tick(at(next_week), &mut world);
    assert_ne!(bundle(&world), first, "a week has begun");
}
