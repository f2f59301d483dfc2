//! Having others do something in our place: whom we ask, and what we make of what they say.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::limits;
use starling_proto::message::{PassOn, Passed, Placed, Refusal, Request, Response, StoreOutcome};
use starling_proto::record::Record;

use super::calls::{Purpose, Way};
use super::gathering::Gathering;
use super::tasks::{Stage, Step, Task, TaskId, TaskKind};
use super::{Context, Overlay};
use crate::holder::chance;
use crate::io::{CallError, Favour, NotPassed, OpId, OpResult, Output, Placement};
use crate::sampling::Samples;
use crate::storage::StorageError;
use crate::table::Contact;
use crate::task::harvest::Conduct;
use crate::task::passing::{Passing, PassingInput, PassingOutput};

/// A wish of ours that others are to fulfil.
#[derive(Debug)]
pub(super) struct Pass {
    op: OpId,
    /// Peers that are not to be asked.
    avoid: BTreeSet<NodeKey>,
    gathering: Gathering,
    /// The most that any of them has left out.
    left_out: u32,
    /// Go-betweens that have answered.
    answered: Vec<NodeKey>,
}

impl Overlay {
    pub(super) fn begin_passing(
        &mut self,
        context: &mut Context<'_>,
        op: OpId,
        favour: Favour,
        avoid: Vec<NodeKey>,
    ) -> Result<(), StorageError> {
        let words = match &favour {
            Favour::Query { words, .. } => words.clone(),
            Favour::Store(_) | Favour::Fetch { .. } => Vec::new(),
        };
        let passing = Passing::new(favour, self.config.passing);
        let (key, kind) = passing.wanted();
        let mut gathering = Gathering::new(key, kind, words, self.config.records.gathered);
        match passing.favour() {
            // Nobody learns that we look at our own disk.
            Favour::Fetch { .. } => self.gather_own(context, &mut gathering)?,
            Favour::Query { .. } | Favour::Store(_) => {}
        }
        let avoid = avoid.into_iter().collect();
        let pass = Pass { op, avoid, gathering, left_out: 0, answered: Vec::new() };
        let id = TaskId(self.upkeep.next_task());
        let stage = Stage::Passing(Box::new(passing));
        self.tasks.insert(id, Task { kind: TaskKind::Pass(Box::new(pass)), stage });
        self.drive(context, id)
    }

    pub(super) fn pass(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        kind: &mut TaskKind,
        passing: &mut Passing,
    ) -> Step {
        let TaskKind::Pass(pass) = kind else { return Step::Ended };
        let output = passing.poll(context.rng);
        let result = match output {
            None => return Step::Waits,
            Some(PassingOutput::Ask(request)) => {
                let target = request.key().as_node_id();
                let Some(contact) = self.go_between(context, &target, (&pass.avoid, &passing.asked)) else {
                    passing.handle(PassingInput::Nobody);
                    return Step::Again;
                };
                passing.sent(contact.key());
                let deadline = match request {
                    PassOn::Store(_) => self.config.passing.store_deadline,
                    _ => self.config.passing.deadline,
                };
                let request = Request::PassOn(request);
                self.call_within(contact.peer(), request, Purpose::Pass(id), (deadline, Way::Any));
                return Step::Waits;
            }
            Some(PassingOutput::NotPassed(why)) => OpResult::NotPassed(why),
            Some(PassingOutput::Placed(placed)) => match passing.favour() {
                Favour::Store(record) => OpResult::Stored(self.placement(record, placed, passing.requests)),
                Favour::Fetch { .. } | Favour::Query { .. } => OpResult::NotPassed(NotPassed::Silence),
            },
            Some(PassingOutput::Found) => self.passed(pass, passing),
        };
        self.outputs.push_back(Output::Done { op: pass.op, result });
        Step::Ended
    }

