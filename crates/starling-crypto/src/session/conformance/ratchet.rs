//! Checks of the double ratchet itself.
#![allow(missing_docs, reason = "each check is named for what it shows")]

use alloc::vec;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::ids::OlmKey;
use starling_proto::padding::Buckets;

use super::people::{account, fallback};
use crate::session::{OlmAccount, OlmMessage, OlmSession, SessionError};

/// A starts on B's fallback key and has said `count` things.
fn started<A: OlmAccount>(count: u8, rng: &mut dyn CryptoRng) -> (A, A, A::Session, Vec<OlmMessage>) {
    let (a, b) = (account::<A>(rng), account::<A>(rng));
    let mut session = a.start(b.identity_key(), fallback(&b), rng).unwrap();
    let messages = (0..count).map(|n| session.encrypt(&[n], rng).unwrap()).collect();
    (a, b, session, messages)
}

pub fn a_prekey_message_on_a_fallback_key_is_accepted_again<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, session, messages) = started::<A>(1, rng);
    let header = A::inspect(&messages[0].bytes).unwrap();
    assert_eq!((header.session, header.sender, header.key), (session.id(), a.identity_key(), fallback(&b)));
    for _ in 0..2 {
        let (theirs, text) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
        assert_eq!((theirs.id(), text), (session.id(), vec![0]));
    }
    b.rotate_fallback(rng);
    assert!(b.accept(a.identity_key(), &messages[0].bytes).is_ok());
    assert!(b.forget_previous_fallback());
    let refused = b.accept(a.identity_key(), &messages[0].bytes).err();
    assert_eq!(refused, Some(SessionError::MissingOneTimeKey));
}

pub fn a_known_session_does_not_open_its_prekey_message_again<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, _, messages) = started::<A>(2, rng);
    let (mut theirs, _) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
    assert_eq!(theirs.decrypt(&messages[1]), Ok(vec![1]));
    for message in &messages {
        assert!(message.prekey);
        assert_eq!(theirs.decrypt(message), Err(SessionError::MissingMessageKey));
    }
}

pub fn a_one_time_key_serves_once<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, c, mut b) = (account::<A>(rng), account::<A>(rng), account::<A>(rng));
    let keys = b.generate_one_time_keys(2, rng);
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    let first = a.start(b.identity_key(), keys[0], rng).unwrap().encrypt(b"a", rng).unwrap();
    let second = c.start(b.identity_key(), keys[0], rng).unwrap().encrypt(b"c", rng).unwrap();
    assert!(b.accept(a.identity_key(), &first.bytes).is_ok());
    let refused = b.accept(c.identity_key(), &second.bytes).err();
    assert_eq!(refused, Some(SessionError::MissingOneTimeKey));
    let other = c.start(b.identity_key(), keys[1], rng).unwrap().encrypt(b"c", rng).unwrap();
    assert!(b.accept(c.identity_key(), &other.bytes).is_ok());
}

pub fn two_fallback_keys_are_kept<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let mut b = A::generate(rng);
    assert_eq!(b.fallback_keys().current, None);
    let mut made: Vec<OlmKey> = Vec::new();
    for _ in 0..3 {
        b.rotate_fallback(rng);
        made.push(fallback(&b));
        assert_eq!(b.fallback_keys().previous, made.iter().rev().nth(1).copied());
    }
    let a = account::<A>(rng);
    let mut opens = |key: OlmKey, rng: &mut dyn CryptoRng| {
        let message = a.start(b.identity_key(), key, rng).unwrap().encrypt(b"hello", rng).unwrap();
        b.accept(a.identity_key(), &message.bytes).is_ok()
    };
    assert_eq!([0, 1, 2].map(|n| opens(made[n], rng)), [false, true, true]);
    assert!(b.forget_previous_fallback());
    assert!(!b.forget_previous_fallback());
    assert!(!b.fallback_keys().contains(&made[1]) && b.fallback_keys().contains(&made[2]));
}

pub fn of_a_hundred_backwards_forty_one_open<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, _, messages) = started::<A>(101, rng);
    let (mut theirs, _) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
    let opened = messages[1..].iter().rev().filter(|message| theirs.decrypt(message).is_ok()).count();
    assert_eq!(opened, 41);
}

pub fn a_gap_of_two_thousand_is_the_largest<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, mut session, messages) = started::<A>(1, rng);
    let (mut theirs, _) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
    let mut later: Vec<OlmMessage> = (0..2002).map(|_| session.encrypt(b"x", rng).unwrap()).collect();
    let too_far = theirs.decrypt(&later[2001]);
    assert_eq!(too_far, Err(SessionError::TooBigGap { gap: 2001, limit: 2000 }));
    later.truncate(2001);
    assert!(theirs.decrypt(&later[2000]).is_ok());
}

