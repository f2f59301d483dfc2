//! What the conformance suite does not reach: vodozemac's own, and histories drawn at random.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use starling_proto::frame::FrameHeader;
use starling_proto::identity::InboxEpoch;
use starling_proto::ids::{AccountKey, DeviceKey, DeviceListHash, MailboxAddress, OlmKey};
use starling_proto::message::{Deliver, Request, Sealed};
use starling_proto::session::Party;
use starling_proto::time::{Span, UnixSeconds};

use super::*;
use crate::envelope::{Destination, WallClock, inbox_key, seal};
use crate::secret::Secret;

pub(super) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn party(n: u8) -> Party {
    Party { account: AccountKey::new([n; 32]), device: DeviceKey::new([n; 32]) }
}

/// One end with what its database holds.
struct End {
    account: Vodozemac,
    book: SessionBook<VodozemacSession>,
}

fn ends() -> [End; 2] {
    let mut accounts = [Vodozemac::generate(&mut rng()), Vodozemac::generate(&mut rng())];
    accounts.iter_mut().for_each(|account| account.rotate_fallback(&mut rng()));
    let keys: Vec<OlmKey> = accounts.iter().map(Vodozemac::identity_key).collect();
    let [a, b] = accounts;
    [
        End { account: a, book: SessionBook::new(party(1), party(2), keys[1]) },
        End { account: b, book: SessionBook::new(party(2), party(1), keys[0]) },
    ]
}

#[test]
fn debug_tells_nothing() {
    let [a, _] = ends();
    insta::assert_snapshot!(format!("{:?}", a.account.pickle().unwrap()), @"Pickle(..)");
}

#[test]
fn tombstones_are_bounded() {
    type Book = SessionBook<VodozemacSession>;
    let [a, mut b] = ends();
    let key = b.account.fallback_keys().current.unwrap();
    let stones = (0..Book::TOMBSTONES).map(|n| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        Tombstone { session: starling_proto::ids::SessionId::new(id), key }
    });
    let mut book = Book::new(party(2), party(1), a.account.identity_key()).with_rows([], stones).unwrap();
    let mut a_book = a.book;
    let _ = a_book.start(&a.account, key, &mut rng()).unwrap();
    let said = a_book.seal(DeviceListHash::new([0; 32]), vec![vec![1]], &mut rng()).unwrap().value;
    let opened = book.open(&mut b.account, said.clone()).unwrap().value;
    assert_eq!(opened.refused[0].error, SessionError::TooManySessions { limit: Book::TOMBSTONES });
    // The key goes, and with it what had to be remembered.
    b.account.rotate_fallback(&mut rng());
    b.account.rotate_fallback(&mut rng());
    assert_eq!(book.forget_tombstones(&b.account).unwrap().changes.forgotten.len(), Book::TOMBSTONES);
    let opened = book.open(&mut b.account, said).unwrap().value;
    assert_eq!(opened.refused[0].error, SessionError::MissingOneTimeKey);
}

#[test]
fn a_fallback_key_is_replaced_after_44_days_and_a_fetch() {
    let day = |days| WallClock { now: UnixSeconds::new(0).after(Span::from_days(days)), confirmed: true };
    let mut account = Vodozemac::generate(&mut rng());
    let mut schedule = FallbackSchedule::default();
    assert!(schedule.rotate_if_due(&mut account, day(100), &mut rng()));
    assert!(!schedule.rotate_if_due(&mut account, day(500), &mut rng()));
    schedule.published(day(500));
    schedule.fetched(day(543));
    assert!(!schedule.rotate_if_due(&mut account, day(600), &mut rng()));
    let unsure = WallClock { confirmed: false, ..day(600) };
    schedule.fetched(unsure);
    assert!(!schedule.rotate_if_due(&mut account, day(600), &mut rng()));
    schedule.fetched(day(544));
    assert!(!schedule.rotate_if_due(&mut account, unsure, &mut rng()));
    let first = account.fallback_keys().current;
    let mut schedule = FallbackSchedule::from_row(&schedule.to_row()).unwrap();
    assert!(schedule.rotate_if_due(&mut account, day(600), &mut rng()));
    assert_eq!(account.fallback_keys().previous, first);
    assert_eq!(FallbackSchedule::from_row(&[9]), Err(SessionError::BadPickle));
}

/// The table of `docs/protocol/envelopes.md`, in bytes: content; the session's first and a later Olm message; each as
/// a deliver message; each in its envelope as it travels.
const LENGTHS: [[usize; 7]; 6] = [
    [20, 450, 344, 490, 386, 1659, 1659],
    [72, 450, 344, 490, 386, 1659, 1659],
    [320, 706, 600, 746, 642, 1915, 1915],
    [1000, 2242, 2136, 2282, 2178, 3451, 3451],
    [8192, 16_580, 16_473, 16_622, 16_517, 17_788, 17_788],
    [16_128, 16_580, 16_473, 16_622, 16_517, 17_788, 17_788],
];

#[test]
fn lengths_are_those_of_the_specification() {
    let measured = [20, 72, 320, 1000, 8192, 16_128].map(|content| {
        let [mut a, mut b] = ends();
        let say = |from: &mut SessionBook<VodozemacSession>| {
            let step = from.seal(DeviceListHash::new([0; 32]), vec![vec![1; content]], &mut rng()).unwrap();
            step.value
        };
        let key = b.account.fallback_keys().current.unwrap();
        let _ = a.book.start(&a.account, key, &mut rng()).unwrap();
        let first = say(&mut a.book);
        let heard = b.book.open(&mut b.account, first.clone()).unwrap();
        assert_eq!(heard.value.messages.len(), 1);
        let later = say(&mut b.book);
        let (first_olm, later_olm) = (first[0].ciphertext.len(), later[0].ciphertext.len());
        let [(first_text, first_sealed), (later_text, later_sealed)] = [first, later].map(in_envelope);
        assert_eq!(first_sealed, later_sealed, "an envelope shows whether it starts a session");
        [content, first_olm, later_olm, first_text, later_text, first_sealed, later_sealed]
    });
    assert_eq!(measured, LENGTHS);
}

