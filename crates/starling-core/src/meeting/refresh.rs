//! Reading contacts' account records again, so that a revoked device is noticed.

use alloc::collections::BTreeMap;

use rand_core::CryptoRng;
use starling_proto::ids::{AccountKey, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::{Span, Tick};

use super::errands::{Errand, Errands};
use crate::wish::Wish;

/// Between two readings of one account record.
const PERIOD: Span = Span::from_hours(24);
/// After a start, spread over this much time.
const SPREAD: Span = Span::from_hours(1);
/// Between two readings of one account record, however often its devices name another list.
pub(super) const APART: Span = Span::from_secs(600);
/// The same for our own: until it is read a revoked device goes on talking to nobody.
pub(super) const OWN_APART: Span = Span::from_secs(20);

/// One contact's account record.
#[derive(Debug)]
struct Reading {
    due: Tick,
    began: Option<Tick>,
    under_way: bool,
}

/// When each contact's account record is due.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    readings: BTreeMap<AccountKey, Reading>,
}

impl Refresh {
    /// After a start: soon, but not all at once.
    pub(super) fn soon(&mut self, account: AccountKey, now: Tick, rng: &mut dyn CryptoRng) {
        self.set(account, now.after(SPREAD.jittered(rng.next_u32())));
    }

    /// It has just been read.
    pub(super) fn later(&mut self, account: AccountKey, now: Tick, rng: &mut dyn CryptoRng) {
        self.set(account, now.after(PERIOD.jittered(rng.next_u32())));
    }

    fn set(&mut self, account: AccountKey, due: Tick) {
        let reading = self.readings.entry(account).or_insert(Reading { due, began: None, under_way: false });
        reading.due = due;
    }

    /// It has changed, as somebody says who may know; it is read so long after the last time at the earliest.
    pub(super) fn at_once(&mut self, account: &AccountKey, now: Tick, apart: Span) {
        if let Some(reading) = self.readings.get_mut(account) {
            let soonest = reading.began.map_or(now, |began| now.max(began.after(apart)));
            reading.due = reading.due.min(soonest);
        }
    }

    /// A reading has ended.
    pub(super) fn ended(&mut self, account: &AccountKey) {
        if let Some(reading) = self.readings.get_mut(account) {
            reading.under_way = false;
        }
    }

    /// No longer.
    pub(super) fn forget(&mut self, account: &AccountKey) {
        self.readings.remove(account);
    }

    /// When one is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.readings.values().filter(|reading| !reading.under_way).map(|reading| reading.due).min()
    }

    /// Reads those that are due.
    pub(super) fn tick(&mut self, now: Tick, rng: &mut dyn CryptoRng, errands: &mut Errands) {
        let due = |reading: &Reading| !reading.under_way && reading.due <= now;
        for (account, reading) in self.readings.iter_mut().filter(|(_, reading)| due(reading)) {
            reading.due = now.after(PERIOD.jittered(rng.next_u32()));
            reading.began = Some(now);
            reading.under_way = true;
            let (key, kind) = (RecordKey::for_account(account), RecordKind::Account);
            errands.send(Errand::Refresh(*account), |tag| Wish::Fetch { tag, key, kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    const BOB: AccountKey = AccountKey::new([1; 32]);

    #[test]
    fn however_often_another_list_is_named_readings_are_apart() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut refresh, mut errands) = (Refresh::default(), Errands::default());
        refresh.later(BOB, Tick::ZERO, &mut rng);
        let mut readings = 0;
        for seconds in 0..3600 {
            let now = Tick::ZERO.after(Span::from_secs(seconds));
            refresh.at_once(&BOB, now, APART);
            refresh.tick(now, &mut rng, &mut errands);
            readings += usize::from(errands.poll().is_some());
            refresh.ended(&BOB);
        }
        assert_eq!(readings, 6);
    }

    #[test]
    fn one_reading_of_an_account_is_under_way() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut refresh, mut errands) = (Refresh::default(), Errands::default());
        refresh.later(BOB, Tick::ZERO, &mut rng);
        for hours in 0..100 {
            let now = Tick::ZERO.after(Span::from_hours(hours));
            refresh.at_once(&BOB, now, APART);
            refresh.tick(now, &mut rng, &mut errands);
        }
        assert!(errands.poll().is_some() && errands.poll().is_none());
        assert_eq!(refresh.next_timeout(), None);
        refresh.ended(&BOB);
        assert!(refresh.next_timeout().is_some());
    }
}
