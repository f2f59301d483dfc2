//! Storage in memory: for tests and for simulations.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use starling_crypto::session::Tombstone;
use starling_overlay::memory::{BodyPool, MemoryStore as OverlayMemory};
use starling_overlay::storage::{DeletedRecord, HeldRecord, PeerStore, RecordStore};
use starling_proto::addr::Peer;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, NodeKey, RecordId, RecordKey, SessionId};
use starling_proto::time::UnixSeconds;

use crate::storage::{
    ChainPlace, ChangeOf, ContactRow, ContactStore, Mailed, MessageRow, MessageState, MessageStatus,
    MessageStore, OutboxRow, OutboxStore, SeenStore, SessionStore, Slot, SlotStore, StorageError, TraceRow,
    TraceStore,
};
use crate::words;

/// Keeps everything until it is dropped. A clone is a copy of the disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    overlay: OverlayMemory,
    slots: BTreeMap<Slot, Vec<u8>>,
    contacts: BTreeMap<AccountKey, ContactRow>,
    sessions: BTreeMap<(DeviceKey, SessionId), Vec<u8>>,
    tombstones: BTreeMap<(DeviceKey, SessionId), Tombstone>,
    messages: BTreeMap<MessageId, MessageRow>,
    outbox: BTreeMap<u64, OutboxRow>,
    trace: BTreeMap<MessageId, Vec<TraceRow>>,
    seen: BTreeMap<[u8; 32], UnixSeconds>,
    writes_left: Option<u64>,
}

impl MemoryStore {
    /// What holders of one record know alike is kept where this pool says, by all who share it.
    pub fn share_bodies(&mut self, pool: Arc<dyn BodyPool>) {
        self.overlay.share_bodies(pool);
    }

    /// After so many more writes every further one fails with [`StorageError::Full`], until this is called again; `None`
    /// for a disk without end, which is where a store begins. What is removed needs no room.
    pub const fn set_room(&mut self, writes: Option<u64>) {
        self.writes_left = writes;
    }

    fn need_room(&mut self) -> Result<(), StorageError> {
        if let Some(left) = &mut self.writes_left {
            *left = left.checked_sub(1).ok_or(StorageError::Full)?;
        }
        Ok(())
    }
}

impl SlotStore for MemoryStore {
    fn read_slot(&self, slot: Slot) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.slots.get(&slot).cloned())
    }

    fn write_slot(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), StorageError> {
        self.need_room()?;
        self.slots.insert(slot, bytes.to_vec());
        Ok(())
    }
}

impl RecordStore for MemoryStore {
    fn held_records(&self) -> Result<Vec<HeldRecord>, StorageError> {
        self.overlay.held_records()
    }

    fn read_record(&self, id: &RecordId) -> Result<Option<Arc<[u8]>>, StorageError> {
        self.overlay.read_record(id)
    }

    fn write_record(&mut self, held: &HeldRecord, encoded: &Arc<[u8]>) -> Result<(), StorageError> {
        self.need_room()?;
        self.overlay.write_record(held, encoded)
    }

    fn remove_record(&mut self, id: &RecordId) -> Result<(), StorageError> {
        self.overlay.remove_record(id)
    }

    fn deleted_records(&self) -> Result<Vec<DeletedRecord>, StorageError> {
        self.overlay.deleted_records()
    }

    fn write_deletion(&mut self, deleted: &DeletedRecord) -> Result<(), StorageError> {
        self.need_room()?;
        self.overlay.write_deletion(deleted)
    }

    fn remove_deletion(&mut self, key: &RecordKey, id: &RecordId) -> Result<(), StorageError> {
        self.overlay.remove_deletion(key, id)
    }
}

impl PeerStore for MemoryStore {
    fn known_peers(&self) -> Result<Vec<Peer>, StorageError> {
        self.overlay.known_peers()
    }

    fn write_peer(&mut self, peer: &Peer, at: UnixSeconds) -> Result<(), StorageError> {
        self.need_room()?;
        self.overlay.write_peer(peer, at)
    }

    fn remove_peer(&mut self, key: &NodeKey) -> Result<(), StorageError> {
        self.overlay.remove_peer(key)
    }
}

impl ContactStore for MemoryStore {
    fn contacts(&self) -> Result<Vec<ContactRow>, StorageError> {
        Ok(self.contacts.values().cloned().collect())
    }

