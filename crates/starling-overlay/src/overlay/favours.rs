//! Doing something in another's place, so that holders do not see who wants it.
//!
//! Holders are asked with ordinary requests, in which nothing says for whom: so what was passed on to us is never passed on
//! again, and nobody can be sent round in circles. It costs us some ninety requests for the asker's one, which is why it
//! costs the asker most of what its address group may ask for, and why there is a budget for all together.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::frame::FrameKind;
use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::limits;
use starling_proto::message::{
    Fetch, Matches, Mode, PassOn, Passed, Placed, Proof, Prove, Query, Records, Refusal, Request, Response,
    StoreOutcome,
};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Span, Tick};

use super::calls::Purpose;
use super::gathering::Gathering;
use super::minute::Minute;
use super::tasks::{Stage, Step, Task, TaskId, TaskKind};
use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::holder::chance;
use crate::io::{CallError, InboundId, OpId, OpResult, Output, Placement, Remote};
use crate::lookup::Found;
use crate::storage::StorageError;
use crate::task::asking::Asking;

/// A record is placed in somebody's place once in this time: who sends the same one again and again costs us one check.
const REST: Span = Span::from_secs(60);
/// Bytes around a record in an answer: a tag of one byte and a length of three.
const AROUND_RECORD: usize = 4;
/// Bytes of the other fields of an answer and of what is around it.
const AROUND_ANSWER: usize = 32;

/// Who waits for what comes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Somebody above.
    Ours(OpId),
    /// A peer.
    Favour(Favoured),
}

/// A peer in whose place something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Favoured {
    inbound: InboundId,
    /// Where it is, for the quotas of our own disk.
    group: AddressGroup,
    /// Records that it wants at most.
    count: u8,
}

impl Whose {
    /// Where the peer is that wants it, if it is not ourselves.
    pub(super) const fn group(&self) -> Option<AddressGroup> {
        match self {
            Self::Ours(_) => None,
            Self::Favour(favoured) => Some(favoured.group),
        }
    }
}

/// Holders that are to show a record to somebody else.
#[derive(Debug)]
pub(super) struct Show {
    favoured: Favoured,
    prove: Prove,
    proofs: Vec<Proof>,
}

/// What was done in others' place.
#[derive(Debug)]
pub(super) struct Favours {
    minute: Minute,
    /// Records that were placed lately. The budget of a minute is their bound.
    placed: BTreeMap<RecordId, Tick>,
}

impl Favours {
    pub(super) const fn new(now: Tick) -> Self {
        Self { minute: Minute::new(now), placed: BTreeMap::new() }
    }

    fn rests(&mut self, record: RecordId, now: Tick) -> bool {
        self.placed.retain(|_, at| now.since(*at) < REST);
        self.placed.contains_key(&record)
    }
}

impl Task {
    /// Whom it is done for, if not for ourselves.
    const fn favoured(&self) -> Option<&Favoured> {
        match &self.kind {
            TaskKind::Store(Whose::Favour(favoured), _)
            | TaskKind::Fetch(Whose::Favour(favoured), _)
            | TaskKind::Query(Whose::Favour(favoured), _) => Some(favoured),
            TaskKind::Show(show) => Some(&show.favoured),
            _ => None,
        }
    }
}

impl Overlay {
    pub(super) fn serve_pass_on(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        inbound: InboundId,
        pass: PassOn,
    ) -> Result<(), StorageError> {
        let group = AddressGroup::of(&remote.address);
        if let Err(refusal) = self.may_do(context, group, &pass) {
            self.reply(inbound, Response::Refused(refusal), true);
            return Ok(());
        }
        let count = match &pass {
            PassOn::Fetch(Fetch { count, .. }) | PassOn::Query(Query { count, .. }) => *count,
            PassOn::Store(_) | PassOn::Prove { .. } => 0,
        };
        let favoured = Favoured { inbound, group, count };
        let (records, target) = (self.config.records, pass.key().as_node_id());
        let (kind, width) = match pass {
            PassOn::Store(record) => {
                self.favours.placed.insert(record.id(), context.now.tick);
                (TaskKind::Store(Whose::Favour(favoured), Box::new(record)), records.store_width)
            }
            PassOn::Fetch(Fetch { key, kind, .. }) => {
                let mut gathering = Gathering::new(key, kind, Vec::new(), records.gathered);
                self.gather_own(context, &mut gathering)?;
                (TaskKind::Fetch(Whose::Favour(favoured), Box::new(gathering)), records.fetch_width)
            }
            PassOn::Query(Query { key, words, .. }) => {
                let gathering = Gathering::new(key, RecordKind::Directory, words, records.gathered);
                (TaskKind::Query(Whose::Favour(favoured), Box::new(gathering)), records.query_width)
            }
            PassOn::Prove { prove, .. } => {
                let show = Show { favoured, prove, proofs: Vec::new() };
                (TaskKind::Show(Box::new(show)), records.query_width)
            }
        };
        self.begin_lookup(context, kind, target, width)
    }