pub fn keys_of_others_are_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, _, messages) = started::<A>(1, rng);
    let mut c = account::<A>(rng);
    let as_c = b.accept(c.identity_key(), &messages[0].bytes).err();
    assert_eq!(as_c, Some(SessionError::WrongKeys));
    let at_c = c.accept(a.identity_key(), &messages[0].bytes).err();
    assert_eq!(at_c, Some(SessionError::MissingOneTimeKey));
    // C passes the message off as its own by writing its identity key into it.
    let own = a.identity_key();
    let mut forged = messages[0].bytes.clone();
    let at = forged.windows(32).position(|part| part == own.as_bytes()).unwrap();
    forged[at..at + 32].copy_from_slice(c.identity_key().as_bytes());
    assert_eq!(b.accept(c.identity_key(), &forged).err(), Some(SessionError::BadMac));
}

pub fn weak_keys_are_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, b) = (account::<A>(rng), account::<A>(rng));
    let zero = OlmKey::new([0; 32]);
    assert_eq!(a.start(zero, fallback(&b), rng).err(), Some(SessionError::WeakKey));
    assert_eq!(a.start(b.identity_key(), zero, rng).err(), Some(SessionError::WeakKey));
}

pub fn an_altered_message_changes_nothing<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, _, messages) = started::<A>(2, rng);
    let mut altered = messages[0].bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(b.accept(a.identity_key(), &altered).err(), Some(SessionError::BadMac));
    let (mut theirs, _) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
    let before = theirs.pickle().unwrap();
    let mut altered = messages[1].clone();
    *altered.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(theirs.decrypt(&altered), Err(SessionError::BadMac));
    assert!(before == theirs.pickle().unwrap());
    assert_eq!(theirs.decrypt(&messages[1]), Ok(vec![1]));
}

pub fn what_is_no_message_is_refused<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, _, messages) = started::<A>(1, rng);
    let (mut theirs, _) = b.accept(a.identity_key(), &messages[0].bytes).unwrap();
    for cut in 0..messages[0].bytes.len() {
        let bytes = messages[0].bytes[..cut].to_vec();
        assert!(b.accept(a.identity_key(), &bytes).is_err(), "{cut}");
        for prekey in [false, true] {
            assert!(theirs.decrypt(&OlmMessage { prekey, bytes: bytes.clone() }).is_err(), "{cut}");
        }
    }
    assert!(A::inspect(&[]).is_err());
}

pub fn state_survives_being_written_down<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let (a, mut b, session, messages) = started::<A>(3, rng);
    let one_time = b.generate_one_time_keys(1, rng)[0];
    let mut b = A::from_pickle(b.pickle().unwrap().expose()).unwrap();
    let (theirs, _) = b.accept(a.identity_key(), &messages[1].bytes).unwrap();
    let mut theirs = A::Session::from_pickle(theirs.pickle().unwrap().expose()).unwrap();
    let mut ours = A::Session::from_pickle(session.pickle().unwrap().expose()).unwrap();
    assert_eq!(theirs.decrypt(&messages[0]), Ok(vec![0]));
    let reply = theirs.encrypt(b"reply", rng).unwrap();
    assert!(!reply.prekey && !ours.has_received_message());
    assert_eq!(ours.decrypt(&reply), Ok(b"reply".to_vec()));
    assert!(ours.has_received_message() && !ours.encrypt(b"x", rng).unwrap().prekey);
    let other = a.start(b.identity_key(), one_time, rng).unwrap().encrypt(b"x", rng).unwrap();
    assert!(b.accept(a.identity_key(), &other.bytes).is_ok());
    assert_eq!(A::from_pickle(b"no pickle").err(), Some(SessionError::BadPickle));
    assert_eq!(A::Session::from_pickle(b"no pickle").err(), Some(SessionError::BadPickle));
}

/// For each bucket: the length of a session's first message and of one after an answer, both at index 0 of a chain.
const LENGTHS: [(usize, usize, usize); 7] = [
    (256, 450, 344),
    (512, 706, 600),
    (1024, 1218, 1112),
    (2048, 2242, 2136),
    (4096, 4290, 4184),
    (8192, 8386, 8280),
    (16_384, 16_580, 16_473),
];

pub fn lengths_are_those_measured<A: OlmAccount>(rng: &mut dyn CryptoRng) {
    let measured = Buckets::SESSION.lengths().iter().map(|bucket| {
        let (a, mut b) = (account::<A>(rng), account::<A>(rng));
        let mut session = a.start(b.identity_key(), fallback(&b), rng).unwrap();
        let first = session.encrypt(&vec![1; *bucket], rng).unwrap();
        let (mut theirs, _) = b.accept(a.identity_key(), &first.bytes).unwrap();
        let answer = theirs.encrypt(&vec![1; *bucket], rng).unwrap();
        (*bucket, first.bytes.len(), answer.bytes.len())
    });
    assert_eq!(measured.collect::<Vec<_>>(), LENGTHS);
}
