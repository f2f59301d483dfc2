//! What came and what had to go, counted where it happens.

use super::index::charge;
use crate::storage::HeldRecord;

/// What a holder has taken, refused and given up since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turnover {
    /// Records that were taken, new versions included.
    pub taken: u64,
    /// What these counted, in bytes.
    pub taken_bytes: u64,
    /// Records that were refused because the disk's share for them, or their own, was used up.
    pub refused: u64,
    /// Records that made way for others although their time was not over.
    pub evicted: u64,
    /// Those of them that were deposits with their owner's leave: mail between contacts.
    pub evicted_welcome: u64,
}

impl Turnover {
    pub(super) fn took(&mut self, held: &HeldRecord) {
        self.taken = self.taken.saturating_add(1);
        self.taken_bytes = self.taken_bytes.saturating_add(charge(held));
    }

    pub(super) const fn refused(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    pub(super) fn evicted(&mut self, held: &HeldRecord) {
        self.evicted = self.evicted.saturating_add(1);
        self.evicted_welcome = self.evicted_welcome.saturating_add(u64::from(held.welcome));
    }
}
