//! Lookups and what follows them, from the command to its result.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr};

use starling_proto::addr::Peer;
use starling_proto::ids::NodeId;
use starling_proto::limits;
use starling_proto::message::{Fetch, FindNode, Mode, Query, Request};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Tick;

use super::calls::{Purpose, Way};
use super::favours::{Show, Whose};
use super::gathering::Gathering;
use super::passing::Pass;
use super::{Context, Overlay};
use crate::config::RecordsConfig;
use crate::group::AddressGroup;
use crate::holder::Offer;
use crate::io::{Command, OpId, OpResult, Output};
use crate::lookup::{Found, Lookup, LookupOutput, Thinning};
use crate::sampling::{Samples, Sampling};
use crate::storage::StorageError;
use crate::task::asking::Asking;
use crate::task::passing::Passing;
use crate::task::placing::{Placing, PlacingInput, PlacingOutput};
use crate::task::replicas::{Member, ReplicaSet};

/// One lookup and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Task {
    pub(super) kind: TaskKind,
    pub(super) stage: Stage,
}

/// What for.
#[derive(Debug)]
pub(super) enum TaskKind {
    /// Our own place, to enter the network.
    Join,
    /// A place that nobody asked about for long.
    Refresh,
    Find(OpId),
    Store(Whose, Box<Record>),
    Fetch(Whose, Box<Gathering>),
    Query(Whose, Box<Gathering>),
    Sample(OpId),
    /// Holders are to show a record to somebody else.
    Show(Box<Show>),
    /// Others are to do it in our place.
    Pass(Box<Pass>),
}

/// How far it is. Boxed: only few tasks run, but the map that holds them is part of every overlay.
#[derive(Debug)]
pub(super) enum Stage {
    Looking(Box<Lookup>),
    Placing(Box<Placing>),
    Asking(Box<Asking>),
    Sampling(Box<Sampling>),
    Passing(Box<Passing>),
}

/// What one step of a task came to.
pub(super) enum Step {
    Again,
    Waits,
    Goes(Stage),
    Ended,
}

impl Task {
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        match &self.stage {
            Stage::Looking(lookup) => lookup.next_timeout(),
            Stage::Placing(_) | Stage::Asking(_) | Stage::Sampling(_) | Stage::Passing(_) => None,
        }
    }

    pub(super) const fn is_background(&self) -> bool {
        matches!(self.kind, TaskKind::Refresh)
    }
}

impl Overlay {
    pub(super) fn command(
        &mut self,
        context: &mut Context<'_>,
        op: OpId,
        command: Command,
    ) -> Result<(), StorageError> {
        if self.tasks.len() < self.config.service.operations {
            return self.begin(context, op, command);
        }
        if self.waiting.len() < self.config.service.waiting {
            self.waiting.push_back((op, command));
        } else {
            self.outputs.push_back(Output::Done { op, result: OpResult::Overloaded });
        }
        Ok(())
    }

    /// Begins a lookup of the `width` peers closest to `target`.
    pub(super) fn begin_lookup(
        &mut self,
        context: &mut Context<'_>,
        kind: TaskKind,
        target: NodeId,
        width: usize,
    ) -> Result<(), StorageError> {
        self.begin_lookup_with(context, (kind, target, width), None)
    }

    /// The same, and asks `stranger` besides.
    pub(super) fn begin_lookup_with(
        &mut self,
        context: &mut Context<'_>,
        (kind, target, width): (TaskKind, NodeId, usize),
        stranger: Option<Peer>,
    ) -> Result<(), StorageError> {
        let mut known: Vec<Peer> =
            self.table.closest(&target, width.max(limits::K)).iter().map(|contact| contact.peer()).collect();
        if known.is_empty() || matches!(kind, TaskKind::Join) {
            known.extend_from_slice(self.join.seeds());
        }
        let mut lookup = Lookup::new(self.me, target, width, known, (self.config.lookup, context.now.tick));
        let newest = self.newest(self.config.lookup.newest);
        lookup.meet(newest.into_iter().chain(stranger).collect());
        if target == self.id {
            lookup.is_at_home();
        }
        if matches!(kind, TaskKind::Query(..)) {
            lookup.ask_besides(self.outside(&target, self.config.records.query_besides));
        }
        if matches!(kind, TaskKind::Store(..)) {
            let RecordsConfig { replicas, spread, .. } = self.config.records;
            let salt = context.rng.next_u64();
            lookup = lookup.thinned(Thinning { closest: replicas, drawn: spread, salt });
        }
        let id = TaskId(self.upkeep.next_task());
        self.tasks.insert(id, Task { kind, stage: Stage::Looking(Box::new(lookup)) });
        self.drive(context, id)
    }

