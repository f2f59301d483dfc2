//! Address groups: who could be one operator.
//!
//! Identities are free, addresses are not. A bucket, a shortlist and a replica set each take only so many peers of one
//! group, so that one operator cannot fill them.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What an address has in common with others of the same operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressGroup {
    /// A public IPv4 address: its first 24 bits.
    V4([u8; 3]),
    /// A public IPv6 address: its first 48 bits.
    V6([u8; 6]),
    /// A private or link-local address: each its own group, and only among peers met on that link.
    Local(IpAddr),
    /// Loopback: each socket its own group, so that many peers on one machine can form a network.
    Loopback(SocketAddr),
}

/// One cap that an address counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cap {
    /// What is counted: peers that share this prefix.
    pub prefix: Prefix,
    /// How many of them may stand in one bucket, shortlist or replica set.
    pub limit: usize,
}

/// Leading bits that peers share, packed into one word: family, length, value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(u64);

impl Prefix {
    /// `value` is the leading `bits` as a number: at most 48 of them, so that length and family fit beside it.
    const fn new(v6: bool, bits: u8, value: u64) -> Self {
        Self(((v6 as u64) << 63) | ((bits as u64) << 48) | value)
    }
}

/// Public IPv4: 2 for each /24, 4 for each /16.
const V4_CAPS: [(u8, usize); 2] = [(24, 2), (16, 4)];
/// Public IPv6: 2 for each /48, 4 for each /40, 8 for each /32.
const V6_CAPS: [(u8, usize); 3] = [(48, 2), (40, 4), (32, 8)];

impl AddressGroup {
    /// The group of an address.
    #[must_use]
    pub fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::of_v4(*v4.ip(), address),
            SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => Self::of_v4(v4, address),
                None => Self::of_v6(*v6.ip(), address),
            },
        }
    }

    // Asked of every contact for every answer: no more than a few comparisons.
    fn of_v4(ip: Ipv4Addr, address: &SocketAddr) -> Self {
        if ip.is_loopback() {
            return Self::Loopback(*address);
        }
        if is_local_v4(&ip) {
            return Self::Local(IpAddr::V4(ip));
        }
        let [a, b, c, _] = ip.octets();
        Self::V4([a, b, c])
    }

    fn of_v6(ip: Ipv6Addr, address: &SocketAddr) -> Self {
        if ip.is_loopback() {
            return Self::Loopback(*address);
        }
        if is_local_v6(&ip) {
            return Self::Local(IpAddr::V6(ip));
        }
        let [a, b, c, d, e, f, ..] = ip.octets();
        Self::V6([a, b, c, d, e, f])
    }

    /// Whether an address of this group means something to peers elsewhere.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::V4(_) | Self::V6(_))
    }

    /// Whether a peer of group `to` may hear of an address of this group: public addresses mean something everywhere,
    /// private ones only on their link, loopback ones only on their machine. The same rule says which addresses to
    /// believe when `to` is the one who tells.
    #[must_use]
    pub fn may_be_told_to(&self, to: &Self) -> bool {
        match (self, to) {
            (Self::V4(_) | Self::V6(_), _) | (_, Self::Loopback(_)) => true,
            (Self::Local(here), Self::Local(there)) => same_link(*here, *there),
            (Self::Local(_) | Self::Loopback(_), _) => false,
        }
    }

    /// The caps that a peer of this group counts against; none for local and loopback addresses, whose groups are
    /// single peers.
    pub fn caps(&self) -> impl Iterator<Item = Cap> {
        let (v6, value, table): (bool, u64, &'static [(u8, usize)]) = match *self {
            Self::V4([a, b, c]) => (false, u64::from(u32::from_be_bytes([0, a, b, c])), &V4_CAPS),
            Self::V6([a, b, c, d, e, f]) => (true, u64::from_be_bytes([0, 0, a, b, c, d, e, f]), &V6_CAPS),
            Self::Local(_) | Self::Loopback(_) => (false, 0, &[]),
        };
        let longest = table.first().map_or(0, |row| row.0);
        table.iter().map(move |&(bits, limit)| {
            let dropped = u32::from(longest.saturating_sub(bits));
            let value = value.checked_shr(dropped).unwrap_or(0);
            Cap { prefix: Prefix::new(v6, bits, value), limit }
        })
    }
}

/// How often each prefix occurs in a set of peers.
#[derive(Debug, Clone, Default)]
pub struct CapCount {
    // In order of the prefixes: a set of eighty has 160 of them, and each is looked for again and again.
    counts: Vec<(Prefix, usize)>,
}

