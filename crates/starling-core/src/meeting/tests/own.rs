//! Two devices of one account know each other as contacts do, and what their user decides on one holds on both.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::session::Vodozemac;
use starling_proto::content::{Card, CardStanding, Own};
use starling_proto::identity::DeviceRequest;

use super::*;
use crate::candidate::Candidate;
use crate::directory;
use crate::identity::{Identity, IdentityError, LinkError};
use crate::meeting::fixture::World;
use crate::memory::MemoryStore;

/// Ada's first device, and another that it has linked.
fn two_devices() -> (Person, Person, World) {
    let mut world = World::default();
    let mut desk = Person::new("Ada", 1, &mut world);
    let phone = desk.link(2, at(10), &mut world);
    (desk, phone, world)
}

/// What a person does, and the card with which it is told to their other devices.
fn decide(
    person: &mut Person,
    now: Now,
    world: &mut World,
    what: Decided,
    act: impl FnOnce(&mut Meeting<Vodozemac>, &mut Context<'_>) -> AccountKey,
) -> Card {
    person.said.clear();
    let account = person.act(now, world, act);
    person.act(now, world, |meeting, context| meeting.decided(context, &account, (what, now.wall)).unwrap());
    let card = |(_, _, kind)| match kind {
        ContentKind::Own(Own::Card(card)) => Some(card),
        _ => None,
    };
    core::mem::take(&mut person.said).into_iter().filter_map(card).next_back().expect("a card")
}

fn take(person: &mut Person, now: Now, world: &mut World, card: &Card) -> bool {
    person.act(now, world, |meeting, context| meeting.take_card(context, card, None).unwrap())
}

#[test]
fn devices_of_one_account_find_each_other_and_no_user_sees_them() {
    let (mut desk, mut phone, mut world) = two_devices();
    for seconds in [11, 700, 1400] {
        desk.tick(at(seconds), &mut world);
        phone.tick(at(seconds), &mut world);
    }
    let own = desk.account();
    for (one, other) in [(&desk, &phone), (&phone, &desk)] {
        let known = &one.contact(&own).devices[&other.identity.device()];
        assert!(known.found_at.is_some() && known.told, "each knows where the other is, and has told it");
        let meeting = one.meeting.as_ref().unwrap();
        assert_eq!(meeting.contacts().iter().count(), 0);
        assert!(meeting.contacts().find(&own.to_string()).is_err());
        assert!(one.events.iter().all(|event| matches!(event, Event::Sent { .. })), "{:?}", one.events);
        assert!(!meeting.own_list_is_known(), "no holder has been asked: nothing is signed anew");
    }
    phone.tick(at(5000), &mut world);
    assert!(phone.meeting.as_ref().unwrap().own_list_is_known());
}

#[test]
fn what_is_decided_on_one_device_holds_on_the_other() {
    let (mut desk, mut phone, mut world) = two_devices();
    let mut bob = Person::new("Bob", 3, &mut world);
    bob.tick(at(20), &mut world);
    let (account, who) = (bob.account(), bob.account().to_string());
    let asked = decide(&mut desk, at(30), &mut world, Decided::Standing, |meeting, context| {
        meeting.add(context, account, "hello").unwrap();
        account
    });
    assert_eq!((asked.standing, asked.standing_at), (CardStanding::Requested, at(30).wall));
    assert!(!take(&mut phone, at(31), &mut world, &asked));
    assert_eq!(phone.state_of(&account), Some(ContactState::Requested));
    phone.tick(at(40), &mut world);
    // Of several requests of one account one is looked at in each reading.
    bob.tick(at(700), &mut world);
    bob.tick(at(1400), &mut world);
    assert_eq!(bob.contact(&desk.account()).devices.len(), 2, "each device has asked");
    let shown = bob.events.iter().filter(|event| matches!(event, Event::Requested { .. }));
    assert_eq!(shown.count(), 1);

    let named = decide(&mut desk, at(1800), &mut world, Decided::Name, |meeting, context| {
        meeting.rename(context, &who, Some("Robert")).unwrap()
    });
    let blocked = decide(&mut desk, at(1810), &mut world, Decided::Standing, |meeting, context| {
        meeting.block(context, &who).unwrap()
    });
    for card in [&blocked, &named, &asked] {
        take(&mut phone, at(1900), &mut world, card);
    }
    assert_eq!(phone.state_of(&account), Some(ContactState::Blocked), "the last word, whenever it comes");
    assert_eq!(phone.contact(&account).petname.as_deref(), Some("Robert"));
    assert_eq!(phone.replaced, 1, "they may know where the phone is");

    let removed = decide(&mut desk, at(2000), &mut world, Decided::Standing, |meeting, context| {
        meeting.remove(context, &who).unwrap()
    });
    assert_eq!(removed.standing, CardStanding::Removed);
    assert!(take(&mut phone, at(2001), &mut world, &removed));
    assert_eq!(phone.state_of(&account), None);
    phone.act(at(2002), &mut world, |meeting, context| {
        meeting.take_card(context, &named, Some(removed.standing_at)).unwrap()
    });
    assert_eq!(phone.state_of(&account), None, "an older word brings nobody back");
}

#[test]
fn a_contact_that_was_accepted_elsewhere_is_one_here() {
    let (mut desk, mut phone, mut world) = two_devices();
    let bob = Person::new("Bob", 3, &mut world);
    let card = Card {
        account: bob.account(),
        standing: CardStanding::Accepted,
        petname: Some("Robert".into()),
        verified: true,
        name: "Bob".into(),
        standing_at: at(50).wall,
        named_at: at(50).wall,
    };
    phone.tick(at(59), &mut world);
    assert!(!take(&mut phone, at(60), &mut world, &card));
    let contact = phone.contact(&bob.account());
    assert_eq!((contact.state, contact.display_name()), (ContactState::Accepted, "Robert"));
    assert!(contact.verified && contact.approach.is_some(), "the way to them has to be found");
    assert!(phone.events.contains(&Event::Accepted(bob.account())));
    // Who was blocked here since stays so, whatever they are called there.
    let who = bob.account().to_string();
    let blocked = decide(&mut desk, at(70), &mut world, Decided::Standing, |meeting, context| {
        meeting.block(context, &who).unwrap()
    });
    let renamed = Card { petname: Some("Rob".into()), named_at: at(80).wall, ..card.clone() };
    take(&mut desk, at(90), &mut world, &renamed);
    let contact = desk.contact(&bob.account());
    assert_eq!((contact.state, contact.petname.as_deref()), (ContactState::Blocked, Some("Rob")));
    take(&mut phone, at(91), &mut world, &blocked);
    assert_eq!(phone.state_of(&bob.account()), Some(ContactState::Blocked));
    let own = Card { account: phone.account(), standing_at: at(100).wall, ..card };
    assert!(!take(&mut phone, at(101), &mut world, &own));
    assert_eq!(phone.contact(&phone.account()).petname, None, "nobody is their own contact");
}

#[test]
fn contacts_hear_at_once_of_a_revoked_device_and_it_reads_of_it_itself() {
    let (mut desk, mut phone, mut world) = two_devices();
    let mut bob = Person::new("Bob", 3, &mut world);
    bob.tick(at(20), &mut world);
    add(&mut desk, &bob, at(30), &mut world);
    bob.tick(at(700), &mut world);
    let who = desk.account().to_string();
    bob.act(at(701), &mut world, |meeting, context| meeting.accept(context, &who).unwrap());
    carry(&mut bob, &mut desk, at(702), &mut world);
    carry(&mut desk, &mut bob, at(703), &mut world);
    let revoked = phone.identity.device();
    let knows_it =
        |bob: &Person| bob.contact(&desk.account()).list.as_ref().unwrap().device(&revoked).is_ok();
    assert!(knows_it(&bob));

    let now = at(800).seconds();
    let mut store = MemoryStore::default();
    let (unknown, itself) = (DeviceKey::new([7; 32]), desk.identity.device());
    assert_eq!(phone.identity.revoke(&mut store, &itself, now), Err(LinkError::Senior));
    let mut identity = Identity::load(&desk.store).unwrap();
    assert_eq!(identity.revoke(&mut store, &unknown, now), Err(LinkError::Unknown));
    assert_eq!(identity.revoke(&mut store, &itself, now), Err(LinkError::Itself));
    identity.revoke(&mut desk.store, &revoked, now).unwrap();
    desk.identity = identity;
    desk.said.clear();
    desk.publish(directory::account_record(&desk.identity), at(800), &mut world);
    desk.act(at(800), &mut world, |meeting, context| meeting.own_list_made(context).unwrap());
    carry(&mut desk, &mut bob, at(801), &mut world);
    let list = bob.contact(&desk.account()).list.clone().unwrap();
    assert!(list.device(&revoked).is_err());
    assert_eq!(desk.state_of(&desk.account()), None, "nobody is left to keep in step");

    phone.tick(at(26 * 3600), &mut world);
    assert!(phone.revoked, "it reads its own account record once a day");
}

fn candidate(account: AccountKey, seed: u64) -> DeviceRequest {
    let (mut store, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(seed));
    let made = Candidate::create::<Vodozemac>(&mut store, account, at(20), &mut rng).unwrap();
    let again = Candidate::find(&store).unwrap().unwrap();
    assert_eq!(again.request(), made.request(), "its code can be shown again");
    assert!(matches!(Identity::load(&store), Err(IdentityError::Waiting)));
    made.request().clone()
}

#[test]
fn who_may_be_linked_and_by_whom() {
    let (mut desk, mut phone, mut world) = two_devices();
    let (now, own) = (at(20).seconds(), desk.account());
    let tablet = candidate(own, 5);
    let first = Some(desk.identity.device());
    assert_eq!(phone.identity.link(&mut phone.store, &tablet, now), Err(LinkError::MayNot(first)));
    let eve = Person::new("Eve", 4, &mut world);
    let mut link = |request: &DeviceRequest| desk.identity.link(&mut desk.store, request, now);
    assert_eq!(link(&candidate(eve.account(), 6)), Err(LinkError::OtherAccount(eve.account())));
    let mut forged = tablet.clone();
    forged.body.device = DeviceKey::new([8; 32]);
    assert_eq!(link(&forged), Err(LinkError::BadRequest));
    assert_eq!((link(&tablet), link(&tablet)), (Ok(true), Ok(false)), "the same one twice");
    for seed in 10..13 {
        assert_eq!(link(&candidate(own, seed)), Ok(true));
    }
    assert_eq!(link(&candidate(own, 13)), Err(LinkError::Full));
    desk.identity.revoke(&mut desk.store, &tablet.body.device, now).unwrap();
    assert_eq!(desk.identity.link(&mut desk.store, &tablet, now), Err(LinkError::Revoked));
}
