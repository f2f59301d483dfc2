//! Routers that translate addresses, by how they map and what they filter (RFC 4787, sections 4 and 5).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use starling_proto::time::{Span, Tick};

/// A way in stays open for this long after the last packet out: the least that a router may grant (RFC 4787, REQ-5).
const OPEN: Span = Span::from_secs(120);
/// Ways that are remembered before those that are over are looked for.
const SWEPT: usize = 64;

/// What stands between a node and the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// Nothing: everybody can dial it.
    #[default]
    None,
    /// One address outside for everything; once it has sent anything to anybody, everybody can dial that.
    FullCone,
    /// The same, but only those at an IP address to which it has sent can.
    Restricted,
    /// The same, but only those at an IP address and port to which it has sent can.
    PortRestricted,
    /// Another port outside for each address that it sends to, and only that one can dial it.
    Symmetric,
    /// Nobody can dial it, whatever it sends.
    Closed,
}

impl Nat {
    /// Whether somebody to whom it has never sent anything can dial it, once it has sent something to somebody.
    #[must_use]
    pub const fn lets_strangers_in(self) -> bool {
        matches!(self, Self::None | Self::FullCone)
    }
}

/// A node's router, and the ways that are open through it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Router {
    nat: Nat,
    /// Where it has sent to, and when last.
    ways: BTreeMap<SocketAddr, Tick>,
}

impl Router {
    pub(crate) const fn new(nat: Nat) -> Self {
        Self { nat, ways: BTreeMap::new() }
    }

    pub(crate) const fn nat(&self) -> Nat {
        self.nat
    }

    /// The network that it stands in has changed: no way is open any more.
    pub(crate) fn forget(&mut self) {
        self.ways.clear();
    }

    /// Where the node at `own` is seen by whoever is at `other`.
    pub(crate) fn outside(&self, own: SocketAddr, other: SocketAddr) -> SocketAddr {
        match self.nat {
            Nat::Symmetric => SocketAddr::new(own.ip(), port_for(own, other)),
            _ => own,
        }
    }

    /// A packet goes out to an address.
    pub(crate) fn sends(&mut self, to: SocketAddr, now: Tick) {
        if matches!(self.nat, Nat::None | Nat::Closed) {
            return;
        }
        if self.ways.len() >= SWEPT {
            self.ways.retain(|_, last| now.since(*last) < OPEN);
        }
        self.ways.insert(to, now);
    }

    /// Whether a packet from `from` to `to` reaches the node at `own`.
    pub(crate) fn lets_in(&self, own: SocketAddr, from: SocketAddr, to: SocketAddr, now: Tick) -> bool {
        let is_open = |last: &Tick| now.since(*last) < OPEN;
        let to_all = to == own;
        match self.nat {
            Nat::None => to_all,
            Nat::Closed => false,
            Nat::FullCone => to_all && self.ways.values().any(is_open),
            Nat::Restricted => {
                to_all && self.ways.iter().any(|(way, last)| way.ip() == from.ip() && is_open(last))
            }
            Nat::PortRestricted => to_all && self.ways.get(&from).is_some_and(is_open),
            Nat::Symmetric => to == self.outside(own, from) && self.ways.get(&from).is_some_and(is_open),
        }
    }
}

/// The port outside for what goes from `own` to `other`: never the one inside.
fn port_for(own: SocketAddr, other: SocketAddr) -> u16 {
    let hash = blake3::hash(format!("{own} {other}").as_bytes());
    let [high, low, ..] = *hash.as_bytes();
    let port = u16::from_be_bytes([high, low]).max(1_024);
    if port == own.port() { port - 1 } else { port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Whether each of these reaches a node that has sent to 9.9.9.9:9 ten seconds ago: that address, another port there,
    /// somebody else; and that address two minutes later.
    fn lets_in(nat: Nat) -> [bool; 4] {
        let (own, friend) = (at("8.8.8.8:8"), at("9.9.9.9:9"));
        let mut router = Router::new(nat);
        router.sends(friend, Tick::from_ms(0));
        let outside = router.outside(own, friend);
        let soon = Tick::from_ms(10_000);
        let came = |from, now| router.lets_in(own, from, outside, now);
        [
            came(friend, soon),
            came(at("9.9.9.9:7"), soon),
            came(at("7.7.7.7:7"), soon),
            came(friend, soon.after(OPEN)),
        ]
    }

    #[test]
    fn each_kind_lets_in_whom_it_should() {
        assert_eq!(lets_in(Nat::None), [true, true, true, true]);
        assert_eq!(lets_in(Nat::FullCone), [true, true, true, false]);
        assert_eq!(lets_in(Nat::Restricted), [true, true, false, false]);
        assert_eq!(lets_in(Nat::PortRestricted), [true, false, false, false]);
        assert_eq!(lets_in(Nat::Symmetric), [true, false, false, false]);
        assert_eq!(lets_in(Nat::Closed), [false; 4]);
    }

    #[test]
    fn a_symmetric_one_is_seen_elsewhere_by_each_and_dialled_where_it_is_not() {
        let (own, one, other) = (at("8.8.8.8:8"), at("9.9.9.9:9"), at("7.7.7.7:7"));
        let mut router = Router::new(Nat::Symmetric);
        let (seen, elsewhere) = (router.outside(own, one), router.outside(own, other));
        assert_eq!(seen, router.outside(own, one));
        assert!(seen != elsewhere && seen.port() != own.port() && seen.ip() == own.ip());
        router.sends(one, Tick::ZERO);
        assert!(router.lets_in(own, one, seen, Tick::ZERO));
        assert!(!router.lets_in(own, one, own, Tick::ZERO), "nothing is mapped to the port inside");
        assert!(!router.lets_in(own, other, seen, Tick::ZERO), "what one was told is of no use to another");
    }

    #[test]
    fn ways_that_are_over_are_forgotten() {
        let mut router = Router::new(Nat::PortRestricted);
        for n in 0..1_000_u16 {
            let second = Tick::from_ms(u64::from(n) * 10_000);
            router.sends(SocketAddr::from(([9, 9, 9, 9], n + 1)), second);
        }
        assert!(router.ways.len() <= SWEPT, "{}", router.ways.len());
    }
}
