//! A virtual network of real cores: one clock, one queue, one seed.
//!
//! The network plays the shell's part for every node: it opens connections and greets, carries requests and answers
//! with a latency of its own for each pair, keeps deadlines and timers, and does jobs. A batch is one input: handled,
//! committed, and only then its outputs leave, as in `starling-node`.

pub(crate) mod connections;
mod crash;
mod globe;
mod harm;
mod queue;
pub(crate) mod router;
mod trace;
mod wires;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_core::backup::{kept_contact, linked_contact};
use starling_core::identity::Identity;
use starling_core::io::{
    CallId, Command, CommandError, CommandId, CommandOutput, Event, Input, Job, JobId, Output,
};
use starling_core::storage::ContactStore as _;
use starling_core::{LookupId, Measured};
use starling_overlay::io::InboundId;
use starling_overlay::seats::SeatLimits;
use starling_proto::addr::Peer;
use starling_proto::frame::FrameKind;
use starling_proto::ids::{AccountKey, NodeId, NodeKey};
use starling_proto::message::Request;
use starling_proto::time::{Now, Span, Tick, UnixMillis};

use self::connections::Connections;
use self::crash::Crashes;
pub use self::crash::{Batch, CrashPoint, Moment};
use self::queue::{Happening, Queue};
pub use self::router::Nat;
use self::trace::Trace;
use crate::bodies::SharedBodies;
use crate::checks::sometimes::{Reached, Sometimes};
use crate::faults::NodeFaults;
use crate::faults::link::Links;
use crate::faults::partition::Cuts;
use crate::node::{Fate, Handled, Node, NodeSetup};
use crate::session::seals::{self, UsedKeys};
use crate::stamps::Stamps;
use crate::traffic::Traffic;
use crate::verdicts::SharedVerifier;

/// A node's place in [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// How the world is.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// What every die is thrown with.
    pub seed: u64,
    /// One-way latency: the least.
    pub latency_min: Span,
    /// One-way latency: the most.
    pub latency_max: Span,
    /// Whether cores share what they found out about records. It makes large networks affordable and changes nothing
    /// else: the trace is the same.
    pub shared_verdicts: bool,
    /// Where latencies come from.
    pub terrain: Terrain,
    /// How many connections each node may have.
    pub seats: SeatLimits,
}

/// Where latencies come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terrain {
    /// Each pair's is between the least and the most.
    #[default]
    Flat,
    /// From distances on a sphere; the least and the most are of no account.
    Globe,
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 1,
            latency_min: Span::from_ms(10),
            latency_max: Span::from_ms(80),
            shared_verdicts: true,
            terrain: Terrain::Flat,
            seats: SeatLimits::default(),
        }
    }
}

/// What a node has asked and waits for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    ticket: u64,
    to: Option<NodeIndex>,
}

/// What a node has been asked and not answered.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    caller: NodeIndex,
    call: CallId,
    ticket: u64,
    asked: FrameKind,
    /// The connection has ended, so that the answer finds nobody.
    unanswered: bool,
    since: Tick,
}

/// The nodes and what is on its way between them.
pub struct Network {
    world: World,
    dice: ChaCha8Rng,
    now: Tick,
    queue: Queue,
    nodes: Vec<Node>,
    by_key: HashMap<NodeKey, NodeIndex>,
    /// What waits for an answer: ids come again after a crash, tickets do not.
    calls: BTreeMap<(NodeIndex, CallId), Asked>,
    inbound: BTreeMap<(NodeIndex, InboundId), Waiting>,
    next_id: u64,
    next_ticket: u64,
    results: BTreeMap<CommandId, Result<CommandOutput, CommandError>>,
    events: Vec<(Tick, NodeIndex, Event)>,
    trace: Trace,
    verifiers: BTreeMap<u8, SharedVerifier>,
    bodies: Arc<SharedBodies>,
    stamps: Stamps,
    measured: BTreeMap<(NodeIndex, LookupId), Measured>,
    by_kind: BTreeMap<FrameKind, u64>,
    /// What goes wrong is drawn from dice of its own, so that a world without faults is the same as before.
    fault_dice: ChaCha8Rng,
    links: Links,
    node_faults: NodeFaults,
    cuts: Cuts,
    crashes: Crashes,
    used_keys: UsedKeys,
    droppers: BTreeSet<NodeIndex>,
    idlers: BTreeSet<NodeIndex>,
    watched: Option<NodeIndex>,
    seen: Vec<(NodeIndex, Request)>,
    reached: Reached,
}

/// When the virtual world begins, in milliseconds since 1970: 1 January 2026.
const BEGINNING_MS: u64 = 1_767_225_600_000;

