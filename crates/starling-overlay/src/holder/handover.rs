//! What to hand to a peer that has come near.

use alloc::vec::Vec;

use starling_proto::ids::{RecordId, RecordKey};
use starling_proto::record::Record;
use starling_proto::time::{Now, Tick};

use super::index::Place;
use super::{Holder, limits};
use crate::storage::{RecordStore, StorageError};

/// Where a hand-over goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandoverCursor(Place);

/// A record to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandoverRow {
    /// The record.
    pub id: RecordId,
    /// Where it belongs.
    pub key: RecordKey,
    /// Bytes that it takes to send.
    pub size: u32,
    /// Since when it is held; at the latest since this process began.
    pub since: Tick,
}

/// One step of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handover {
    /// Records to offer.
    pub records: Vec<HandoverRow>,
    /// Where the next step begins; `None` at the end.
    pub next: Option<HandoverCursor>,
}

impl Holder {
    /// The next records, at most `batch`, whose key is `wanted`: one step looks at [`limits::HANDOVER_SCAN`] rows at
    /// most, in the order of the keys, and asks once for each row. Tombstones are handed over like any record.
    pub fn handover(
        &self,
        now: Now,
        after: Option<&HandoverCursor>,
        batch: usize,
        wanted: &mut dyn FnMut(&RecordKey) -> bool,
    ) -> Handover {
        let mut step = Handover::default();
        let rows = self.index.after(after.map(|cursor| &cursor.0));
        for (looked, (place, entry)) in rows.enumerate() {
            if looked >= limits::HANDOVER_SCAN || step.records.len() >= batch {
                return step;
            }
            step.next = Some(HandoverCursor(place));
            if !self.clock.is_over(now, entry.life()) && wanted(&place.key) {
                step.records.push(HandoverRow {
                    id: place.id,
                    key: place.key,
                    size: entry.held.size,
                    since: entry.since,
                });
            }
        }
        step.next = None;
        step
    }

    /// A held record, to be offered unchanged; `None` if it has gone meanwhile.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn record(&mut self, store: &dyn RecordStore, id: &RecordId) -> Result<Option<Record>, StorageError> {
        if self.index.get(id).is_none() {
            return Ok(None);
        }
        self.read(store, id)
    }
}
