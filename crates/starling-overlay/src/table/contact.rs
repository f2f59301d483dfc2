//! A peer that has answered, as small as it can be: a node of a large network knows two hundred of them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::Tick;

use crate::group::AddressGroup;

/// A server that has answered us at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// How others may dial it: the proven address first.
    peer: Peer,
    failures: u8,
    last_answered: Tick,
}

impl Contact {
    /// A peer whose connection ends at `address`. Of what it `claims`, only another port at that same address is
    /// believed: any other address could be somebody else's.
    #[must_use]
    pub fn new(key: NodeKey, address: SocketAddr, claims: &[SocketAddr], answered: Tick) -> Self {
        let other_port = |claim: &&SocketAddr| claim.ip() == address.ip() && claim.port() != address.port();
        let claimed = claims.iter().find(other_port).copied();
        let peer = Peer::new(key, core::iter::once(address).chain(claimed));
        Self { peer, failures: 0, last_answered: answered }
    }

    /// The node key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.peer.key()
    }

    /// The place in the overlay.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        self.peer.id()
    }

    /// Requests in a row that got no answer.
    #[must_use]
    pub const fn failures(&self) -> u8 {
        self.failures
    }

    /// When it last answered.
    #[must_use]
    pub const fn last_answered(&self) -> Tick {
        self.last_answered
    }

    /// The address that a connection has proven.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.peer.addresses().first().copied()
    }

    /// The group of the proven address.
    #[must_use]
    pub fn group(&self) -> AddressGroup {
        const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        AddressGroup::of(self.peer.addresses().first().unwrap_or(&NOWHERE))
    }

    /// How others may dial it: the proven address first.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer.clone()
    }

    pub(super) const fn answered(&mut self, now: Tick) {
        self.failures = 0;
        self.last_answered = now;
    }

    pub(super) const fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}
