//! Entering the network: looking up our own place through peers we were given or knew before.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::limits;
use starling_proto::time::{Span, Tick};

use super::tasks::TaskKind;
use super::{Context, Overlay};
use crate::config::UpkeepConfig;
use crate::io::{OpId, OpResult, Output};
use crate::storage::StorageError;

/// Peers to begin with: cached ones and those that were named.
const SEEDS: usize = 128;
/// Commands that wait for one and the same join.
const ASKERS: usize = 64;
/// Tries after which a join in which somebody answered, but nobody who serves, is over.
const TRIES: u8 = 16;

/// How far the entry has come.
#[derive(Debug)]
pub(super) struct Join {
    config: UpkeepConfig,
    seeds: Vec<Peer>,
    askers: Vec<OpId>,
    next: Option<Tick>,
    pause: Span,
    tries: u8,
    running: bool,
}

impl Join {
    pub(super) fn new(config: UpkeepConfig, seeds: Vec<Peer>, now: Tick) -> Self {
        let next = (!seeds.is_empty()).then_some(now);
        Self { config, seeds, askers: Vec::new(), next, pause: config.join_retry, tries: 0, running: false }
    }

    /// When a join is to begin.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.next.filter(|_| !self.running)
    }

    /// We know nobody any more; these were known, the best last.
    pub(super) fn lost(&mut self, known: Vec<Peer>, now: Tick) {
        self.add_seeds(known);
        self.next = Some(now);
    }

    /// Where to begin.
    pub(super) fn seeds(&self) -> &[Peer] {
        &self.seeds
    }

    fn add_seeds(&mut self, peers: Vec<Peer>) {
        for peer in peers {
            self.seeds.retain(|known| known.key() != peer.key());
            self.seeds.push(peer);
        }
        let over = self.seeds.len().saturating_sub(SEEDS);
        self.seeds.drain(..over);
    }
}

impl Overlay {
    pub(super) fn join(
        &mut self,
        context: &mut Context<'_>,
        op: OpId,
        peers: Vec<Peer>,
    ) -> Result<(), StorageError> {
        let me = self.me;
        self.join.add_seeds(peers.into_iter().filter(|peer| peer.key() != me).collect());
        if self.join.askers.len() >= ASKERS {
            self.outputs.push_back(Output::Done { op, result: OpResult::Overloaded });
            return Ok(());
        }
        self.join.askers.push(op);
        self.join.tries = 0;
        self.join.next = Some(context.now.tick);
        self.join_if_due(context)
    }

    pub(super) fn join_if_due(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        if self.join.next_timeout().is_none_or(|next| next > context.now.tick) {
            return Ok(());
        }
        self.join.next = None;
        self.join.running = true;
        self.begin_lookup(context, TaskKind::Join, self.id, limits::K)
    }

    /// The lookup of our own place has ended.
    pub(super) fn join_ended(&mut self, context: &mut Context<'_>) {
        let now = context.now.tick;
        self.join.running = false;
        if self.table.is_empty() && self.join.next.is_some() {
            // More peers were named meanwhile: try those before saying that nobody answered.
            return self.wake_for_upkeep(now);
        }
        self.join.tries = self.join.tries.saturating_add(1);
        if !self.table.is_empty() {
            self.join.pause = self.config.upkeep.join_retry;
            let on_island = self.is_on_island();
            self.upkeep.joined(now, &self.table, on_island, &self.config);
            self.join_done();
        } else if self.links.is_empty() || self.join.tries >= TRIES {
            let pause = self.join.pause.jittered(context.random());
            self.join.next = Some(now.after(pause)).filter(|_| !self.join.seeds.is_empty());
            self.join.pause = self.join.pause.times(2).min(self.config.upkeep.join_retry_max);
            self.join_done();
        } else {
            // Somebody is there but serves nobody yet: our dial has just shown it that it can be reached.
            self.join.next = Some(now.after(self.join.config.join_again));
        }
        self.wake_for_upkeep(now);
    }

    fn join_done(&mut self) {
        let peers = self.table.len();
        self.join.tries = 0;
        for op in core::mem::take(&mut self.join.askers) {
            self.outputs.push_back(Output::Done { op, result: OpResult::Joined { peers } });
        }
    }
}
