//! The network in a box: latencies, loss, dead and hidden peers, all from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use starling_overlay::config::Config;
use starling_overlay::holder::HolderConfig;
use starling_overlay::io::{
    CallError, CallId, Command, InboundId, Input, OpId, OpResult, Output, Placement, Remote,
};
use starling_overlay::memory::MemoryStore;
use starling_overlay::overlay::Overlay;
use starling_overlay::verify::{RecordRejection, Verify};
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, PublisherKey, RecordId, RecordKey, Signature};
use starling_proto::message::{
    Hello, Matches, Mode, OwnerRequest, PassOn, Passed, Placed, Records, Request, Response,
};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Now, Span, Tick, UnixMillis, UnixSeconds};
use starling_proto::version::ProtocolVersion;

/// Wall time when a network begins: a Tuesday in 2025.
const EPOCH_MS: u64 = 1_760_000_000_000;

/// How a peer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// As written.
    Honest,
    /// Names twenty peers that do not exist, right at the target.
    Inventing,
    /// Names real peers at addresses where nobody is.
    Misplacing,
    /// Hands out records that nobody signed.
    Forging,
    /// Says of what it is to do in others' place that it has done it, and does nothing.
    Idling,
}

/// A signature is good if it begins with the hash of what is signed.
pub(crate) struct HashVerify;

impl Verify for HashVerify {
    fn record(&self, record: &Record, _: UnixSeconds) -> Result<(), RecordRejection> {
        if record.signature().as_bytes()[..32] == *blake3::hash(record.signed()).as_bytes() {
            Ok(())
        } else {
            Err(RecordRejection::Signature)
        }
    }

    fn owner(&self, _: &OwnerRequest, _: &NodeKey, _: &[u8; 32]) -> bool {
        true
    }

    fn matched_words(&self, record: &Record, words: &[String]) -> usize {
        let text = String::from_utf8_lossy(&record.body().payload);
        words.iter().filter(|word| text.split(' ').any(|own| own.starts_with(word.as_str()))).count()
    }
}

/// A record that [`HashVerify`] takes.
pub(crate) fn record(key: u8, publisher: u8, sequence: u64, text: &str) -> Record {
    let body = RecordBody {
        key: RecordKey::new(*blake3::hash(&[key]).as_bytes()),
        kind: RecordKind::Directory,
        publisher: PublisherKey::new([publisher; 32]),
        sequence,
        issued: UnixSeconds::new(EPOCH_MS / 1000),
        expires: UnixSeconds::new(EPOCH_MS / 1000).after(Span::from_days(20)),
        payload: text.as_bytes().to_vec(),
        tombstone: false,
    };
    let signed = body.encode();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(blake3::hash(&signed).as_bytes());
    Record::new(signed, Signature::new(signature), None, None).unwrap()
}

pub(crate) struct Node {
    pub(crate) overlay: Overlay,
    pub(crate) store: MemoryStore,
    pub(crate) key: NodeKey,
    pub(crate) address: SocketAddr,
    pub(crate) up: bool,
    /// Whether it can be dialled.
    pub(crate) reachable: bool,
    pub(crate) conduct: Conduct,
    /// Requests it made.
    pub(crate) calls: u64,
    pub(crate) results: BTreeMap<OpId, OpResult>,
    rng: ChaCha8Rng,
    greeting: (Mode, Vec<SocketAddr>),
    connected: BTreeSet<usize>,
    timer: Option<Tick>,
}

enum Event {
    Input(Input),
    /// A request arrives; the answer goes to the call of the asker.
    Request {
        from: usize,
        call: CallId,
        request: Request,
    },
    /// A connection stands at the dialled side too.
    Up {
        from: usize,
    },
    Timer,
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Tick,
    /// One request in so many is lost; 0 for none.
    pub(crate) loss: u64,
    pub(crate) config: Config,
    /// Everything that left any overlay, when set.
    pub(crate) trace: Option<blake3::Hasher>,
    /// Every request that arrived: from whom, at whom, and what.
    pub(crate) seen: Vec<(usize, usize, Request)>,
    /// Whether they are noted.
    pub(crate) watches: bool,
    by_key: BTreeMap<NodeKey, usize>,
    queue: BTreeMap<(Tick, u64), (usize, Event)>,
    sequence: u64,
    inbound: BTreeMap<InboundId, (usize, usize, CallId)>,
    rng: ChaCha8Rng,
    next: u64,
}

