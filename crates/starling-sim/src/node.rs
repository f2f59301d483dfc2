//! One node of the virtual network: a real core, its disk, its dice, and what the shell would know of it.

use std::net::SocketAddr;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_core::candidate::Candidate;
use starling_core::config::Config;
use starling_core::identity::Identity;
use starling_core::io::{Input, Output};
use starling_core::memory::MemoryStore;
use starling_core::profile::Profile;
use starling_core::storage::{RecordStore as _, StorageError};
use starling_core::{Core, LookupId, Measured};
use starling_overlay::overlay::Overlay;
use starling_proto::ids::{AccountKey, NodeId, NodeKey};
use starling_proto::message::Mode;
use starling_proto::time::{Now, Tick, UnixMillis};

use crate::bodies::SharedBodies;
use crate::network::connections::Connections;
use crate::network::router::{Nat, Router};
use crate::session::InsecureAccount;
use crate::traffic::Traffic;
use crate::verdicts::SharedVerifier;

/// Timers at one instant that are too many.
const SPINS: u32 = 100;

/// What a node begins with.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// What its user says about themselves.
    pub profile: Profile,
    /// The core's numbers.
    pub config: Config,
    /// What stands between it and the network.
    pub nat: Nat,
}

/// See the module's text.
pub struct Node {
    setup: NodeSetup,
    key: NodeKey,
    account: AccountKey,
    address: SocketAddr,
    disk: MemoryStore,
    core: Option<Core<InsecureAccount>>,
    rng: ChaCha8Rng,
    timer: Option<Tick>,
    last_timer: Option<Tick>,
    spins: u32,
    /// When the running process began: its running time counts from here.
    began: Tick,
    /// By how much its wall clock is ahead, in milliseconds.
    skew_ms: i64,
    /// Which of its cores runs, counted from its first start: what an earlier one asked for is not for the next.
    pub(crate) life: u32,
    /// Whether its disk is full.
    full: bool,
    /// Whether the process has found that out.
    knows_full: bool,
    pub(crate) router: Router,
    pub(crate) greeting: (Mode, Vec<SocketAddr>),
    pub(crate) connections: Connections,
    pub(crate) traffic: Traffic,
    pub(crate) joined_after: Option<Traffic>,
    verifier: Option<SharedVerifier>,
}

/// What becomes of the machine in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Normal,
    /// It fails before the commit.
    CrashBeforeCommit,
    /// It fails between the commit and the outputs.
    CrashAfterCommit,
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handled {
    /// The node is down.
    Down,
    /// It is on disk; the outputs wait.
    Committed,
    /// The machine has failed.
    Crashed,
    /// There was no room: nothing of it is on disk, and another core was built from what is.
    RolledBack,
}

impl Node {
    /// Makes an identity on an empty disk and starts the core.
    pub(crate) fn new(
        setup: NodeSetup,
        address: SocketAddr,
        verifier: Option<SharedVerifier>,
        (now, seed): (Now, u64),
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut disk = MemoryStore::default();
        let (identity, _) = Identity::create::<InsecureAccount>(&mut disk, &setup.profile, now, &mut rng)
            .expect("an empty disk");
        Self::begin(setup, address, verifier, (disk, rng, &identity), now)
    }

    /// Makes a device that waits to be linked to an account, on an empty disk.
    pub(crate) fn candidate(
        account: AccountKey,
        (now, seed): (Now, u64),
    ) -> (Candidate, MemoryStore, ChaCha8Rng) {
        let (mut disk, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(seed));
        let candidate = Candidate::create::<InsecureAccount>(&mut disk, account, now, &mut rng);
        (candidate.expect("an empty disk"), disk, rng)
    }

    /// Starts the core on what is on a disk.
    pub(crate) fn begin(
        setup: NodeSetup,
        address: SocketAddr,
        verifier: Option<SharedVerifier>,
        (disk, rng, identity): (MemoryStore, ChaCha8Rng, &Identity),
        now: Now,
    ) -> Self {
        let mut node = Self {
            key: identity.node().public(),
            account: identity.account(),
            router: Router::new(setup.nat),
            setup,
            address,
            disk,
            core: None,
            rng,
            timer: None,
            last_timer: None,
            spins: 0,
            began: Tick::ZERO,
            skew_ms: 0,
            life: 0,
            full: false,
            knows_full: false,
            greeting: (Mode::Client, Vec::new()),
            connections: Connections::default(),
            traffic: Traffic::default(),
            joined_after: None,
            verifier,
        };
        node.load(now);
        node
    }

    /// Keeps the records that it holds where other nodes have them too.
    pub(crate) fn share_bodies(&mut self, bodies: Arc<SharedBodies>) {
        self.disk.share_bodies(bodies);
    }

    /// Both clocks as this node sees them, where the world's are `now`.
    pub(crate) fn clocks(&self, now: Now) -> Now {
        let wall = now.wall.get().saturating_add_signed(self.skew_ms);
        Now { tick: Tick::ZERO.after(now.tick.since(self.began)), wall: UnixMillis::new(wall) }
    }

    /// Sets its wall clock ahead of the world's by so many milliseconds, or behind it. Says whether that is a change.
    pub(crate) const fn set_skew(&mut self, ms: i64) -> bool {
        let changes = self.skew_ms != ms;
        self.skew_ms = ms;
        changes
    }

