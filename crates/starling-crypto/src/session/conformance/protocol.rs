//! Checks of the book over any ratchet.
#![allow(missing_docs, reason = "each check is named for what it shows")]

use alloc::vec;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::limits;
use starling_proto::message::Sealed;
use starling_proto::padding::Buckets;
use starling_proto::session::Parties;

use super::people::{Device, account, address, device, fallback, forge, list, pair};
use crate::session::{Gap, OlmAccount, SessionBook, SessionError, Tombstone};

/// A and B have each said something on A's session.
fn talking<A: OlmAccount>(rng: &mut dyn CryptoRng) -> (Device<A>, Device<A>) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    b.hear(a.say(&["hello"], rng));
    a.hear(b.say(&["hello yourself"], rng));
    (a, b)
}

pub fn both_sides_talk<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    assert_eq!(a.book.seal(list(), vec![], rng).err(), Some(SessionError::NoSession));
    a.start(&b, rng);
    for round in 0..8 {
        let said = a.say(&["one", "two"], rng);
        assert!(said.iter().all(|message| message.prekey == (round == 0)));
        assert_eq!(b.hear(said), [b"one", b"two"]);
        assert_eq!(a.hear(b.say(&["three"], rng)), [b"three"]);
    }
    assert_eq!(a.book.current(), b.book.current());
    let said = a.say(&["who"], rng);
    assert_eq!(b.open(said).messages[0].device_list, list());
}

pub fn a_replayed_start_is_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    let first = a.say(&["hello"], rng);
    b.hear(first.clone());
    a.hear(b.say(&["hello yourself"], rng));
    b.hear(a.say(&["later"], rng));
    let step = b.step(first);
    assert_eq!(step.value.refused[0].error, SessionError::Replayed);
    assert_eq!(step.changes, Default::default(), "a replay changed the state");
    assert_eq!(a.hear(b.say(&["still here"], rng)), [b"still here"]);
    assert_eq!(b.hear(a.say(&["so am I"], rng)), [b"so am I"]);
}

pub fn a_buried_session_stays_buried<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    let first = a.say(&["hello"], rng).remove(0);
    b.hear(vec![first.clone()]);
    let step = b.book.bury(first.session).unwrap();
    let key = fallback(&b.account);
    assert_eq!(step.changes.removed, [first.session]);
    assert_eq!(step.changes.buried, [Tombstone { session: first.session, key }]);
    assert_eq!(b.book.bury(first.session).err(), Some(SessionError::UnknownSession));
    assert_eq!(b.refuse(first.clone()), SessionError::Buried);
    // The key is still held as the previous one, so the tombstone has to stay.
    b.account.rotate_fallback(rng);
    assert_eq!(b.book.forget_tombstones(&b.account).unwrap().changes.forgotten, []);
    assert_eq!(b.refuse(first.clone()), SessionError::Buried);
    b.account.rotate_fallback(rng);
    assert_eq!(b.book.forget_tombstones(&b.account).unwrap().changes.forgotten, [first.session]);
    assert_eq!(b.refuse(first), SessionError::MissingOneTimeKey);
}

pub fn a_second_use_of_a_one_time_key_is_reported<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    let mut c = device(account::<A>(rng), &address(&a.account, 3), &address(&b.account, 2));
    let key = b.account.generate_one_time_keys(1, rng)[0];
    let _ = a.book.start(&a.account, key, rng).unwrap();
    let _ = c.book.start(&c.account, key, rng).unwrap();
    let said = a.say(&["first"], rng);
    let step = b.step(said.clone());
    assert!(step.changes.account.is_some(), "the used key must be gone from the disk too");
    assert_eq!(step.value.messages.len(), 1);
    let (us, them) = (address(&b.account, 2), address(&c.account, 3));
    let mut about_c = SessionBook::new(us.party, them.party, them.identity);
    let second = about_c.open(&mut b.account, c.say(&["second"], rng)).unwrap().value;
    assert_eq!(second.refused[0].error, SessionError::MissingOneTimeKey);
    assert_eq!(b.refuse(said[0].clone()), SessionError::Replayed);
}

pub fn a_hundred_backwards_in_one_batch_all_open<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    let mut said = a.count(100, rng);
    said.reverse();
    let heard = b.hear(said);
    assert_eq!(heard, (0..100u64).map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>());
}

pub fn beyond_forty_missing_is_held_back_and_reported<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = talking::<A>(rng);
    let said = a.count(100, rng);
    let session = said[0].session;
    let opened = b.open(said[50..].to_vec());
    assert_eq!((opened.messages.len(), opened.refused.len(), opened.held.len()), (0, 0, 50));
    assert_eq!(opened.gaps, [Gap { session, first: 1, last: 99 }]);
    // Forty missing are bridged.
    let opened = b.open(said[40..60].to_vec());
    assert_eq!((opened.messages.len(), opened.held.len()), (20, 0));
    assert_eq!(opened.gaps, [Gap { session, first: 1, last: 40 }]);
    // The missing ones come, and with them everything opens.
    let mut rest = said[60..].to_vec();
    rest.extend_from_slice(&said[..40]);
    assert_eq!(b.open(rest).messages.len(), 80);
    let said = a.say(&["done"], rng);
    assert_eq!(b.open(said).gaps, []);
}

