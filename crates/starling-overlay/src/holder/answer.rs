//! What a holder answers: fetch, query, prove.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use starling_proto::frame::FrameKind;
use starling_proto::ids::{RecordId, RecordKey};
use starling_proto::limits as proto_limits;
use starling_proto::message::{Matches, Proof, Prove, Query};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Now;

use super::index::Entry;
use super::{Holder, Tools, chance, limits, work};
use crate::group::AddressGroup;
use crate::storage::{RecordStore, StorageError};

/// Bytes around a record in an answer: a tag of one byte and a length of three.
const AROUND_RECORD: usize = 4;
/// Bytes of an answer's other fields.
const AROUND_ANSWER: usize = 16;

/// Which records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Where they are kept.
    pub key: RecordKey,
    /// Which kind.
    pub kind: RecordKind,
    /// How many; more than [`proto_limits::ANSWER_RECORDS`] count as that.
    pub count: usize,
    /// Bytes that the other parts of the frame, its peers, will take.
    pub reserved: usize,
}

/// The records of one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// As many as were asked for and fit.
    pub records: Vec<Record>,
    /// How many more there are.
    pub left_out: u32,
}

/// An entry that matches a query.
struct Match {
    words: usize,
    group: AddressGroup,
    id: RecordId,
}

/// Collects records until they would not fit into a frame.
struct Answer {
    records: Vec<Record>,
    count: usize,
    room: usize,
}

impl Holder {
    /// The records of one kind under a key. Deposits: those with leave first, the oldest first, so that an owner who
    /// deletes what it has read comes to all of them. Others: the highest sequence first; one for each publisher.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn fetch(
        &mut self,
        now: Now,
        store: &dyn RecordStore,
        wanted: Wanted,
    ) -> Result<Found, StorageError> {
        let mut rows: Vec<_> = self.live(now, wanted.key, wanted.kind).map(|entry| &entry.held).collect();
        if wanted.kind == RecordKind::Deposit {
            rows.sort_by_key(|held| (Reverse(held.welcome), held.received, held.id));
        } else {
            // Deletions last: they are not to take the places of what is alive.
            rows.sort_by_key(|held| (held.tombstone, Reverse(held.sequence), held.id));
        }
        let all = rows.len();
        let ids: Vec<(RecordId, u32)> = rows.iter().map(|held| (held.id, held.size)).collect();
        work::add(&mut self.work.rows, all);
        let mut answer = Answer::new(FrameKind::Records, wanted.count, wanted.reserved);
        let mut unreadable: usize = 0;
        for (id, size) in ids {
            if !answer.has_room(size) {
                continue;
            }
            match self.read(store, &id)? {
                Some(record) => answer.push(record, size),
                None => unreadable = unreadable.saturating_add(1),
            }
        }
        let left_out = all.saturating_sub(answer.records.len()).saturating_sub(unreadable);
        Ok(Found { records: answer.records, left_out: u32::try_from(left_out).unwrap_or(u32::MAX) })
    }

    /// These deposits of one mailbox, as many as fit into an answer, and how many more of them are here.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub(super) fn take(
        &mut self,
        now: Now,
        store: &dyn RecordStore,
        key: RecordKey,
        ids: &[RecordId],
    ) -> Result<Found, StorageError> {
        let mut answer = Answer::new(FrameKind::Records, proto_limits::ANSWER_RECORDS, 0);
        let mut left_out: u32 = 0;
        for id in ids.iter().take(proto_limits::RECORD_IDS) {
            let entry = self.index.get(id).filter(|entry| {
                let held = &entry.held;
                held.key == key && held.kind == RecordKind::Deposit && !self.clock.is_over(now, entry.life())
            });
            let Some(size) = entry.map(|entry| entry.held.size) else { continue };
            if !answer.has_room(size) {
                left_out = left_out.saturating_add(1);
            } else if let Some(record) = self.read(store, id)? {
                answer.push(record, size);
            }
        }
        work::add(&mut self.work.rows, ids.len());
        Ok(Found { records: answer.records, left_out })
    }

    /// The directory entries under a key that match the most words. Among equals every group of addresses has its
    /// first entry before any has its second, in random order: one source cannot fill the answer. Of a very full key
    /// [`limits::QUERY_SCAN`] random entries are read, and what is left out is an estimate.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn query(&mut self, now: Now, tools: &mut Tools<'_>, query: &Query) -> Result<Matches, StorageError> {
        let rows = self.live(now, query.key, RecordKind::Directory).filter(|entry| !entry.held.tombstone);
        let mut rows: Vec<(RecordId, AddressGroup)> = rows.map(|e| (e.held.id, e.held.group)).collect();
        let all = rows.len();
        chance::draw(tools.rng, &mut rows, all);
        rows.truncate(limits::QUERY_SCAN);
        let scanned = rows.len();
        work::add(&mut self.work.rows, all);
        work::add(&mut self.work.compared, scanned);
        let mut matches = Vec::new();
        for (id, group) in rows {
            let Some(record) = self.read(tools.store, &id)? else { continue };
            let words = tools.verify.matched_words(&record, &query.words);
            if words > 0 {
                matches.push(Match { words, group, id });
            }
        }
        let matched = matches.len().saturating_mul(all).checked_div(scanned).unwrap_or(0);
        let mut answer = Answer::new(FrameKind::Matches, usize::from(query.count), 0);
        for id in ranked(matches) {
            let size = self.index.get(&id).map_or(0, |entry| entry.held.size);
            if !answer.has_room(size) {
                break;
            }
            if let Some(record) = self.read(tools.store, &id)? {
                answer.push(record, size);
            }
        }
        let left_out = u32::try_from(matched.saturating_sub(answer.records.len())).unwrap_or(u32::MAX);
        Ok(Matches { records: answer.records, left_out })
    }

    /// Shows that a record is held, or says that it is not, and whether because its owner has deleted it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn prove(&mut self, store: &dyn RecordStore, prove: &Prove) -> Result<Proof, StorageError> {
        if self.index.get(&prove.record).is_none() {
            let deleted = self.deletions.contains_any(prove.record);
            return Ok(if deleted { Proof::Deleted } else { Proof::Missing });
        }
        let record = self.read(store, &prove.record)?;
        Ok(record.map_or(Proof::Missing, |record| Proof::Held(record.proof(&prove.nonce))))
    }

    /// The rows of one kind under a key that are not over.
    pub(super) fn live(&self, now: Now, key: RecordKey, kind: RecordKind) -> impl Iterator<Item = &Entry> {
        self.index.at(key, kind).filter(move |entry| !self.clock.is_over(now, entry.life()))
    }
}

