//! The connections of one node, each in a seat as in `starling-node`.

use std::collections::{BTreeMap, BTreeSet};

use starling_overlay::io::ChannelBinding;
use starling_overlay::seats::{Seat, SeatLimits, Seats, Standing};
use starling_proto::time::Tick;

use super::NodeIndex;

/// A connection, as one end sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) binding: ChannelBinding,
    /// Changes when a connection ends and another takes its place; one beside another has the same.
    pub(crate) epoch: u64,
    /// Whether this end dialled.
    pub(crate) dialled: bool,
    /// When this end may use it: both have greeted by then.
    pub(crate) stands: Tick,
    /// When a request or an answer last used it.
    pub(crate) used: Tick,
    /// When something last came on it.
    pub(crate) heard: Tick,
}

/// At most one with each peer.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    rows: BTreeMap<NodeIndex, (Connection, Seat)>,
    seats: Seats,
}

impl Connections {
    pub(crate) fn new(limits: SeatLimits) -> Self {
        Self { rows: BTreeMap::new(), seats: Seats::new(limits) }
    }

    pub(crate) fn get(&self, peer: NodeIndex) -> Option<&Connection> {
        self.rows.get(&peer).map(|(connection, _)| connection)
    }

    pub(crate) fn get_mut(&mut self, peer: NodeIndex) -> Option<&mut Connection> {
        self.rows.get_mut(&peer).map(|(connection, _)| connection)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeIndex, &Connection)> {
        self.rows.iter().map(|(peer, (connection, _))| (*peer, connection))
    }

    pub(crate) const fn seats(&mut self) -> &mut Seats {
        &mut self.seats
    }

    /// Those that stand, as [`Seats`] wants to know them; on those with `busy` ones there is a request.
    pub(crate) fn standing(&self, now: Tick, busy: &BTreeSet<NodeIndex>) -> Vec<Standing<NodeIndex>> {
        let there = self.rows.iter().filter(|(_, (connection, _))| connection.stands <= now);
        let row = |(peer, (connection, seat)): (&NodeIndex, &(Connection, Seat))| Standing {
            connection: *peer,
            from: seat.group(),
            began: connection.stands,
            idle: (!busy.contains(peer)).then(|| now.since(connection.used)),
        };
        there.map(row).collect()
    }

    /// Takes a connection in, in place of one that stands with the same peer.
    pub(crate) fn insert(&mut self, peer: NodeIndex, connection: Connection, seat: Seat) {
        if let Some((_, old)) = self.rows.insert(peer, (connection, seat)) {
            self.seats.free(old);
        }
    }

    pub(crate) fn remove(&mut self, peer: NodeIndex) -> Option<Connection> {
        let (connection, seat) = self.rows.remove(&peer)?;
        self.seats.free(seat);
        Some(connection)
    }

    /// Ends all; gives the peers.
    pub(crate) fn clear(&mut self) -> Vec<NodeIndex> {
        let peers: Vec<NodeIndex> = self.rows.keys().copied().collect();
        for peer in &peers {
            self.remove(*peer);
        }
        peers
    }
}
