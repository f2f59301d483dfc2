//! The routing table: which servers we know, closest best (Maymounkov and Mazières, "Kademlia", 2002).
//!
//! A contact enters when it has answered us, never on hearsay. Old contacts stay as long as they answer: a flood of
//! fresh identities finds no room. Of one address group only so many stand in a bucket.

mod bucket;
mod contact;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::{Span, Tick};

use self::bucket::{Bucket, Caps};
pub use self::contact::Contact;
use crate::config::TableConfig;
use crate::group::AddressGroup;
use crate::leading::closer;

/// Nobody has answered for this long: it is rather our own connection that is down than everybody else.
const OFFLINE_AFTER: Span = Span::from_secs(60);

/// The servers we know, in buckets by the number of leading bits that they share with us.
#[derive(Debug, Clone)]
pub struct Table {
    me: NodeId,
    config: TableConfig,
    buckets: Vec<Bucket>,
    len: usize,
    last_heard: Tick,
    /// Whether contacts beyond the caps may have entered.
    crowded: bool,
    /// Whether there are address groups enough to fill a bucket within the caps. Counting them at every offer was a
    /// sixteenth of all that a simulated node does.
    scattered: bool,
}

/// Who entered the table and who left it by one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The newcomer.
    pub added: Option<NodeKey>,
    /// The one that went.
    pub removed: Option<NodeKey>,
}

impl Table {
    /// An empty table around `me`.
    #[must_use]
    pub const fn new(me: NodeId, config: TableConfig) -> Self {
        Self {
            me,
            config,
            buckets: Vec::new(),
            len: 0,
            last_heard: Tick::ZERO,
            crowded: false,
            scattered: false,
        }
    }

    /// Number of contacts.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether we know nobody.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Contacts in each bucket, the one of those that share no bit with us first.
    pub fn bucket_sizes(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator {
        self.buckets.iter().map(|bucket| bucket.entries().len())
    }

    /// Every contact, farthest bucket first.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.iter().flat_map(Bucket::entries)
    }

    /// The contact of a key.
    #[must_use]
    pub fn get(&self, key: &NodeKey) -> Option<&Contact> {
        let bucket = self.buckets.get(self.index(&key.node_id()))?;
        bucket.entries().iter().find(|contact| contact.key() == *key)
    }

    /// Whether the peer at this place is a contact.
    #[must_use]
    pub fn has(&self, id: &NodeId) -> bool {
        let bucket = self.buckets.get(self.index(id));
        bucket.is_some_and(|bucket| bucket.entries().iter().any(|contact| contact.id() == id))
    }

    /// Whether a contact, or one that waits for a place, is known at one of this peer's addresses.
    #[must_use]
    pub fn is_at(&self, peer: &Peer) -> bool {
        self.buckets.get(self.index(peer.id())).is_some_and(|bucket| bucket.is_at(peer))
    }

    /// Offers a server that has just answered us.
    pub fn offer(&mut self, contact: Contact) -> Change {
        let index = self.index(contact.id());
        if index >= MAX_BUCKETS {
            return Change::default(); // Ourselves.
        }
        self.last_heard = self.last_heard.max(contact.last_answered());
        if self.buckets.len() <= index {
            self.buckets.resize_with(index.saturating_add(1), Bucket::default);
        }
        let config = self.config;
        self.scattered &= !self.buckets.get(index).is_some_and(|bucket| bucket.has_elsewhere(&contact));
        let caps = self.caps_for(&contact, index);
        self.crowded |= caps == Caps::Relaxed;
        let change = self
            .buckets
            .get_mut(index)
            .map(|bucket| bucket.offer(contact, caps, &config))
            .unwrap_or_default();
        let change = self.count(change);
        self.scattered = self.scattered || !self.groups_below(config.bucket);
        self.demote_beyond_caps(change)
    }

    /// Whether a contact would enter if it answered.
    #[must_use]
    pub fn would_take(&self, contact: &Contact) -> bool {
        let index = self.index(contact.id());
        match self.buckets.get(index) {
            Some(bucket) => bucket.would_take(contact, self.caps_for(contact, index), &self.config),
            None => index < MAX_BUCKETS,
        }
    }

    /// Notes an answer; false if the peer is no contact.
    pub fn answered(&mut self, key: &NodeKey, now: Tick) -> bool {
        self.last_heard = self.last_heard.max(now);
        let index = self.index(&key.node_id());
        self.buckets.get_mut(index).is_some_and(|bucket| bucket.answered(key, now))
    }

    /// Notes that a peer did not answer.
    pub fn failed(&mut self, key: &NodeKey, now: Tick) -> Change {
        let online = now.since(self.last_heard) < OFFLINE_AFTER;
        let (index, config) = (self.index(&key.node_id()), self.config);
        let change =
            self.buckets.get_mut(index).map(|bucket| bucket.failed(key, online, &config)).unwrap_or_default();
        self.count(change)
    }

    /// Drops a contact.
    pub fn remove(&mut self, key: &NodeKey) -> Change {
        let index = self.index(&key.node_id());
        let change = self.buckets.get_mut(index).map(|bucket| bucket.remove(key)).unwrap_or_default();
        self.count(change)
    }

