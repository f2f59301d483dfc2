//! Handing records on when the neighbourhood of their key has changed.
//!
//! When a server comes near a key, or one of its holders goes, the closest of those that are left offer the record to
//! whoever has moved up: unchanged, within a budget of bytes, and only after asking whether it is there already.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{Distance, NodeId, NodeKey, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Mode, Prove, Request, Response};
use starling_proto::time::{Span, Tick};

use super::calls::Purpose;
use super::moves::{Move, Moves};
use super::{Context, Overlay};
use crate::holder::HandoverCursor;
use crate::io::CallError;
use crate::storage::StorageError;
use crate::table::Contact;

/// Records waiting to be offered.
const QUEUE: usize = 1024;
/// Of the holders that are left, so many offer the record: one may be gone, one may be hostile.
const OFFERERS: usize = 3;
/// Offers under way at once.
const UNDER_WAY: usize = 4;
/// Records taken up in one step of a pass.
const BATCH: usize = 32;
/// Changes are gathered this long: a peer that joins meets all its neighbours within seconds.
const GATHER: Span = Span::from_secs(20);
/// The pause between two steps of a pass.
const STEP: Span = Span::from_ms(200);
/// What may be saved up of the budget, in seconds' worth.
const BURST_S: u64 = 60;
/// What an offer costs besides the record.
const OFFER_BYTES: u64 = 256;

/// A record that somebody should have.
#[derive(Debug, Clone)]
struct Offering {
    record: RecordId,
    to: Peer,
}

/// What changed, how far the held records have been looked through for it, and what is to be offered.
#[derive(Debug)]
pub(super) struct Repair {
    moves: Moves,
    pass: Option<(BTreeMap<NodeId, Move>, Option<HandoverCursor>)>,
    queue: VecDeque<Offering>,
    next: Option<Tick>,
    /// Bytes spent, and when that was counted.
    spent: (u64, Tick),
}

impl Repair {
    pub(super) fn new(now: Tick) -> Self {
        Self { moves: Moves::default(), pass: None, queue: VecDeque::new(), next: None, spent: (0, now) }
    }

    pub(super) fn came(&mut self, key: &NodeKey) {
        self.moves.note(key.node_id(), Move::Came);
    }

    pub(super) fn left(&mut self, key: &NodeKey) {
        self.moves.note(key.node_id(), Move::Left);
    }

    pub(super) const fn next_timeout(&self) -> Option<Tick> {
        self.next
    }

    /// Begins a pass for what has changed, if none is under way and something has.
    fn begin_pass(&mut self, now: Tick) {
        if self.pass.is_none() && self.queue.is_empty() {
            self.pass =
                Some(self.moves.take(now)).filter(|moves| !moves.is_empty()).map(|moves| (moves, None));
        }
    }

    /// Nothing is held, so nobody's coming or going matters.
    fn reset(&mut self) {
        self.moves.clear();
        self.pass = None;
        self.queue.clear();
        self.next = None;
    }

    /// Whether the budget allows for something now.
    fn may_spend(&mut self, now: Tick, bytes_per_s: u64) -> bool {
        let (spent, at) = self.spent;
        let back = now.since(at).as_ms().saturating_mul(bytes_per_s) / 1000;
        self.spent = (spent.saturating_sub(back), now);
        self.spent.0 < bytes_per_s.saturating_mul(BURST_S)
    }

    fn spend(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(OFFER_BYTES);
        self.spent.0 = self.spent.0.saturating_add(bytes);
    }
}

impl Overlay {
    /// One step: gathers changes, looks through held records, offers some.
    pub(super) fn repair_step(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.tick;
        if self.holder.usage().records == 0 {
            self.repair.reset();
            return Ok(());
        }
        if self.repair.next.is_none() && !self.repair.moves.is_empty() {
            self.repair.next = Some(now.after(GATHER));
        }
        if self.repair.next.is_none_or(|next| next > now) {
            return Ok(());
        }
        self.repair.begin_pass(now);
        self.look_through(context)?;
        self.offer_some(context);
        let busy = self.repair.pass.is_some() || !self.repair.queue.is_empty();
        let more = (!self.repair.moves.is_empty()).then(|| now.after(GATHER));
        self.repair.next = if busy { Some(now.after(STEP)) } else { more };
        Ok(())
    }

