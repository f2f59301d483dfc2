//! The storage traits in memory, for tests and simulations.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, RecordId, RecordKey};
use starling_proto::time::UnixSeconds;

use crate::storage::{DeletedRecord, HeldRecord, PeerStore, RecordStore, StorageError};

/// Keeps everything in memory. A clone shares the bodies, so that what a simulated peer has on its "disk" when it
/// restarts costs no second copy; a simulator that hands the same `Arc` to many stores keeps the bytes once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    records: BTreeMap<RecordId, (HeldRecord, Arc<[u8]>)>,
    deletions: BTreeMap<(RecordKey, RecordId), DeletedRecord>,
    peers: BTreeMap<NodeKey, (Peer, UnixSeconds)>,
}

impl RecordStore for MemoryStore {
    fn held_records(&self) -> Result<Vec<HeldRecord>, StorageError> {
        Ok(self.records.values().map(|(held, _)| held.clone()).collect())
    }

    fn read_record(&self, id: &RecordId) -> Result<Option<Arc<[u8]>>, StorageError> {
        Ok(self.records.get(id).map(|(_, encoded)| Arc::clone(encoded)))
    }

    fn write_record(&mut self, held: &HeldRecord, encoded: &Arc<[u8]>) -> Result<(), StorageError> {
        self.records.insert(held.id, (held.clone(), Arc::clone(encoded)));
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