pub fn a_gap_of_two_thousand_is_held_back<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = talking::<A>(rng);
    let said = a.count(2100, rng);
    for far in [2000, 2099] {
        let opened = b.open(vec![said[far].clone()]);
        assert_eq!((opened.held.len(), opened.refused.len()), (1, 0));
        assert_eq!((opened.gaps[0].first, opened.gaps[0].last), (1, far as u64));
    }
    assert_eq!(b.hear(said).len(), 2100);
}

pub fn what_is_given_up_is_no_longer_waited_for<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = talking::<A>(rng);
    let said = a.count(100, rng);
    let session = said[0].session;
    let held = b.open(said[90..].to_vec()).held;
    let step = b.book.give_up(session, 1..=90).unwrap();
    assert_eq!(step.changes.sessions.len(), 1);
    let opened = b.open(held);
    assert_eq!((opened.messages.len(), opened.gaps.len()), (10, 0));
    assert_eq!(b.refuse(said[0].clone()), SessionError::Replayed);
}

/// Both start before either has heard of it; then what is on its way arrives in some order, answers included.
pub fn crossed_starts_end_on_one_session<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    // Each bit decides who hears next.
    for order in 0u32..256 {
        let (mut a, mut b) = pair::<A>(rng);
        a.start(&b, rng);
        b.start(&a, rng);
        let winner = a.book.current();
        let (mut to_a, mut to_b) = (b.say(&["b0", "b1"], rng), a.say(&["a0", "a1"], rng));
        for step in 0..8 {
            let (hearer, queue, back) = if order >> step & 1 == 0 {
                (&mut a, &mut to_a, &mut to_b)
            } else {
                (&mut b, &mut to_b, &mut to_a)
            };
            if !queue.is_empty() {
                hearer.hear(vec![queue.remove(0)]);
                back.extend(hearer.say(&["answer"], rng));
            }
        }
        a.hear(to_a);
        b.hear(to_b);
        for _ in 0..2 {
            b.hear(a.say(&["quiet"], rng));
            a.hear(b.say(&["quiet"], rng));
        }
        assert_eq!((a.book.current(), b.book.current()), (winner, winner), "order {order:08b}");
    }
}

pub fn a_start_that_the_peer_cannot_read_wins_once_only<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    // A starts on a key that B destroys, so B never hears of it.
    a.start(&b, rng);
    b.account.rotate_fallback(rng);
    b.account.forget_previous_fallback();
    let lost = a.say(&["lost"], rng).remove(0);
    assert_eq!(b.refuse(lost), SessionError::MissingOneTimeKey);
    for round in 0..2 {
        b.start(&a, rng);
        a.hear(b.say(&["can you hear me?"], rng));
        assert_eq!(a.book.current() == b.book.current(), round == 1);
    }
    b.hear(a.say(&["now I can"], rng));
}

pub fn at_most_four_sessions_are_kept<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    let mut firsts: Vec<Sealed> = Vec::new();
    for _ in 0..limits::SESSIONS + 2 {
        a.start(&b, rng);
        firsts.extend(a.say(&["again"], rng));
        b.hear(firsts[firsts.len() - 1..].to_vec());
        assert!(
            a.book.sessions().count() <= limits::SESSIONS && b.book.sessions().count() <= limits::SESSIONS
        );
    }
    let errors: Vec<_> = firsts.into_iter().map(|first| b.refuse(first)).collect();
    assert_eq!(errors[..2], [SessionError::Buried, SessionError::Buried]);
    assert!(errors[2..].iter().all(|error| *error == SessionError::Replayed));
    a.hear(b.say(&["on the last one"], rng));
    assert_eq!(a.book.current(), b.book.current());
}

pub fn ida_05_an_own_message_sent_back_is_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    let first = a.say(&["mine"], rng).remove(0);
    assert_eq!(a.refuse(first.clone()), SessionError::BadMac);
    b.hear(vec![first]);
    a.hear(b.say(&["yours"], rng));
    let later = a.say(&["mine"], rng).remove(0);
    assert!(matches!(a.refuse(later), SessionError::BadMac | SessionError::Replayed));
    // B opens what A wrote and sends the same words back under B's own ratchet.
    let words = Parties { sender: a.party, recipient: b.party };
    let to = address(&a.account, 1);
    let reflected = forge(&b.account, (&to, fallback(&a.account)), words, rng);
    assert_eq!(a.refuse(reflected), SessionError::WrongParties);
}

