//! How many connections there may be: in all, from others, from one address group, from one wider network.
//!
//! Who keeps the connections takes a [`Seat`] for each before a byte of handshake is spent on it, and gives it back
//! when the connection is gone. Where there is none, [`Seats::room_for_dial`] and [`Seats::room_for`] say which
//! connection is to be closed for it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::time::{Span, Tick};

use crate::group::{AddressGroup, Prefix};

/// Connections, both directions. A connection costs a node about 60 KiB at rest and 256 KiB more with its receive
/// window full, so 512 stay under 160 MiB with every one of them full. At the bound the one that has been idle longest
/// makes room, for a dial of ours or for another that comes.
pub const CONNECTIONS: usize = 512;
/// Connections that others opened: a quarter of all is kept for our own dials, so that no crowd of strangers can keep
/// us from our contacts. At the bound the one of them that has been idle longest makes room, if any may.
pub const INCOMING: usize = 384;
/// Incoming connections of one address group: a household behind one address, not a botnet in one network.
pub const INCOMING_PER_GROUP: usize = 16;
/// Incoming connections of one wider network, an IPv4 /16 or an IPv6 /32: a quarter of [`INCOMING`], so that who rents
/// many small networks of one provider does not take every seat, and a provider's customers still find theirs.
pub const INCOMING_PER_NETWORK: usize = 96;

/// Of [`SeatLimits::incoming`], one in so many is safe from those who come later: the connections that have stood
/// longest. A connection that nobody uses is closed after 90 s, so these are contacts and those whose mail we keep.
const SAFE: usize = 4;
/// A connection that was used within this time makes no room for others: whoever has just come gets to ask first.
pub const FRESH: Span = Span::from_secs(1);

/// The bounds. The default is the constants of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatLimits {
    /// See [`CONNECTIONS`].
    pub connections: usize,
    /// See [`INCOMING`].
    pub incoming: usize,
    /// See [`INCOMING_PER_GROUP`].
    pub incoming_per_group: usize,
    /// See [`INCOMING_PER_NETWORK`].
    pub incoming_per_network: usize,
    /// See [`FRESH`].
    pub fresh: Span,
}

impl Default for SeatLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            incoming: INCOMING,
            incoming_per_group: INCOMING_PER_GROUP,
            incoming_per_network: INCOMING_PER_NETWORK,
            fresh: FRESH,
        }
    }
}

/// The seats of all connections of a node.
#[derive(Debug, Clone, Default)]
pub struct Seats {
    limits: SeatLimits,
    total: usize,
    incoming: usize,
    groups: BTreeMap<AddressGroup, usize>,
    networks: BTreeMap<Prefix, usize>,
}

/// A seat that is taken: to be given back with [`Seats::free`].
#[derive(Debug)]
#[must_use = "a seat that is dropped stays taken"]
pub struct Seat {
    /// The group that an incoming connection counts against.
    group: Option<AddressGroup>,
}

/// A connection that stands, as who keeps it knows it.
#[derive(Debug, Clone, Copy)]
pub struct Standing<K> {
    /// Which.
    pub connection: K,
    /// The group that it came from; `None` if we dialled.
    pub from: Option<AddressGroup>,
    /// Since when it stands.
    pub began: Tick,
    /// For how long no request has been on it; `None` while there is one.
    pub idle: Option<Span>,
}

/// Every seat is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Seat {
    /// The group that an incoming connection counts against; `None` for a dial of ours.
    #[must_use]
    pub const fn group(&self) -> Option<AddressGroup> {
        self.group
    }
}

