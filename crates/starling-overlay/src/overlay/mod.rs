//! The dispatcher: hands each input to the machine it concerns, and what that machine wants to the shell.

mod answers;
mod backups;
mod cached;
mod calls;
mod clock;
mod density;
mod dial_back;
mod favours;
mod gathering;
mod join;
mod links;
mod minute;
mod moves;
mod own;
mod parted;
mod passing;
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

use self::cached::Cached;
use self::calls::{Calls, Open, Purpose, Way};
use self::clock::ClockVotes;
use self::density::Density;
use self::favours::Favours;
use self::join::Join;
use self::links::Link;
use self::minute::Minute;
use self::parted::Parted;
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

/// Outputs for which room stays when all are taken. They are large, and a batch that makes hundreds is rare.
const OUTPUTS_KEPT: usize = 4;

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
    /// Those of them whose word on their mode came too soon after another.
    unbelieved: BTreeSet<NodeKey>,
    parted: Parted,
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
    dials: Minute,
    favours: Favours,
    cached: Cached,
    density: Density,
    greeting: Option<(Mode, Vec<SocketAddr>)>,
    mode_changed: Option<Tick>,
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
            unbelieved: BTreeSet::new(),
            parted: Parted::default(),
            limiter: Limiter::new(config.service),
            observed: Observed::default(),
            reach: Reach::new(config.upkeep),
            liars: Liars::new(config.service.liars, config.service.liar_memory),
            holder: Holder::load(holder, store, now)?,
            clock: ClockVotes::default(),
            calls: Calls::default(),
            tasks: BTreeMap::new(),
            waiting: VecDeque::new(),
            cached: Cached::load(&known),
            join: Join::new(config.upkeep, known, now.tick),
            upkeep: Upkeep::new(now.tick),
            repair: Repair::new(now.tick),
            dials: Minute::new(now.tick),
            favours: Favours::new(now.tick),
            density: Density::default(),
            greeting: None,
            mode_changed: None,
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
            Input::PeerDown(key) => self.peer_down(&key, now.tick),
            Input::Request { remote, inbound, request } => self.serve(context, &remote, inbound, request)?,
            Input::Answer { call, answer } => self.answered(context, call, answer)?,
            Input::Command { op, command } => self.command(context, op, command)?,
            Input::Timer => self.timer(context)?,
        }
        self.begin_waiting(context)
    }

    /// The next thing to be done; worth calling until it gives nothing, after every [`Self::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if next.is_none() {
            self.outputs.shrink_to(OUTPUTS_KEPT);
        }
        next
    }

    /// When to hand in [`Input::Timer`]; may change with every input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        let tasks = self.tasks.values().filter_map(Task::next_timeout);
        tasks.chain(self.upkeep.next_timeout()).min()
    }

    /// While the disk is full no new record is taken, neither a peer's nor our own: the answer is
    /// [`NotServing`](starling_proto::message::StoreOutcome::NotServing). What is held is served, owners delete, and what
    /// is over goes. The shell says so after [`StorageError::Full`], to the machine that it has built anew, and takes it
    /// back when there is room. [`Status::disk_full`] shows it.
    pub const fn set_disk_full(&mut self, full: bool) {
        self.holder.set_full(full);
    }

    /// Says how to greet from now on, if that has changed; who is connected and has heard of another mode is told.
    fn announce(&mut self, context: &Context<'_>) {
        let mode = self.reach.mode();
        let announced = self.observed.announced();
        if self.greeting.as_ref().is_some_and(|(was, at)| *was == mode && at == announced) {
            return;
        }
        let addresses = announced.to_vec();
        let before = self.greeting.replace((mode, addresses.clone()));
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
            Purpose::Store(_) | Purpose::Query(_) | Purpose::Show(_) | Purpose::Repair => {
                self.config.records.deadline
            }
            _ => self.config.lookup.deadline,
        };
        let way = if purpose == Purpose::DialFor { Way::Fresh } else { Way::Any };
        self.call_within(to, request, purpose, (deadline, way));
    }

    fn call_within(&mut self, to: Peer, request: Request, purpose: Purpose, (deadline, way): (Span, Way)) {
        let call = self.calls.open(Open { to: to.key(), purpose, telling: self.is_telling(&to) });
        self.outputs.push_back(Output::Call { call, to, request, deadline, fresh: way == Way::Fresh });
    }

    /// Whether it says something about a peer that it does not answer here: it is connected, or this is where we know it
    /// from. What others name may be wrong.
    fn is_telling(&self, to: &Peer) -> bool {
        let (key, addresses) = (to.key(), to.addresses());
        let named =
            |seed: &Peer| seed.key() == key && seed.addresses().iter().any(|at| addresses.contains(at));
        self.links.contains_key(&key) || self.table.is_at(to) || self.join.seeds().iter().any(named)
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

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::holder::testing::Double;
    use crate::io::Remote;
    use crate::memory::MemoryStore;
    use crate::storage::PeerStore as _;
    use crate::table::Contact;

    fn at(n: u8, addresses: &[&str]) -> Peer {
        Peer::new(NodeKey::new([n; 32]), addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn byz_04_silence_where_others_say_that_a_peer_is_says_nothing_about_it() {
        let (mut store, now) = (MemoryStore::default(), Now::default());
        store.write_peer(&at(1, &["8.8.8.8:1"]), now.seconds()).unwrap();
        let me = NodeKey::new([7; 32]);
        let mut overlay = Overlay::new(Config::default(), me, HolderConfig::new(me), now, &store).unwrap();
        overlay.table.offer(Contact::new(NodeKey::new([2; 32]), "9.9.9.9:1".parse().unwrap(), &[], now.tick));
        for (n, home) in [(1, "8.8.8.8:1"), (2, "9.9.9.9:1")] {
            assert!(!overlay.is_telling(&at(n, &["6.6.6.6:1", "6.6.6.6:2"])));
            assert!(overlay.is_telling(&at(n, &["6.6.6.6:1", home])));
            assert!(!overlay.is_telling(&at(3, &[home])), "somebody else's address");
        }
    }

    /// Peers of one street, then of many, come and go; who is a contact is remembered beside the table.
    #[test]
    fn who_is_kept_on_disk_is_known_to_be_there_or_not() {
        let (mut store, mut rng, now) =
            (MemoryStore::default(), ChaCha8Rng::seed_from_u64(5), Now::default());
        let me = NodeKey::new([7; 32]);
        let mut overlay = Overlay::new(Config::default(), me, HolderConfig::new(me), now, &store).unwrap();
        let (mut came, mut left) = (0, 0);
        for n in 0_u8..160 {
            let key = NodeKey::new([n.saturating_add(20); 32]);
            let address = if n < 30 { format!("9.9.9.{n}:1") } else { format!("11.{n}.1.1:1") };
            let remote = Remote { key, address: address.parse().unwrap(), binding: [n; 32] };
            let hello = Hello {
                version: ProtocolVersion::CURRENT,
                mode: Mode::Server,
                coarse_time_min: 0,
                observed: None,
                addresses: Vec::new(),
            };
            let up = Input::PeerUp { remote, hello, dialled: true };
            overlay.handle(now, &mut rng, &mut store, &Double::default(), up).unwrap();
            let verify = Double::default();
            let mut context = Context { now, rng: &mut rng, store: &mut store, verify: &verify };
            for silent in [n / 2, n / 3].into_iter().filter(|_| n % 5 == 0).cycle().take(8) {
                overlay.not_heard(&mut context, &NodeKey::new([silent.saturating_add(20); 32])).unwrap();
            }
            for (key, is_there) in overlay.cached.there() {
                assert_eq!(is_there, overlay.table.get(&key).is_some(), "peer {n}: {key}");
                if is_there { came += 1 } else { left += 1 }
            }
        }
        assert!(came > 100 && left > 100, "{came} were there, {left} were not");
    }
}