impl CapCount {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: Vec::new() }
    }

    /// Whether one more peer of `group` stays within all caps, each multiplied by `factor`.
    #[must_use]
    pub fn has_room(&self, group: &AddressGroup, factor: usize) -> bool {
        group.caps().all(|cap| self.of(cap.prefix) < cap.limit.saturating_mul(factor))
    }

    /// Counts a peer of `group`.
    pub fn add(&mut self, group: &AddressGroup) {
        for cap in group.caps() {
            match self.place(cap.prefix) {
                Ok(at) => {
                    if let Some(row) = self.counts.get_mut(at) {
                        row.1 = row.1.saturating_add(1);
                    }
                }
                Err(at) => self.counts.insert(at, (cap.prefix, 1)),
            }
        }
    }

    /// Takes back that a peer of `group` was counted.
    pub fn remove(&mut self, group: &AddressGroup) {
        for cap in group.caps() {
            let row = self.place(cap.prefix).ok().and_then(|at| self.counts.get_mut(at));
            if let Some(row) = row {
                row.1 = row.1.saturating_sub(1);
            }
        }
    }

    /// Whether the peers that were counted are more than some cap of `group` allows.
    #[must_use]
    pub fn is_exceeded(&self, group: &AddressGroup) -> bool {
        group.caps().any(|cap| self.of(cap.prefix) > cap.limit)
    }

    fn of(&self, prefix: Prefix) -> usize {
        self.place(prefix).ok().and_then(|at| self.counts.get(at)).map_or(0, |row| row.1)
    }

    fn place(&self, prefix: Prefix) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&prefix, |row| row.0)
    }
}

impl FromIterator<AddressGroup> for CapCount {
    fn from_iter<I: IntoIterator<Item = AddressGroup>>(groups: I) -> Self {
        let mut count = Self::new();
        groups.into_iter().for_each(|group| count.add(&group));
        count
    }
}

/// Whether two private addresses are likely of one network: the same /16, or the same /64.
fn same_link(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets().first_chunk::<2>() == b.octets().first_chunk::<2>(),
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets().first_chunk::<8>() == b.octets().first_chunk::<8>(),
        _ => false,
    }
}

fn is_local_v4(ip: &Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // 100.64.0.0/10 is a carrier's shared space (RFC 6598): private to the peers behind it.
    ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
}

const fn is_local_v6(ip: &Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> AddressGroup {
        AddressGroup::of(&text.parse().unwrap())
    }

    #[test]
    fn loopback_sockets_are_groups_of_their_own() {
        assert_ne!(group("127.0.0.1:1"), group("127.0.0.1:2"));
        assert_eq!(group("127.0.0.1:1").caps().count(), 0);
    }

    #[test]
    fn neighbours_share_a_group_and_streets_share_a_cap() {
        assert_eq!(group("8.8.8.1:1"), group("8.8.8.9:7"));
        let here: Vec<Cap> = group("8.8.8.1:1").caps().collect();
        let near: Vec<Cap> = group("8.8.9.1:1").caps().collect();
        assert_ne!(here[0], near[0]);
        assert_eq!(here[1], near[1]);
        assert_eq!((here[0].limit, here[1].limit), (2, 4));
    }

    #[test]
    fn ipv6_has_three_caps() {
        let a: Vec<Cap> = group("[2001:db8:aabb::1]:1").caps().collect();
        let b: Vec<Cap> = group("[2001:db8:aacc::1]:1").caps().collect();
        assert_eq!(a.iter().map(|cap| cap.limit).collect::<Vec<_>>(), [2, 4, 8]);
        assert_ne!(a[0], b[0]);
        assert_eq!(a[1], b[1]);
    }

    #[test]
    fn private_addresses_are_local() {
        for text in
            ["10.1.2.3:1", "192.168.0.9:1", "169.254.1.1:1", "100.64.0.1:1", "[fd00::1]:1", "[fe80::1]:1"]
        {
            assert!(matches!(group(text), AddressGroup::Local(_)), "{text}");
        }
    }

    #[test]
    fn prv_04_private_addresses_stay_on_their_link() {
        let public = group("8.8.8.8:1");
        let (home, office) = (group("192.168.1.2:1"), group("10.0.0.7:1"));
        let local = group("127.0.0.1:1");
        for to in [public, home, office, local] {
            assert!(public.may_be_told_to(&to));
            assert!(to.may_be_told_to(&local));
        }
        assert!(home.may_be_told_to(&group("192.168.1.9:1")));
        assert!(!home.may_be_told_to(&office) && !home.may_be_told_to(&public));
        assert!(!local.may_be_told_to(&public) && !local.may_be_told_to(&home));
    }

    #[test]
    fn a_set_has_room_for_two_neighbours_and_four_of_a_street() {
        let mut set = CapCount::new();
        let mut kept = Vec::new();
        for text in ["8.8.8.1:1", "8.8.8.2:1", "8.8.8.3:1", "8.8.9.1:1", "8.8.10.1:1", "8.8.11.1:1"] {
            if set.has_room(&group(text), 1) {
                set.add(&group(text));
                kept.push(text);
            }
        }
        assert_eq!(kept, ["8.8.8.1:1", "8.8.8.2:1", "8.8.9.1:1", "8.8.10.1:1"]);
        assert!(set.has_room(&group("8.8.8.3:1"), 2), "twice the caps have room again");
        assert!(!set.is_exceeded(&group("8.8.8.3:1")));
        set.add(&group("8.8.8.3:1"));
        assert!(set.is_exceeded(&group("8.8.8.1:1")) && !set.is_exceeded(&group("8.9.8.1:1")));
        for text in ["8.8.8.3:1", "8.8.8.2:1"] {
            set.remove(&group(text));
        }
        assert!(set.has_room(&group("8.8.8.9:1"), 1), "one of its street and three of the town are left");
    }

    #[test]
    fn a_mapped_address_cannot_escape_its_group() {
        assert_eq!(group("[::ffff:8.8.8.1]:1"), group("8.8.8.2:1"));
    }
}
