//! Storing a record at its holders, and saying truthfully who has it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::message::StoreOutcome;

use super::replicas::{Member, ReplicaSet};
use crate::io::Placement;
use crate::sampling::Samples;

/// What became of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlacingInput {
    /// A holder said what became of it.
    Answered(NodeKey, StoreOutcome),
    /// A holder did not answer.
    Failed(NodeKey),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlacingOutput {
    /// Hand the record to this peer.
    Send(Peer),
    /// Keep it ourselves.
    Keep,
    /// It is placed as well as can be.
    Done(Placement),
}

/// A store after its lookup.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    id: RecordId,
    me: NodeKey,
    set: ReplicaSet,
    queue: VecDeque<Member>,
    under_way: BTreeMap<NodeKey, Member>,
    parallelism: usize,
    wanted: usize,
    holders: Vec<NodeKey>,
    /// The same without ourselves, and where they are.
    peers: Vec<Peer>,
    refused: Vec<(NodeKey, StoreOutcome)>,
    requests: u32,
    ended: bool,
}

impl Placing {
    /// Begins to hand the record `id` to the peers of `set`, a few at a time; `requests` were spent on finding them.
    pub(crate) fn new(id: RecordId, me: NodeKey, mut set: ReplicaSet, cost: (usize, u32)) -> Self {
        let (parallelism, requests) = cost;
        let queue: VecDeque<Member> = core::mem::take(&mut set.chosen).into();
        Self {
            id,
            me,
            wanted: queue.len(),
            set,
            queue,
            under_way: BTreeMap::new(),
            parallelism,
            holders: Vec::new(),
            peers: Vec::new(),
            refused: Vec::new(),
            requests,
            ended: false,
        }
    }

    /// Takes what happened; worth a [`Self::poll`] afterwards.
    pub(crate) fn handle(&mut self, input: PlacingInput) {
        let (key, outcome) = match input {
            PlacingInput::Answered(key, outcome) => (key, Some(outcome)),
            PlacingInput::Failed(key) => (key, None),
        };
        let Some(member) = self.under_way.remove(&key) else { return };
        if outcome == Some(StoreOutcome::Stored) {
            self.holders.push(key);
            if let Member::Peer(peer) = member {
                self.peers.push(peer);
            }
            return;
        }
        self.refused.extend(outcome.map(|outcome| (key, outcome)));
        // An invalid or overtaken record is so for everybody; any other reason is that holder's own.
        if !matches!(outcome, Some(StoreOutcome::Invalid | StoreOutcome::HaveNewer)) {
            self.queue.extend(self.set.substitute());
        }
    }

    /// What to do next; worth calling until it gives nothing.
    pub(crate) fn poll(&mut self) -> Option<PlacingOutput> {
        if self.ended {
            return None;
        }
        if self.queue.is_empty() && self.under_way.is_empty() {
            self.ended = true;
            return Some(PlacingOutput::Done(self.placement()));
        }
        if self.under_way.len() >= self.parallelism {
            return None;
        }
        match self.queue.pop_front()? {
            Member::Ourselves => {
                self.under_way.insert(self.me, Member::Ourselves);
                Some(PlacingOutput::Keep)
            }
            Member::Peer(peer) => {
                self.under_way.insert(peer.key(), Member::Peer(peer.clone()));
                self.requests = self.requests.saturating_add(1);
                Some(PlacingOutput::Send(peer))
            }
        }
    }

    /// Where the holders are, ourselves left out; worth calling once, when it is placed.
    pub(crate) fn take_peers(&mut self) -> Vec<Peer> {
        core::mem::take(&mut self.peers)
    }

    fn placement(&mut self) -> Placement {
        Placement {
            id: self.id,
            holders: core::mem::take(&mut self.holders),
            unnamed: 0,
            wanted: self.wanted,
            refused: core::mem::take(&mut self.refused),
            caps_relaxed: self.set.caps_relaxed,
            requests: self.requests,
            samples: Samples::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::config::RecordsConfig;
    use crate::group::AddressGroup;

    const ME: NodeKey = NodeKey::new([255; 32]);

    fn key(n: u8) -> NodeKey {
        NodeKey::new([n; 32])
    }

    /// Runs a placing on ourselves and `peers` others; `answer` says what each of them does.
    fn run(peers: u8, answer: impl Fn(NodeKey) -> PlacingInput) -> Placement {
        let address = |n: u8| format!("9.{n}.1.1:1").parse().unwrap();
        let others = (1..=peers)
            .map(|n| (Member::Peer(Peer::new(key(n), [address(n)])), Some(AddressGroup::of(&address(n)))));
        let ranked = [(Member::Ourselves, None)].into_iter().chain(others).collect();
        let set = ReplicaSet::choose(ranked, &RecordsConfig::default(), &mut ChaCha8Rng::seed_from_u64(1));
        let mut placing = Placing::new(RecordId::new([0; 32]), ME, set, (20, 7));
        let mut inputs = VecDeque::new();
        loop {
            while let Some(output) = placing.poll() {
                match output {
                    PlacingOutput::Keep => inputs.push_back(answer(ME)),
                    PlacingOutput::Send(peer) => inputs.push_back(answer(peer.key())),
                    PlacingOutput::Done(placement) => return placement,
                }
                assert!(inputs.len() <= 20, "too many at once");
            }
            placing.handle(inputs.pop_front().expect("a placing waits for somebody"));
        }
    }

    #[test]
    fn holders_are_those_who_said_so() {
        let placement = run(3, |key| PlacingInput::Answered(key, StoreOutcome::Stored));
        assert_eq!(placement.holders, [ME, key(1), key(2), key(3)]);
        assert_eq!((placement.wanted, placement.requests), (4, 10));
    }

    #[test]
    fn the_silent_and_the_full_are_replaced() {
        let placement = run(79, |peer| match peer.as_bytes()[0] {
            n @ 1..=20 if n.is_multiple_of(2) => PlacingInput::Failed(peer),
            n @ 1..=20 if n.is_multiple_of(3) => PlacingInput::Answered(peer, StoreOutcome::QuotaFull),
            _ => PlacingInput::Answered(peer, StoreOutcome::Stored),
        });
        assert_eq!((placement.holders.len(), placement.wanted), (40, 40));
        assert_eq!(placement.refused.len(), 3);
    }

    #[test]
    fn an_invalid_record_is_not_offered_to_the_whole_region() {
        let placement = run(79, |peer| PlacingInput::Answered(peer, StoreOutcome::Invalid));
        assert_eq!((placement.holders.len(), placement.refused.len()), (0, 40));
    }
}