    /// Does what can be done for a task now.
    pub(super) fn drive(&mut self, context: &mut Context<'_>, id: TaskId) -> Result<(), StorageError> {
        let Some(mut task) = self.tasks.remove(&id) else { return Ok(()) };
        loop {
            let step = match &mut task.stage {
                Stage::Looking(lookup) => match lookup.poll(context.now.tick) {
                    None => Step::Waits,
                    Some(LookupOutput::Ask(peer)) => {
                        self.ask_for(id, &peer, request_of(&task.kind, lookup), Way::Any);
                        continue;
                    }
                    Some(LookupOutput::AskElsewhere(peer)) => {
                        self.ask_for(id, &peer, request_of(&task.kind, lookup), Way::Fresh);
                        continue;
                    }
                    Some(LookupOutput::Done(found)) => {
                        self.table.looked_up(lookup.target(), context.now.tick);
                        if !lookup.is_widened() && matches!(task.kind, TaskKind::Store(Whose::Ours(_), _)) {
                            self.note_density(lookup.target(), &found);
                        }
                        if self.widens(&task.kind, lookup, &found) {
                            self.widen(context, lookup, &found);
                            continue;
                        }
                        self.found(context, &mut task.kind, found)?
                    }
                },
                Stage::Placing(placing) => match placing.poll() {
                    None => Step::Waits,
                    Some(output) => self.place(context, id, &task.kind, output, placing)?,
                },
                Stage::Asking(asking) => self.ask(context, id, &mut task.kind, asking),
                Stage::Sampling(sampling) => self.conclude_sample(&task.kind, sampling),
                Stage::Passing(passing) => self.pass(context, id, &mut task.kind, passing),
            };
            match step {
                Step::Again => {}
                Step::Waits => break,
                Step::Goes(stage) => task.stage = stage,
                Step::Ended => return Ok(()),
            }
        }
        self.tasks.insert(id, task);
        Ok(())
    }

    /// Asks a peer for a lookup: where we know it before where others say that it is.
    fn ask_for(&mut self, id: TaskId, named: &Peer, request: Request, way: Way) {
        let key = named.key();
        let peer = self.known_as(named);
        let way = if self.links.contains_key(&key) { Way::Any } else { way };
        self.call_within(peer, request, Purpose::Lookup(id), (self.config.lookup.deadline, way));
    }

    /// A peer where we know it, before where it was named.
    pub(super) fn known_as(&self, named: &Peer) -> Peer {
        let known = self.table.get(&named.key()).map(|contact| contact.peer());
        let known = known.iter().flat_map(|peer| peer.addresses());
        Peer::new(named.key(), known.chain(named.addresses()).copied())
    }

    fn begin(&mut self, context: &mut Context<'_>, op: OpId, command: Command) -> Result<(), StorageError> {
        let records = self.config.records;
        match command {
            Command::Join(peers) => self.join(context, op, peers),
            Command::Lookup { target, width } => {
                self.begin_lookup(context, TaskKind::Find(op), target, width)
            }
            Command::Store(record) => {
                let target = record.body().key.as_node_id();
                let width = records.store_width;
                let kind = TaskKind::Store(Whose::Ours(op), Box::new(record));
                self.begin_lookup(context, kind, target, width)
            }
            Command::Fetch { key, kind } => {
                let mut gathering = Gathering::new(key, kind, Vec::new(), records.gathered);
                self.gather_own(context, &mut gathering)?;
                let kind = TaskKind::Fetch(Whose::Ours(op), Box::new(gathering));
                self.begin_lookup(context, kind, key.as_node_id(), records.fetch_width)
            }
            Command::Query { key, words } => {
                let gathering = Gathering::new(key, RecordKind::Directory, words, records.gathered);
                let kind = TaskKind::Query(Whose::Ours(op), Box::new(gathering));
                self.begin_lookup(context, kind, key.as_node_id(), records.query_width)
            }
            Command::Sample(sample) => {
                let id = TaskId(self.upkeep.next_task());
                let (sampling, requests) = Sampling::new(sample);
                for (peer, prove) in requests {
                    self.call(self.known_as(&peer), Request::Prove(prove), Purpose::Sample(id));
                }
                let stage = Stage::Sampling(Box::new(sampling));
                self.tasks.insert(id, Task { kind: TaskKind::Sample(op), stage });
                self.drive(context, id)
            }
            Command::PassOn { favour, avoid } => self.begin_passing(context, op, favour, avoid),
        }
    }

