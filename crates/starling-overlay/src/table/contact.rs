//! A peer that has answered, as small as it can be: a node of a large network knows two hundred of them.

use core::net::SocketAddr;
use core::num::NonZeroU16;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::Tick;

use crate::group::AddressGroup;

/// A server that has answered us at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    key: NodeKey,
    id: NodeId,
    address: SocketAddr,
    claimed_port: Option<NonZeroU16>,
    failures: u8,
    last_answered: Tick,
}

impl Contact {
    /// A peer whose connection ends at `address`. Of what it `claims`, only another port at that same address is
    /// believed: any other address could be somebody else's.
    #[must_use]
    pub fn new(key: NodeKey, address: SocketAddr, claims: &[SocketAddr], answered: Tick) -> Self {
        let other_port = |claim: &&SocketAddr| claim.ip() == address.ip() && claim.port() != address.port();
        let claimed_port = claims.iter().find(other_port).and_then(|claim| NonZeroU16::new(claim.port()));
        Self { key, id: key.node_id(), address, claimed_port, failures: 0, last_answered: answered }
    }

    /// The node key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// The place in the overlay.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// The address that a connection has proven.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The group of the proven address.
    #[must_use]
    pub fn group(&self) -> AddressGroup {
        AddressGroup::of(&self.address)
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

    /// How others may dial it: the proven address first.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let claimed = self.claimed_port.map(|port| SocketAddr::new(self.address.ip(), port.get()));
        Peer::new(self.key, core::iter::once(self.address).chain(claimed))
    }

    pub(super) const fn answered(&mut self, now: Tick) {
        self.failures = 0;
        self.last_answered = now;
    }

    pub(super) const fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}
