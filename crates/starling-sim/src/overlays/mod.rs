//! Networks of bare overlays: the shipping [`Overlay`] machine of each peer, and nothing above it.
//!
//! A full core costs too much for what attacks need, networks of tens of thousands and many tries in each. What decides
//! over them is the overlay: whom a peer knows, how it looks for others, what it keeps, where it stores and whom it asks.
//! So the machine of `starling-overlay` runs here as it ships, on a virtual clock, with latencies, connections, address
//! groups and dice from one seed. Signatures are a [hash](Draft), which changes no decision.

pub mod crowd;
mod fill;
mod member;
mod queue;
mod seal;
mod wires;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_overlay::config::Config;
use starling_overlay::holder::{HolderConfig, limits as holder_limits};
use starling_overlay::io::{Command, InboundId, Input, OpId, OpResult, Output};
use starling_overlay::memory::MemoryStore;
use starling_overlay::overlay::Overlay;
use starling_proto::frame::FrameKind;
use starling_proto::ids::NodeKey;
use starling_proto::limits;
use starling_proto::message::Mode;
use starling_proto::time::{Now, Span, Tick, UnixMillis};

use self::crowd::Crowd;
pub use self::fill::Favoured;
pub use self::member::Member;
use self::queue::{Happening, Queue};
pub use self::seal::Draft;
use self::seal::Seal;
pub(crate) use self::seal::cut;
use self::wires::Waiting;
pub(crate) use self::wires::target_of;
use crate::adversary::Adversary;
use crate::faults::churn::{Churn, Duration};
use crate::traffic::Traffic;

/// Wall time when a network begins: a Thursday in 2025.
const EPOCH_MS: u64 = 1_760_000_000_000;
/// Public /16s that peers are given, one each as long as there are as many; all are of class A to C, and none is private.
const STREETS: usize = 33_000;

/// Which overlay of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OverlayIndex(pub usize);

/// What a network is made of.
#[derive(Debug, Clone, Copy)]
pub struct Terrain {
    /// What every die is thrown with.
    pub seed: u64,
    /// The numbers of every overlay.
    pub config: Config,
    /// Peers that an honest answer names at most. The overlay names as many as it is asked for, 20 or more; a plain
    /// Kademlia with k = 10 names 10.
    pub names: usize,
    /// Bytes of disk that each keeps for others.
    pub disk: u64,
    /// The least one-way latency of a pair.
    pub latency_min: Span,
    /// The most.
    pub latency_max: Span,
}

impl Terrain {
    /// The shipping configuration, with latencies of 10 to 80 ms.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            config: Config::default(),
            names: limits::ANSWER_PEERS,
            disk: holder_limits::DISK,
            latency_min: Span::from_ms(10),
            latency_max: Span::from_ms(80),
        }
    }
}

/// A network of overlays.
#[derive(Debug)]
pub struct Overlays {
    terrain: Terrain,
    members: Vec<Member>,
    by_key: HashMap<NodeKey, OverlayIndex>,
    /// Who does not behave as written.
    pub adversary: Adversary,
    queue: Queue,
    inbound: BTreeMap<InboundId, Waiting>,
    results: BTreeMap<OpId, OpResult>,
    /// Commands that have not ended, and whose they are.
    awaited: BTreeMap<OpId, OverlayIndex>,
    /// How long those stay and stay away who come and go.
    churn: Option<Churn>,
    ended: BTreeMap<OpId, Tick>,
    by_kind: BTreeMap<FrameKind, Traffic>,
    dice: ChaCha8Rng,
    trace: blake3::Hasher,
    now: Tick,
    numbers: u64,
}

impl Overlays {
    /// A network of nobody.
    #[must_use]
    pub fn new(terrain: Terrain) -> Self {
        Self {
            terrain,
            members: Vec::new(),
            by_key: HashMap::new(),
            adversary: Adversary::default(),
            queue: Queue::default(),
            inbound: BTreeMap::new(),
            results: BTreeMap::new(),
            awaited: BTreeMap::new(),
            churn: None,
            ended: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            dice: ChaCha8Rng::seed_from_u64(terrain.seed),
            trace: blake3::Hasher::new(),
            now: Tick::from_ms(1000),
            numbers: 0,
        }
    }

    /// Adds an overlay that knows nobody, in a /16 of its own.
    pub fn add(&mut self) -> OverlayIndex {
        let mut key = [0; 32];
        self.dice.fill_bytes(&mut key);
        self.add_as(NodeKey::new(key), street(self.members.len()))
    }

