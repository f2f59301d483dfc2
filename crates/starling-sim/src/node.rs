//! One node of the virtual network: a real core, its disk, its dice, and what the shell would know of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_core::config::Config;
use starling_core::identity::Identity;
use starling_core::io::{Input, Job, JobResult, Output};
use starling_core::memory::MemoryStore;
use starling_core::profile::Profile;
use starling_core::{Core, LookupId, Measured};
use starling_crypto::stamp::StampSearch;
use starling_overlay::io::ChannelBinding;
use starling_overlay::overlay::Overlay;
use starling_proto::ids::{AccountKey, NodeId, NodeKey};
use starling_proto::message::Mode;
use starling_proto::time::{Now, Tick};

use crate::network::NodeIndex;
use crate::session::InsecureAccount;
use crate::traffic::Traffic;
use crate::verdicts::SharedVerifier;

/// Tries of a stamp search in one step; the virtual world does not count its cost.
const STAMP_TRIES: u32 = 1 << 20;

/// Timers at one instant that are too many.
const SPINS: u32 = 100;

/// What a node begins with.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// What its user says about themselves.
    pub profile: Profile,
    /// The core's numbers.
    pub config: Config,
    /// Whether others can dial it.
    pub reachable: bool,
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
    pub(crate) reachable: bool,
    pub(crate) greeting: (Mode, Vec<SocketAddr>),
    pub(crate) connections: BTreeMap<NodeIndex, Connection>,
    pub(crate) traffic: Traffic,
    pub(crate) joined_after: Option<Traffic>,
    verifier: Option<SharedVerifier>,
}

/// A connection, as one end sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) binding: ChannelBinding,
    /// When this end may use it: both have greeted by then.
    pub(crate) stands: Tick,
    /// When a request or an answer last used it.
    pub(crate) used: Tick,
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
        let mut node = Self {
            key: identity.node().public(),
            account: identity.account(),
            reachable: setup.reachable,
            setup,
            address,
            disk,
            core: None,
            rng,
            timer: None,
            last_timer: None,
            spins: 0,
            greeting: (Mode::Client, Vec::new()),
            connections: BTreeMap::new(),
            traffic: Traffic::default(),
            joined_after: None,
            verifier,
        };
        node.load(now);
        node
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

    pub(crate) fn start(&mut self, address: Option<SocketAddr>, now: Now, seed: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(seed);
        self.address = address.unwrap_or(self.address);
        self.load(now);
    }

    pub(crate) fn stop(&mut self) {
        self.core = None;
        self.timer = None;
    }

    fn load(&mut self, now: Now) {
        let core = Core::load(self.setup.config.clone(), now, &mut self.rng, &mut self.disk);
        let core = self.core.insert(core.expect("the disk holds what the core wrote"));
        if let Some(verifier) = &self.verifier {
            core.set_verifier(Box::new(verifier.clone()));
        }
    }

    /// Hands over one input; false if the node is down.
    pub(crate) fn handle(&mut self, now: Now, input: Input) -> bool {
        let Some(core) = &mut self.core else { return false };
        core.handle(now, &mut self.rng, &mut self.disk, input).expect("memory does not fail");
        true
    }

    /// Begins a lookup for whoever measures.
    pub(crate) fn look_up(&mut self, now: Now, target: NodeId, width: usize) -> LookupId {
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

    /// The time to wake the core at, if it is another than the one that is armed.
    pub(crate) fn arm_timer(&mut self) -> Option<Tick> {
        let wanted = self.core.as_ref()?.next_timeout();
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

    /// Does a job. Virtual time passes outside.
    pub(crate) fn work(&self, job: &Job) -> JobResult {
        match job {
            Job::Stamp { subject, month, policy, start } => {
                let mut search = StampSearch::new(*subject, *month, *policy, *start);
                search.step(STAMP_TRIES).map_or(JobResult::Cancelled, JobResult::Stamp)
            }
            _ => JobResult::Cancelled,
        }
    }
}
