//! What is held, in memory: rows without their bodies, by id and by place, and who takes up how much.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::ops::Bound::{Excluded, Included, Unbounded};

use starling_proto::ids::{PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::{Now, Tick};

use super::clock::Lifetime;
use super::limits;
use super::tally::Tally;
use crate::storage::HeldRecord;

/// A row, and since when this process has watched it. Both orders share one: a peer holds many thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) held: HeldRecord,
    pub(super) since: Tick,
}

impl Entry {
    /// Until when the record is served.
    pub(super) const fn life(&self) -> Lifetime {
        Lifetime { received: self.held.received, since: self.since, end: self.held.expires }
    }

    /// Until when the row bars older versions.
    pub(super) const fn bar(&self) -> Lifetime {
        Lifetime { received: self.held.received, since: self.since, end: self.held.keep_until }
    }
}

/// Where a row stands in the order of hand-overs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) key: RecordKey,
    pub(super) kind: RecordKind,
    pub(super) welcome: bool,
    pub(super) publisher: PublisherKey,
    pub(super) id: RecordId,
}

const FIRST: PublisherKey = PublisherKey::new([0; 32]);
const LAST: PublisherKey = PublisherKey::new([0xff; 32]);

impl Place {
    const fn of(held: &HeldRecord) -> Self {
        let HeldRecord { key, kind, welcome, publisher, id, .. } = *held;
        Self { key, kind, welcome, publisher, id }
    }

    const fn first(key: RecordKey, kind: RecordKind, welcome: bool, publisher: PublisherKey) -> Self {
        Self { key, kind, welcome, publisher, id: RecordId::new([0; 32]) }
    }

    const fn last(key: RecordKey, kind: RecordKind, welcome: bool, publisher: PublisherKey) -> Self {
        Self { key, kind, welcome, publisher, id: RecordId::new([0xff; 32]) }
    }
}

/// Deposits with the owner's leave and everything else have half of the disk each, so that neither crowds out the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Deposits with leave.
    Welcome,
    /// What strangers may publish.
    Open,
}

impl Pool {
    pub(super) const fn of(held: &HeldRecord) -> Self {
        if held.welcome { Self::Welcome } else { Self::Open }
    }
}

/// What a row counts against every quota, in bytes.
pub(super) fn charge(held: &HeldRecord) -> u64 {
    u64::from(held.size).max(limits::LEAST_CHARGE)
}

/// A row in the order of the ids.
#[derive(Debug)]
struct ById(Arc<Entry>);

/// A row in the order of the places.
#[derive(Debug)]
struct ByPlace(Arc<Entry>);

impl Borrow<RecordId> for ById {
    fn borrow(&self) -> &RecordId {
        &self.0.held.id
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.held.id.cmp(&other.0.held.id)
    }
}

/// What has a place: a row, or one of the ends between which rows are looked for.
trait Placed {
    fn place(&self) -> Place;
}

impl Placed for Place {
    fn place(&self) -> Place {
        *self
    }
}

impl Placed for ByPlace {
    fn place(&self) -> Place {
        Place::of(&self.0.held)
    }
}