    /// Adds an overlay with this key at this address.
    ///
    /// # Panics
    /// If its empty disk cannot be read.
    pub fn add_as(&mut self, key: NodeKey, address: SocketAddr) -> OverlayIndex {
        let index = OverlayIndex(self.members.len());
        let disk = MemoryStore::default();
        let holder = HolderConfig { node: key, disk: self.terrain.disk };
        let overlay = Overlay::new(self.terrain.config, key, holder, self.now(), &disk)
            .expect("an empty disk can be read");
        self.by_key.insert(key, index);
        let greeting = (Mode::Client, Vec::new());
        let (links, timer) = (BTreeMap::new(), None);
        self.members.push(Member {
            key,
            address,
            overlay,
            disk,
            is_up: true,
            life: 0,
            greeting,
            links,
            timer,
        });
        self.carry_out(index);
        index
    }

    /// How many there are, the vanished included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is no such overlay.
    #[must_use]
    pub fn member(&self, index: OverlayIndex) -> &Member {
        self.members.get(index.0).expect("an overlay of this network")
    }

    /// All of them.
    pub fn indices(&self) -> impl Iterator<Item = OverlayIndex> + use<> {
        (0..self.members.len()).map(OverlayIndex)
    }

    /// Whose key it is.
    #[must_use]
    pub fn index_of(&self, key: &NodeKey) -> Option<OverlayIndex> {
        self.by_key.get(key).copied()
    }

    /// Those of them that are wanted, by their places.
    pub fn crowd(&self, wanted: impl Fn(OverlayIndex) -> bool) -> Crowd<OverlayIndex> {
        let wanted = self.indices().filter(|index| wanted(*index));
        Crowd::new(wanted.map(|index| (self.member(index).key.node_id(), index)))
    }

    /// The dice that everything in this network is thrown with.
    pub const fn dice(&mut self) -> &mut ChaCha8Rng {
        &mut self.dice
    }

    /// The time, by both clocks.
    #[must_use]
    pub const fn now(&self) -> Now {
        Now { tick: self.now, wall: UnixMillis::new(EPOCH_MS.saturating_add(self.now.as_ms())) }
    }

    /// Requests of one kind, what was sent for them and what came back.
    #[must_use]
    pub fn traffic(&self, kind: FrameKind) -> Traffic {
        self.by_kind.get(&kind).copied().unwrap_or_default()
    }

    /// The same for all kinds together.
    #[must_use]
    pub fn traffic_of_all(&self) -> Traffic {
        self.by_kind.values().copied().sum()
    }

    /// When a command has ended.
    #[must_use]
    pub fn ended(&self, op: OpId) -> Option<Tick> {
        self.ended.get(&op).copied()
    }

