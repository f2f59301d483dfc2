//! Who has entered the routing table and who has left it, until repair takes it up.

use alloc::collections::BTreeMap;

use starling_proto::ids::NodeId;
use starling_proto::time::{Span, Tick};

/// Peers whose moves are remembered until the next pass; beyond these a publisher's own refresh must do.
const MOVES: usize = 256;
/// That a peer came, and that it left, is taken up once each in this time: one that comes and goes costs its neighbours
/// hardly more repair than one that came, and a peer that restarts has what it held.
const REST: Span = Span::from_secs(600);
/// Moves that were taken up and are remembered: four full passes.
const RESTING: usize = 1024;

/// What a peer did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Move {
    /// It entered the table.
    Came,
    /// It left the table.
    Left,
}

/// A move, and when it was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) step: Move,
    pub(super) at: Tick,
}

/// The last move of each peer that has moved.
#[derive(Debug, Default)]
pub(super) struct Moves {
    waiting: BTreeMap<NodeId, Moved>,
    /// When such a move was last taken up.
    taken: BTreeMap<(NodeId, Move), Tick>,
}

impl Moves {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Notes a move; it replaces an earlier one of the same peer. Where there is no room, peers that move all the time
    /// make it.
    pub(super) fn note(&mut self, id: NodeId, step: Move, at: Tick) {
        if self.waiting.len() >= MOVES && !self.waiting.contains_key(&id) {
            let resting = |(id, moved): &(&NodeId, &Moved)| self.taken.contains_key(&(**id, moved.step));
            let Some(restless) = self.waiting.iter().find(resting).map(|(id, _)| *id) else { return };
            self.waiting.remove(&restless);
        }
        self.waiting.insert(id, Moved { step, at });
    }

    /// The moves to take up now. Those that were taken up before within [`REST`] stay.
    pub(super) fn take(&mut self, now: Tick) -> BTreeMap<NodeId, Moved> {
        self.taken.retain(|_, at| now.since(*at) < REST);
        let waiting = core::mem::take(&mut self.waiting);
        let resting = |(id, moved): &(NodeId, Moved)| self.taken.contains_key(&(*id, moved.step));
        let (resting, due): (_, BTreeMap<_, _>) = waiting.into_iter().partition(resting);
        self.waiting = resting;
        due.iter().for_each(|(id, moved)| self.remember((*id, moved.step), now));
        due
    }

    fn remember(&mut self, entry: (NodeId, Move), now: Tick) {
        if self.taken.len() >= RESTING {
            let oldest = self.taken.iter().min_by_key(|(_, at)| **at).map(|(entry, _)| *entry);
            oldest.map(|entry| self.taken.remove(&entry));
        }
        self.taken.insert(entry, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(due: BTreeMap<NodeId, Moved>) -> BTreeMap<NodeId, Move> {
        due.into_iter().map(|(id, moved)| (id, moved.step)).collect()
    }

    fn id(n: u16) -> NodeId {
        let [a, b] = n.to_be_bytes();
        NodeId::new([[a; 16], [b; 16]].concat().try_into().unwrap())
    }

    fn at(s: u64) -> Tick {
        Tick::from_ms(s * 1000)
    }

    #[test]
    fn a_peer_that_comes_and_goes_takes_one_place_and_one_pass() {
        let mut moves = Moves::default();
        for n in 0..1000 {
            moves.note(id(666), if n % 2 == 0 { Move::Came } else { Move::Left }, at(0));
        }
        moves.note(id(1), Move::Came, at(0));
        assert_eq!(steps(moves.take(at(0))), [(id(1), Move::Came), (id(666), Move::Left)].into());
        moves.note(id(666), Move::Came, at(0));
        assert_eq!(steps(moves.take(at(20))), [(id(666), Move::Came)].into());
        moves.note(id(666), Move::Left, at(0));
        assert!(moves.take(at(40)).is_empty(), "that was taken up just now");
        assert_eq!(
            steps(moves.take(at(600))),
            [(id(666), Move::Left)].into(),
            "what it did last is not forgotten"
        );
    }

    #[test]
    fn peers_that_move_all_the_time_make_room_for_others() {
        let mut moves = Moves::default();
        (0..256).for_each(|n| moves.note(id(n), Move::Came, at(0)));
        assert_eq!(moves.take(at(0)).len(), 256);
        (0..256).for_each(|n| moves.note(id(n), Move::Came, at(0)));
        moves.note(id(1000), Move::Left, at(0));
        assert_eq!(steps(moves.take(at(20))), [(id(1000), Move::Left)].into());
    }

    #[test]
    fn memory_is_bounded() {
        let mut moves = Moves::default();
        for n in 0..5000 {
            moves.note(id(n), Move::Came, at(0));
            if n % 100 == 0 {
                moves.take(at(0));
            }
        }
        (0..5000).for_each(|n| moves.note(id(n), Move::Left, at(0)));
        assert!(moves.waiting.len() <= MOVES && moves.taken.len() <= RESTING);
    }
}
