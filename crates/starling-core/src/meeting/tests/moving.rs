//! Our locator is replaced when somebody who may know it is to find us no more, and everybody else learns the new one.

use starling_proto::ids::RecordKey;
use starling_proto::record::RecordKind;

use super::*;
use crate::meeting::fixture::World;
use crate::wish::Wish;

fn block(person: &mut Person, whom: &Person, now: Now, world: &mut World) {
    let who = whom.account().to_string();
    person.act(now, world, |meeting, context| meeting.block(context, &who).unwrap());
}

/// Where `person` looks for the device of `of`.
fn found_at(person: &Person, of: &Person) -> Option<LocatorKey> {
    let device = person.contact(&of.account()).devices.get(&of.identity.device())?;
    device.found_at.as_ref().map(|(locator, _)| *locator)
}

#[test]
fn whoever_was_asked_is_asked_anew() {
    // Which of two requests is read first depends on their ids.
    for read_between in [true, false] {
        let (mut ada, mut bob, mut world) = two();
        let eve = Person::new("Eve", 3, &mut world);
        bob.tick(at(0), &mut world);
        add(&mut ada, &bob, at(1), &mut world);
        add(&mut ada, &eve, at(2), &mut world);
        if read_between {
            bob.tick(at(700), &mut world);
        }
        block(&mut ada, &eve, at(800), &mut world);
        assert_eq!(ada.replaced, 1);
        for readings in 2..6 {
            bob.tick(at(700 * readings), &mut world);
        }
        assert_eq!(found_at(&bob, &ada), Some(ada.locator), "read between: {read_between}");
        let asked = bob.events.iter().filter(|event| matches!(event, Event::Requested { .. }));
        assert_eq!(asked.count(), 1);
    }
}

/// Bob has lost everything but his recovery phrase. Nobody told Ada, and he does not know that she was a contact.
#[test]
fn a_contact_who_has_their_account_alone_is_asked_by_those_who_knew_them() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    let who = ada.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    carry(&mut bob, &mut ada, at(702), &mut world);
    let lost = bob.identity.device();
    bob.events.clear();
    bob.restore(at(3000), &mut world);
    assert!(bob.state_of(&ada.account()).is_none() && bob.identity.device() != lost);
    // Ada reads the account record daily, and after a restart goes on asking.
    let day = 26 * 3600;
    ada.tick(at(day), &mut world);
    let account = bob.account();
    let told = Event::DevicesChanged { account, added: 1, reset: true };
    assert_eq!(ada.events.iter().filter(|event| **event == told).count(), 1);
    assert!(ada.contact(&account).devices.is_empty(), "the old device is gone");
    ada.restart(at(day + 1), &mut world);
    ada.tick(at(day + 100), &mut world);
    bob.tick(at(day + 2000), &mut world);
    let asks =
        |event: &&Event| matches!(event, Event::Requested { account, .. } if *account == ada.account());
    assert_eq!(bob.events.iter().filter(asks).count(), 1);
    bob.act(at(day + 2001), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    carry(&mut bob, &mut ada, at(day + 2002), &mut world);
    assert_eq!(ada.state_of(&account), Some(ContactState::Accepted));
    assert_eq!(found_at(&ada, &bob), Some(bob.locator));
    assert!(ada.contact(&account).approach.is_none(), "and asks no more");
}

#[test]
fn what_an_older_request_says_is_superseded() {
    let (mut ada, mut bob, mut world) = two();
    let eve = Person::new("Eve", 3, &mut world);
    add(&mut ada, &bob, at(1), &mut world);
    let inbox = RecordKey::for_mailbox(&bob.meeting.as_ref().unwrap().secrets.request_inbox());
    let older = world.records.remove(&(inbox, RecordKind::Deposit)).unwrap();
    add(&mut ada, &eve, at(2), &mut world);
    block(&mut ada, &eve, at(3), &mut world);
    bob.tick(at(700), &mut world);
    assert_eq!(found_at(&bob, &ada), Some(ada.locator));
    world.records.insert((inbox, RecordKind::Deposit), older);
    bob.tick(at(1400), &mut world);
    assert_eq!(found_at(&bob, &ada), Some(ada.locator));
    assert!(world.at(inbox, RecordKind::Deposit).is_empty(), "and is deleted");
}

