//! Deposits that their owners have deleted: repair must not bring them back.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::ids::{RecordId, RecordKey};
use starling_proto::time::{Now, Tick, UnixSeconds};

use super::clock::{ClockCheck, Lifetime};
use super::tally::Tally;
use super::{Tools, limits};
use crate::group::AddressGroup;
use crate::storage::{DeletedRecord, RecordStore, StorageError};

/// Where a deletion is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Across a restart.
    OnDisk,
    /// Until the process ends: there is no room on disk.
    InMemory,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    deleted: UnixSeconds,
    keep_until: UnixSeconds,
    group: AddressGroup,
    since: Tick,
}

/// The deletions that are remembered, at most [`limits::DELETIONS`].
///
/// Losing one is harmless: the deposit comes back, and its owner, who knows it already, deletes it again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deletions {
    /// By id first: who asks for a record by its id alone is to learn that it was deleted.
    rows: BTreeMap<(RecordId, RecordKey), Row>,
    tally: Tally,
}

impl Deletions {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn contains(&self, key: RecordKey, id: RecordId) -> bool {
        self.rows.contains_key(&(id, key))
    }

    /// Whether the owner of some mailbox has deleted this.
    pub(super) fn contains_any(&self, id: RecordId) -> bool {
        let all = (id, RecordKey::new([0; 32]))..=(id, RecordKey::new([0xff; 32]));
        self.rows.range(all).next().is_some()
    }

    pub(super) fn insert(&mut self, deleted: &DeletedRecord, now: Now) {
        let DeletedRecord { key, id, deleted, keep_until, group } = *deleted;
        self.take(&(key, id));
        self.tally.add(group, 1);
        self.rows.insert((id, key), Row { deleted, keep_until, group, since: now.tick });
    }

    /// Remembers a deletion. When there are too many, the group of addresses with the most loses those that end
    /// soonest, unless that would be the newcomer's own: then it is not remembered.
    pub(super) fn remember(
        &mut self,
        now: Now,
        tools: &mut Tools<'_>,
        deleted: &DeletedRecord,
        keep: Keep,
    ) -> Result<(), StorageError> {
        let known = self.contains(deleted.key, deleted.id);
        if !known && self.rows.len() >= limits::DELETIONS {
            if !self.tally.yields_to(&deleted.group, 1) {
                return Ok(());
            }
            for place in self.soonest_of_largest(tools.rng) {
                self.forget(tools.store, &place)?;
            }
        }
        if keep == Keep::OnDisk {
            tools.store.write_deletion(deleted)?;
        }
        self.insert(deleted, now);
        Ok(())
    }

    pub(super) fn forget(
        &mut self,
        store: &mut dyn RecordStore,
        place: &(RecordKey, RecordId),
    ) -> Result<(), StorageError> {
        store.remove_deletion(&place.0, &place.1)?;
        self.take(place);
        Ok(())
    }

    /// Those whose deposit has ended everywhere.
    pub(super) fn over(&self, now: Now, clock: &ClockCheck) -> impl Iterator<Item = (RecordKey, RecordId)> {
        let over = self.rows.iter().filter(move |(_, row)| {
            let life = Lifetime { received: row.deleted, since: row.since, end: row.keep_until };
            clock.is_over(now, life)
        });
        over.map(|((id, key), _)| (*key, *id))
    }

    fn take(&mut self, (key, id): &(RecordKey, RecordId)) {
        if let Some(row) = self.rows.remove(&(*id, *key)) {
            self.tally.take(&row.group, 1);
        }
    }

    fn soonest_of_largest(&self, rng: &mut dyn CryptoRng) -> Vec<(RecordKey, RecordId)> {
        let Some(largest) = self.tally.largest(rng) else { return Vec::new() };
        let rows = self.rows.iter().filter(|(_, row)| row.group == largest);
        let mut rows: Vec<_> = rows.map(|((id, key), row)| (row.keep_until, (*key, *id))).collect();
        rows.sort_unstable();
        rows.into_iter().take(limits::DELETION_BATCH).map(|(_, place)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::holder::testing::Double;
    use crate::memory::MemoryStore;

    const FLOOD: AddressGroup = AddressGroup::V4([6, 6, 6]);
    const OWNER: AddressGroup = AddressGroup::V4([7, 7, 7]);

    fn deleted(number: usize, group: AddressGroup) -> DeletedRecord {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        DeletedRecord {
            key: RecordKey::new([1; 32]),
            id: RecordId::new(id),
            deleted: UnixSeconds::new(10),
            keep_until: UnixSeconds::new(20 + number as u64),
            group,
        }
    }

    #[test]
    fn a_flood_of_deletions_makes_way_for_another_owner() {
        let (mut store, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(5));
        let mut deletions = Deletions::default();
        let mut remember = |deletions: &mut Deletions, deleted: &DeletedRecord| {
            let mut tools = Tools { store: &mut store, verify: &Double::default(), rng: &mut rng };
            deletions.remember(Now::default(), &mut tools, deleted, Keep::OnDisk).unwrap();
        };
        for number in 0..limits::DELETIONS + 3 {
            remember(&mut deletions, &deleted(number, FLOOD));
        }
        assert_eq!(deletions.len(), limits::DELETIONS);
        let late = deleted(limits::DELETIONS + 2, FLOOD);
        assert!(!deletions.contains(late.key, late.id), "the flood does not push out its own");
        let owners = deleted(1_000_000, OWNER);
        remember(&mut deletions, &owners);
        assert!(deletions.contains(owners.key, owners.id));
        assert!(!deletions.contains(late.key, deleted(0, FLOOD).id));
        assert_eq!(store.deleted_records().unwrap().len(), deletions.len());
    }
}
