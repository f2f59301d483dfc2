//! Handing records on when the neighbourhood of their key has changed.
//!
//! When a server comes near a key, or one of its holders goes, the closest of those that are left hands the record to
//! whoever has moved up: unchanged, and within a budget of bytes. The next two see to it that it does ([`Backups`]).
//! Changes are gathered, so that a neighbourhood in which everything moves is repaired once a minute and not once for
//! each peer.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{Distance, NodeId, NodeKey, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Mode, Proof, Prove, Request, Response};
use starling_proto::time::{Span, Tick};

use super::backups::{Backups, Giver};
use super::calls::Purpose;
use super::moves::{Move, Moved, Moves};
use super::{Context, Overlay};
use crate::holder::HandoverCursor;
use crate::io::CallError;
use crate::leading::leading;
use crate::storage::StorageError;
use crate::table::Contact;

/// Records waiting to be offered.
const QUEUE: usize = 1024;
/// Of the holders that are left, so many see to a record: one may be gone, one may be hostile.
const OFFERERS: usize = 3;
/// Offers under way at once.
const UNDER_WAY: usize = 4;
/// Records taken up in one step of a pass.
const BATCH: usize = 32;
/// Changes are gathered this long, give or take a quarter. A peer that joins meets all its neighbours within seconds; in
/// a network that doubles every half minute a quarter of a key's closest have its records when they are handed on, and
/// one would do.
const GATHER: Span = Span::from_secs(60);
/// A peer that came so long before a record was published is among its holders, if it is to be.
const SETTLING: Span = Span::from_secs(5);
/// The pause between two steps of a pass.
const STEP: Span = Span::from_ms(200);
/// What may be saved up of the budget, in seconds' worth.
const BURST_S: u64 = 60;
/// What an offer costs besides the record.
const OFFER_BYTES: u64 = 256;
/// Records up to this size are sent without asking: three of four heirs have not got them, and to ask and then to send
/// costs more than to send once too often.
const UNASKED_BYTES: u32 = 1024;

/// A record that somebody should have.
#[derive(Debug, Clone)]
struct Offering {
    record: RecordId,
    to: Peer,
    /// Whether it may have it already, and is asked first.
    ask: bool,
}

/// Who should be offered the records of a key, as far as we have to see to it.
#[derive(Debug, Clone, Default)]
struct Heirs {
    /// Who has moved up, and has not got them.
    new: Vec<Peer>,
    /// Who may have got them from others that are gone.
    old: Vec<Peer>,
    /// Who is to hand them on before us.
    first: Option<NodeKey>,
}

/// What changed, how far the held records have been looked through for it, and what is to be offered.
#[derive(Debug)]
pub(super) struct Repair {
    moves: Moves,
    /// When to take up what has changed.
    begin: Option<Tick>,
    pass: Option<(BTreeMap<NodeId, Moved>, Option<HandoverCursor>)>,
    queue: VecDeque<Offering>,
    backups: Backups,
    /// When to go on.
    step: Tick,
    /// Bytes spent, and when that was counted.
    spent: (u64, Tick),
}

impl Repair {
    pub(super) fn new(now: Tick) -> Self {
        Self {
            moves: Moves::default(),
            begin: None,
            pass: None,
            queue: VecDeque::new(),
            backups: Backups::default(),
            step: now,
            spent: (0, now),
        }
    }

    pub(super) fn came(&mut self, key: &NodeKey, now: Tick) {
        self.moves.note(key.node_id(), Move::Came, now);
    }

    pub(super) fn left(&mut self, key: &NodeKey, now: Tick) {
        self.moves.note(key.node_id(), Move::Left, now);
    }

    pub(super) fn next_timeout(&self) -> Option<Tick> {
        if self.is_busy() {
            return Some(self.step);
        }
        self.begin.into_iter().chain(self.backups.next_timeout()).min()
    }

    fn is_busy(&self) -> bool {
        self.pass.is_some() || !self.queue.is_empty()
    }

    /// Begins a pass for what has changed, if none is under way and something has.
    fn begin_pass(&mut self, now: Tick) {
        if !self.is_busy() && self.begin.is_some_and(|at| at <= now) {
            self.begin = None;
            self.pass =
                Some(self.moves.take(now)).filter(|moves| !moves.is_empty()).map(|moves| (moves, None));
        }
    }

    /// Nothing is held, so nobody's coming or going matters.
    fn reset(&mut self) {
        self.moves.clear();
        self.begin = None;
        self.pass = None;
        self.queue.clear();
        self.backups = Backups::default();
    }

