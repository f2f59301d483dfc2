//! The dispatcher: hands each input to the machine it concerns, and what that machine wants to the shell.

mod answers;
mod calls;
mod clock;
mod dial_back;
mod gathering;
mod join;
mod links;
mod repair;
mod serve;
mod status;
mod tasks;
mod upkeep;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::message::{Hello, Mode, Request};
use starling_proto::time::{Now, Span, Tick};
use starling_proto::version::ProtocolVersion;

use self::calls::{Calls, Purpose};
use self::clock::ClockVotes;
use self::join::Join;
use self::links::Link;
use self::repair::Repair;
pub use self::status::Status;
use self::tasks::{Task, TaskId};
use self::upkeep::Upkeep;
use crate::config::Config;
use crate::group::AddressGroup;
use crate::holder::{Holder, HolderConfig, Tools};
use crate::io::{Command, Event, Input, OpId, Output};
use crate::liars::Liars;
use crate::limiter::Limiter;
use crate::observed::Observed;
use crate::reach::Reach;
use crate::storage::{OverlayStore, StorageError};
use crate::table::Table;
use crate::verify::Verify;

/// One peer's part of the overlay.
///
/// Give it an input with [`Self::handle`], then take outputs with [`Self::poll_output`] until there are none. Commit
/// what it wrote before any output that is not marked stateless leaves.
#[derive(Debug)]
pub struct Overlay {
    config: Config,
    me: NodeKey,
    id: NodeId,
    table: Table,
    links: BTreeMap<NodeKey, Link>,
    limiter: Limiter,
    observed: Observed,
    reach: Reach,
    liars: Liars,
    holder: Holder,
    clock: ClockVotes,
    calls: Calls,
    tasks: BTreeMap<TaskId, Task>,
    waiting: VecDeque<(OpId, Command)>,
    join: Join,
    upkeep: Upkeep,
    repair: Repair,
    cached: BTreeSet<NodeKey>,
    greeting: Option<(Mode, Vec<SocketAddr>)>,
    mode_changed: Option<Tick>,
    disk_full: bool,
    outputs: VecDeque<Output>,
}

/// What the machine works with during one input.
struct Context<'a> {
    now: Now,
    rng: &'a mut dyn CryptoRng,
    store: &'a mut dyn OverlayStore,
    verify: &'a dyn Verify,
}

impl Overlay {
    /// The overlay of `me`, with what `store` kept from before.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn new(
        config: Config,
        me: NodeKey,
        holder: HolderConfig,
        now: Now,
        store: &dyn OverlayStore,
    ) -> Result<Self, StorageError> {
        let id = me.node_id();
        let known = store.known_peers()?;
        Ok(Self {
            config,
            me,
            id,
            table: Table::new(id, config.table),
            links: BTreeMap::new(),
            limiter: Limiter::new(config.service),
            observed: Observed::default(),
            reach: Reach::new(config.upkeep),
            liars: Liars::new(config.service.liars, config.service.liar_memory),
            holder: Holder::load(holder, store, now)?,
            clock: ClockVotes::default(),
            calls: Calls::default(),
            tasks: BTreeMap::new(),
            waiting: VecDeque::new(),
            cached: known.iter().map(Peer::key).collect(),
            join: Join::new(config.upkeep, known, now.tick),
            upkeep: Upkeep::new(now.tick),
            repair: Repair::new(now.tick),
            greeting: None,
            mode_changed: None,
            disk_full: false,
            outputs: VecDeque::new(),
        })
    }

    /// Takes one input. Worth calling [`Self::poll_output`] and [`Self::next_timeout`] afterwards.
    ///
    /// # Errors
    /// [`StorageError`] from beneath: the transaction and this machine are to be discarded and built anew from disk.
    pub fn handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn OverlayStore,
        verify: &dyn Verify,
        input: Input,
    ) -> Result<(), StorageError> {
        let mut context = Context { now, rng, store, verify };
        let context = &mut context;
        match input {
            Input::PeerUp { remote, hello, dialled } => self.peer_up(context, &remote, hello, dialled)?,
            Input::PeerDown(key) => self.peer_down(&key),
            Input::Request { remote, inbound, request } => self.serve(context, &remote, inbound, request)?,
            Input::Answer { call, answer } => self.answered(context, call, answer)?,
            Input::Command { op, command } => self.command(context, op, command)?,
            Input::Timer => self.timer(context)?,
        }
        self.begin_waiting(context)
    }

    /// The next thing to be done; worth calling until it gives nothing, after every [`Self::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to hand in [`Input::Timer`]; may change with every input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        let tasks = self.tasks.values().filter_map(Task::next_timeout);
        tasks.chain(self.upkeep.next_timeout()).min()
    }

    /// While the disk is full no record is taken, neither a peer's nor our own. The shell says so after
    /// [`StorageError::Full`], to the machine that it has built anew, and again when there is room.
    pub const fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// Says how to greet from now on, if that has changed; who is connected and has heard of another mode is told.
    fn announce(&mut self, context: &Context<'_>) {
        let mode = self.reach.mode();
        let addresses = self.observed.announced().to_vec();
        let before = self.greeting.replace((mode, addresses.clone()));
        if before.as_ref() == Some(&(mode, addresses.clone())) {
            return;
        }
        self.outputs.push_back(Output::Greet { mode, addresses });
        if before.map_or(Mode::Client, |(mode, _)| mode) == mode {
            return;
        }
        self.mode_changed = Some(context.now.tick);
        self.event(Event::ModeChanged(mode));
        // Those around us met a client when we joined; they are to know that they have a new neighbour.
        self.upkeep.look_around(context.now.tick);
        self.wake_for_upkeep(context.now.tick);
        let connected: Vec<NodeKey> = self.links.keys().copied().collect();
        for key in connected {
            self.greet(context, key);
        }
    }

    /// Greets a connected peer anew.
    fn greet(&mut self, context: &Context<'_>, key: NodeKey) {
        let Some(link) = self.links.get(&key) else { return };
        let (peer, hello) = (link.peer(key), self.hello_for(context, link.address()));
        self.call(peer, Request::Hello(hello), Purpose::Greet);
    }

    /// What we say to a peer at `address`.
    fn hello_for(&self, context: &Context<'_>, address: SocketAddr) -> Hello {
        let to = AddressGroup::of(&address);
        let tell = |own: &&SocketAddr| AddressGroup::of(own).may_be_told_to(&to);
        Hello {
            version: ProtocolVersion::CURRENT,
            mode: self.reach.mode(),
            coarse_time_min: context.now.seconds().get() / 60,
            observed: Some(address),
            addresses: self.observed.announced().iter().filter(tell).copied().collect(),
        }
    }

    fn call(&mut self, to: Peer, request: Request, purpose: Purpose) {
        let deadline = match purpose {
            Purpose::Store(_) | Purpose::Query(_) | Purpose::Repair => self.config.records.deadline,
            _ => self.config.lookup.deadline,
        };
        self.call_within(to, request, purpose, deadline);
    }

    fn call_within(&mut self, to: Peer, request: Request, purpose: Purpose, deadline: Span) {
        let fresh = matches!(purpose, Purpose::DialFor);
        let call = self.calls.open(to.key(), purpose);
        self.outputs.push_back(Output::Call { call, to, request, deadline, fresh });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Context<'_> {
    fn tools(&mut self) -> Tools<'_> {
        Tools { store: &mut *self.store, verify: self.verify, rng: &mut *self.rng }
    }

    fn random(&mut self) -> u32 {
        self.rng.next_u32()
    }
}
