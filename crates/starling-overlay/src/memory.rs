//! The storage traits in memory, for tests and simulations.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::{Ordering, Reverse};
use core::fmt;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;

use crate::group::AddressGroup;
use crate::storage::{DeletedRecord, HeldRecord, PeerStore, RecordStore, StorageError};

/// Keeps everything in memory. A clone shares the bodies, so that what a simulated peer has on its "disk" when it
/// restarts costs no second copy.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    records: BTreeSet<Row>,
    deletions: BTreeMap<(RecordKey, RecordId), DeletedRecord>,
    peers: BTreeMap<NodeKey, (Peer, UnixSeconds)>,
    bodies: Option<Arc<dyn BodyPool>>,
}

impl MemoryStore {
    /// From now on what holders of one record know alike is kept where this pool says, by all who share it.
    pub fn share_bodies(&mut self, pool: Arc<dyn BodyPool>) {
        self.bodies = Some(pool);
    }
}

/// What every holder of a record knows alike.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// Which record.
    pub id: RecordId,
    key: RecordKey,
    kind: RecordKind,
    publisher: PublisherKey,
    sequence: u64,
    tombstone: bool,
    size: u32,
    encoded: Arc<[u8]>,
}

/// Keeps bodies once for many stores: of forty simulated holders of a record each has a row, and all have one body.
pub trait BodyPool: fmt::Debug + Send + Sync {
    /// The same body, be it another's.
    fn pooled(&self, body: Body) -> Arc<Body>;
}

/// A record as one holder has it; in the order of the ids.
#[derive(Debug, Clone)]
struct Row {
    body: Arc<Body>,
    received: UnixSeconds,
    expires: UnixSeconds,
    keep_until: UnixSeconds,
    welcome: bool,
    work: u8,
    group: AddressGroup,
}

impl Row {
    fn held(&self) -> HeldRecord {
        HeldRecord {
            id: self.body.id,
            key: self.body.key,
            kind: self.body.kind,
            publisher: self.body.publisher,
            sequence: self.body.sequence,
            size: self.body.size,
            received: self.received,
            expires: self.expires,
            keep_until: self.keep_until,
            tombstone: self.body.tombstone,
            welcome: self.welcome,
            work: self.work,
            group: self.group,
        }
    }
}

impl Borrow<RecordId> for Row {
    fn borrow(&self) -> &RecordId {
        &self.body.id
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.body.id == other.body.id
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.body.id.cmp(&other.body.id)
    }
}

impl RecordStore for MemoryStore {
    fn held_records(&self) -> Result<Vec<HeldRecord>, StorageError> {
        Ok(self.records.iter().map(Row::held).collect())
    }

    fn read_record(&self, id: &RecordId) -> Result<Option<Arc<[u8]>>, StorageError> {
        Ok(self.records.get(id).map(|row| Arc::clone(&row.body.encoded)))
    }

    fn write_record(&mut self, held: &HeldRecord, encoded: &Arc<[u8]>) -> Result<(), StorageError> {
        let HeldRecord { id, key, kind, publisher, sequence, size, tombstone, .. } = *held;
        let body = Body { id, key, kind, publisher, sequence, tombstone, size, encoded: Arc::clone(encoded) };
        let body = match &self.bodies {
            Some(pool) => pool.pooled(body),
            None => Arc::new(body),
        };
        let HeldRecord { received, expires, keep_until, welcome, work, group, .. } = *held;
        self.records.replace(Row { body, received, expires, keep_until, welcome, work, group });
        Ok(())
    }

    fn remove_record(&mut self, id: &RecordId) -> Result<(), StorageError> {
        self.records.remove(id);
        Ok(())
    }

    fn deleted_records(&self) -> Result<Vec<DeletedRecord>, StorageError> {
        Ok(self.deletions.values().cloned().collect())
    }

    fn write_deletion(&mut self, deleted: &DeletedRecord) -> Result<(), StorageError> {
        self.deletions.insert((deleted.key, deleted.id), deleted.clone());
        Ok(())
    }

    fn remove_deletion(&mut self, key: &RecordKey, id: &RecordId) -> Result<(), StorageError> {
        self.deletions.remove(&(*key, *id));
        Ok(())
    }
}

impl PeerStore for MemoryStore {
    fn known_peers(&self) -> Result<Vec<Peer>, StorageError> {
        let mut peers: Vec<&(Peer, UnixSeconds)> = self.peers.values().collect();
        peers.sort_by_key(|(peer, at)| (Reverse(*at), peer.key()));
        Ok(peers.into_iter().map(|(peer, _)| peer.clone()).collect())
    }

    fn write_peer(&mut self, peer: &Peer, at: UnixSeconds) -> Result<(), StorageError> {
        self.peers.insert(peer.key(), (peer.clone(), at));
        Ok(())
    }

    fn remove_peer(&mut self, key: &NodeKey) -> Result<(), StorageError> {
        self.peers.remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Harness};

    impl Harness for MemoryStore {
        type Store = Self;

        fn store(&mut self) -> &mut Self {
            self
        }

        fn reopen(&mut self) {
            *self = self.clone();
        }
    }

    #[test]
    fn conforms() {
        conformance::check(MemoryStore::default);
    }
}