    fn offer(&mut self, record: RecordId, to: Peer, ask: bool) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(Offering { record, to, ask });
        }
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
        self.repair.begin_pass(now);
        while self.repair.queue.len() < QUEUE {
            let Some((record, to)) = self.repair.backups.sample(now, context.rng) else { break };
            self.repair.offer(record, to, true);
        }
        if self.repair.is_busy() && self.repair.step <= now {
            self.look_through(context);
            self.offer_some(context)?;
            self.repair.step = now.after(STEP);
        }
        if self.repair.begin.is_none() && !self.repair.moves.is_empty() {
            self.repair.begin = Some(now.after(GATHER.jittered(context.random())));
        }
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
        let sampled = self.repair.backups.sampled(from, record);
        if *answer != Ok(Response::Proof(Proof::Missing)) {
            return Ok(());
        }
        let Some(peer) = self.table.get(&from).map(|contact| contact.peer()) else { return Ok(()) };
        if let Some((heir, others)) = sampled {
            others.into_iter().for_each(|other| self.repair.offer(other, heir.clone(), true));
            self.wake_for_upkeep(context.now.tick);
        }
        self.hand_on(context, &record, peer)
    }

    /// Takes up the next records whose holders have changed.
    fn look_through(&mut self, context: &Context<'_>) {
        if self.repair.queue.len() > QUEUE / 2 {
            return;
        }
        let Some((moves, cursor)) = self.repair.pass.take() else { return };
        // Rows of one key follow each other.
        let mut known: BTreeMap<RecordKey, Heirs> = BTreeMap::new();
        let mut wanted = |key: &RecordKey| {
            let heirs = known.entry(*key).or_insert_with(|| self.heirs(key, &moves));
            !heirs.new.is_empty() || !heirs.old.is_empty()
        };
        let step = self.holder.handover(context.now, cursor.as_ref(), BATCH, &mut wanted);
        for row in step.records {
            let Some(heirs) = known.get(&row.key) else { continue };
            for heir in &heirs.new {
                let came = moves.get(&heir.key().node_id()).filter(|moved| moved.step == Move::Came);
                let was_there = came.is_some_and(|came| came.at.after(SETTLING) < row.since);
                let giver = if was_there { Some(Giver::Publisher) } else { heirs.first.map(Giver::First) };
                match giver {
                    Some(giver) => self.repair.backups.note(giver, heir.clone(), row.id, context.now.tick),
                    None => self.repair.offer(row.id, heir.clone(), row.size > UNASKED_BYTES),
                }
            }
            heirs.old.iter().for_each(|heir| self.repair.offer(row.id, heir.clone(), true));
        }
        self.repair.pass = step.next.map(|cursor| (moves, Some(cursor)));
    }

    fn offer_some(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let budget = self.config.records.repair_bytes_per_s;
        while self.calls.repairs() < UNDER_WAY && self.repair.may_spend(context.now.tick, budget) {
            let Some(Offering { record, to, ask }) = self.repair.queue.pop_front() else { break };
            if !ask {
                self.hand_on(context, &record, to)?;
                continue;
            }
            let mut nonce = [0; limits::NONCE];
            context.rng.fill_bytes(&mut nonce);
            self.repair.spend(0);
            self.call(to, Request::Prove(Prove { record, nonce }), Purpose::Check(record));
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        context: &mut Context<'_>,
        record: &RecordId,
        to: Peer,
    ) -> Result<(), StorageError> {
        if let Some(record) = self.holder.record(context.store, record)? {
            self.repair.spend(record.signed().len());
            self.call(to, Request::Store(record), Purpose::Repair);
        }
        Ok(())
    }

    /// Who should be offered the records under `key` by us after `moves`: those that came among the closest, and for
    /// each that left the one that moved up; all of them, if it has only now become our turn to see to it. Nobody if
    /// others are closer to the key.
    fn heirs(&self, key: &RecordKey, moves: &BTreeMap<NodeId, Moved>) -> Heirs {
        let target = key.as_node_id();
        if self.is_others_turn(&target, moves) {
            return Heirs::default();
        }
        let mine = self.id.distance(&target);
        let closest = self.table.closest(&target, self.config.records.replicas);
        let came = |id: &NodeId| moves.get(id).is_some_and(|moved| moved.step == Move::Came);
        let left_within = |reach: Option<Distance>| {
            let within = |id: &NodeId| reach.is_none_or(|reach| id.distance(&target) < reach);
            moves.iter().filter(|(id, moved)| moved.step == Move::Left && within(id)).count()
        };
        let mut before_us = closest.iter().filter(|c| c.id().distance(&target) < mine && !came(c.id()));
        let first = before_us.next().map(|contact| contact.key());
        let closer = before_us.count().saturating_add(usize::from(first.is_some()));
        if closer >= OFFERERS {
            return Heirs::default();
        }
        // We are one of the holders if we serve; then one of the others is outside.
        let serves = self.reach.mode() == Mode::Server;
        let others = self.config.records.replicas.saturating_sub(usize::from(serves));
        let holders = closest.get(..others.min(closest.len())).unwrap_or_default();
        let our_turn_now = closer.saturating_add(left_within(Some(mine))) >= OFFERERS;
        let farthest = holders.last().map(|contact| contact.id().distance(&target));
        let moved_up = match holders.len() {
            full if full >= others => full.saturating_sub(left_within(farthest)),
            all => all,
        };
        let is_new = |(rank, contact): &(usize, &&Contact)| came(contact.id()) || *rank >= moved_up;
        let (new, old): (Vec<_>, Vec<_>) = holders.iter().enumerate().partition(is_new);
        let peers = |found: Vec<(usize, &&Contact)>| found.into_iter().map(|(_, c)| c.peer()).collect();
        Heirs { new: peers(new), old: if our_turn_now { peers(old) } else { Vec::new() }, first }
    }

    /// Whether enough others are closer to see to a key: most often so, and quickly found out.
    fn is_others_turn(&self, target: &NodeId, moves: &BTreeMap<NodeId, Moved>) -> bool {
        let mine = leading(&self.id, target);
        let closer = |contact: &&Contact| contact.failures() == 0 && leading(contact.id(), target) < mine;
        let stayed =
            |contact: &&Contact| moves.get(contact.id()).is_none_or(|moved| moved.step == Move::Left);
        self.table.contacts().filter(closer).filter(stayed).nth(OFFERERS.saturating_sub(1)).is_some()
    }
}
