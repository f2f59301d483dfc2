//! How many connections there may be: in all, from others, from one address group, from one wider network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_overlay::group::{AddressGroup, Prefix};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::limits::Limits;

/// The seats of all connections, from the first packet of a handshake to the core's notice of the end.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    taken: Arc<Mutex<Taken>>,
    freed: Arc<Notify>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    incoming: usize,
    groups: BTreeMap<AddressGroup, usize>,
    networks: BTreeMap<Prefix, usize>,
}

/// A seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    taken: Arc<Mutex<Taken>>,
    freed: Arc<Notify>,
    /// The group that an incoming connection counts against.
    group: Option<AddressGroup>,
}

/// Every seat is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Seats {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { taken: Arc::default(), freed: Arc::default(), limits }
    }

    /// A seat for a dial of ours.
    pub(crate) fn outgoing(&self) -> Result<Seat, Full> {
        let mut taken = lock(&self.taken);
        if taken.total >= self.limits.connections {
            return Err(Full);
        }
        taken.total = taken.total.saturating_add(1);
        Ok(self.seat(None))
    }

    /// A seat for a connection from `address`.
    pub(crate) fn incoming(&self, address: &SocketAddr) -> Result<Seat, Full> {
        let group = AddressGroup::of(address);
        let mut taken = lock(&self.taken);
        if taken.total >= self.limits.connections
            || taken.incoming >= self.limits.incoming
            || count_of(&taken.groups, &group) >= self.limits.incoming_per_group
            || network(&group)
                .is_some_and(|wide| count_of(&taken.networks, &wide) >= self.limits.incoming_per_network)
        {
            return Err(Full);
        }
        taken.enter(group);
        Ok(self.seat(Some(group)))
    }

    /// Resolves when a seat that is taken now is free.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    fn seat(&self, group: Option<AddressGroup>) -> Seat {
        Seat { taken: Arc::clone(&self.taken), freed: Arc::clone(&self.freed), group }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.taken).leave(self.group);
        self.freed.notify_waiters();
    }
}

impl Taken {
    fn enter(&mut self, group: AddressGroup) {
        self.total = self.total.saturating_add(1);
        self.incoming = self.incoming.saturating_add(1);
        add(&mut self.groups, group);
        if let Some(wide) = network(&group) {
            add(&mut self.networks, wide);
        }
    }

    fn leave(&mut self, group: Option<AddressGroup>) {
        self.total = self.total.saturating_sub(1);
        let Some(group) = group else { return };
        self.incoming = self.incoming.saturating_sub(1);
        take(&mut self.groups, group);
        if let Some(wide) = network(&group) {
            take(&mut self.networks, wide);
        }
    }
}

/// The widest prefix by which public addresses are counted, an IPv4 /16 or an IPv6 /32; local addresses have none.
fn network(group: &AddressGroup) -> Option<Prefix> {
    group.caps().last().map(|cap| cap.prefix)
}

fn count_of<K: Ord>(counts: &BTreeMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn add<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let count = counts.entry(key).or_insert(0);
    *count = count.saturating_add(1);
}

/// Nothing is remembered of a key whose last seat is free.
fn take<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let left = count_of(counts, &key).saturating_sub(1);
    if left == 0 {
        counts.remove(&key);
    } else {
        counts.insert(key, left);
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // No code that holds the lock can panic, so a poisoned lock holds whole counts.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(connections: usize, incoming: usize, incoming_per_group: usize) -> Seats {
        Seats::new(Limits { connections, incoming, incoming_per_group, ..Limits::default() })
    }

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn spm_03_one_group_takes_only_its_share() {
        let seats = seats(10, 10, 2);
        let first = seats.incoming(&from("8.8.8.1:1")).unwrap();
        let _second = seats.incoming(&from("8.8.8.2:1")).unwrap();
        assert_eq!(seats.incoming(&from("8.8.8.3:1")).unwrap_err(), Full);
        let _elsewhere = seats.incoming(&from("9.9.9.9:1")).unwrap();
        drop(first);
        assert!(seats.incoming(&from("8.8.8.3:1")).is_ok());
    }

    #[test]
    fn spm_03_many_small_networks_of_one_provider_take_only_their_share() {
        for (provider, elsewhere) in [
            (["8.8.1.1:1", "8.8.2.1:1", "8.8.3.1:1"], "8.9.1.1:1"),
            (["[2001:db8:1::1]:1", "[2001:db8:8002::1]:1", "[2001:db8:3::1]:1"], "[2001:db9:1::1]:1"),
        ] {
            let limits = Limits { connections: 9, incoming: 9, incoming_per_network: 2, ..Limits::default() };
            let seats = Seats::new(limits);
            let [first, second, third] = provider.map(from);
            let first = seats.incoming(&first).unwrap();
            let _second = seats.incoming(&second).unwrap();
            assert_eq!(seats.incoming(&third).unwrap_err(), Full);
            let _elsewhere = seats.incoming(&from(elsewhere)).unwrap();
            drop(first);
            assert!(seats.incoming(&third).is_ok());
        }
    }

    #[test]
    fn addresses_of_ones_own_network_are_of_no_wider_one() {
        let seats = Seats::new(Limits { incoming_per_network: 1, ..Limits::default() });
        let local = ["127.0.0.1:1", "127.0.0.1:2", "10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1", "[fd00::2]:1"];
        let held: Vec<_> = local.iter().map(|address| seats.incoming(&from(address)).unwrap()).collect();
        assert!(lock(&seats.taken).networks.is_empty());
        drop(held);
    }

    #[test]
    fn spm_03_strangers_leave_room_for_our_own_dials() {
        let seats = seats(3, 2, 9);
        let _a = seats.incoming(&from("8.8.8.1:1")).unwrap();
        let _b = seats.incoming(&from("9.9.9.1:1")).unwrap();
        assert_eq!(seats.incoming(&from("7.7.7.7:1")).unwrap_err(), Full);
        let dial = seats.outgoing().unwrap();
        assert_eq!(seats.outgoing().unwrap_err(), Full);
        drop(dial);
        assert!(seats.outgoing().is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let seats = seats(3, 2, 9);
        drop(seats.incoming(&from("8.8.8.1:1")).unwrap());
        assert!(lock(&seats.taken).groups.is_empty() && lock(&seats.taken).networks.is_empty());
        assert_eq!(lock(&seats.taken).total, 0);
    }
}
