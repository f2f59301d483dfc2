//! Two people meet over an overlay that is a map.

mod checking;
mod moving;
mod own;
mod telling;

use starling_proto::content::ContentKind;
use starling_proto::ids::{AccountKey, DeviceKey, MailboxAddress, NodeKey};
use starling_proto::time::Span;
use starling_proto::version::NetworkName;

use super::fixture::{HOLDER, Person, add, at, carry, two};
use super::*;
use crate::storage::ContactState;
use crate::talking::acquaintance::Standing;

#[test]
fn two_strangers_become_contacts() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    assert_eq!(ada.state_of(&bob.account()), Some(ContactState::Requested));
    assert_eq!(ada.events, [Event::Sent { account: bob.account(), holders: 1 }]);
    bob.tick(at(700), &mut world);
    let asked = Event::Requested { account: ada.account(), name: "Ada".into(), note: "we met".into() };
    assert_eq!(bob.events, [asked]);
    assert_eq!(world.waiting(), 0, "what was read is deleted");
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, who.get(..20).unwrap()).unwrap());
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Accepted));
    carry(&mut bob, &mut ada, at(702), &mut world);
    assert_eq!(ada.state_of(&bob.account()), Some(ContactState::Accepted));
    assert_eq!(ada.events.last(), Some(&Event::Accepted(bob.account())));
    carry(&mut ada, &mut bob, at(703), &mut world);
    assert!(ada.said.is_empty() && bob.said.is_empty(), "each was told once");
    assert_eq!(bob.acquainted.last(), Some(&ada.account()));
}

#[test]
fn an_invite_needs_no_work_and_no_answer_of_the_user() {
    let (mut ada, mut bob, mut world) = two();
    let week = Span::from_days(7);
    let invite =
        bob.act(at(1), &mut world, |meeting, context| meeting.invite(context, week, Vec::new()).unwrap());
    let invite: starling_proto::invite::Invite = invite.to_string().parse().unwrap();
    ada.act(at(2), &mut world, |meeting, context| meeting.add_invited(context, &invite, "").unwrap());
    assert_eq!(world.stamps, 0);
    bob.tick(at(700), &mut world);
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Accepted));
    assert_eq!(bob.decided, [ada.account()], "his other devices are to know her");
    carry(&mut bob, &mut ada, at(701), &mut world);
    let contact = ada.meeting.as_ref().unwrap().contacts().get(&bob.account()).unwrap();
    assert_eq!(contact.state, ContactState::Accepted);
    assert!(contact.devices[&bob.identity.device()].one_time_keys.contains(&invite.one_time_key));
    // It served once: a third person with the same link is not heard.
    let mut eve = Person::new("Eve", 3, &mut world);
    eve.act(at(800), &mut world, |meeting, context| meeting.add_invited(context, &invite, "").unwrap());
    bob.tick(at(1500), &mut world);
    assert_eq!(bob.state_of(&eve.account()), None);
}

#[test]
fn invites_that_cannot_be_answered_are_refused() {
    let (mut ada, mut bob, mut world) = two();
    let week = Span::from_days(7);
    let mut invite =
        bob.act(at(1), &mut world, |meeting, context| meeting.invite(context, week, Vec::new()).unwrap());
    let late = at(8 * 24 * 3600);
    let refused = ada.act(late, &mut world, |meeting, context| meeting.add_invited(context, &invite, ""));
    assert_eq!(refused, Err(ContactError::Expired));
    let own = bob.act(at(2), &mut world, |meeting, context| meeting.add_invited(context, &invite, ""));
    assert_eq!(own, Err(ContactError::Oneself));
    invite.network = NetworkName::main();
    let other = ada.act(at(2), &mut world, |meeting, context| meeting.add_invited(context, &invite, ""));
    assert!(matches!(other, Err(ContactError::OtherNetwork(_))));
}

#[test]
fn rpl_01_a_request_that_comes_again_changes_nothing() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    let copies = world.records.clone();
    bob.tick(at(700), &mut world);
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.decline(context, &who).unwrap());
    assert!(matches!(bob.said.as_slice(), [(_, _, ContentKind::Decline)]));
    bob.act(at(702), &mut world, |meeting, context| meeting.remove(context, &who).unwrap());
    world.records = copies;
    let events = bob.events.len();
    bob.restart(at(703), &mut world);
    bob.tick(at(1500), &mut world);
    assert_eq!((bob.state_of(&ada.account()), bob.events.len()), (None, events));
    assert_eq!(world.waiting(), 0, "and is deleted again");
}

