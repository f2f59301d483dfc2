//! Removing what is over.

use alloc::vec::Vec;

use starling_proto::ids::RecordId;
use starling_proto::time::Now;

use super::{Holder, limits};
use crate::storage::{RecordStore, StorageError};

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows that were removed, records and deletions.
    pub removed: usize,
    /// Whether there is more to remove: sweep again soon.
    pub more: bool,
}

impl Holder {
    /// Removes what is over, and rows that could not be read; at most [`limits::SWEEP`] rows at a time.
    ///
    /// `clock_trusted`: unrelated peers confirm what our clock says now (docs/protocol/overlay.md). Wall time counts only
    /// after they were once, and only while it advances with running time; what has been here for its whole life by
    /// running time is over in any case.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn sweep(
        &mut self,
        now: Now,
        store: &mut dyn RecordStore,
        clock_trusted: bool,
    ) -> Result<Swept, StorageError> {
        if clock_trusted {
            self.clock.confirm(now);
        }
        let over = self.index.rows().filter(|entry| self.clock.is_over(now, entry.bar()));
        let over = self.damaged.iter().copied().chain(over.map(|entry| entry.held.id));
        let records: Vec<RecordId> = over.take(limits::SWEEP).collect();
        for id in &records {
            self.forget(store, id)?;
        }
        let room = limits::SWEEP.saturating_sub(records.len());
        let deletions: Vec<_> = self.deletions.over(now, &self.clock).take(room).collect();
        for place in &deletions {
            self.deletions.forget(store, place)?;
        }
        let removed = records.len().saturating_add(deletions.len());
        Ok(Swept { removed, more: removed >= limits::SWEEP })
    }
}
