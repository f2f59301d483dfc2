//! A virtual network of real cores: one clock, one queue, one seed.
//!
//! The network plays the shell's part for every node: it opens connections and greets, carries requests and answers
//! with a latency of its own for each pair, keeps deadlines and timers, and does jobs. A batch is one input: handled,
//! committed, and only then its outputs leave, as in `starling-node`.

mod queue;
mod trace;
mod wires;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_core::io::{
    CallId, Command, CommandError, CommandId, CommandOutput, Event, Input, Job, JobId, Output,
};
use starling_core::{LookupId, Measured};
use starling_overlay::io::{CallError, InboundId};
use starling_proto::addr::Peer;
use starling_proto::frame::FrameKind;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::{Now, Span, Tick, UnixMillis};

use self::queue::{Happening, Queue};
use self::trace::Trace;
use crate::node::{Node, NodeSetup};
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
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 1,
            latency_min: Span::from_ms(10),
            latency_max: Span::from_ms(80),
            shared_verdicts: true,
        }
    }
}

/// What a node has asked and waits for.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    caller: NodeIndex,
    call: CallId,
}

/// The nodes and what is on its way between them.
pub struct Network {
    world: World,
    dice: ChaCha8Rng,
    now: Tick,
    queue: Queue,
    nodes: Vec<Node>,
    by_key: BTreeMap<NodeKey, NodeIndex>,
    calls: BTreeSet<(NodeIndex, CallId)>,
    inbound: BTreeMap<(NodeIndex, InboundId), Waiting>,
    next_id: u64,
    results: BTreeMap<CommandId, Result<CommandOutput, CommandError>>,
    events: Vec<(Tick, NodeIndex, Event)>,
    trace: Trace,
    verifiers: BTreeMap<u8, SharedVerifier>,
    measured: BTreeMap<(NodeIndex, LookupId), Measured>,
    by_kind: BTreeMap<FrameKind, u64>,
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
            by_key: BTreeMap::new(),
            calls: BTreeSet::new(),
            inbound: BTreeMap::new(),
            next_id: 0,
            results: BTreeMap::new(),
            events: Vec::new(),
            trace: Trace::default(),
            verifiers: BTreeMap::new(),
            measured: BTreeMap::new(),
            by_kind: BTreeMap::new(),
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
        let index = NodeIndex(self.nodes.len());
        let policy = setup.config.stamps;
        let verifier = self.verifiers.entry(policy.bits()).or_insert_with(|| SharedVerifier::new(policy));
        let verifier = self.world.shared_verdicts.then(|| verifier.clone());
        let seed = self.dice.next_u64();
        let node = Node::new(setup, address_of(index), verifier, (self.now(), seed));
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
        self.schedule(Span::ZERO, Happening::Input(index, Input::Command { id, command }));
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

    /// The nodes, in the order in which they came.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter()
    }

    /// A hash over everything that has happened, in order. Same seed, same hash.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        self.trace.hash()
    }

    /// Takes a node off the network without a word; its disk stays.
    pub fn kill(&mut self, index: NodeIndex) {
        let key = self.node(index).key();
        self.at(index).stop();
        for (peer, _) in core::mem::take(&mut self.at(index).connections) {
            if self.at(peer).connections.remove(&index).is_some() {
                self.schedule(Span::from_secs(5), Happening::Input(peer, Input::PeerDown(key)));
            }
        }
    }

    /// Brings a node back with the disk it had, at `address` or where it was.
    pub fn restart(&mut self, index: NodeIndex, address: Option<SocketAddr>) {
        let now = self.now();
        let seed = self.dice.next_u64();
        self.at(index).start(address, now, seed);
        self.after_batch(index);
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
            Happening::Input(index, input) => self.hand_over(index, input),
            Happening::Timer(index) => {
                let now = self.now;
                if self.at(index).timer_fires(now) {
                    self.hand_over(index, Input::Timer);
                }
            }
            Happening::Arrive { from, to, call, request } => self.arrive(from, to, call, request),
            Happening::Deadline { from, call } => self.fail(from, call, CallError::TimedOut),
            Happening::Idle { dialler, other, binding } => self.close_idle(dialler, other, &binding),
        }
    }

    /// One batch: one input, one commit, then the outputs.
    fn hand_over(&mut self, index: NodeIndex, input: Input) {
        let now = self.now();
        if self.at(index).handle(now, input) {
            self.after_batch(index);
        }
    }

    fn after_batch(&mut self, index: NodeIndex) {
        while let Some(output) = self.at(index).poll_output() {
            self.carry_out(index, output);
        }
        while let Some((id, measured)) = self.at(index).poll_measured() {
            self.measured.insert((index, id), measured);
        }
        if let Some(at) = self.at(index).arm_timer() {
            let wait = at.since(self.now);
            self.schedule(wait, Happening::Timer(index));
        }
    }

    fn carry_out(&mut self, index: NodeIndex, output: Output) {
        match output {
            Output::Call { call, to, request, way, deadline } => {
                self.calls.insert((index, call));
                self.schedule(deadline, Happening::Deadline { from: index, call });
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
        let result = self.node(index).work(work);
        self.schedule(Span::from_secs(1), Happening::Input(index, Input::JobDone { job, result }));
    }

    fn schedule(&mut self, wait: Span, happening: Happening) {
        self.queue.push(self.now.after(wait), happening);
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.saturating_add(1);
        self.next_id
    }
}

/// A public address in an address group of its own: the first number from 11 to 99, which holds no private or special
/// range, a /16 for each node while they last.
fn address_of(index: NodeIndex) -> SocketAddr {
    let number = u32::try_from(index.0).unwrap_or(u32::MAX);
    let (street, town) = (number / 89, number % 89);
    let [_, _, high, low] = street.to_be_bytes();
    let [.., block] = town.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(block.saturating_add(11), low, high, 1)), 4000)
}