impl Network {
    /// An empty world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            world,
            dice: ChaCha8Rng::seed_from_u64(world.seed),
            now: Tick::ZERO,
            queue: Queue::default(),
            nodes: Vec::new(),
            by_key: HashMap::new(),
            calls: BTreeMap::new(),
            inbound: BTreeMap::new(),
            next_id: 0,
            next_ticket: 0,
            results: BTreeMap::new(),
            events: Vec::new(),
            trace: Trace::default(),
            verifiers: BTreeMap::new(),
            bodies: Arc::default(),
            stamps: Stamps::default(),
            measured: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            fault_dice: fault_dice(world.seed),
            links: Links::new(),
            node_faults: NodeFaults::default(),
            cuts: Cuts::default(),
            crashes: Crashes::default(),
            used_keys: UsedKeys::default(),
            droppers: BTreeSet::new(),
            idlers: BTreeSet::new(),
            watched: None,
            seen: Vec::new(),
            reached: Reached::default(),
        }
    }

    /// The virtual time on both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { tick: self.now, wall: UnixMillis::new(BEGINNING_MS.saturating_add(self.now.as_ms())) }
    }

    /// Adds a node with an address of its own, in an address group of its own.
    ///
    /// # Panics
    /// If the node cannot be made: a broken simulation must not go on.
    pub fn add(&mut self, setup: NodeSetup) -> NodeIndex {
        self.add_at(setup, address_of(NodeIndex(self.nodes.len())))
    }

    /// Adds a node at an address, which decides its address groups.
    ///
    /// # Panics
    /// If the node cannot be made: a broken simulation must not go on.
    pub fn add_at(&mut self, setup: NodeSetup, address: SocketAddr) -> NodeIndex {
        let verifier = self.verifier(&setup);
        let seed = self.dice.next_u64();
        let node = Node::new(setup, address, verifier, (self.now(), seed));
        self.push(node)
    }

    /// Adds another device of the account of `of`, which links it and gives it what a device is given.
    ///
    /// # Panics
    /// If it cannot be linked: a broken simulation must not go on.
    pub fn add_device(&mut self, of: NodeIndex, setup: NodeSetup) -> NodeIndex {
        let (now, seed, verifier) = (self.now(), self.dice.next_u64(), self.verifier(&setup));
        let (candidate, mut disk, rng) = Node::candidate(self.node(of).account(), (now, seed));
        let request = Box::new(candidate.request().clone());
        self.run_command(of, Command::LinkDevice(request)).expect("a device that may link");
        let from = self.node(of).disk();
        let identity = Identity::load(from).expect("an identity");
        let list = identity.list().list().clone();
        let joined = candidate.join(&mut disk, list, &setup.profile, now).expect("a list that names it");
        for row in from.contacts().expect("contacts") {
            if let Some(row) =
                kept_contact(row).expect("a contact").filter(|row| row.account != joined.account())
            {
                let row = linked_contact(row, now.seconds()).expect("a contact");
                disk.write_contact(&row).expect("room");
            }
        }
        let address = address_of(NodeIndex(self.nodes.len()));
        let node = Node::begin(setup, address, verifier, (disk, rng, &joined), now);
        self.push(node)
    }

    fn verifier(&mut self, setup: &NodeSetup) -> Option<SharedVerifier> {
        let policy = setup.config.stamps;
        let verifier = self.verifiers.entry(policy.bits()).or_insert_with(|| SharedVerifier::new(policy));
        self.world.shared_verdicts.then(|| verifier.clone())
    }

    fn push(&mut self, mut node: Node) -> NodeIndex {
        node.share_bodies(Arc::clone(&self.bodies));
        node.connections = Connections::new(self.world.seats);
        let index = NodeIndex(self.nodes.len());
        self.by_key.insert(node.key(), index);
        self.nodes.push(node);
        self.after_batch(index);
        index
    }

    /// A node.
    ///
    /// # Panics
    /// If there is none at `index`.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> &Node {
        self.nodes.get(index.0).expect("a node of this network")
    }

    fn at(&mut self, index: NodeIndex) -> &mut Node {
        self.nodes.get_mut(index.0).expect("a node of this network")
    }

    /// How a node is dialled.
    #[must_use]
    pub fn peer(&self, index: NodeIndex) -> Peer {
        Peer::new(self.node(index).key(), [self.node(index).address()])
    }

    /// Gives a command to a node; [`Self::result`] has the outcome once it is there.
    pub fn command(&mut self, index: NodeIndex, command: Command) -> CommandId {
        let id = CommandId(self.fresh_id());
        self.schedule(Span::ZERO, Happening::Input(index, Box::new(Input::Command { id, command })));
        id
    }

    /// The outcome of a command.
    #[must_use]
    pub fn result(&self, id: CommandId) -> Option<&Result<CommandOutput, CommandError>> {
        self.results.get(&id)
    }

    /// Takes the outcome of a command.
    pub fn take_result(&mut self, id: CommandId) -> Option<Result<CommandOutput, CommandError>> {
        self.results.remove(&id)
    }

    /// Gives a command and runs until its outcome is there.
    ///
    /// # Panics
    /// If it is not there within ten virtual minutes.
    pub fn run_command(&mut self, index: NodeIndex, command: Command) -> Result<CommandOutput, CommandError> {
        let id = self.command(index, command);
        assert!(
            self.run_until(Span::from_secs(600), |network| network.results.contains_key(&id)),
            "seed {}: no result within ten virtual minutes",
            self.world.seed
        );
        self.results.remove(&id).expect("just seen")
    }

    /// Begins a lookup of the `width` peers closest to `target`; [`Self::found`] has its outcome once it is there.
    ///
    /// # Panics
    /// If the node is down.
    pub fn look_up(&mut self, index: NodeIndex, target: NodeId, width: usize) -> LookupId {
        let now = self.now();
        let id = self.at(index).look_up(now, target, width);
        self.after_batch(index);
        id
    }

    /// Takes the outcome of a lookup.
    pub fn found(&mut self, index: NodeIndex, lookup: LookupId) -> Option<Measured> {
        self.measured.remove(&(index, lookup))
    }

    /// Forgets what the nodes wanted to show so far.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// What the nodes wanted to show.
    #[must_use]
    pub fn events(&self) -> &[(Tick, NodeIndex, Event)] {
        &self.events
    }

    /// Takes what the nodes wanted to show.
    pub fn take_events(&mut self) -> Vec<(Tick, NodeIndex, Event)> {
        core::mem::take(&mut self.events)
    }

    /// Requests of a node that wait for an answer.
    #[must_use]
    pub fn calls_of(&self, index: NodeIndex) -> usize {
        let first = CallId::Overlay(starling_overlay::io::CallId(0));
        self.calls.range((index, first)..).take_while(|((of, _), _)| *of == index).count()
    }

    /// Requests that a node has not answered, and since when the oldest of them waits.
    #[must_use]
    pub fn unanswered_of(&self, index: NodeIndex) -> (usize, Option<Tick>) {
        let waiting = self.inbound.range((index, InboundId(0))..=(index, InboundId(u64::MAX)));
        let since: Vec<Tick> = waiting.map(|(_, waiting)| waiting.since).collect();
        (since.len(), since.into_iter().min())
    }

    /// Who has this account.
    #[must_use]
    pub fn node_of(&self, account: &AccountKey) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.account() == *account).map(NodeIndex)
    }

    /// Requests that have travelled.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.traffic().requests
    }

    /// What all nodes have sent and received.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.nodes.iter().map(|node| node.traffic).sum()
    }

    /// Requests that have travelled, by their kind.
    #[must_use]
    pub const fn requests_by_kind(&self) -> &BTreeMap<FrameKind, u64> {
        &self.by_kind
    }

    /// Keeps from now on what this node asks of others.
    pub const fn watch(&mut self, index: NodeIndex) {
        self.watched = Some(index);
    }

    /// What the watched node has asked, and whom.
    #[must_use]
    pub fn seen(&self) -> &[(NodeIndex, Request)] {
        &self.seen
    }

    /// The places of all nodes, in the order in which they came.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).map(NodeIndex)
    }

    /// The nodes, in the order in which they came.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter()
    }

    /// A hash over everything that has happened, in order. Same seed, same hash.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        self.trace.hash()
    }

    /// Runs for `span` of virtual time.
    pub fn run_for(&mut self, span: Span) {
        self.run_until(span, |_| false);
    }

    /// Runs until `done` or for `span` of virtual time; says whether it was `done`.
    pub fn run_until(&mut self, span: Span, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(span);
        loop {
            if done(self) {
                return true;
            }
            let Some((at, happening)) = self.queue.pop_until(end) else { break };
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
        done(self)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Input(index, input) => self.hand_over(index, *input),
            Happening::Owed { to, life, input } => {
                if self.node(to).life == life {
                    self.hand_over(to, *input);
                }
            }
            Happening::Timer(index) => {
                let now = self.now;
                if self.at(index).timer_fires(now) {
                    self.hand_over(index, Input::Timer);
                }
            }
            Happening::Arrive(parcel) => self.arrive(*parcel),
            Happening::Again(parcel, left) => self.try_again(parcel, left),
            Happening::Down { at, peer } => self.tell_down(at, peer),
            Happening::Missed { at, peer, epoch } => self.miss(at, peer, epoch),
            Happening::Deadline { from, to, call, ticket, began } => {
                if self.waits(from, (call, ticket)) {
                    self.run_out(from, (call, ticket), began, to);
                }
            }
            Happening::Idle { dialler, other, binding } => self.close_idle(dialler, other, &binding),
            Happening::Restart(index) => self.restart_crashed(index),
            Happening::Room(index) => self.make_room(index),
        }
    }

    /// One batch: one input, one commit, then the outputs.
    fn hand_over(&mut self, index: NodeIndex, input: Input) {
        let (now, moment) = (self.now(), self.moment(index, &input));
        let fate = if moment == Some(Moment::BeforeCommit) { Fate::CrashBeforeCommit } else { self.fate() };
        let command = match &input {
            Input::Command { id, .. } => Some(*id),
            _ => None,
        };
        let delivers = matches!(&input, Input::Request { request: Request::Deliver(_), .. });
        match (self.at(index).handle(now, input, fate), moment) {
            (Handled::Down, _) => {}
            (Handled::Committed, Some(Moment::AfterOutputs(left))) => {
                self.release(index, left);
                self.fail_silently(index);
            }
            (Handled::Committed, _) => {
                let left = self.after_batch(index);
                self.crashes.released(left);
            }
            (Handled::Crashed, moment) => {
                seals::take();
                if delivers && fate == Fate::CrashAfterCommit {
                    self.reached.note(Sometimes::MessageCameTwice);
                }
                if moment.is_some() { self.fail_silently(index) } else { self.crash(index, fate) }
            }
            (Handled::RolledBack, _) => {
                seals::take();
                self.after_rollback(index, command);
            }
        }
    }

    /// Carries out what a batch has put out; says how much there was.
    fn after_batch(&mut self, index: NodeIndex) -> usize {
        let left = self.release(index, usize::MAX);
        while let Some((id, measured)) = self.at(index).poll_measured() {
            self.measured.insert((index, id), measured);
        }
        if let Some(at) = self.at(index).arm_timer() {
            let wait = at.since(self.now);
            self.schedule(wait, Happening::Timer(index));
        }
        left
    }

    /// Lets at most so many outputs of a batch out; says how many there were.
    ///
    /// # Panics
    /// If a key of a session has sealed two different messages.
    fn release(&mut self, index: NodeIndex, most: usize) -> usize {
        let once = self.used_keys.note(seals::take());
        assert!(once, "seed {}: {index:?} has used a key of a session twice", self.world.seed);
        let mut left = 0;
        while left < most {
            let Some(output) = self.at(index).poll_output() else { break };
            self.carry_out(index, output);
            left = left.saturating_add(1);
        }
        left
    }

    fn carry_out(&mut self, index: NodeIndex, output: Output) {
        match output {
            Output::Call { call, to, request, way, deadline } => {
                let ticket = self.fresh_ticket();
                let (began, to_whom) = (self.now, self.by_key.get(&to.key()).copied());
                self.calls.insert((index, call), Asked { ticket, to: to_whom });
                let due = Happening::Deadline { from: index, to: to_whom, call, ticket, began };
                self.schedule(deadline, due);
                self.call(index, call, &to, request, way);
            }
            Output::Reply { inbound, response, .. } => self.reply(index, inbound, response),
            other => self.take_note(index, other),
        }
    }

    /// Whatever stays within the node.
    fn take_note(&mut self, index: NodeIndex, output: Output) {
        self.trace.output(self.now, index, &output);
        match output {
            Output::Greet { mode, addresses } => self.at(index).greeting = (mode, addresses),
            Output::Result { id, result } => {
                if matches!(result, Ok(CommandOutput::Joined { .. })) {
                    let node = self.at(index);
                    node.joined_after.get_or_insert(node.traffic);
                }
                self.results.insert(id, result);
            }
            Output::Event(event) => self.events.push((self.now, index, event)),
            Output::Job { job, work } => self.work(index, job, &work),
            other => panic!("the network does not know {other:?}"),
        }
    }

    fn work(&mut self, index: NodeIndex, job: JobId, work: &Job) {
        let life = self.node(index).life;
        let result = self.stamps.work(work);
        let input = Box::new(Input::JobDone { job, result });
        self.schedule(Span::from_secs(1), Happening::Owed { to: index, life, input });
    }

    fn schedule(&mut self, wait: Span, happening: Happening) {
        self.queue.push(self.now.after(wait), happening);
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.saturating_add(1);
        self.next_id
    }

    const fn fresh_ticket(&mut self) -> u64 {
        self.next_ticket = self.next_ticket.saturating_add(1);
        self.next_ticket
    }
}

fn fault_dice(seed: u64) -> ChaCha8Rng {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    dice.set_stream(2);
    dice
}

/// A public address in an address group of its own: the first number from 11 to 99, which holds no private or special
/// range, a /16 for each node while they last.
pub(crate) fn address_of(index: NodeIndex) -> SocketAddr {
    let number = u32::try_from(index.0).unwrap_or(u32::MAX);
    let (street, town) = (number / 89, number % 89);
    let [_, _, high, low] = street.to_be_bytes();
    let [.., block] = town.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(block.saturating_add(11), low, high, 1)), 4000)
}