    fn write_contact(&mut self, row: &ContactRow) -> Result<(), StorageError> {
        self.need_room()?;
        self.contacts.insert(row.account, row.clone());
        Ok(())
    }

    fn remove_contact(&mut self, account: &AccountKey) -> Result<(), StorageError> {
        self.contacts.remove(account);
        Ok(())
    }
}

impl SessionStore for MemoryStore {
    fn sessions(&self, device: &DeviceKey) -> Result<Vec<Vec<u8>>, StorageError> {
        let of_device = self.sessions.iter().filter(|((of, _), _)| of == device);
        Ok(of_device.map(|(_, bytes)| bytes.clone()).collect())
    }

    fn write_session(
        &mut self,
        device: &DeviceKey,
        session: &SessionId,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        self.need_room()?;
        self.sessions.insert((*device, *session), bytes.to_vec());
        Ok(())
    }

    fn remove_session(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError> {
        self.sessions.remove(&(*device, *session));
        Ok(())
    }

    fn tombstones(&self, device: &DeviceKey) -> Result<Vec<Tombstone>, StorageError> {
        let of_device = self.tombstones.iter().filter(|((of, _), _)| of == device);
        Ok(of_device.map(|(_, tombstone)| *tombstone).collect())
    }

    fn write_tombstone(&mut self, device: &DeviceKey, tombstone: &Tombstone) -> Result<(), StorageError> {
        self.need_room()?;
        self.tombstones.insert((*device, tombstone.session), *tombstone);
        Ok(())
    }

    fn remove_tombstone(&mut self, device: &DeviceKey, session: &SessionId) -> Result<(), StorageError> {
        self.tombstones.remove(&(*device, *session));
        Ok(())
    }
}

impl MessageStore for MemoryStore {
    fn message(&self, id: &MessageId) -> Result<Option<MessageRow>, StorageError> {
        Ok(self.messages.get(id).cloned())
    }

    fn write_message(&mut self, row: &MessageRow) -> Result<(), StorageError> {
        self.need_room()?;
        self.messages.insert(row.id, row.clone());
        Ok(())
    }

    fn message_status(&self, id: &MessageId) -> Result<Option<MessageStatus>, StorageError> {
        let status = |row: &MessageRow| MessageStatus {
            conversation: row.conversation,
            mine: row.mine,
            state: row.state,
        };
        Ok(self.messages.get(id).map(status))
    }

    fn set_message_state(&mut self, id: &MessageId, state: MessageState) -> Result<(), StorageError> {
        self.need_room()?;
        if let Some(row) = self.messages.get_mut(id) {
            row.state = state;
        }
        Ok(())
    }

    fn messages(
        &self,
        conversation: &AccountKey,
        before: Option<u64>,
        limit: usize,
        text: Option<&str>,
    ) -> Result<Vec<MessageRow>, StorageError> {
        let sought = text.map(words::searchable);
        let holds = |row: &MessageRow, sought: &str| {
            !sought.is_empty() && row.lives.is_none() && words::searchable(&row.text).contains(sought)
        };
        let wanted = |row: &&MessageRow| {
            row.conversation == *conversation
                && row.kind.is_shown()
                && before.is_none_or(|before| row.position < before)
                && sought.as_ref().is_none_or(|sought| holds(row, sought))
        };
        let mut rows: Vec<MessageRow> = self.messages.values().filter(wanted).cloned().collect();
        rows.sort_by_key(|row| row.position);
        let extra = rows.len().saturating_sub(limit);
        Ok(rows.split_off(extra))
    }

    fn last_changes(&self, of: &ChangeOf) -> Result<Vec<MessageRow>, StorageError> {
        let meant = |row: &&MessageRow| {
            let (about, conversation, mine, kind) = (of.message, of.conversation, of.mine, of.kind);
            (row.about, row.conversation, row.mine, row.kind) == (Some(about), conversation, mine, kind)
        };
        let mut rows: Vec<MessageRow> = self.messages.values().filter(meant).cloned().collect();
        rows.sort_by_key(|row| Reverse((row.position, row.id)));
        rows.truncate(2);
        Ok(rows)
    }

    fn ended(&self, by: UnixSeconds, limit: usize) -> Result<Vec<MessageRow>, StorageError> {
        let past = |row: &&MessageRow| row.ends.is_some_and(|ends| ends <= by);
        let mut rows: Vec<MessageRow> = self.messages.values().filter(past).cloned().collect();
        rows.sort_by_key(|row| (row.ends, row.id));
        rows.truncate(limit);
        Ok(rows)
    }