pub fn ida_05_a_message_sent_on_to_a_third_is_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, b) = pair::<A>(rng);
    a.start(&b, rng);
    let for_b = a.say(&["for B"], rng).remove(0);
    let c = account::<A>(rng);
    let (to_a, to_b, to_c) = (address(&a.account, 1), address(&b.account, 2), address(&c, 3));
    let key = fallback(&c);
    // As it is: C has no such key.
    let mut about_a = device(c, &to_c, &to_a);
    assert_eq!(about_a.refuse(for_b), SessionError::MissingOneTimeKey);
    // Encrypted again by B, with A's words in it: to C's book about B, and with A's name on it.
    let mut about_b = device(about_a.account, &to_c, &to_b);
    let words = Parties { sender: a.party, recipient: b.party };
    let sent_on = forge(&b.account, (&to_c, key), words, rng);
    assert_eq!(about_b.refuse(sent_on), SessionError::WrongParties);
    let words = Parties { sender: a.party, recipient: to_c.party };
    let in_as_name = forge(&b.account, (&to_c, key), words, rng);
    assert_eq!(about_b.refuse(in_as_name.clone()), SessionError::WrongParties);
    let mut about_a = device(about_b.account, &to_c, &to_a);
    assert_eq!(about_a.refuse(in_as_name), SessionError::WrongKeys);
}

pub fn ida_02_a_start_by_somebody_else_is_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b) = pair::<A>(rng);
    let mallory = account::<A>(rng);
    let words = Parties { sender: a.party, recipient: b.party };
    let to = address(&b.account, 2);
    let forged = forge(&mallory, (&to, fallback(&b.account)), words, rng);
    assert_eq!(b.refuse(forged), SessionError::WrongKeys);
    assert_eq!(b.book.sessions().count(), 0);
}

pub fn the_place_beside_the_message_must_be_the_one_within<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = talking::<A>(rng);
    let said = a.say(&["one", "two"], rng).remove(1);
    let moved = Sealed { sequence: said.sequence + 5, ..said.clone() };
    assert_eq!(b.refuse(moved), SessionError::WrongParties);
    let (c, _) = pair::<A>(rng);
    let elsewhere = Sealed { session: starling_proto::ids::SessionId::new([9; 32]), ..said };
    assert_eq!(b.refuse(elsewhere), SessionError::UnknownSession);
    let mut fresh = device(c.account, &address(&a.account, 1), &address(&b.account, 2));
    fresh.start(&b, rng);
    let mut start = fresh.say(&["start"], rng).remove(0);
    start.session = starling_proto::ids::SessionId::new([9; 32]);
    assert_eq!(b.refuse(start), SessionError::Malformed);
}

pub fn a_text_for_somebody_else_opens_no_session<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b) = pair::<A>(rng);
    let words = Parties { sender: b.party, recipient: a.party };
    let to = address(&b.account, 2);
    let forged = forge(&a.account, (&to, fallback(&b.account)), words, rng);
    let step = b.step(vec![forged]);
    assert_eq!(step.value.refused[0].error, SessionError::WrongParties);
    assert_eq!((b.book.sessions().count(), step.changes), (0, Default::default()));
}

pub fn rows_bring_a_book_back<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = pair::<A>(rng);
    a.start(&b, rng);
    b.start(&a, rng);
    let said = a.count(5, rng);
    let mut changes = vec![b.step(said[..3].to_vec()).changes, b.step(said[4..].to_vec()).changes];
    changes.push(b.book.seal(list(), vec![b"x".to_vec()], rng).unwrap().changes);
    let mut rows = alloc::collections::BTreeMap::new();
    for step in changes {
        rows.extend(step.sessions);
    }
    let current = b.book.current();
    let (us, them) = (address(&b.account, 2), address(&a.account, 1));
    b.book = SessionBook::new(us.party, them.party, them.identity)
        .with_rows(rows.values().map(|row| row.expose()), [])
        .unwrap();
    assert_eq!(b.book.current(), current);
    assert_eq!(b.refuse(said[1].clone()), SessionError::Replayed);
    assert_eq!(b.hear(vec![said[3].clone()]).len(), 1);
    let answer = b.say(&["again"], rng).remove(0);
    assert_eq!(answer.sequence, 1, "a sequence number was used twice");
    let none = SessionBook::<A::Session>::new(us.party, them.party, them.identity);
    assert_eq!(none.with_rows([&b"no row"[..]], []).err(), Some(SessionError::BadPickle));
}

pub fn prv_01_sizes_are_buckets_and_nothing_else<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (mut a, mut b) = talking::<A>(rng);
    let mut sizes = alloc::collections::BTreeSet::new();
    for length in (0..limits::SESSION_CONTENT).step_by(251).chain([limits::SESSION_CONTENT]) {
        // A chain begins anew, so that its index does not grow into the length.
        a.hear(b.say(&["turn"], rng));
        let said = a.book.seal(list(), vec![vec![1; length]], rng).unwrap().value;
        sizes.insert(said[0].ciphertext.len());
        assert_eq!(b.hear(said)[0].len(), length);
    }
    assert_eq!(sizes.len(), Buckets::SESSION.lengths().len());
    assert!(sizes.last().is_some_and(|size| *size <= limits::SEALED));
}