    /// The peer that was asked whether it holds a record has answered.
    pub(super) fn repair_checked(
        &mut self,
        context: &mut Context<'_>,
        record: RecordId,
        from: NodeKey,
        answer: &Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        if *answer != Ok(Response::Proof(None)) {
            return Ok(());
        }
        let Some(peer) = self.table.get(&from).map(|contact| contact.peer()) else { return Ok(()) };
        let Some(record) = self.holder.record(context.store, &record)? else { return Ok(()) };
        self.repair.spend(record.signed().len());
        self.call(peer, Request::Store(record), Purpose::Repair);
        Ok(())
    }

    /// Takes up the next records whose holders have changed.
    fn look_through(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        if self.repair.queue.len() > QUEUE.saturating_sub(BATCH.saturating_mul(2)) {
            return Ok(());
        }
        let Some((moves, cursor)) = self.repair.pass.take() else { return Ok(()) };
        let mut wanted = |key: &RecordKey| !self.heirs(key, &moves).is_empty();
        let step = self.holder.handover(context.now, cursor.as_ref(), BATCH, &mut wanted);
        for id in step.records {
            let Some(record) = self.holder.record(context.store, &id)? else { continue };
            let heirs = self.heirs(&record.body().key, &moves);
            let room = QUEUE.saturating_sub(self.repair.queue.len());
            let offers = heirs.into_iter().take(room).map(|to| Offering { record: id, to });
            self.repair.queue.extend(offers);
        }
        self.repair.pass = step.next.map(|cursor| (moves, Some(cursor)));
        Ok(())
    }

    fn offer_some(&mut self, context: &mut Context<'_>) {
        let budget = self.config.records.repair_bytes_per_s;
        while self.calls.repairs() < UNDER_WAY && self.repair.may_spend(context.now.tick, budget) {
            let Some(Offering { record, to }) = self.repair.queue.pop_front() else { return };
            let mut nonce = [0; limits::NONCE];
            context.rng.fill_bytes(&mut nonce);
            self.repair.spend(0);
            self.call(to, Request::Prove(Prove { record, nonce }), Purpose::Check(record));
        }
    }

    /// Who should be offered the records under `key` by us after `moves`: those that came among the closest, and for
    /// each that left the one that moved up; all of them, if it has only now become our turn to see to it. Nobody if
    /// others are closer to the key.
    fn heirs(&self, key: &RecordKey, moves: &BTreeMap<NodeId, Move>) -> Vec<Peer> {
        let target = key.as_node_id();
        let mine = self.id.distance(&target);
        let closest = self.table.closest(&target, self.config.records.replicas);
        let came = |id: &NodeId| moves.get(id) == Some(&Move::Came);
        let left_within = |reach: Option<Distance>| {
            let within = |id: &NodeId| reach.is_none_or(|reach| id.distance(&target) < reach);
            moves.iter().filter(|(id, step)| **step == Move::Left && within(id)).count()
        };
        let closer = closest.iter().filter(|c| c.id().distance(&target) < mine && !came(c.id())).count();
        if closer >= OFFERERS {
            return Vec::new();
        }
        // We are one of the holders if we serve; then one of the others is outside.
        let serves = self.reach.mode() == Mode::Server;
        let others = self.config.records.replicas.saturating_sub(usize::from(serves));
        let holders = closest.get(..others.min(closest.len())).unwrap_or_default();
        let our_turn_now = closer.saturating_add(left_within(Some(mine))) >= OFFERERS;
        let farthest = holders.last().map(|contact| contact.id().distance(&target));
        let moved_up = match holders.len() {
            _ if our_turn_now => 0,
            full if full >= others => full.saturating_sub(left_within(farthest)),
            all => all,
        };
        let is_heir = |(rank, contact): &(usize, &&Contact)| came(contact.id()) || *rank >= moved_up;
        holders.iter().enumerate().filter(is_heir).map(|(_, contact)| contact.peer()).collect()
    }
}
