//! What a holder does with the records of others: keeps, answers, forgets (docs/protocol/holding.md).
//!
//! [`Holder`] keeps an index in memory; bodies stay on disk. It checks what is cheap before what is dear, changes
//! nothing before the signature is checked, and every quota of it has one rule: whoever takes up most goes first.

mod answer;
pub(crate) mod chance;
mod clock;
mod deletions;
mod handover;
mod index;
pub mod limits;
mod owner;
mod room;
mod subscriptions;
mod sweep;
mod tally;
mod turnover;
mod work;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::ids::{MailboxAddress, NodeKey, RecordId};
use starling_proto::message::StoreOutcome;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Now;

pub use answer::{Found, Wanted};
pub use handover::{Handover, HandoverCursor, HandoverRow};
pub use sweep::Swept;
pub use turnover::Turnover;
pub use work::Work;

use self::clock::ClockCheck;
use self::deletions::Deletions;
use self::index::{Index, Pool};
use self::room::{Bounds, Newcomer, Verdict};
use self::subscriptions::Subscriptions;
use crate::group::AddressGroup;
use crate::storage::{HeldRecord, RecordStore, StorageError};
use crate::verify::Verify;

/// What a holder is told at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderConfig {
    /// Our own node key: owners sign for one holder.
    pub node: NodeKey,
    /// Bytes of disk for the records of others; [`limits::DISK`] unless the user says otherwise. If more is held already,
    /// nothing is thrown away for it: nothing new comes until so much is over, fetched or deleted.
    pub disk: u64,
}

impl HolderConfig {
    /// The default bounds for this node.
    #[must_use]
    pub const fn new(node: NodeKey) -> Self {
        Self { node, disk: limits::DISK }
    }
}

/// What a holder works with during one call.
pub struct Tools<'a> {
    /// The disk.
    pub store: &'a mut dyn RecordStore,
    /// Who knows about signatures.
    pub verify: &'a dyn Verify,
    /// Chance: ties among those who could go, and the order of equal matches.
    pub rng: &'a mut dyn CryptoRng,
}

/// A record that somebody asks us to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The record.
    pub record: Record,
    /// Whether its key is one for which we are plausibly a holder.
    pub near: bool,
    /// Who hands it to us.
    pub from: AddressGroup,
}

/// What became of an [`Offer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The answer.
    pub outcome: StoreOutcome,
    /// Subscribed owners that want to hear of a new deposit.
    pub notify: Vec<Notice>,
}

/// An owner to be told that something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The peer that subscribed.
    pub to: NodeKey,
    /// The mailbox.
    pub address: MailboxAddress,
}

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Records, those included that only bar older versions.
    pub records: usize,
    /// What deposits with their owner's leave count, in bytes.
    pub welcome_bytes: u64,
    /// What everything else counts, in bytes.
    pub open_bytes: u64,
    /// The bound on each of the two, in bytes; more is held only where the user has lowered it since.
    pub pool_bytes: u64,
    /// Deletions that are remembered.
    pub deletions: usize,
    /// Rows that could not be read and await removal.
    pub damaged: usize,
}

impl Usage {
    /// Whether one of the pools is so near to its bound, or beyond it, that the smallest record finds no room: it is
    /// refused, or others make way.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let fuller = self.welcome_bytes.max(self.open_bytes);
        fuller.saturating_add(limits::LEAST_CHARGE) > self.pool_bytes
    }
}

/// Keeps the records of others.
#[derive(Debug)]
pub struct Holder {
    config: HolderConfig,
    bounds: Bounds,
    index: Index,
    deletions: Deletions,
    subscriptions: Subscriptions,
    clock: ClockCheck,
    damaged: BTreeSet<RecordId>,
    work: Work,
    turnover: Turnover,
    /// Whether the disk beneath has no room.
    full: bool,
}

/// How an offered version stands to what is held.
enum Succession {
    Known(StoreOutcome),
    New,
    Replaces(RecordId),
}