#[test]
fn whose_invite_was_answered_is_asked_anew_without_it() {
    let (mut ada, mut bob, mut world) = two();
    let eve = Person::new("Eve", 3, &mut world);
    let week = Span::from_days(7);
    let invite =
        bob.act(at(1), &mut world, |meeting, context| meeting.invite(context, week, Vec::new()).unwrap());
    ada.act(at(2), &mut world, |meeting, context| meeting.add_invited(context, &invite, "").unwrap());
    bob.tick(at(700), &mut world);
    add(&mut ada, &eve, at(701), &mut world);
    block(&mut ada, &eve, at(702), &mut world);
    for readings in 2..6 {
        bob.tick(at(700 * readings), &mut world);
    }
    assert_eq!(bob.state_of(&ada.account()), Some(ContactState::Accepted));
    assert_eq!((found_at(&bob, &ada), bob.said.len()), (Some(ada.locator), 2), "and is told again");
}

#[test]
fn who_declined_or_was_removed_knew_it_as_well() {
    let (mut ada, bob, mut world) = two();
    let eve = Person::new("Eve", 3, &mut world);
    add(&mut ada, &bob, at(1), &mut world);
    let account = bob.account();
    ada.act(at(2), &mut world, |meeting, context| meeting.declined(context, account).unwrap());
    block(&mut ada, &bob, at(3), &mut world);
    assert_eq!(ada.replaced, 1, "they declined, and know where we are");
    add(&mut ada, &eve, at(4), &mut world);
    let who = eve.account().to_string();
    ada.act(at(5), &mut world, |meeting, context| meeting.remove(context, &who).unwrap());
    assert_eq!(ada.replaced, 2, "nothing remembers that they know it");
    block(&mut ada, &eve, at(6), &mut world);
    assert_eq!(ada.replaced, 2, "they do not know the new one");
}

#[test]
fn who_only_asked_us_never_knew_it() {
    let (mut ada, mut bob, mut world) = two();
    add(&mut ada, &bob, at(1), &mut world);
    bob.tick(at(700), &mut world);
    block(&mut bob, &ada, at(701), &mut world);
    let who = ada.account().to_string();
    bob.act(at(702), &mut world, |meeting, context| meeting.remove(context, &who).unwrap());
    assert_eq!(bob.replaced, 0);
}

#[test]
fn an_answer_to_an_approach_of_before_is_no_answer_to_the_next() {
    let (mut ada, bob, mut world) = two();
    let account = bob.account();
    ada.with_context(at(1), |meeting, context| meeting.unwrap().add(context, account, "").unwrap());
    let meeting = ada.meeting.as_mut().unwrap();
    meeting.begin_approach(account, at(1).tick);
    ada.with_context(at(1), |meeting, context| meeting.unwrap().work(context).unwrap());
    let meeting = ada.meeting.as_mut().unwrap();
    let wishes: Vec<Wish> = core::iter::from_fn(|| meeting.poll_output())
        .filter_map(|output| match output {
            Output::Wish(wish @ Wish::Fetch { kind: RecordKind::Account, .. }) => Some(wish),
            _ => None,
        })
        .collect();
    let [of_before, _] = <[Wish; 2]>::try_from(wishes).unwrap();
    ada.grant(of_before, at(1), &mut world);
    let meeting = ada.meeting.as_mut().unwrap();
    let bundles = core::iter::from_fn(|| meeting.poll_output())
        .filter(|output| matches!(output, Output::Wish(Wish::Fetch { kind: RecordKind::Bundle, .. })));
    assert_eq!(bundles.count(), 0);
}
