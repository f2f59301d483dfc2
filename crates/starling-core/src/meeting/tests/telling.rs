//! What found no room when it was to be said is said again.

use starling_crypto::session::Vodozemac;

use super::*;
use crate::meeting::fixture::World;

/// Bob has answered Ada's request, and what he had to say found no room.
fn unsaid(answer: impl FnOnce(&mut Meeting<Vodozemac>, &mut Context<'_>, &str)) -> (Person, Person, World) {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| answer(meeting, context, &who));
    lose(&mut bob, &ada, at(701), &mut world);
    (ada, bob, world)
}

fn lose(bob: &mut Person, ada: &Person, now: Now, world: &mut World) {
    assert_eq!(bob.said.len(), 1);
    bob.said.clear();
    let (account, device) = (ada.account(), ada.identity.device());
    bob.act(now, world, |meeting, context| meeting.untold(context, &account, &device).unwrap());
}

#[test]
fn a_hand_over_that_found_no_room_is_said_again_ever_more_slowly() {
    let (mut ada, mut bob, mut world) = unsaid(|meeting, context, who| {
        meeting.accept(context, who).unwrap();
    });
    bob.tick(at(760), &mut world);
    assert!(bob.said.is_empty());
    bob.tick(at(761), &mut world);
    lose(&mut bob, &ada, at(761), &mut world);
    bob.tick(at(761 + 119), &mut world);
    assert!(bob.said.is_empty(), "the wait grows");
    bob.tick(at(761 + 120), &mut world);
    carry(&mut bob, &mut ada, at(882), &mut world);
    assert_eq!(ada.state_of(&bob.account()), Some(ContactState::Accepted));
    for seconds in 883..2000 {
        bob.tick(at(seconds), &mut world);
    }
    assert!(bob.said.is_empty(), "once it was said it is not said again");
}

#[test]
fn a_restart_does_not_lose_what_is_to_be_said_again() {
    let (ada, mut bob, mut world) = unsaid(|meeting, context, who| {
        meeting.accept(context, who).unwrap();
    });
    bob.restart(at(710), &mut world);
    bob.tick(at(710), &mut world);
    assert!(bob.said.is_empty());
    bob.tick(at(771), &mut world);
    bob.take_hand_over(&ada.account());
}

#[test]
fn a_refusal_that_found_no_room_is_said_again_and_a_change_of_mind_is_told() {
    let (ada, mut bob, mut world) = unsaid(|meeting, context, who| {
        meeting.decline(context, who).unwrap();
    });
    bob.tick(at(761), &mut world);
    assert!(matches!(bob.said.as_slice(), [(_, _, ContentKind::Decline)]));
    bob.said.clear();
    bob.tick(at(2000), &mut world);
    assert!(bob.said.is_empty());
    // Bob asks Ada, who has asked him: had the refusal counted as a hand-over, she would not be told where he is.
    let account = ada.account();
    bob.act(at(2001), &mut world, |meeting, context| meeting.add(context, account, "").unwrap());
    assert_eq!(bob.contact(&account).devices.values().filter(|device| device.told).count(), 0);
}

/// Ada cannot be dialled, and Bob knows no mailbox of hers: his hand-over goes nowhere. His request does, to the inbox that
/// she reads herself.
#[test]
fn who_cannot_be_reached_learns_by_a_request_that_they_are_accepted() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    bob.said.clear();
    let (account, device) = (ada.account(), ada.identity.device());
    for seconds in [762, 763] {
        bob.act(at(seconds), &mut world, |meeting, context| {
            meeting.unheard(context, account, device).unwrap();
        });
    }
    bob.tick(at(764), &mut world);
    assert_eq!(world.waiting(), 1, "one request, however often he is told that she has not heard");
    bob.restart(at(765), &mut world);
    assert!(bob.contact(&account).devices[&device].unheard);
    ada.tick(at(3000), &mut world);
    assert_eq!(ada.state_of(&bob.account()), Some(ContactState::Accepted));
    carry(&mut ada, &mut bob, at(3001), &mut world);
    assert!(bob.contact(&account).approach.is_none(), "her answer is one to it");
    assert!(!bob.contact(&account).devices[&device].unheard);
}

#[test]
fn who_is_seen_after_all_is_not_asked_any_more() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let (account, device) = (ada.account(), ada.identity.device());
    bob.act(at(700), &mut world, |meeting, context| meeting.unheard(context, account, device).unwrap());
    assert!(bob.contact(&account).approach.is_none(), "who has only asked is told nothing");
    let who = account.to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    bob.act(at(762), &mut world, |meeting, context| meeting.unheard(context, account, device).unwrap());
    assert!(bob.contact(&account).approach.is_some());
    let now = at(763).seconds();
    bob.act(at(763), &mut world, |meeting, context| meeting.seen(context, account, now).unwrap());
    bob.tick(at(8 * 24 * 3600), &mut world);
    assert!(bob.contact(&account).approach.is_none());
}