impl<'a> Borrow<dyn Placed + 'a> for ByPlace {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl Ord for ByPlace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

macro_rules! compared_by_their_order {
    ($($what:ty),*) => {$(
        impl PartialOrd for $what {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $what {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $what {}
    )*};
}

compared_by_their_order!(ById, ByPlace, dyn Placed + '_);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    rows: BTreeSet<ById>,
    places: BTreeSet<ByPlace>,
    publishers: BTreeMap<PublisherKey, u64>,
    mailboxes: BTreeMap<RecordKey, u64>,
    welcome: Tally,
    open: Tally,
}

impl Index {
    pub(super) fn insert(&mut self, held: HeldRecord, now: Now) {
        self.remove(&held.id);
        let amount = charge(&held);
        let has = self.publishers.entry(held.publisher).or_default();
        *has = has.saturating_add(amount);
        if held.welcome {
            let has = self.mailboxes.entry(held.key).or_default();
            *has = has.saturating_add(amount);
        }
        self.tally_mut(Pool::of(&held)).add(held.group, amount);
        let entry = Arc::new(Entry { held, since: now.tick });
        self.places.insert(ByPlace(Arc::clone(&entry)));
        self.rows.insert(ById(entry));
    }

    pub(super) fn remove(&mut self, id: &RecordId) {
        let Some(ById(entry)) = self.rows.take(id) else { return };
        let held = &entry.held;
        let amount = charge(held);
        self.places.remove(&Place::of(held) as &dyn Placed);
        take(&mut self.publishers, &held.publisher, amount);
        if held.welcome {
            take(&mut self.mailboxes, &held.key, amount);
        }
        self.tally_mut(Pool::of(held)).take(&held.group, amount);
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Entry> {
        self.rows.get(id).map(|row| &*row.0)
    }

    /// Every row, in the order of the ids.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Entry> {
        self.rows.iter().map(|row| &*row.0)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of one kind under one key, by publisher.
    pub(super) fn at(&self, key: RecordKey, kind: RecordKind) -> impl Iterator<Item = &Entry> {
        self.between(&Place::first(key, kind, false, FIRST), &Place::last(key, kind, true, LAST))
    }

    /// Those of them that came without the owner's leave.
    pub(super) fn strangers_at(&self, key: RecordKey, kind: RecordKind) -> impl Iterator<Item = &HeldRecord> {
        let ends = (Place::first(key, kind, false, FIRST), Place::last(key, kind, false, LAST));
        self.between(&ends.0, &ends.1).map(|entry| &entry.held)
    }

    /// How many these are.
    pub(super) fn count_strangers(&self, key: RecordKey, kind: RecordKind) -> usize {
        self.strangers_at(key, kind).count()
    }

    /// The version that is held of a record that has only one.
    pub(super) fn version(&self, held: &HeldRecord) -> Option<&Entry> {
        let from = Place::first(held.key, held.kind, held.welcome, held.publisher);
        let to = Place::last(held.key, held.kind, held.welcome, held.publisher);
        self.between(&from, &to).max_by_key(|entry| entry.held.sequence)
    }

    /// The rows after a place, in the order of the keys.
    pub(super) fn after(&self, place: Option<&Place>) -> impl Iterator<Item = (Place, &Entry)> {
        let from = place.map_or(Unbounded, |place| Excluded(place as &dyn Placed));
        let rows = self.places.range::<dyn Placed, _>((from, Unbounded));
        rows.map(|row| (row.place(), &*row.0))
    }

    fn between(&self, from: &Place, to: &Place) -> impl Iterator<Item = &Entry> + use<'_> {
        let ends = (Included(from as &dyn Placed), Included(to as &dyn Placed));
        self.places.range::<dyn Placed, _>(ends).map(|row| &*row.0)
    }

    /// What a publisher takes up, in bytes.
    pub(super) fn of_publisher(&self, publisher: &PublisherKey) -> u64 {
        self.publishers.get(publisher).copied().unwrap_or(0)
    }

    /// What deposits with leave take up at a mailbox, in bytes.
    pub(super) fn of_mailbox(&self, key: &RecordKey) -> u64 {
        self.mailboxes.get(key).copied().unwrap_or(0)
    }

    /// Who takes up how much of a pool.
    pub(super) const fn tally(&self, pool: Pool) -> &Tally {
        match pool {
            Pool::Welcome => &self.welcome,
            Pool::Open => &self.open,
        }
    }

    const fn tally_mut(&mut self, pool: Pool) -> &mut Tally {
        match pool {
            Pool::Welcome => &mut self.welcome,
            Pool::Open => &mut self.open,
        }
    }
}

fn take<K: Ord>(amounts: &mut BTreeMap<K, u64>, key: &K, amount: u64) {
    let Some(has) = amounts.get_mut(key) else { return };
    *has = has.saturating_sub(amount);
    if *has == 0 {
        amounts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::testing::{Maker, held};

    #[test]
    fn what_is_removed_leaves_no_trace() {
        let mut index = Index::default();
        let rows = [held(&Maker::directory(1).make()), held(&Maker::mail(2, 3).make())];
        for row in &rows {
            index.insert(row.clone(), Now::default());
            index.insert(row.clone(), Now::default());
        }
        assert_eq!((index.len(), index.rows().count()), (2, 2));
        assert_eq!(index.tally(Pool::Open).total(), limits::LEAST_CHARGE);
        assert_eq!(index.of_mailbox(&rows[1].key), limits::LEAST_CHARGE);
        for row in &rows {
            index.remove(&row.id);
        }
        assert_eq!(index, Index::default());
    }
}