    /// Begins waiting commands as far as there is room.
    pub(super) fn begin_waiting(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        while self.tasks.len() < self.config.service.operations {
            let Some((op, command)) = self.waiting.pop_front() else { break };
            self.begin(context, op, command)?;
        }
        Ok(())
    }

    /// Whether a lookup goes on as a wide one: it fetched nothing, or whom it found cannot be all there are.
    fn widens(&self, kind: &TaskKind, lookup: &Lookup, found: &Found) -> bool {
        let (target, records) = (lookup.target(), &self.config.records);
        if lookup.is_widened() {
            // Those closest alone can be unremarkable where eighty are not.
            return !found.crowded && self.is_crowded(target, found);
        }
        let is_narrow = lookup.width() < records.fetch_width_wide;
        match kind {
            TaskKind::Fetch(_, gathering) => {
                is_narrow && (gathering.harvest.is_empty() || self.is_odd(target, found))
            }
            TaskKind::Find(_) | TaskKind::Query(..) | TaskKind::Show(_) => {
                is_narrow && self.is_odd(target, found)
            }
            TaskKind::Store(..) => records.store_width > records.replicas && self.is_crowded(target, found),
            _ => false,
        }
    }

    fn widen(&self, context: &mut Context<'_>, lookup: &mut Lookup, found: &Found) {
        let target = *lookup.target();
        lookup.widen(self.config.records.fetch_width_wide, context.now.tick);
        if let Some(rings) = self.rings(&target, found, context.rng) {
            lookup.look_in_rings(rings, self.around(&target, &rings));
        }
    }

    /// What follows a lookup.
    fn found(
        &mut self,
        context: &mut Context<'_>,
        kind: &mut TaskKind,
        found: Found,
    ) -> Result<Step, StorageError> {
        match kind {
            TaskKind::Join => self.join_ended(context),
            TaskKind::Refresh => self.wake_for_upkeep(context.now.tick),
            TaskKind::Find(op) => {
                let peers = found.peers.into_iter().map(|(peer, _)| peer).collect();
                let result = OpResult::Found { peers, requests: found.requests };
                self.outputs.push_back(Output::Done { op: *op, result });
            }
            TaskKind::Store(_, record) => {
                let set = self.replica_set(context, record, &found);
                let cost = (self.config.records.store_parallelism, found.requests);
                let placing = Placing::new(record.id(), self.me, set, cost);
                return Ok(Step::Goes(Stage::Placing(Box::new(placing))));
            }
            TaskKind::Fetch(whose, gathering) => {
                let (records, holders) = (gathering.harvest.finish(), gathering.holders);
                let result = OpResult::Fetched { records, holders, requests: found.requests };
                self.conclude(*whose, result);
            }
            TaskKind::Query(_, gathering) => {
                let peers = found.peers.into_iter().map(|(peer, _)| peer).collect();
                let mut asking = Asking::new(peers, self.config.records.store_parallelism, found.requests);
                self.query_own(context, gathering, &mut asking)?;
                return Ok(Step::Goes(Stage::Asking(Box::new(asking))));
            }
            TaskKind::Show(show) => return self.show(context, show, found),
            // They look nothing up.
            TaskKind::Sample(_) | TaskKind::Pass(_) => {}
        }
        Ok(Step::Ended)
    }