impl Holder {
    /// Reads the index from disk. Subscriptions are gone: owners subscribe again when they connect.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn load(config: HolderConfig, store: &dyn RecordStore, now: Now) -> Result<Self, StorageError> {
        let mut index = Index::default();
        for held in store.held_records()? {
            index.insert(held, now);
        }
        let mut deletions = Deletions::default();
        for deleted in store.deleted_records()? {
            deletions.insert(&deleted, now);
        }
        Ok(Self {
            config,
            bounds: Bounds::of_disk(config.disk),
            index,
            deletions,
            subscriptions: Subscriptions::default(),
            clock: ClockCheck::default(),
            damaged: BTreeSet::new(),
            work: Work::default(),
            turnover: Turnover::default(),
            full: false,
        })
    }

    /// Takes a record, or says why not. Checks in the order of their cost: place, dates, versions, quotas, signature.
    ///
    /// # Errors
    /// [`StorageError`] from beneath: then nothing of this machine may be relied upon until it is loaded anew.
    pub fn store(&mut self, now: Now, tools: &mut Tools<'_>, offer: &Offer) -> Result<Stored, StorageError> {
        if !offer.near {
            return Ok(Stored::without_notice(StoreOutcome::NotNear));
        }
        let encoded: Arc<[u8]> = offer.record.encode().into();
        let Some(mut held) = row_of(offer, encoded.len(), now) else {
            return Ok(Stored::without_notice(StoreOutcome::Invalid));
        };
        let old = match self.succession(&held) {
            Succession::Known(outcome) => return Ok(Stored::without_notice(outcome)),
            Succession::New => None,
            Succession::Replaces(id) => self.index.get(&id).map(|entry| entry.held.clone()),
        };
        if old.is_none() && deletes_on_its_word(&held) {
            return Ok(Stored::without_notice(StoreOutcome::Invalid));
        }
        if self.full {
            return Ok(Stored::without_notice(StoreOutcome::NotServing));
        }
        if let Some(old) = &old {
            held.keep_until = held.keep_until.max(old.keep_until);
        }
        let leaving = match self.judge(now, tools, offer, (&held, old.as_ref())) {
            Ok(leaving) => leaving,
            Err(outcome) => return Ok(self.refuse(outcome)),
        };
        self.evict(tools.store, &leaving)?;
        if let Some(old) = old {
            self.forget(tools.store, &old.id)?;
        }
        tools.store.write_record(&held, &encoded)?;
        let notify = self.subscriptions.notices(&held);
        self.turnover.took(&held);
        self.index.insert(held, now);
        Ok(Stored { outcome: StoreOutcome::Stored, notify })
    }

    /// While the disk is full nothing new is taken, and deletions are remembered in memory only: what makes room goes on,
    /// what needs room does not. Not kept across a [`Self::load`].
    pub const fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether the disk is full, as far as we were told.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// What answering has cost so far.
    #[must_use]
    pub const fn work(&self) -> Work {
        self.work
    }

    /// What came and what had to go so far.
    #[must_use]
    pub const fn turnover(&self) -> Turnover {
        self.turnover
    }

    /// How much is held.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            records: self.index.len(),
            welcome_bytes: self.index.tally(Pool::Welcome).total(),
            open_bytes: self.index.tally(Pool::Open).total(),
            pool_bytes: self.bounds.pool,
            deletions: self.deletions.len(),
            damaged: self.damaged.len(),
        }
    }

    /// How the offered version stands to what is held.
    fn succession(&self, held: &HeldRecord) -> Succession {
        if self.deletions.contains(held.key, held.id) {
            return Succession::Known(StoreOutcome::HaveNewer);
        }
        if self.index.get(&held.id).is_some() && !self.damaged.contains(&held.id) {
            return Succession::Known(StoreOutcome::Stored);
        }
        if held.kind == RecordKind::Deposit {
            return Succession::New;
        }
        match self.index.version(held).map(|entry| &entry.held) {
            Some(old) if old.id == held.id || old.sequence < held.sequence => Succession::Replaces(old.id),
            Some(_) => Succession::Known(StoreOutcome::HaveNewer),
            None => Succession::New,
        }
    }

    /// Quotas, then the signature, then who has to go. Changes nothing.
    fn judge(
        &self,
        now: Now,
        tools: &mut Tools<'_>,
        offer: &Offer,
        (held, replaces): (&HeldRecord, Option<&HeldRecord>),
    ) -> Result<Vec<RecordId>, StoreOutcome> {
        let capability = offer.record.capability().filter(|_| held.welcome);
        let leave = capability.map(|leave| u64::from(leave.body().quota_kib).saturating_mul(1024));
        let newcomer = Newcomer { held, replaces, leave };
        let displaced = match self.bounds.admit(&self.index, &newcomer, tools.rng) {
            Verdict::Fits => None,
            Verdict::Displaces(id) => Some(id),
            Verdict::Full => return Err(StoreOutcome::QuotaFull),
        };
        tools.verify.record(&offer.record, now.seconds()).map_err(|_| StoreOutcome::Invalid)?;
        let leaving = self.bounds.clear(&self.index, &newcomer, displaced, tools.rng);
        leaving.ok_or(StoreOutcome::QuotaFull)
    }

    const fn refuse(&mut self, outcome: StoreOutcome) -> Stored {
        if matches!(outcome, StoreOutcome::QuotaFull) {
            self.turnover.refused();
        }
        Stored::without_notice(outcome)
    }

    /// Removes rows that make way for another.
    fn evict(&mut self, store: &mut dyn RecordStore, leaving: &[RecordId]) -> Result<(), StorageError> {
        for id in leaving {
            if let Some(entry) = self.index.get(id) {
                self.turnover.evicted(&entry.held);
            }
            self.forget(store, id)?;
        }
        Ok(())
    }

    /// Removes a row from disk and index.
    fn forget(&mut self, store: &mut dyn RecordStore, id: &RecordId) -> Result<(), StorageError> {
        store.remove_record(id)?;
        self.index.remove(id);
        self.damaged.remove(id);
        Ok(())
    }

    /// Reads a record. A row that is missing or is not what was written counts as not held: it is marked, and the
    /// next sweep removes it, so that a whole one can take its place.
    fn read(&mut self, store: &dyn RecordStore, id: &RecordId) -> Result<Option<Record>, StorageError> {
        let record = store.read_record(id)?.and_then(|bytes| Record::decode(&bytes).ok());
        let record = record.filter(|record| record.id() == *id);
        if record.is_none() && self.index.get(id).is_some() {
            self.damaged.insert(*id);
        }
        Ok(record)
    }
}