/// What somebody says who does nothing.
fn idle(pass: &PassOn) -> Passed {
    match pass {
        PassOn::Store(_) => Passed::Placed(Placed { wanted: 40, stored: 40, full: 0 }),
        PassOn::Fetch(_) => Passed::Records(Records::default()),
        PassOn::Query(_) => Passed::Matches(Matches::default()),
        PassOn::Prove { .. } => Passed::Proofs(Vec::new()),
    }
}

/// A socket on this machine: each a group of its own.
pub(crate) fn loopback(n: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1000 + n as u16))
}

/// A public address that shares nothing with any other, for up to 20,000 peers.
pub(crate) fn public(n: usize) -> SocketAddr {
    SocketAddr::from(([11 + (n / 250 % 80) as u8, (n % 250) as u8, 1, 1], 4040))
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            now: Tick::from_ms(1000),
            loss: 0,
            config: Config::default(),
            trace: None,
            seen: Vec::new(),
            watches: false,
            by_key: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            inbound: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            next: 0,
        }
    }

    /// A network of `count` peers that have joined through the first one, a second apart.
    pub(crate) fn joined(seed: u64, count: usize, address: fn(usize) -> SocketAddr) -> Self {
        let mut net = Self::new(seed);
        for n in 0..count {
            net.add(address(n));
            if n > 0 {
                net.join(n, 0);
            }
            net.run_for(Span::from_ms(1000));
        }
        net.run_for(Span::from_secs(60));
        net
    }

    pub(crate) fn add(&mut self, address: SocketAddr) -> usize {
        let mut key = [0; 32];
        self.rng.fill_bytes(&mut key);
        let key = NodeKey::new(key);
        let (index, store) = (self.nodes.len(), MemoryStore::default());
        let overlay = self.overlay(key, &store);
        let rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        self.by_key.insert(key, index);
        self.nodes.push(Node {
            overlay,
            store,
            key,
            address,
            up: true,
            reachable: true,
            conduct: Conduct::Honest,
            calls: 0,
            results: BTreeMap::new(),
            rng,
            greeting: (Mode::Client, Vec::new()),
            connected: BTreeSet::new(),
            timer: None,
        });
        self.settle(index);
        index
    }

    pub(crate) fn peer(&self, n: usize) -> Peer {
        Peer::new(self.nodes[n].key, [self.nodes[n].address])
    }

    pub(crate) fn join(&mut self, n: usize, through: usize) -> OpId {
        let peer = self.peer(through);
        self.command(n, Command::Join(vec![peer]))
    }

    pub(crate) fn command(&mut self, n: usize, command: Command) -> OpId {
        self.next += 1;
        let op = OpId(self.next);
        self.input(n, Input::Command { op, command });
        op
    }

    /// Runs until a command has ended.
    pub(crate) fn finish(&mut self, n: usize, op: OpId) -> OpResult {
        while !self.nodes[n].results.contains_key(&op) {
            assert!(self.step(Tick::from_ms(u64::MAX)), "nothing will happen any more");
        }
        self.nodes[n].results.remove(&op).unwrap()
    }

    pub(crate) fn run(&mut self, n: usize, command: Command) -> OpResult {
        let op = self.command(n, command);
        self.finish(n, op)
    }

    pub(crate) fn publish(&mut self, n: usize, record: &Record) -> Placement {
        match self.run(n, Command::Store(record.clone())) {
            OpResult::Stored(placement) => placement,
            other => panic!("{other:?}"),
        }
    }

    /// What a fetch finds, and how many requests it took.
    pub(crate) fn fetch(&mut self, n: usize, like: &Record) -> (Vec<Record>, u32) {
        let command = Command::Fetch { key: like.body().key, kind: like.body().kind };
        match self.run(n, command) {
            OpResult::Fetched { records, requests, .. } => (records, requests),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn run_for(&mut self, span: Span) {
        let until = self.now.after(span);
        while self.step(until) {}
        self.now = until;
    }

    /// A peer vanishes; its connections end after the idle time.
    pub(crate) fn kill(&mut self, n: usize) {
        self.nodes[n].up = false;
        let key = self.nodes[n].key;
        for other in core::mem::take(&mut self.nodes[n].connected) {
            self.nodes[other].connected.remove(&n);
            self.schedule(Span::from_secs(10), other, Event::Input(Input::PeerDown(key)));
        }
    }

    /// A peer loses a record, and starts again at once.
    pub(crate) fn forget(&mut self, n: usize, id: RecordId) {
        use starling_overlay::storage::RecordStore as _;
        self.nodes[n].store.remove_record(&id).unwrap();
        self.nodes[n].overlay = self.overlay(self.nodes[n].key, &self.nodes[n].store);
        self.settle(n);
    }

    /// A peer starts again from its disk.
    pub(crate) fn restart(&mut self, n: usize) {
        self.kill(n);
        self.queue.retain(|_, (to, event)| *to != n || matches!(event, Event::Request { .. }));
        let overlay = self.overlay(self.nodes[n].key, &self.nodes[n].store);
        let node = &mut self.nodes[n];
        node.overlay = overlay;
        node.greeting = (Mode::Client, Vec::new());
        node.up = true;
        node.timer = None;
        self.settle(n);
    }

    /// Who, of all servers that are up, is closest to a place.
    pub(crate) fn closest(&self, target: &starling_proto::ids::NodeId, count: usize) -> Vec<NodeKey> {
        let up = self.nodes.iter().filter(|node| node.up && node.overlay.mode() == Mode::Server);
        let mut keys: Vec<NodeKey> = up.map(|node| node.key).collect();
        keys.sort_by_key(|key| key.node_id().distance(target));
        keys.truncate(count);
        keys
    }

    fn overlay(&self, key: NodeKey, store: &MemoryStore) -> Overlay {
        Overlay::new(self.config, key, HolderConfig::new(key), self.clock(), store).unwrap()
    }

    fn clock(&self) -> Now {
        Now { tick: self.now, wall: UnixMillis::new(EPOCH_MS + self.now.as_ms()) }
    }

    fn latency(&mut self) -> Span {
        Span::from_ms(10 + self.rng.next_u64() % 70)
    }

    fn schedule(&mut self, after: Span, to: usize, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now.after(after), self.sequence), (to, event));
    }

    fn step(&mut self, until: Tick) -> bool {
        let Some(first) = self.queue.first_key_value().map(|(at, _)| *at).filter(|at| at.0 <= until) else {
            return false;
        };
        let (to, event) = self.queue.remove(&first).unwrap();
        self.now = self.now.max(first.0);
        if !self.nodes[to].up {
            return true;
        }
        match event {
            Event::Input(input) => self.input(to, input),
            Event::Up { from } => self.up(to, from, false),
            Event::Request { from, call, request } => self.request(from, to, call, request),
            Event::Timer => {
                self.nodes[to].timer = None;
                self.input(to, Input::Timer);
            }
        }
        true
    }

    pub(crate) fn input(&mut self, n: usize, input: Input) {
        let now = self.clock();
        let node = &mut self.nodes[n];
        node.overlay.handle(now, &mut node.rng, &mut node.store, &HashVerify, input).unwrap();
        self.settle(n);
    }

    /// Hands in something and gives back what comes out, which goes nowhere.
    pub(crate) fn input_raw(&mut self, n: usize, input: Input) -> Vec<Output> {
        let now = self.clock();
        let node = &mut self.nodes[n];
        node.overlay.handle(now, &mut node.rng, &mut node.store, &HashVerify, input).unwrap();
        core::iter::from_fn(|| node.overlay.poll_output()).collect()
    }

    fn settle(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].overlay.poll_output() {
            if let Some(trace) = &mut self.trace {
                trace.update(format!("{:?} {n} {output:?}", self.now).as_bytes());
            }
            self.output(n, output);
        }
        let next = self.nodes[n].overlay.next_timeout();
        if let Some(at) = next
            && self.nodes[n].timer.is_none_or(|before| at < before)
        {
            self.nodes[n].timer = Some(at);
            self.schedule(at.since(self.now), n, Event::Timer);
        }
    }

    fn output(&mut self, n: usize, output: Output) {
        match output {
            Output::Call { call, to, request, deadline, fresh } => {
                self.nodes[n].calls += 1;
                request.to_frame().unwrap();
                self.call(n, (call, to, fresh), request, deadline);
            }
            Output::Reply { inbound, response, .. } => {
                response.to_frame().unwrap();
                // Somebody who is not part of the network does not wait for a late answer.
                let Some((from, to, call)) = self.inbound.remove(&inbound) else {
                    assert_eq!(inbound, InboundId(u64::MAX), "exactly one reply");
                    return;
                };
                assert_eq!(to, n);
                let response = self.tampered(n, response);
                let latency = self.latency();
                self.schedule(latency, from, Event::Input(Input::Answer { call, answer: Ok(response) }));
            }
            Output::Greet { mode, addresses } => self.nodes[n].greeting = (mode, addresses),
            Output::Done { op, result } => {
                self.nodes[n].results.insert(op, result);
            }
            Output::Event(_) => {}
        }
    }

    fn call(&mut self, n: usize, (call, to, fresh): (CallId, Peer, bool), request: Request, deadline: Span) {
        let latency = self.latency();
        let lost = self.loss > 0 && self.rng.next_u64().is_multiple_of(self.loss);
        let target = self.by_key.get(&to.key()).copied().filter(|other| self.nodes[*other].up && !lost);
        let standing = |other: &usize| self.nodes[n].connected.contains(other) && !fresh;
        let dialable = |other: &usize| {
            self.nodes[*other].reachable && to.addresses().contains(&self.nodes[*other].address)
        };
        let Some(other) = target.filter(|other| standing(other) || dialable(other)) else {
            let timed_out = Input::Answer { call, answer: Err(CallError::TimedOut) };
            return self.schedule(deadline, n, Event::Input(timed_out));
        };
        if standing(&other) {
            return self.schedule(latency, other, Event::Request { from: n, call, request });
        }
        let handshake = latency.times(2);
        self.nodes[n].connected.insert(other);
        self.nodes[other].connected.insert(n);
        let (key, hello) = (self.nodes[other].key, self.hello(other, n));
        let remote = Remote { key, address: self.nodes[other].address, binding: [0; 32] };
        let up = Input::PeerUp { remote, hello, dialled: true };
        self.schedule(handshake, n, Event::Input(up));
        self.schedule(handshake, other, Event::Up { from: n });
        self.schedule(handshake, other, Event::Request { from: n, call, request });
    }

    fn up(&mut self, n: usize, other: usize, dialled: bool) {
        let hello = self.hello(other, n);
        let remote = self.remote(other);
        self.input(n, Input::PeerUp { remote, hello, dialled });
    }

    fn remote(&self, n: usize) -> Remote {
        Remote { key: self.nodes[n].key, address: self.nodes[n].address, binding: [0; 32] }
    }

    fn hello(&self, from: usize, to: usize) -> Hello {
        let (mode, addresses) = self.nodes[from].greeting.clone();
        Hello {
            version: ProtocolVersion::CURRENT,
            mode,
            coarse_time_min: self.clock().seconds().get() / 60,
            observed: Some(self.nodes[to].address),
            addresses,
        }
    }

    fn request(&mut self, from: usize, to: usize, call: CallId, request: Request) {
        self.next += 1;
        let inbound = InboundId(self.next);
        self.inbound.insert(inbound, (from, to, call));
        let remote = self.remote(from);
        if self.watches {
            self.seen.push((from, to, request.clone()));
        }
        if self.nodes[to].conduct == Conduct::Idling
            && let Request::PassOn(pass) = &request
        {
            let response = Response::Passed(idle(pass));
            return self.output(to, Output::Reply { inbound, response, stateless: true });
        }
        if self.nodes[to].conduct == Conduct::Inventing
            && let Request::FindNode(find) = &request
        {
            let invented = (0..20).map(|n| {
                let mut key = *find.target.as_bytes();
                key[31] = n;
                key[0] = self.rng.next_u32() as u8;
                Peer::new(NodeKey::new(key), [public(self.rng.next_u32() as usize % 100_000)])
            });
            let response = Response::Nodes(invented.collect());
            return self.output(to, Output::Reply { inbound, response, stateless: true });
        }
        self.input(to, Input::Request { remote, inbound, request });
    }

    fn tampered(&self, n: usize, mut response: Response) -> Response {
        if self.nodes[n].conduct == Conduct::Forging
            && let Response::Records(found) = &mut response
        {
            for record in &mut found.records {
                let mut body = record.body().clone();
                body.sequence += 1;
                *record = Record::new(body.encode(), *record.signature(), None, None).unwrap();
            }
        }
        if self.nodes[n].conduct == Conduct::Misplacing
            && let Response::Nodes(peers) | Response::Records(Records { peers, .. }) = &mut response
        {
            for peer in peers {
                *peer = Peer::new(peer.key(), [SocketAddr::from(([66, peer.key().as_bytes()[0], 6, 6], 6))]);
            }
        }
        response
    }
}