    /// Who is to hold a record, ourselves among them if we serve, or if there is nobody else.
    fn replica_set(&self, context: &mut Context<'_>, record: &Record, found: &Found) -> ReplicaSet {
        let target = record.body().key.as_node_id();
        let mut ranked: Vec<(Member, Option<AddressGroup>)> =
            found.peers.iter().map(|(peer, group)| (Member::Peer(peer.clone()), Some(*group))).collect();
        if self.reach.mode() == Mode::Server || ranked.is_empty() {
            let mine = self.id.distance(&target);
            let closer = |(peer, _): &&(Peer, AddressGroup)| peer.id().distance(&target) < mine;
            let rank = found.peers.iter().take_while(closer).count();
            let RecordsConfig { replicas, spread, .. } = self.config.records;
            // Behind all of a whole set we are outside.
            if rank < replicas.saturating_add(spread) {
                let group = self.observed.announced().first().map(AddressGroup::of);
                ranked.insert(rank, (Member::Ourselves, group));
            }
        }
        let mut records = self.config.records;
        if found.crowded {
            // Most of the closest were made to be there: everybody around is to hold it.
            records.spread = records.store_width;
            return ReplicaSet::choose(ranked, &records, context.rng);
        }
        let mut set = ReplicaSet::choose(ranked, &records, context.rng);
        // Who was only named may be gone: last of those who can stand in.
        let named = found.named.iter().map(|(peer, group)| (Member::Peer(peer.clone()), Some(*group)));
        set.spares.extend(named);
        set
    }

    fn place(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        kind: &TaskKind,
        output: PlacingOutput,
        placing: &mut Placing,
    ) -> Result<Step, StorageError> {
        let TaskKind::Store(whose, record) = kind else { return Ok(Step::Ended) };
        match output {
            PlacingOutput::Send(peer) => {
                self.call(peer, Request::Store((**record).clone()), Purpose::Store(id));
            }
            PlacingOutput::Keep => {
                let from = whose.group().unwrap_or_else(|| self.own_group());
                let offer = Offer { record: (**record).clone(), near: true, from };
                let outcome = self.keep(context, &offer)?;
                placing.handle(PlacingInput::Answered(self.me, outcome));
            }
            PlacingOutput::Done(mut placement) => {
                // Somebody else's record is not ours to watch.
                if matches!(whose, Whose::Ours(_)) {
                    placement.samples = Samples::new(record, placing.take_peers(), context.rng);
                }
                self.conclude(*whose, OpResult::Stored(placement));
                return Ok(Step::Ended);
            }
        }
        Ok(Step::Again)
    }

    fn ask(&mut self, context: &Context<'_>, id: TaskId, kind: &mut TaskKind, asking: &mut Asking) -> Step {
        let (whose, gathering) = match kind {
            TaskKind::Query(whose, gathering) => (*whose, gathering),
            TaskKind::Show(show) => return self.ask_to_show(id, show, asking),
            _ => return Step::Ended,
        };
        while let Some(peer) = asking.next() {
            let count = u8::try_from(limits::ANSWER_RECORDS).unwrap_or(u8::MAX);
            let query = Query { key: gathering.key, words: gathering.words.clone(), count };
            self.call(peer, Request::Query(query), Purpose::Query(id));
        }
        if !asking.is_done() {
            return Step::Waits;
        }
        let mut records = gathering.harvest.finish();
        if matches!(whose, Whose::Favour(_)) {
            // Not all may fit into the answer.
            records.sort_by_key(|record| Reverse(context.verify.matched_words(record, &gathering.words)));
        }
        let result = OpResult::Matched {
            records,
            left_out: asking.left_out,
            holders: core::mem::take(&mut asking.holders),
            requests: asking.requests,
        };
        self.conclude(whose, result);
        Step::Ended
    }

    fn conclude_sample(&mut self, kind: &TaskKind, sampling: &mut Sampling) -> Step {
        let TaskKind::Sample(op) = kind else { return Step::Ended };
        if !sampling.is_done() {
            return Step::Waits;
        }
        let result = OpResult::Sampled(sampling.finish(self.links.is_empty()));
        self.outputs.push_back(Output::Done { op: *op, result });
        Step::Ended
    }

    /// Where we are, for the quotas of our own disk.
    fn own_group(&self) -> AddressGroup {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.observed.announced().first().map_or(AddressGroup::Local(unknown), AddressGroup::of)
    }
}

/// How a task's lookup asks.
fn request_of(kind: &TaskKind, lookup: &Lookup) -> Request {
    match kind {
        TaskKind::Fetch(_, gathering) => Request::Fetch(Fetch {
            key: gathering.key,
            kind: gathering.kind,
            count: u8::try_from(limits::ANSWER_RECORDS).unwrap_or(u8::MAX),
            peers: lookup.answer_size(),
        }),
        _ => Request::FindNode(FindNode { target: *lookup.target(), count: lookup.answer_size() }),
    }
}