/// Length of a batch as a deliver message, and in its envelope.
fn in_envelope(messages: Vec<Sealed>) -> (usize, usize) {
    let frame = Request::Deliver(Deliver { messages }).to_frame().unwrap();
    let text = frame[FrameHeader::LEN..].to_vec();
    let key = inbox_key(&Secret::copy_of(&[1; 32]));
    let (device, mailbox) = (DeviceKey::new([1; 32]), MailboxAddress::new([2; 32]));
    let to = Destination { device, mailbox, epoch: InboxEpoch::new(2900), key: &key };
    (text.len(), seal(to, text, &mut rng()).unwrap().encode().len())
}

/// One thing that happens between two devices.
#[derive(Debug, Clone)]
enum Event {
    Start(usize),
    Say(usize, u8),
    /// Some of what is on its way to a device arrives, in some order, and may be lost or arrive again.
    Arrive(usize, Vec<prop::sample::Index>),
    Restart(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let end = 0usize..2;
    prop_oneof![
        1 => end.clone().prop_map(Event::Start),
        5 => (end.clone(), 1u8..8).prop_map(|(end, count)| Event::Say(end, count)),
        5 => (end.clone(), proptest::collection::vec(any::<prop::sample::Index>(), 1..12))
            .prop_map(|(end, picks)| Event::Arrive(end, picks)),
        1 => end.prop_map(Event::Restart),
    ]
}

/// The two ends, what the disk of each holds, and everything ever sent to each.
struct World {
    ends: [End; 2],
    rows: [std::collections::BTreeMap<starling_proto::ids::SessionId, Pickle>; 2],
    stones: [Vec<Tombstone>; 2],
    sent: [Vec<Sealed>; 2],
    said: u64,
    heard: [std::collections::BTreeSet<Vec<u8>>; 2],
}

impl World {
    fn commit(&mut self, end: usize, changes: BookChanges) {
        self.rows[end].extend(changes.sessions);
        changes.removed.iter().for_each(|id| drop(self.rows[end].remove(id)));
        self.stones[end].extend(changes.buried);
        if let Some(account) = changes.account {
            self.ends[end].account = Vodozemac::from_pickle(account.expose()).unwrap();
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Start(end) => {
                let key = self.ends[1 - end].account.fallback_keys().current.unwrap();
                let one = &mut self.ends[*end];
                let step = one.book.start(&one.account, key, &mut rng()).unwrap();
                self.commit(*end, step.changes);
            }
            Event::Say(end, count) => {
                let texts: Vec<_> =
                    (0..*count).map(|n| (self.said + u64::from(n)).to_be_bytes().to_vec()).collect();
                self.said += u64::from(*count);
                let sealed = self.ends[*end].book.seal(DeviceListHash::new([0; 32]), texts, &mut rng());
                let Ok(step) = sealed else { return };
                self.sent[1 - end].extend(step.value);
                self.commit(*end, step.changes);
            }
            Event::Arrive(end, picks) => {
                if self.sent[*end].is_empty() {
                    return;
                }
                let batch = picks.iter().map(|pick| pick.get(&self.sent[*end]).clone()).collect();
                let one = &mut self.ends[*end];
                let step = one.book.open(&mut one.account, batch).unwrap();
                for message in step.value.messages {
                    assert!(self.heard[*end].insert(message.content), "a message was opened twice");
                }
                self.commit(*end, step.changes);
            }
            Event::Restart(end) => {
                let keys = [0, 1].map(|n| self.ends[n].account.identity_key());
                let (us, them) = (party(*end as u8 + 1), party(2 - *end as u8));
                let rows = self.rows[*end].values().map(Pickle::expose);
                let book = SessionBook::new(us, them, keys[1 - end]);
                self.ends[*end].book = book.with_rows(rows, self.stones[*end].iter().copied()).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// RPL-01, RPL-04, CRA-05: whatever is lost, repeated, disordered or restarted, nothing is opened twice, and
    /// once the network is well again both ends hear each other on one session.
    #[test]
    fn nothing_is_opened_twice_and_the_ends_find_each_other(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World {
            ends: ends(),
            rows: Default::default(),
            stones: Default::default(),
            sent: Default::default(),
            said: 0,
            heard: Default::default(),
        };
        events.iter().for_each(|event| world.happen(event));
        world.happen(&Event::Start(0));
        world.sent = Default::default();
        for round in 0..6 {
            let end = round % 2;
            world.happen(&Event::Say(end, 1));
            let all: Vec<Sealed> = core::mem::take(&mut world.sent[1 - end]);
            let before = world.heard[1 - end].len();
            let one = &mut world.ends[1 - end];
            let step = one.book.open(&mut one.account, all).unwrap();
            let heard = step.value.messages.into_iter().map(|message| message.content);
            world.heard[1 - end].extend(heard);
            prop_assert!(round < 2 || world.heard[1 - end].len() > before, "round {} was not heard", round);
            world.commit(1 - end, step.changes);
        }
        prop_assert_eq!(world.ends[0].book.current(), world.ends[1].book.current());
    }
}