    /// Whether something may be done in the place of a peer of `group`, cheapest checks first.
    fn may_do(&mut self, context: &Context<'_>, group: AddressGroup, pass: &PassOn) -> Result<(), Refusal> {
        let now = context.now;
        let is_mail = matches!(pass, PassOn::Fetch(fetch) if fetch.kind == RecordKind::Deposit);
        if self.reach.mode() == Mode::Client || is_mail {
            return Err(Refusal::NotAllowed);
        }
        let rests = matches!(pass, PassOn::Store(record) if self.favours.rests(record.id(), now.tick));
        let at_work: Vec<AddressGroup> =
            self.tasks.values().filter_map(Task::favoured).map(|favoured| favoured.group).collect();
        let service = self.config.service;
        // Half of what is under way may be for one group: a few that drag theirs on leave as much to others.
        let greedy = at_work.contains(&group) && at_work.len() >= service.favours_at_once / 2;
        if rests || greedy || at_work.len() >= service.favours_at_once {
            return Err(Refusal::Busy);
        }
        // Nobody is to make us send forty peers what each of them refuses, nor to spend others' budget on it.
        if let PassOn::Store(record) = pass {
            context.verify.record(record, now.seconds()).map_err(|_| Refusal::NotAllowed)?;
        }
        if self.favours.minute.take(group, now.tick, service.favours) { Ok(()) } else { Err(Refusal::Busy) }
    }

    /// Tells whoever waits for it what has come of a task.
    pub(super) fn conclude(&mut self, whose: Whose, result: OpResult) {
        match whose {
            Whose::Ours(op) => self.outputs.push_back(Output::Done { op, result }),
            Whose::Favour(favoured) => {
                let response = match result {
                    OpResult::Stored(placement) => Response::Passed(Passed::Placed(placed(&placement))),
                    OpResult::Fetched { records, .. } => {
                        let (records, left_out) = fitting(records, favoured.count, FrameKind::Records);
                        let peers = Vec::new();
                        Response::Passed(Passed::Records(Records { records, peers, left_out }))
                    }
                    OpResult::Matched { records, left_out, .. } => {
                        let (records, cut) = fitting(records, favoured.count, FrameKind::Matches);
                        let left_out = left_out.saturating_add(cut);
                        Response::Passed(Passed::Matches(Matches { records, left_out }))
                    }
                    _ => Response::Refused(Refusal::Busy),
                };
                // What we keep of it ourselves must be on disk first.
                self.reply(favoured.inbound, response, false);
            }
        }
    }

    /// The peers closest to a record were found: some of them are to show it, and so are we.
    pub(super) fn show(
        &mut self,
        context: &mut Context<'_>,
        show: &mut Show,
        found: Found,
    ) -> Result<Step, StorageError> {
        let own = self.holder.prove(context.store, &show.prove)?;
        show.proofs.extend(matches!(own, Proof::Held(_)).then_some(own));
        let mut peers: Vec<_> = found.peers.into_iter().map(|(peer, _)| peer).collect();
        let count = self.config.passing.shown.saturating_sub(show.proofs.len());
        chance::draw(context.rng, &mut peers, count);
        peers.truncate(count);
        let asking = Asking::new(peers, self.config.records.store_parallelism, found.requests);
        Ok(Step::Goes(Stage::Asking(Box::new(asking))))
    }

    pub(super) fn ask_to_show(&mut self, id: TaskId, show: &mut Show, asking: &mut Asking) -> Step {
        while let Some(peer) = asking.next() {
            self.call(peer, Request::Prove(show.prove), Purpose::Show(id));
        }
        if !asking.is_done() {
            return Step::Waits;
        }
        let mut proofs = core::mem::take(&mut show.proofs);
        proofs.truncate(limits::PASSED_PROOFS);
        self.reply(show.favoured.inbound, Response::Passed(Passed::Proofs(proofs)), true);
        Step::Ended
    }

    pub(super) fn show_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: &Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        if let Some(Task { kind: TaskKind::Show(show), stage: Stage::Asking(asking) }) =
            self.tasks.get_mut(&id)
        {
            match answer {
                Ok(Response::Proof(proof)) => {
                    show.proofs.push(*proof);
                    asking.answered(&from, 0);
                }
                _ => asking.failed(&from),
            }
        }
        self.drive(context, id)
    }
}

fn placed(placement: &Placement) -> Placed {
    let small = |count: usize| u8::try_from(count.min(limits::WIDE)).unwrap_or(u8::MAX);
    let full = placement.refused.iter().filter(|(_, said)| *said == StoreOutcome::QuotaFull).count();
    // Ours among them: we are as good as any other.
    let stored = placement.holders.len().min(placement.wanted);
    Placed { wanted: small(placement.wanted), stored: small(stored), full: small(full) }
}

/// As many of the records as are wanted and fit into an answer, and how many are left out.
fn fitting(records: Vec<Record>, count: u8, kind: FrameKind) -> (Vec<Record>, u32) {
    let all = records.len();
    let mut room = kind.cap().saturating_sub(AROUND_ANSWER);
    let mut fits = |record: &Record| {
        let size = record.encode().len().saturating_add(AROUND_RECORD);
        let fits = size <= room;
        room = room.saturating_sub(if fits { size } else { 0 });
        fits
    };
    let fit: Vec<Record> =
        records.into_iter().filter(|record| fits(record)).take(usize::from(count)).collect();
    let left_out = u32::try_from(all.saturating_sub(fit.len())).unwrap_or(u32::MAX);
    (fit, left_out)
}