    /// The `count` contacts closest to `target` that answered when last asked, closest first; those that did not
    /// answer only if there are no others.
    #[must_use]
    pub fn closest(&self, target: &NodeId, count: usize) -> Vec<&Contact> {
        let live = self.closest_where(target, count, |contact| contact.failures() == 0);
        if live.is_empty() { self.closest_where(target, count, |_| true) } else { live }
    }

    /// The contact that should be pinged next: one that failed, else the one silent longest.
    #[must_use]
    pub fn stalest(&self) -> Option<&Contact> {
        self.contacts().min_by_key(|contact| (contact.failures() == 0, contact.last_answered()))
    }

    /// Notes that something near `target` was looked up.
    pub fn looked_up(&mut self, target: &NodeId, now: Tick) {
        let index = self.index(target);
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.looked_up = now;
        }
    }

    /// The bucket in which nothing was looked up for longest, and since when.
    #[must_use]
    pub fn least_looked_up(&self) -> Option<(usize, Tick)> {
        self.buckets
            .iter()
            .enumerate()
            .filter(|(_, bucket)| !bucket.entries().is_empty())
            .map(|(index, bucket)| (index, bucket.looked_up))
            .min_by_key(|(index, since)| (*since, *index))
    }

    /// A random place in bucket `index`: what to look up in order to fill it.
    pub fn place_in(&self, index: usize, rng: &mut dyn CryptoRng) -> NodeId {
        let mut bytes = [0; NodeId::LEN];
        rng.fill_bytes(&mut bytes);
        for (at, (byte, mine)) in bytes.iter_mut().zip(self.me.as_bytes()).enumerate() {
            let shared = index.saturating_sub(at.saturating_mul(8)).min(8);
            // The bits from `shared` on are free, the one at `shared` must differ from ours.
            let free = u8::MAX.checked_shr(u32::try_from(shared).unwrap_or(8)).unwrap_or(0);
            *byte = (mine & !free) | (*byte & free);
            if shared < 8 && at == index / 8 {
                let differing = free & !(free >> 1);
                *byte = (*byte & !differing) | (!mine & differing);
            }
        }
        NodeId::new(bytes)
    }

    /// Leading bits that `id` shares with us, which is its bucket.
    fn index(&self, id: &NodeId) -> usize {
        usize::try_from(self.me.distance(id).shared_bits()).unwrap_or(MAX_BUCKETS)
    }

    /// The caps bind, unless the network has too few address groups to fill one bucket.
    fn caps_for(&self, contact: &Contact, index: usize) -> Caps {
        let room = self.buckets.get(index).is_some_and(|b| b.entries().len() < self.config.bucket);
        let capped = contact.group().caps().next().is_some();
        if room && capped && self.is_in_few_groups() { Caps::Relaxed } else { Caps::Strict }
    }

    /// When the network has grown out of one street, those that entered beyond the caps make way, one at a time.
    fn demote_beyond_caps(&mut self, change: Change) -> Change {
        if !self.crowded || change.removed.is_some() || self.is_in_few_groups() {
            return change;
        }
        let config = self.config;
        let mut demoted = self.buckets.iter_mut().filter_map(|bucket| bucket.demote_one(&config));
        let removed = demoted.next();
        self.crowded = removed.is_some();
        self.count(Change { added: None, removed });
        Change { removed, ..change }
    }

    fn is_in_few_groups(&self) -> bool {
        !self.scattered && self.groups_below(self.config.bucket)
    }

    fn groups_below(&self, enough: usize) -> bool {
        let mut groups: BTreeSet<AddressGroup> = BTreeSet::new();
        for contact in self.contacts() {
            groups.insert(contact.group());
            if groups.len() >= enough {
                return false;
            }
        }
        true
    }

    /// The `count` answering contacts closest to `target` among those that `tell` lets through.
    pub fn closest_among(
        &self,
        target: &NodeId,
        count: usize,
        tell: impl Fn(&Contact) -> bool,
    ) -> Vec<&Contact> {
        self.closest_where(target, count, |contact| contact.failures() == 0 && tell(contact))
    }

    fn closest_where(&self, target: &NodeId, count: usize, keep: impl Fn(&Contact) -> bool) -> Vec<&Contact> {
        let mut found = Vec::with_capacity(count.min(self.len));
        let shared = self.index(target);
        // What shares one bit more with the target than we do is all in one bucket; what shares as many as we do is
        // in the deeper ones; each bucket before shares one bit less. So three sorts of few contacts suffice.
        let (before, from) = self.buckets.split_at(shared.min(self.buckets.len()));
        let (same, deeper) = from.split_at(from.len().min(1));
        for stage in [same, deeper].into_iter().chain(before.chunks(1).rev()) {
            if found.len() >= count {
                break;
            }
            let start = found.len();
            found.extend(stage.iter().flat_map(Bucket::entries).filter(|contact| keep(contact)));
            if let Some(new) = found.get_mut(start..) {
                new.sort_unstable_by(|a, b| closer(a.id(), b.id(), target));
            }
            found.truncate(count);
        }
        found
    }

    const fn count(&mut self, change: Change) -> Change {
        if change.removed.is_some() {
            self.scattered = false;
        }
        if change.added.is_some() {
            self.len = self.len.saturating_add(1);
        }
        if change.removed.is_some() {
            self.len = self.len.saturating_sub(1);
        }
        change
    }
}

/// A key that shares all 256 bits is our own.
const MAX_BUCKETS: usize = 256;

#[cfg(test)]
mod tests;
