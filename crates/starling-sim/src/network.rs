//! A virtual network of real cores: one clock, one queue, one seed.
//!
//! The network plays the shell's part for every node: it opens connections and greets, carries requests and answers
//! with a latency of its own for each pair, keeps deadlines and timers, and does jobs. A batch is one input: handled,
//! committed, and only then its outputs leave, as in `starling-node`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_overlay::io::{CallError, ChannelBinding, InboundId, Remote};
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::{Hello, Request, Response};
use starling_proto::time::{Now, Span, Tick, UnixMillis};
use starling_proto::version::ProtocolVersion;

use starling_core::io::{
    CallId, Command, CommandError, CommandId, CommandOutput, Event, Input, Job, JobId, Output, Way,
};

use crate::node::{Node, NodeSetup};

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
}

impl Default for World {
    fn default() -> Self {
        Self { seed: 1, latency_min: Span::from_ms(10), latency_max: Span::from_ms(80) }
    }
}

/// Something on its way.
#[derive(Debug)]
enum Happening {
    Input(NodeIndex, Input),
    Timer(NodeIndex),
    /// A request reaches its peer.
    Arrive {
        from: NodeIndex,
        to: NodeIndex,
        call: CallId,
        request: Request,
    },
    /// Nothing has come back in time.
    Deadline {
        from: NodeIndex,
        call: CallId,
    },
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
    queue: BTreeMap<(Tick, u64), Happening>,
    queued: u64,
    nodes: Vec<Node>,
    by_key: BTreeMap<NodeKey, NodeIndex>,
    calls: BTreeSet<(NodeIndex, CallId)>,
    inbound: BTreeMap<(NodeIndex, InboundId), Waiting>,
    next_id: u64,
    results: BTreeMap<CommandId, Result<CommandOutput, CommandError>>,
    events: Vec<(Tick, NodeIndex, Event)>,
    trace: blake3::Hasher,
    requests: u64,
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
            queue: BTreeMap::new(),
            queued: 0,
            nodes: Vec::new(),
            by_key: BTreeMap::new(),
            calls: BTreeSet::new(),
            inbound: BTreeMap::new(),
            next_id: 0,
            results: BTreeMap::new(),
            events: Vec::new(),
            trace: blake3::Hasher::new(),
            requests: 0,
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
        let node = Node::new(setup, address_of(index), self.now(), self.dice.next_u64());
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

    /// What the nodes wanted to show.
    #[must_use]
    pub fn events(&self) -> &[(Tick, NodeIndex, Event)] {
        &self.events
    }