/// Most holders find the date of a request wrong, whose writer's clock is: one that does not is not enough for a week.
#[test]
fn clk_02_a_request_that_few_keep_is_repeated_soon() {
    let (mut ada, bob, mut world) = two();
    world.refusing = 4;
    add(&mut ada, &bob, at(1), &mut world);
    assert_eq!(ada.events, [Event::Sent { account: bob.account(), holders: 1 }]);
    (2..120).for_each(|seconds| ada.tick(at(seconds), &mut world));
    let before = world.deposits;
    assert!((4..10).contains(&before), "{before}");
    world.refusing = 0;
    (120..7200).for_each(|seconds| ada.tick(at(seconds), &mut world));
    let after = world.deposits - before;
    assert!((4..10).contains(&after), "{after}: once most have it, each rest is twice as long as the last");
}

/// A holder that began anew knows nothing of whom it was to tell. Where another connection with it stands before the end
/// of the first is noticed, nobody says so.
#[test]
fn a_holder_that_began_anew_is_asked_again_to_tell_us() {
    let (mut ada, mut bob, mut world) = two();
    bob.tick(at(1), &mut world);
    world.anew += 1;
    bob.act(at(2), &mut world, |meeting, _| meeting.peer_up(HOLDER, [8; 32]));
    add(&mut ada, &bob, at(3), &mut world);
    for seconds in 4..180 {
        bob.act(at(seconds), &mut world, |meeting, context| meeting.tick(context).unwrap());
    }
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Incoming));
    assert!(bob.act(at(180), &mut world, |meeting, context| {
        let mailbox = meeting.secrets.request_inbox();
        meeting.notified_by(&mailbox, &HOLDER, context.now)
    }));
}

#[test]
fn asking_twice_is_asking_once_and_a_restart_repeats_the_same_request() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    add(&mut ada, &bob, at(2), &mut world);
    assert_eq!(world.deposits, 1);
    ada.restart(at(3), &mut world);
    ada.tick(at(4), &mut world);
    assert_eq!(world.deposits, 2);
    bob.tick(at(700), &mut world);
    bob.tick(at(1400), &mut world);
    let requests = bob.events.iter().filter(|event| matches!(event, Event::Requested { .. }));
    assert_eq!(requests.count(), 1);
    assert_eq!(world.waiting(), 0);
}

#[test]
fn crossed_requests_are_both_accepted() {
    let (mut ada, mut bob, mut world) = two();
    // Neither reads before both have asked.
    ada.tick(at(0), &mut world);
    bob.tick(at(0), &mut world);
    add(&mut ada, &bob, at(1), &mut world);
    add(&mut bob, &ada, at(2), &mut world);
    ada.tick(at(800), &mut world);
    bob.tick(at(800), &mut world);
    assert_eq!(ada.state_of(&bob.account()), Some(ContactState::Accepted));
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Accepted));
}

#[test]
fn a_network_that_is_away_is_waited_for() {
    let (mut ada, mut bob, mut world) = two();
    ada.tick(at(0), &mut world);
    world.down = true;
    add(&mut ada, &bob, at(1), &mut world);
    assert!(ada.events.is_empty());
    world.down = false;
    let due = ada.meeting.as_ref().unwrap().next_timeout().unwrap();
    assert!(due > at(1).tick && due < at(60).tick);
    ada.tick(at(60), &mut world);
    assert_eq!(world.deposits, 1);
    bob.tick(at(700), &mut world);
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Incoming));
}

#[test]
fn a_holder_that_tells_us_makes_us_read_at_once() {
    let (mut ada, mut bob, mut world) = two();
    bob.tick(at(100), &mut world);
    add(&mut ada, &bob, at(101), &mut world);
    let inbox = bob.meeting.as_ref().unwrap().secrets.request_inbox();
    bob.act(at(105), &mut world, |meeting, context| {
        assert!(meeting.notified_by(&inbox, &HOLDER, context.now));
        assert!(meeting.next_timeout().is_some_and(|at| at <= context.now.tick));
        meeting.tick(context).unwrap();
    });
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Incoming));
    let (other, nobody) = (MailboxAddress::new([1; 32]), NodeKey::new([1; 32]));
    bob.act(at(106), &mut world, |meeting, context| {
        assert!(!meeting.notified_by(&other, &HOLDER, context.now));
        assert!(!meeting.notified_by(&inbox, &nobody, context.now), "it was never asked to");
    });
}