    /// A placement of which nobody knows the holders.
    fn placement(&self, record: &Record, placed: Placed, requests: u32) -> Placement {
        let refused = (0..placed.full).map(|_| (self.me, StoreOutcome::QuotaFull));
        Placement {
            id: record.id(),
            holders: Vec::new(),
            unnamed: usize::from(placed.stored),
            wanted: usize::from(placed.wanted),
            refused: refused.take(1).collect(),
            caps_relaxed: false,
            requests,
            samples: Samples::default(),
        }
    }

    fn passed(&self, pass: &mut Pass, passing: &Passing) -> OpResult {
        let (records, requests) = (pass.gathering.harvest.finish(), passing.requests);
        match passing.favour() {
            Favour::Query { .. } => {
                let holders = core::mem::take(&mut pass.answered);
                OpResult::Matched { records, left_out: pass.left_out, holders, requests }
            }
            Favour::Fetch { .. } | Favour::Store(_) => {
                // That somebody has found nothing is its word alone: it does not say that there is nothing.
                let holders = if records.is_empty() { 0 } else { pass.answered.len() };
                OpResult::Fetched { records, holders, requests }
            }
        }
    }

    /// Whom to ask: a random server of another address group than ours, and not one of those closest to the place, which
    /// hold what lies there. Where only few are left, those closer may be asked as well, step by step.
    fn go_between(
        &self,
        context: &mut Context<'_>,
        target: &NodeId,
        (avoid, asked): (&BTreeSet<NodeKey>, &BTreeSet<NodeKey>),
    ) -> Option<Contact> {
        let now = context.now.tick;
        let may = |contact: &&Contact| {
            let key = contact.key();
            let is_free = !avoid.contains(&key) && !asked.contains(&key) && !self.liars.contains(&key, now);
            is_free && contact.failures() == 0
        };
        let mut contacts: Vec<&Contact> = self.table.contacts().collect();
        contacts.sort_by_key(|contact| contact.id().distance(target));
        let mut closest = limits::WIDE;
        loop {
            let mut others: Vec<&Contact> = contacts.iter().skip(closest).copied().filter(may).collect();
            let elsewhere = |contact: &&Contact| !self.observed.is_own_group(&contact.group());
            if others.iter().any(elsewhere) {
                others.retain(elsewhere);
            }
            if others.len() >= self.config.passing.choice || closest == 0 {
                let pick = chance::below(context.rng, others.len());
                return others.get(pick).map(|contact| (*contact).clone());
            }
            closest /= 2;
        }
    }

    pub(super) fn pass_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(Task { kind: TaskKind::Pass(pass), stage: Stage::Passing(passing) }) =
            self.tasks.get_mut(&id)
        else {
            return Ok(());
        };
        let mut conduct = Conduct::Honest;
        let input = match answer {
            Ok(Response::Refused(Refusal::Busy | Refusal::RateLimited)) => PassingInput::Busy,
            Ok(Response::Passed(Passed::Records(found)))
                if matches!(passing.favour(), Favour::Fetch { .. }) =>
            {
                // What we keep ourselves may be older than what lies elsewhere.
                let has_found = !found.records.is_empty();
                conduct = pass.gathering.take(found.records, context);
                PassingInput::Found(has_found && conduct == Conduct::Honest)
            }
            Ok(Response::Passed(Passed::Matches(found)))
                if matches!(passing.favour(), Favour::Query { .. }) =>
            {
                pass.left_out = pass.left_out.max(found.left_out);
                conduct = pass.gathering.take_matching(found.records, context);
                PassingInput::Found(!pass.gathering.harvest.is_empty())
            }
            Ok(Response::Passed(passed)) if !passing.expects(&passed) => PassingInput::Failed,
            Ok(Response::Passed(passed @ (Passed::Placed(_) | Passed::Proofs(_)))) => {
                PassingInput::Said(passed)
            }
            _ => PassingInput::Failed,
        };
        if matches!(input, PassingInput::Found(_)) && conduct == Conduct::Honest {
            pass.answered.push(from);
        }
        passing.handle(input);
        if conduct == Conduct::Lied {
            self.caught_lying(context, &from)?;
        }
        self.drive(context, id)
    }
}