    /// The node key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it greets: whether it serves.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.greeting.0
    }

    /// What stands between it and the network.
    #[must_use]
    pub const fn nat(&self) -> Nat {
        self.router.nat()
    }

    /// Whether it runs.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Whose it is.
    #[must_use]
    pub const fn account(&self) -> AccountKey {
        self.account
    }

    /// What it has on disk, whether it runs or not.
    #[must_use]
    pub const fn disk(&self) -> &MemoryStore {
        &self.disk
    }

    /// Whether its disk is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Starts a process. `now` is the world's.
    pub(crate) fn start(&mut self, address: Option<SocketAddr>, now: Now, seed: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(seed);
        if let Some(address) = address {
            self.address = address;
            self.router.forget();
        }
        self.began = now.tick;
        self.knows_full = false;
        self.load(now);
    }

    /// Ends the process: what is not on disk is gone.
    pub(crate) fn stop(&mut self) {
        self.core = None;
        self.timer = None;
        self.last_timer = None;
        self.life = self.life.saturating_add(1);
    }

    fn load(&mut self, now: Now) {
        let now = self.clocks(now);
        let core = Core::load(self.setup.config.clone(), now, &mut self.rng, &mut self.disk);
        let core =
            self.core.insert(core.expect("the disk holds what the core wrote, and loading needs no room"));
        if let Some(verifier) = &self.verifier {
            core.set_verifier(Box::new(verifier.clone()));
        }
        if self.knows_full {
            core.set_disk_full(true);
        }
    }

    /// One batch: hands over one input and commits. `now` is the world's.
    pub(crate) fn handle(&mut self, now: Now, input: Input, fate: Fate) -> Handled {
        let clocks = self.clocks(now);
        let Some(core) = &mut self.core else { return Handled::Down };
        let before = (fate == Fate::CrashBeforeCommit || self.full).then(|| self.disk.clone());
        match core.handle(clocks, &mut self.rng, &mut self.disk, input) {
            Ok(()) if fate == Fate::Normal => Handled::Committed,
            Ok(()) => {
                if let Some(before) = before.filter(|_| fate == Fate::CrashBeforeCommit) {
                    self.disk = before;
                }
                Handled::Crashed
            }
            Err(StorageError::Full) => {
                self.disk = before.expect("a disk that runs full is full or filling");
                self.disk.set_room(Some(0));
                self.knows_full = true;
                self.stop();
                self.load(now);
                Handled::RolledBack
            }
            Err(error) => panic!("memory does not fail: {error}"),
        }
    }

    /// After so many more writes there is no room.
    pub(crate) const fn fill_disk(&mut self, writes: u64) {
        self.full = true;
        self.disk.set_room(Some(writes));
    }

    /// There is room again; the core is told, and is to be woken then.
    pub(crate) fn make_room(&mut self) {
        self.full = false;
        self.knows_full = false;
        self.disk.set_room(None);
        if let Some(core) = &mut self.core {
            core.set_disk_full(false);
        }
    }

    /// Flips a bit in one of the records that it holds. Says whether it holds one.
    pub(crate) fn damage_record(&mut self, dice: u64) -> bool {
        let held = self.disk.held_records().expect("memory does not fail");
        let Some(place) = dice.checked_rem(held.len() as u64).and_then(|n| usize::try_from(n).ok()) else {
            return false;
        };
        let Some(held) = held.get(place).filter(|_| !self.full) else { return false };
        let Ok(Some(encoded)) = self.disk.read_record(&held.id) else { return false };
        let mut bytes = encoded.to_vec();
        let length = bytes.len() as u64;
        let at = (dice >> 32).checked_rem(length).and_then(|n| usize::try_from(n).ok());
        let Some(byte) = at.and_then(|at| bytes.get_mut(at)) else { return false };
        *byte ^= 1 << ((dice >> 60) & 7);
        self.disk.write_record(held, &bytes.into()).expect("there is room");
        true
    }

    /// Begins a lookup for whoever measures.
    pub(crate) fn look_up(&mut self, now: Now, target: NodeId, width: usize) -> LookupId {
        let now = self.clocks(now);
        let core = self.core.as_mut().expect("a node that runs");
        core.look_up(now, &mut self.rng, &mut self.disk, (target, width)).expect("memory does not fail")
    }

    pub(crate) fn poll_measured(&mut self) -> Option<(LookupId, Measured)> {
        self.core.as_mut()?.poll_measured()
    }

    /// What it has sent and received.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What it had sent and received when its first join was done.
    #[must_use]
    pub const fn joined_after(&self) -> Option<Traffic> {
        self.joined_after
    }

    /// Its overlay, unless it is down.
    #[must_use]
    pub fn overlay(&self) -> Option<&Overlay> {
        self.core.as_ref().map(Core::overlay)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.core.as_mut()?.poll_output()
    }

    /// The time of the world to wake the core at, if it is another than the one that is armed.
    pub(crate) fn arm_timer(&mut self) -> Option<Tick> {
        let wanted = self.core.as_ref()?.next_timeout().map(|at| self.began.after(at.since(Tick::ZERO)));
        if wanted == self.timer {
            return None;
        }
        self.timer = wanted;
        wanted
    }

    /// Whether the timer that has gone off is the one that is armed.
    ///
    /// # Panics
    /// If the core asks to be woken again and again without time passing: on a real clock that is a busy loop.
    pub(crate) fn timer_fires(&mut self, now: Tick) -> bool {
        let fires = self.timer.is_some_and(|at| at <= now);
        if fires {
            self.timer = None;
            self.spins = if self.last_timer == Some(now) { self.spins + 1 } else { 0 };
            self.last_timer = Some(now);
            assert!(self.spins < SPINS, "the core's timer spins at {now:?}");
        }
        fires
    }
}
