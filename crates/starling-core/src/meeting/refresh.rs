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

/// When each contact's account record is due.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    due: BTreeMap<AccountKey, Tick>,
}

impl Refresh {
    /// After a start: soon, but not all at once.
    pub(super) fn soon(&mut self, account: AccountKey, now: Tick, rng: &mut dyn CryptoRng) {
        self.due.insert(account, now.after(SPREAD.jittered(rng.next_u32())));
    }

    /// It has just been read.
    pub(super) fn later(&mut self, account: AccountKey, now: Tick, rng: &mut dyn CryptoRng) {
        self.due.insert(account, now.after(PERIOD.jittered(rng.next_u32())));
    }

    /// It has changed, as somebody says who may know.
    pub(super) fn at_once(&mut self, account: &AccountKey, now: Tick) {
        if let Some(due) = self.due.get_mut(account) {
            *due = now;
        }
    }

    /// No longer.
    pub(super) fn forget(&mut self, account: &AccountKey) {
        self.due.remove(account);
    }

    /// When one is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.due.values().min().copied()
    }

    /// Reads those that are due.
    pub(super) fn tick(&mut self, now: Tick, rng: &mut dyn CryptoRng, errands: &mut Errands) {
        for (account, due) in self.due.iter_mut().filter(|(_, due)| **due <= now) {
            *due = now.after(PERIOD.jittered(rng.next_u32()));
            let (key, kind) = (RecordKey::for_account(account), RecordKind::Account);
            errands.send(Errand::Refresh(*account), |tag| Wish::Fetch { tag, key, kind });
        }
    }
}