    /// The hash over every request and answer: between whom, when, of what kind and length.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
    }

    /// Wants something of an overlay; [`Self::take_result`] has what came of it.
    pub fn command(&mut self, index: OverlayIndex, command: Command) -> OpId {
        let op = OpId(self.fresh_number());
        self.awaited.insert(op, index);
        self.hand_over(index, Input::Command { op, command });
        op
    }

    /// What came of a command that has ended.
    pub fn take_result(&mut self, op: OpId) -> Option<OpResult> {
        self.ended.remove(&op);
        self.results.remove(&op)
    }

    /// One vanishes without a word, and with it what was wanted of it.
    pub fn vanish(&mut self, index: OverlayIndex) {
        self.at(index).is_up = false;
        self.awaited.retain(|_, whose| *whose != index);
        self.cut_off(index);
    }

    /// From now on these come and go; all of them are there.
    pub fn come_and_go(&mut self, who: &[OverlayIndex], churn: Churn) {
        self.churn = Some(churn);
        for index in who {
            self.stays(*index, churn.on);
        }
    }

    fn stays(&mut self, index: OverlayIndex, long: Duration) {
        let turn = self.now.after(long.draw(&mut self.dice));
        self.queue.push(turn, Happening::Turn(index));
    }

    fn turn(&mut self, index: OverlayIndex) {
        let Some(churn) = self.churn else { return };
        if self.member(index).is_up {
            self.vanish(index);
            self.stays(index, churn.off);
        } else {
            self.begin_anew(index);
            self.stays(index, churn.on);
        }
    }

    /// One starts again, on its disk: it finds its way back by the peers that it remembers.
    fn begin_anew(&mut self, index: OverlayIndex) {
        let (now, config, disk) = (self.now(), self.terrain.config, self.terrain.disk);
        let member = self.at(index);
        let holder = HolderConfig { node: member.key, disk };
        member.overlay =
            Overlay::new(config, member.key, holder, now, &member.disk).expect("memory does not fail");
        member.is_up = true;
        member.life = member.life.saturating_add(1);
        member.greeting = (Mode::Client, Vec::new());
        member.timer = None;
        self.carry_out(index);
    }

    /// Lets virtual time pass.
    pub fn run_for(&mut self, span: Span) {
        let end = self.now.after(span);
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until every command has ended, or `most` has passed.
    pub fn settle(&mut self, most: Span) {
        let end = self.now.after(most);
        while !self.awaited.is_empty() && self.step(end) {}
    }

    fn step(&mut self, end: Tick) -> bool {
        let Some((at, happening)) = self.queue.pop_until(end) else { return false };
        self.now = self.now.max(at);
        match happening {
            Happening::Input { to, life, input } => {
                let member = self.member(to);
                if member.is_up && member.life == life && !self.is_overtaken(to, &input) {
                    self.hand_over(to, *input);
                }
            }
            Happening::Turn(index) => self.turn(index),
            Happening::Timer(index) => {
                let member = self.at(index);
                if member.is_up && member.timer == Some(at) {
                    member.timer = None;
                    self.hand_over(index, Input::Timer);
                }
            }
            Happening::Arrive { from, to, request } => self.arrive(from, to, *request),
            Happening::Idle { dialler, other, number } => self.close_idle(dialler, other, number),
        }
        true
    }

    fn hand_over(&mut self, index: OverlayIndex, input: Input) {
        let now = self.now();
        let member = self.members.get_mut(index.0).expect("an overlay of this network");
        let handled = member.overlay.handle(now, &mut self.dice, &mut member.disk, &Seal, input);
        handled.expect("memory does not fail");
        self.carry_out(index);
    }

    fn carry_out(&mut self, index: OverlayIndex) {
        while let Some(output) = self.at(index).overlay.poll_output() {
            match output {
                Output::Call { call, to, request, deadline, fresh } => {
                    let caller = self.caller(index, call, deadline);
                    self.call(caller, &to, request, fresh);
                }
                Output::Reply { inbound, response, .. } => self.reply(index, inbound, response),
                Output::Greet { mode, addresses } => self.at(index).greeting = (mode, addresses),
                Output::Done { op, result } => {
                    self.awaited.remove(&op);
                    self.results.insert(op, result);
                    self.ended.insert(op, self.now);
                }
                Output::Event(_) => {}
            }
        }
        let now = self.now;
        let member = self.at(index);
        let Some(at) = member.overlay.next_timeout().map(|at| at.max(now)) else { return };
        if member.timer.is_none_or(|before| at < before) {
            member.timer = Some(at);
            self.queue.push(at, Happening::Timer(index));
        }
    }

    fn at(&mut self, index: OverlayIndex) -> &mut Member {
        self.members.get_mut(index.0).expect("an overlay of this network")
    }

    const fn fresh_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn note(&mut self, from: OverlayIndex, kind: FrameKind, bytes: usize) {
        for number in [self.now.as_ms(), from.0 as u64, kind as u64, bytes as u64] {
            self.trace.update(&number.to_be_bytes());
        }
    }
}

/// A public address for each number: a /16 of its own for the first [`STREETS`], then a /24 in one of those.
#[must_use]
pub fn street(number: usize) -> SocketAddr {
    house(number, 0)
}

/// One of many addresses in the /24 of [`street`].
#[must_use]
pub fn house(street: usize, number: usize) -> SocketAddr {
    let byte = |number: usize| u8::try_from(number % 256).unwrap_or(0);
    let (place, block) = (street % STREETS, street / STREETS);
    // 11 to 99 and 128 to 167: nothing private, shared, loopback or link-local in them.
    let high = place / 256;
    let first = if high < 89 { 11 + high } else { 128 + high - 89 };
    let port = u16::try_from(4040 + number / 254).unwrap_or(u16::MAX);
    SocketAddr::from(([byte(first), byte(place), byte(block), byte(1 + number % 254)], port))
}

/// A number below `bound`, or 0 if there is none.
pub(crate) fn below(dice: &mut ChaCha8Rng, bound: usize) -> usize {
    let number = dice.next_u64().checked_rem(bound as u64);
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}