    fn next_end(&self) -> Result<Option<UnixSeconds>, StorageError> {
        Ok(self.messages.values().filter_map(|row| row.ends).min())
    }

    fn is_taken(&self, conversation: &AccountKey, position: u64) -> Result<bool, StorageError> {
        Ok(self.of_conversation(conversation).any(|row| row.position == position))
    }

    fn chain_heads(&self, conversation: &AccountKey) -> Result<Vec<ChainPlace>, StorageError> {
        let mut heads: BTreeMap<DeviceKey, ChainPlace> = BTreeMap::new();
        for place in self.of_conversation(conversation).map(ChainPlace::from) {
            let head = heads.entry(place.author).or_insert(place);
            if head.sequence < place.sequence {
                *head = place;
            }
        }
        Ok(heads.into_values().collect())
    }

    fn chain_until(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError> {
        let chain = self.of_conversation(conversation).filter(|row| row.author == *author);
        let until = chain.filter(|row| row.sequence <= sequence);
        // Of equals the first is taken: rows are walked by their ids.
        Ok(until.min_by_key(|row| Reverse(row.sequence)).map(ChainPlace::from))
    }

    fn chain_beyond(
        &self,
        conversation: &AccountKey,
        author: &DeviceKey,
        sequence: u64,
    ) -> Result<Option<ChainPlace>, StorageError> {
        let chain = self.of_conversation(conversation).filter(|row| row.author == *author);
        let beyond = chain.filter(|row| row.sequence > sequence);
        Ok(beyond.min_by_key(|row| row.sequence).map(ChainPlace::from))
    }
}

impl MemoryStore {
    fn of_conversation(&self, conversation: &AccountKey) -> impl Iterator<Item = &MessageRow> {
        self.messages.values().filter(move |row| row.conversation == *conversation)
    }
}

impl OutboxStore for MemoryStore {
    fn outbox(&self) -> Result<Vec<OutboxRow>, StorageError> {
        Ok(self.outbox.values().cloned().collect())
    }

    fn write_outbox(&mut self, row: &OutboxRow) -> Result<(), StorageError> {
        self.need_room()?;
        self.outbox.insert(row.number, row.clone());
        Ok(())
    }

    fn set_mailed(&mut self, number: u64, mailed: Option<Mailed>) -> Result<(), StorageError> {
        if let Some(row) = self.outbox.get_mut(&number) {
            row.mailed = mailed;
        }
        Ok(())
    }

    fn remove_outbox(&mut self, number: u64) -> Result<(), StorageError> {
        self.outbox.remove(&number);
        Ok(())
    }
}

impl TraceStore for MemoryStore {
    fn trace(&self, message: &MessageId) -> Result<Vec<TraceRow>, StorageError> {
        Ok(self.trace.get(message).cloned().unwrap_or_default())
    }

    fn append_trace(&mut self, row: &TraceRow, most: usize) -> Result<(), StorageError> {
        self.need_room()?;
        if !self.messages.contains_key(&row.message) {
            return Ok(());
        }
        let steps = self.trace.entry(row.message).or_default();
        let of_copy = steps.iter().filter(|step| step.device == row.device);
        let repeats = of_copy.clone().next_back().is_some_and(|last| last.step == row.step);
        if !repeats && of_copy.count() < most {
            steps.push(row.clone());
        }
        Ok(())
    }
}

impl SeenStore for MemoryStore {
    fn note_seen(&mut self, id: &[u8; 32], until: UnixSeconds) -> Result<bool, StorageError> {
        self.need_room()?;
        Ok(self.seen.insert(*id, until).is_none())
    }

    fn forget_seen(&mut self, now: UnixSeconds) -> Result<(), StorageError> {
        self.seen.retain(|_, until| *until > now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_more_and_lets_go() {
        let mut store = MemoryStore::default();
        store.set_room(Some(1));
        store.note_seen(&[1; 32], UnixSeconds::new(1)).unwrap();
        assert_eq!(store.note_seen(&[2; 32], UnixSeconds::new(1)), Err(StorageError::Full));
        store.forget_seen(UnixSeconds::new(2)).unwrap();
        store.set_room(None);
        assert_eq!(store.note_seen(&[1; 32], UnixSeconds::new(1)), Ok(true));
    }
}