impl Seats {
    /// All free.
    #[must_use]
    pub fn new(limits: SeatLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A seat for a dial of ours.
    ///
    /// # Errors
    /// [`Full`] if there are [`SeatLimits::connections`].
    pub const fn outgoing(&mut self) -> Result<Seat, Full> {
        if self.total >= self.limits.connections {
            return Err(Full);
        }
        self.total = self.total.saturating_add(1);
        Ok(Seat { group: None })
    }

    /// A seat for a connection from an address of `group`.
    ///
    /// # Errors
    /// [`Full`] if there are as many as the limits allow: in all, of others, of the group or of its wider network.
    pub fn incoming(&mut self, group: AddressGroup) -> Result<Seat, Full> {
        let wide = network(&group);
        if self.total >= self.limits.connections
            || self.incoming >= self.limits.incoming
            || count_of(&self.groups, &group) >= self.limits.incoming_per_group
            || wide.is_some_and(|wide| count_of(&self.networks, &wide) >= self.limits.incoming_per_network)
        {
            return Err(Full);
        }
        self.total = self.total.saturating_add(1);
        self.incoming = self.incoming.saturating_add(1);
        add(&mut self.groups, group);
        wide.into_iter().for_each(|wide| add(&mut self.networks, wide));
        Ok(Seat { group: Some(group) })
    }

    /// The connection that makes room for a dial of ours: the one that has been idle longest.
    pub fn room_for_dial<K>(standing: impl IntoIterator<Item = Standing<K>>) -> Option<K> {
        let idle = standing.into_iter().filter_map(|other| Some((other.idle?, other.connection)));
        idle.max_by_key(|(idle, _)| *idle).map(|(_, connection)| connection)
    }

    /// The connection that makes room for one from `group`: of those whose end gives it a seat the one that has been
    /// idle longest, if it has been for [`SeatLimits::fresh`]. Those of others that have stood longest are safe.
    pub fn room_for<K>(&self, group: AddressGroup, mut standing: Vec<Standing<K>>) -> Option<K> {
        let incoming = standing.iter().filter(|other| other.from.is_some()).count();
        standing.sort_by_key(|other| (other.from.is_none(), other.began));
        let safe = incoming.min(self.limits.incoming / SAFE);
        let idle = standing.into_iter().skip(safe).filter(|other| {
            let rested = other.idle.is_some_and(|idle| idle >= self.limits.fresh);
            rested && self.gives_seat(other.from, group)
        });
        Self::room_for_dial(idle)
    }

    /// Whether the end of a connection from `from`, or of one that we dialled, gives one from `group` a seat.
    fn gives_seat(&self, from: Option<AddressGroup>, group: AddressGroup) -> bool {
        let wide = network(&group);
        if count_of(&self.groups, &group) >= self.limits.incoming_per_group {
            from == Some(group)
        } else if wide.is_some_and(|wide| count_of(&self.networks, &wide) >= self.limits.incoming_per_network)
        {
            from.is_some_and(|from| network(&from) == wide)
        } else if self.incoming >= self.limits.incoming {
            from.is_some()
        } else {
            true
        }
    }

    /// Takes a seat back.
    #[expect(clippy::needless_pass_by_value, reason = "a seat is given back once")]
    pub fn free(&mut self, seat: Seat) {
        self.total = self.total.saturating_sub(1);
        let Some(group) = seat.group else { return };
        self.incoming = self.incoming.saturating_sub(1);
        take(&mut self.groups, group);
        network(&group).into_iter().for_each(|wide| take(&mut self.networks, wide));
    }

    /// How many are taken.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.total
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(connections: usize, incoming: usize, incoming_per_group: usize) -> Seats {
        Seats::new(SeatLimits { connections, incoming, incoming_per_group, ..SeatLimits::default() })
    }

    fn from(text: &str) -> AddressGroup {
        AddressGroup::of(&text.parse().unwrap())
    }

    #[test]
    fn spm_03_one_group_takes_only_its_share() {
        let mut seats = seats(10, 10, 2);
        let first = seats.incoming(from("8.8.8.1:1")).unwrap();
        let _second = seats.incoming(from("8.8.8.2:1")).unwrap();
        assert_eq!(seats.incoming(from("8.8.8.3:1")).unwrap_err(), Full);
        let _elsewhere = seats.incoming(from("9.9.9.9:1")).unwrap();
        seats.free(first);
        assert!(seats.incoming(from("8.8.8.3:1")).is_ok());
    }

    #[test]
    fn spm_03_many_small_networks_of_one_provider_take_only_their_share() {
        for (provider, elsewhere) in [
            (["8.8.1.1:1", "8.8.2.1:1", "8.8.3.1:1"], "8.9.1.1:1"),
            (["[2001:db8:1::1]:1", "[2001:db8:8002::1]:1", "[2001:db8:3::1]:1"], "[2001:db9:1::1]:1"),
        ] {
            let limits =
                SeatLimits { connections: 9, incoming: 9, incoming_per_network: 2, ..SeatLimits::default() };
            let mut seats = Seats::new(limits);
            let [first, second, third] = provider.map(from);
            let first = seats.incoming(first).unwrap();
            let _second = seats.incoming(second).unwrap();
            assert_eq!(seats.incoming(third).unwrap_err(), Full);
            let _elsewhere = seats.incoming(from(elsewhere)).unwrap();
            seats.free(first);
            assert!(seats.incoming(third).is_ok());
        }
    }

    #[test]
    fn addresses_of_ones_own_network_are_of_no_wider_one() {
        let mut seats = Seats::new(SeatLimits { incoming_per_network: 1, ..SeatLimits::default() });
        let local = ["127.0.0.1:1", "127.0.0.1:2", "10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1", "[fd00::2]:1"];
        for address in local {
            let _seat = seats.incoming(from(address)).unwrap();
        }
        assert!(seats.networks.is_empty());
    }

    #[test]
    fn spm_03_strangers_leave_room_for_our_own_dials() {
        let mut seats = seats(3, 2, 9);
        let _a = seats.incoming(from("8.8.8.1:1")).unwrap();
        let _b = seats.incoming(from("9.9.9.1:1")).unwrap();
        assert_eq!(seats.incoming(from("7.7.7.7:1")).unwrap_err(), Full);
        let dial = seats.outgoing().unwrap();
        assert_eq!(seats.outgoing().unwrap_err(), Full);
        seats.free(dial);
        assert!(seats.outgoing().is_ok());
    }

    /// Each with its number as its name: where it came from, when, and for how many seconds it has been idle.
    fn standing(rows: &[(Option<&str>, u64, Option<u64>)]) -> Vec<Standing<usize>> {
        let row = |(connection, (from, began, idle)): (usize, &(Option<&str>, u64, Option<u64>))| Standing {
            connection,
            from: from.map(self::from),
            began: Tick::from_ms(*began),
            idle: idle.map(Span::from_secs),
        };
        rows.iter().enumerate().map(row).collect()
    }

    #[test]
    fn whatever_has_been_idle_longest_makes_room_for_a_dial() {
        let rows = standing(&[(None, 0, Some(3)), (Some("8.8.8.1:1"), 0, Some(5)), (None, 0, None)]);
        assert_eq!(Seats::room_for_dial(rows), Some(1));
        assert_eq!(Seats::room_for_dial(standing(&[(None, 0, None)])), None, "one is in use");
    }

    #[test]
    fn spm_03_who_comes_takes_the_place_of_the_idlest_but_not_of_the_oldest() {
        let mut seats = seats(8, 4, 9);
        let rows: Vec<_> =
            [("1.1.1.1:1", 10, 90), ("2.1.1.1:1", 20, 2), ("3.1.1.1:1", 30, 5), ("4.1.1.1:1", 40, 3)]
                .map(|(address, began, idle)| (Some(address), began, Some(idle)))
                .into();
        for (address, ..) in &rows {
            let _seat = seats.incoming(from(address.unwrap())).unwrap();
        }
        let newcomer = from("5.1.1.1:1");
        assert_eq!(seats.room_for(newcomer, standing(&rows)), Some(2), "the first has stood longest");
        let mut dialled = rows.clone();
        dialled.push((None, 0, Some(80)));
        assert_eq!(
            seats.room_for(newcomer, standing(&dialled)),
            Some(2),
            "a dial of ours gives no such seat"
        );
        let busy: Vec<_> = rows.iter().map(|(from, began, _)| (*from, *began, Some(0))).collect();
        assert_eq!(seats.room_for(newcomer, standing(&busy)), None, "all have just been used");
    }

    #[test]
    fn spm_03_who_has_their_share_takes_the_place_of_their_own() {
        let mut seats = seats(9, 8, 2);
        let rows = [
            (Some("1.1.1.1:1"), 0, Some(90)),
            (Some("1.1.2.1:1"), 0, Some(90)),
            (Some("2.1.1.1:1"), 1, Some(80)),
            (Some("8.8.8.1:1"), 2, Some(3)),
            (Some("8.8.8.2:1"), 3, Some(4)),
        ];
        for (address, ..) in &rows {
            let _seat = seats.incoming(from(address.unwrap())).unwrap();
        }
        assert_eq!(seats.room_for(from("8.8.8.3:1"), standing(&rows)), Some(4));
    }

    #[test]
    fn where_all_seats_are_taken_an_idle_dial_of_ours_makes_room() {
        let mut seats = seats(2, 2, 9);
        let _ours = seats.outgoing().unwrap();
        let _theirs = seats.incoming(from("1.1.1.1:1")).unwrap();
        let rows = [(None, 0, Some(9)), (Some("1.1.1.1:1"), 0, Some(8))];
        assert_eq!(seats.room_for(from("2.1.1.1:1"), standing(&rows)), Some(0));
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let mut seats = seats(3, 2, 9);
        let seat = seats.incoming(from("8.8.8.1:1")).unwrap();
        seats.free(seat);
        assert!(seats.groups.is_empty() && seats.networks.is_empty());
        assert_eq!((seats.taken(), seats.incoming), (0, 0));
    }
}