#[test]
fn the_blocked_are_not_heard_and_cannot_find_us() {
    let (mut ada, mut bob, mut world) = two();
    let who = ada.account().to_string();
    bob.act(at(1), &mut world, |meeting, context| meeting.block(context, &who).unwrap());
    assert_eq!(bob.replaced, 0, "a stranger never knew our locator");
    add(&mut ada, &bob, at(2), &mut world);
    bob.tick(at(700), &mut world);
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Blocked));
    bob.act(at(701), &mut world, |meeting, context| meeting.unblock(context, &who).unwrap());
    assert_eq!(bob.state_of(&ada.account()), None);
}

#[test]
fn blocking_a_contact_replaces_the_locator_and_the_others_are_told() {
    let (mut ada, mut bob, mut world) = two();
    let mut eve = Person::new("Eve", 3, &mut world);
    for (person, begin) in [(&mut ada, 0), (&mut eve, 1000)] {
        add(person, &bob, at(begin + 1), &mut world);
        bob.tick(at(begin + 800), &mut world);
        let who = person.account().to_string();
        bob.act(at(begin + 801), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
        carry(&mut bob, person, at(begin + 802), &mut world);
    }
    let who = eve.account().to_string();
    bob.act(at(1900), &mut world, |meeting, context| meeting.block(context, &who).unwrap());
    assert_eq!((bob.replaced, bob.acquainted.contains(&eve.account())), (1, false));
    let told: Vec<AccountKey> = bob.said.iter().map(|(account, _, _)| *account).collect();
    assert_eq!(told, [ada.account()]);
}

#[test]
fn nothing_else_of_a_stranger_counts() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    let hand_over = bob.take_hand_over(&ada.account());
    let (account, device) = (bob.account(), bob.identity.device());
    // To somebody who has not asked.
    let mut eve = Person::new("Eve", 3, &mut world);
    eve.standings.insert(account, Standing::Accepted);
    eve.act(at(702), &mut world, |meeting, context| {
        meeting.hand_over(context, (account, device), hand_over.clone()).unwrap();
        meeting.declined(context, account).unwrap();
    });
    assert_eq!((eve.state_of(&account), eve.standings.get(&account)), (None, None));
    // From a device that is not on the account's list.
    let stranger = DeviceKey::new([5; 32]);
    ada.standings.insert(account, Standing::Accepted);
    ada.act(at(703), &mut world, |meeting, context| {
        meeting.hand_over(context, (account, stranger), hand_over).unwrap();
    });
    assert_eq!(ada.state_of(&account), Some(ContactState::Requested));
    assert_eq!(ada.standings.get(&account), Some(&Standing::Requested), "both machines agree");
    ada.act(at(704), &mut world, |meeting, context| meeting.declined(context, account).unwrap());
    assert_eq!(ada.state_of(&account), Some(ContactState::Declined));
    assert_eq!(ada.events.last(), Some(&Event::Declined(account)));
}

#[test]
fn a_note_that_does_not_fit_is_refused_with_the_number_of_bytes() {
    let (mut ada, bob, mut world) = two();
    let account = bob.account();
    let long = "x".repeat(257);
    let refused = ada.act(at(1), &mut world, |meeting, context| meeting.add(context, account, &long));
    assert_eq!(refused, Err(ContactError::NoteTooLong { over: 1 }));
    let own = ada.account();
    let refused = ada.act(at(1), &mut world, |meeting, context| meeting.add(context, own, ""));
    assert_eq!(refused, Err(ContactError::Oneself));
}

#[test]
fn both_sides_compare_the_same_digits() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let (to_bob, to_ada) = (bob.account().to_string(), ada.account().to_string());
    let here =
        ada.act(at(701), &mut world, |meeting, context| meeting.safety_number(context, &to_bob).unwrap());
    let there =
        bob.act(at(701), &mut world, |meeting, context| meeting.safety_number(context, &to_ada).unwrap());
    assert_eq!(here, there);
    ada.act(at(702), &mut world, |meeting, context| meeting.set_verified(context, &to_bob, true).unwrap());
    ada.act(at(703), &mut world, |meeting, context| meeting.rename(context, &to_bob, Some("Bobby")).unwrap());
    let contact = ada.meeting.as_ref().unwrap().contacts().find("Bobby").unwrap();
    assert!(contact.verified && contact.display_name() == "Bobby");
}