impl Answer {
    fn new(kind: FrameKind, count: usize, reserved: usize) -> Self {
        let room = kind.cap().saturating_sub(AROUND_ANSWER).saturating_sub(reserved);
        Self { records: Vec::new(), count: count.min(proto_limits::ANSWER_RECORDS), room }
    }

    fn has_room(&self, size: u32) -> bool {
        self.records.len() < self.count && in_frame(size) <= self.room
    }

    fn push(&mut self, record: Record, size: u32) {
        self.room = self.room.saturating_sub(in_frame(size));
        self.records.push(record);
    }
}

/// What a record takes up in a frame, in bytes.
fn in_frame(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX).saturating_add(AROUND_RECORD)
}

/// Most words first; then the first of each group, then the second of each. Keeps the order of equals.
fn ranked(mut matches: Vec<Match>) -> impl Iterator<Item = RecordId> {
    matches.sort_by_key(|found| Reverse(found.words));
    let mut seen: BTreeMap<(usize, AddressGroup), usize> = BTreeMap::new();
    let mut ranks: Vec<(Reverse<usize>, usize, RecordId)> = Vec::with_capacity(matches.len());
    for found in matches {
        let nth = seen.entry((found.words, found.group)).or_default();
        ranks.push((Reverse(found.words), *nth, found.id));
        *nth = nth.saturating_add(1);
    }
    ranks.sort_by_key(|(words, nth, _)| (*words, *nth));
    ranks.into_iter().map(|(_, _, id)| id)
}
