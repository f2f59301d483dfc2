//! One bucket: the contacts that share so many leading bits with us, and no more.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::time::Tick;

use super::{Change, Contact};
use crate::config::TableConfig;
use crate::group::CapCount;

/// Contacts at one distance, in the order in which they entered.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    entries: Vec<Contact>,
    /// Contacts that answered when there was no room, the latest last.
    spares: Vec<Contact>,
    pub(super) looked_up: Tick,
}

/// How closely a bucket keeps to the address caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caps {
    /// No contact beyond them.
    Strict,
    /// Free room may be filled beyond them: there are too few groups in the network to fill it otherwise.
    Relaxed,
}

impl Bucket {
    pub(super) fn entries(&self) -> &[Contact] {
        &self.entries
    }

    /// Whether this contact is here under another address group.
    pub(super) fn has_elsewhere(&self, contact: &Contact) -> bool {
        let known = self.entries.iter().find(|entry| entry.id() == contact.id());
        known.is_some_and(|entry| entry.group() != contact.group())
    }

    pub(super) fn is_at(&self, peer: &Peer) -> bool {
        let mut known = self.entries.iter().chain(&self.spares).filter(|contact| contact.key() == peer.key());
        known.any(|contact| contact.address().is_some_and(|at| peer.addresses().contains(&at)))
    }

    /// Offers a contact that has just answered. Old contacts stay: it enters if there is room, in the place of one
    /// that does not answer, or in the place of one beyond the caps; else it becomes a spare.
    pub(super) fn offer(&mut self, contact: Contact, caps: Caps, config: &TableConfig) -> Change {
        if self.refresh(&contact) {
            return Change::default();
        }
        let moved = self.take(&contact.key());
        let added = Some(contact.key()).filter(|_| moved.is_none());
        let room = self.entries.len() < config.bucket;
        if room && (caps == Caps::Relaxed || self.has_room_for(&contact)) {
            self.push(contact);
            return Change { added, removed: None };
        }
        if let Some(index) = self.victim(&contact, config) {
            let old = self.entries.remove(index);
            self.push(contact);
            return Change { added, removed: Some(old.key()) };
        }
        self.keep_spare(contact, config);
        Change { added: None, removed: moved.map(|old| old.key()) }
    }

    /// Whether a contact like this would enter as things are.
    pub(super) fn would_take(&self, contact: &Contact, caps: Caps, config: &TableConfig) -> bool {
        let room = self.entries.len() < config.bucket;
        (room && (caps == Caps::Relaxed || self.has_room_for(contact)))
            || self.victim(contact, config).is_some()
    }

    /// Notes an answer of a contact in its place; false if it is not here.
    pub(super) fn answered(&mut self, key: &NodeKey, now: Tick) -> bool {
        let found = self.entries.iter_mut().find(|entry| entry.key() == *key);
        found.is_some_and(|entry| {
            entry.answered(now);
            true
        })
    }

    /// Notes a failure. The contact is dropped after enough of them in a row: one fewer if a spare waits, and none
    /// at all while `online` is false, when it is more likely us than everybody else.
    pub(super) fn failed(&mut self, key: &NodeKey, online: bool, config: &TableConfig) -> Change {
        self.spares.retain(|spare| spare.key() != *key);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key() == *key) else {
            return Change::default();
        };
        entry.failed();
        let patience =
            if self.spares.is_empty() { config.failures } else { config.failures.saturating_sub(1) };
        if online && entry.failures() >= patience { self.remove(key) } else { Change::default() }
    }

    /// Drops a contact; a spare takes its place.
    pub(super) fn remove(&mut self, key: &NodeKey) -> Change {
        self.spares.retain(|spare| spare.key() != *key);
        let Some(old) = self.take(key) else { return Change::default() };
        let fitting = self.spares.iter().rposition(|spare| self.has_room_for(spare));
        let spare = fitting.map(|index| self.spares.remove(index));
        let added = spare.as_ref().map(Contact::key);
        if let Some(spare) = spare {
            self.push(spare);
        }
        Change { added, removed: Some(old.key()) }
    }

    /// Takes the latest contact beyond the caps out of its place, to be a spare.
    pub(super) fn demote_one(&mut self, config: &TableConfig) -> Option<NodeKey> {
        let index = self.latest_beyond_caps()?;
        let contact = self.entries.remove(index);
        let key = contact.key();
        self.keep_spare(contact, config);
        Some(key)
    }

    /// Whether some contact is beyond the caps.
    pub(super) fn latest_beyond_caps(&self) -> Option<usize> {
        let count = self.count();
        self.entries.iter().rposition(|entry| count.is_exceeded(&entry.group()))
    }

    /// Updates a contact that is here under the same address group.
    fn refresh(&mut self, contact: &Contact) -> bool {
        let known = self.entries.iter_mut().find(|entry| entry.key() == contact.key());
        match known {
            Some(entry) if entry.group() == contact.group() => {
                entry.clone_from(contact);
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, key: &NodeKey) -> Option<Contact> {
        let index = self.entries.iter().position(|entry| entry.key() == *key)?;
        Some(self.entries.remove(index))
    }

    /// Who has to go for a newcomer: one that does not answer, else the latest of those beyond the caps.
    fn victim(&self, newcomer: &Contact, config: &TableConfig) -> Option<usize> {
        let dead = config.failures.saturating_sub(1).max(1);
        let mut count = self.count();
        let group = newcomer.group();
        // Nobody has to go beyond the caps for somebody who would be beyond them too.
        let within = count.has_room(&group, 1);
        let mut fits_without = |old: &Contact| {
            count.remove(&old.group());
            let fits = count.has_room(&group, 1);
            count.add(&old.group());
            fits
        };
        let silent = self.entries.iter().position(|old| old.failures() >= dead && fits_without(old));
        silent.or_else(|| self.latest_beyond_caps().filter(|_| within))
    }

    fn has_room_for(&self, contact: &Contact) -> bool {
        let group = contact.group();
        group.caps().next().is_none() || self.count().has_room(&group, 1)
    }

    fn count(&self) -> CapCount {
        self.entries.iter().map(Contact::group).collect()
    }

    fn push(&mut self, contact: Contact) {
        self.spares.retain(|spare| spare.key() != contact.key());
        // Doubling would leave a third of all buckets' memory unused.
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(4);
        }
        self.entries.push(contact);
    }

    fn keep_spare(&mut self, contact: Contact, config: &TableConfig) {
        self.spares.retain(|spare| spare.key() != contact.key());
        if config.spares == 0 {
            return;
        }
        if self.spares.len() >= config.spares {
            self.spares.remove(0);
        }
        self.spares.push(contact);
    }
}