impl Stored {
    const fn without_notice(outcome: StoreOutcome) -> Self {
        Self { outcome, notify: Vec::new() }
    }
}

/// The row of an offered record; `None` if its dates, or its being a tombstone, cannot be.
fn row_of(offer: &Offer, size: usize, now: Now) -> Option<HeldRecord> {
    let body = offer.record.body();
    let deposit = body.kind == RecordKind::Deposit;
    // Deposits have no versions that a tombstone could end: their owner deletes them.
    if deposit && body.tombstone {
        return None;
    }
    let received = now.seconds();
    let expires = clock::end_of(body, received)?;
    let welcome = deposit && offer.record.capability().is_some();
    // A stamp where none is needed is not checked, so it counts for nothing.
    let stamped = body.kind.needs_stamp() || (deposit && !welcome);
    let work = offer.record.stamp().filter(|_| stamped).map_or(0, |stamp| stamp.bits);
    Some(HeldRecord {
        id: offer.record.id(),
        key: body.key,
        kind: body.kind,
        publisher: body.publisher,
        sequence: body.sequence,
        size: u32::try_from(size).ok()?,
        received,
        expires,
        keep_until: expires,
        tombstone: body.tombstone,
        welcome,
        work,
        group: offer.from,
    })
}

/// Whether a deletion shows nothing but its publisher's word: who may publish these kinds is said by the payload, which a
/// deletion has none of. It counts in place of a record of the same publisher, which was checked when it came; alone
/// anybody could fill any key with such deletions.
fn deletes_on_its_word(held: &HeldRecord) -> bool {
    held.tombstone && matches!(held.kind, RecordKind::Account | RecordKind::Directory)
}