    /// Requests that have travelled.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// A hash over everything that has happened, in order. Same seed, same hash.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
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
            let Some((&(at, _), _)) = self.queue.first_key_value() else { break };
            if at > end {
                break;
            }
            if let Some(((at, _), happening)) = self.queue.pop_first() {
                self.now = at;
                self.happen(happening);
            }
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
            self.trace.update(&self.now.as_ms().to_be_bytes());
            self.trace.update(format!("{index:?} {output:?}").as_bytes());
            self.carry_out(index, output);
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
            Output::Greet { mode, addresses } => self.at(index).greeting = (mode, addresses),
            Output::Result { id, result } => {
                self.results.insert(id, result);
            }
            Output::Event(event) => self.events.push((self.now, index, event)),
            Output::Job { job, work } => self.work(index, job, &work),
            other => panic!("the network does not know {other:?}"),
        }
    }

    fn call(&mut self, from: NodeIndex, call: CallId, to: &Peer, request: Request, way: Way) {
        let fresh = way == Way::Fresh;
        let Some(target) = self.reach(from, to, fresh) else { return };
        let standing = self.node(from).connections.get(&target).copied();
        if matches!(way, Way::Only(binding) if Some(binding) != standing) {
            return self.fail_soon(from, call, CallError::Closed);
        }
        let mut latency = self.latency(from, target);
        if standing.is_none() || fresh {
            self.connect(from, target);
            // One round trip for the handshake, one for the greeting.
            latency = latency.times(5);
        }
        self.requests = self.requests.saturating_add(1);
        self.schedule(latency, Happening::Arrive { from, to: target, call, request });
    }

    /// The node behind `to`, if it is up, has one of the addresses, and takes dials or is connected already.
    fn reach(&self, from: NodeIndex, to: &Peer, fresh: bool) -> Option<NodeIndex> {
        let target = *self.by_key.get(&to.key())?;
        let node = self.node(target);
        let connected = !fresh && self.node(from).connections.contains_key(&target);
        let dialable = node.reachable && to.addresses().contains(&node.address());
        (node.is_up() && target != from && (connected || dialable)).then_some(target)
    }

    fn connect(&mut self, from: NodeIndex, to: NodeIndex) {
        let mut binding: ChannelBinding = [0; 32];
        self.dice.fill_bytes(&mut binding);
        let latency = self.latency(from, to);
        for (here, there, dialled, wait) in [(to, from, false, 3), (from, to, true, 4)] {
            self.at(here).connections.insert(there, binding);
            let hello = self.hello(there, here);
            let remote = self.remote(there, binding);
            let input = Input::PeerUp { remote, hello, dialled };
            self.schedule(latency.times(wait), Happening::Input(here, input));
        }
    }

    fn hello(&self, from: NodeIndex, to: NodeIndex) -> Hello {
        let (mode, addresses) = self.node(from).greeting.clone();
        Hello {
            version: ProtocolVersion::CURRENT,
            mode,
            coarse_time_min: self.now().seconds().get() / 60,
            observed: Some(self.node(to).address()),
            addresses,
        }
    }

    fn remote(&self, of: NodeIndex, binding: ChannelBinding) -> Remote {
        Remote { key: self.node(of).key(), address: self.node(of).address(), binding }
    }

    fn arrive(&mut self, from: NodeIndex, to: NodeIndex, call: CallId, request: Request) {
        let Some(&binding) = self.node(from).connections.get(&to) else {
            return self.fail(from, call, CallError::Closed);
        };
        let inbound = InboundId(self.fresh_id());
        self.inbound.insert((to, inbound), Waiting { caller: from, call });
        let remote = self.remote(from, binding);
        self.hand_over(to, Input::Request { remote, inbound, request });
    }

    fn reply(&mut self, from: NodeIndex, inbound: InboundId, response: Response) {
        let Some(waiting) = self.inbound.remove(&(from, inbound)) else {
            panic!("seed {}: {from:?} replied twice, or to nothing", self.world.seed);
        };
        if self.calls.remove(&(waiting.caller, waiting.call)) {
            let latency = self.latency(from, waiting.caller);
            let input = Input::Answer { call: waiting.call, answer: Ok(response) };
            self.schedule(latency, Happening::Input(waiting.caller, input));
        }
    }

    fn fail(&mut self, from: NodeIndex, call: CallId, error: CallError) {
        if self.calls.remove(&(from, call)) {
            self.hand_over(from, Input::Answer { call, answer: Err(error) });
        }
    }

    /// Fails a call with the next batch, since the one that asked is still being carried out.
    fn fail_soon(&mut self, from: NodeIndex, call: CallId, error: CallError) {
        if self.calls.remove(&(from, call)) {
            self.schedule(Span::ZERO, Happening::Input(from, Input::Answer { call, answer: Err(error) }));
        }
    }

    fn work(&mut self, index: NodeIndex, job: JobId, work: &Job) {
        let result = self.node(index).work(work);
        self.schedule(Span::from_secs(1), Happening::Input(index, Input::JobDone { job, result }));
    }

    /// One-way latency of a pair: the same in every run with the same seed, and in both directions.
    fn latency(&self, a: NodeIndex, b: NodeIndex) -> Span {
        let (low, high) = (a.0.min(b.0) as u64, a.0.max(b.0) as u64);
        let mut pair = ChaCha8Rng::seed_from_u64(self.world.seed ^ low.rotate_left(32) ^ high);
        let range = self.world.latency_max.as_ms().saturating_sub(self.world.latency_min.as_ms());
        let extra = pair.next_u64().checked_rem(range.saturating_add(1)).unwrap_or(0);
        Span::from_ms(self.world.latency_min.as_ms().saturating_add(extra))
    }

    fn schedule(&mut self, wait: Span, happening: Happening) {
        self.queued = self.queued.saturating_add(1);
        self.queue.insert((self.now.after(wait), self.queued), happening);
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
