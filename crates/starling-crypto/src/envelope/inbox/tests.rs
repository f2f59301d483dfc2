use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use starling_proto::time::Span;

use super::*;
use crate::envelope::{Destination, OVERLAP, seal};

const DEVICE: DeviceKey = DeviceKey::new([1; 32]);
const MAILBOX: MailboxAddress = MailboxAddress::new([2; 32]);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(5)
}

fn clock(days: u64) -> WallClock {
    WallClock { now: UnixSeconds::new(0).after(Span::from_days(days)), confirmed: true }
}

/// Publishes at once whatever is to be published.
fn live(keys: &mut InboxKeys, days: core::ops::Range<u64>, fetch: bool) {
    for day in days {
        let change = keys.handle(InboxEvent::Tick, clock(day), &mut rng());
        if let Some((epoch, _)) = change.publish {
            let _ = keys.handle(InboxEvent::Published(epoch), clock(day), &mut rng());
        }
        if fetch {
            let _ = keys.handle(InboxEvent::Fetched, clock(day), &mut rng());
        }
    }
}

#[test]
fn a_device_in_daily_use_holds_eight_keys() {
    let mut keys = InboxKeys::new(clock(7000), &mut rng());
    // On the first day of a week: this week's key, the six that replaced another less than 44 days ago, and the one
    // before them, which is still in use by whoever has not heard of the oldest of the six.
    live(&mut keys, 7000..7302, true);
    assert_eq!(keys.held().count(), 8);
    live(&mut keys, 7302..7304, true);
    assert_eq!(keys.held().count(), 7);
}

#[test]
fn nothing_is_destroyed_without_a_fetch() {
    let mut keys = InboxKeys::new(clock(7000), &mut rng());
    live(&mut keys, 7000..7300, false);
    assert_eq!(keys.held().count(), 43);
    live(&mut keys, 7300..7301, true);
    assert_eq!(keys.held().count(), 7);
}

#[test]
fn a_message_sealed_to_the_old_key_opens_for_44_days_after_the_next() {
    let mut keys = InboxKeys::new(clock(7000), &mut rng());
    let (epoch, key) = keys.current();
    let to = Destination { device: DEVICE, mailbox: MAILBOX, epoch, key: &key };
    let envelope = seal(to, b"late".to_vec(), &mut rng()).unwrap();
    live(&mut keys, 7000..7051, true);
    assert_eq!(keys.open(&DEVICE, &MAILBOX, &envelope), Ok(b"late".to_vec()));
    live(&mut keys, 7051..7053, true);
    assert_eq!(keys.open(&DEVICE, &MAILBOX, &envelope), Err(CryptoError::NoInboxKey));
}

#[test]
fn clk_02_a_clock_a_year_ahead_destroys_nothing() {
    let mut keys = InboxKeys::new(clock(7000), &mut rng());
    live(&mut keys, 7000..7030, true);
    let before: Vec<_> = keys.held().collect();
    let wrong = WallClock { confirmed: false, ..clock(7395) };
    for event in [InboxEvent::Tick, InboxEvent::Fetched, InboxEvent::Published(keys.epoch)] {
        assert_eq!(keys.handle(event, wrong, &mut rng()).destroyed, []);
    }
    // Set right again, this week's key is the current one once more, and everything still opens.
    let change = keys.handle(InboxEvent::Tick, clock(7030), &mut rng());
    assert_eq!(change.publish.map(|(epoch, _)| epoch), Some(InboxEpoch::of(clock(7030).now)));
    assert!(before.iter().all(|epoch| keys.held().any(|held| held == *epoch)));
}

#[test]
fn at_the_bound_the_current_key_stays() {
    let mut keys = InboxKeys::new(clock(7000), &mut rng());
    live(&mut keys, 7000..7000 + 7 * 150, false);
    assert_eq!(keys.held().count(), InboxKeys::LIMIT);
    assert!(keys.held().any(|epoch| epoch == keys.epoch));
}

#[test]
fn debug_tells_nothing() {
    let keys = InboxKeys::new(clock(7000), &mut rng());
    assert!(format!("{keys:?}").contains("seed: Secret<32>(..)"));
}

#[test]
fn rows_that_are_none_are_refused() {
    let keys = InboxKeys::new(clock(7000), &mut rng());
    let row = keys.to_row();
    assert_eq!(InboxKeys::from_row(&row[..row.len() - 1]), Err(CryptoError::BadState));
    assert_eq!(InboxKeys::from_row(&[]), Err(CryptoError::BadState));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: no key goes before its time, and the same history gives the same state.
    #[test]
    fn keys_outlive_their_mail(
        history in proptest::collection::vec((0u64..30, any::<bool>(), 0u8..4), 1..120),
    ) {
        let (mut rng, mut again) = (rng(), rng());
        let mut keys = InboxKeys::new(clock(7000), &mut rng);
        let mut twin = InboxKeys::new(clock(7000), &mut again);
        // Each time that a key became the current one, and since when it is known to be published.
        let mut turns: Vec<(InboxEpoch, bool, Option<UnixSeconds>)> = vec![(keys.epoch, false, None)];
        let mut fetched: Option<UnixSeconds> = None;
        let mut day = 7000;
        for (days, confirmed, what) in history {
            day += days;
            let clock = WallClock { confirmed, ..clock(day) };
            let event = match what {
                0 => InboxEvent::Fetched,
                1 | 2 => InboxEvent::Published(keys.epoch),
                _ => InboxEvent::Tick,
            };
            if let (InboxEvent::Published(_), Some(last)) = (event, turns.last_mut()) {
                last.1 = true;
            }
            if confirmed {
                fetched = if event == InboxEvent::Fetched { Some(clock.now) } else { fetched };
                let undated = turns.iter_mut().filter(|turn| turn.1 && turn.2.is_none());
                undated.for_each(|turn| turn.2 = Some(clock.now));
            }
            let change = keys.handle(event, clock, &mut rng);
            prop_assert_eq!(&change, &twin.handle(event, clock, &mut again));
            if let Some((epoch, _)) = change.publish {
                turns.push((epoch, false, None));
            }
            for epoch in &change.destroyed {
                let last = turns.iter().rposition(|turn| turn.0 == *epoch).unwrap();
                let outlived = turns[last + 1..].iter().filter_map(|turn| turn.2).any(|since| {
                    fetched.is_some_and(|fetched| since.after(OVERLAP) <= fetched)
                });
                prop_assert!(confirmed && outlived, "{:?} went early", epoch);
            }
            prop_assert!(keys.held().any(|epoch| Some(epoch) == turns.last().map(|turn| turn.0)));
            prop_assert_eq!(InboxKeys::from_row(&keys.to_row()), Ok(twin));
            twin = InboxKeys::from_row(&keys.to_row()).unwrap();
        }
    }
}
