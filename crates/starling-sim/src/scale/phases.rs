//! The phases of a run.

use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_core::io::{Command, CommandOutput};
use starling_proto::addr::JoinAddr;
use starling_proto::ids::{AccountKey, NodeId, NodeKey};
use starling_proto::time::{Span, Tick};

use super::cast::{Person, below};
use super::{Interrupted, LOOKUPS, Plan, Progress, SETTLING, WAVE, WIDTH, truth};
use crate::network::{Network, NodeIndex, World};
use crate::traffic::Traffic;

/// After this much virtual time whoever watches is told.
const SLICE: Span = Span::from_ms(1000);
/// Lookups and searches that take longer than this have failed.
const PATIENCE: Span = Span::from_secs(30);
/// People whom a search shows at most.
const SHOWN: usize = 50;

/// The network of a run, and what is known of it.
pub(super) struct Stage<'a> {
    plan: Plan,
    network: Network,
    people: Vec<Person>,
    dice: ChaCha8Rng,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// What came of the lookups.
pub(super) struct LookedUp {
    pub(super) requests: f64,
    pub(super) top1: f64,
    pub(super) topk: f64,
}

impl<'a> Stage<'a> {
    pub(super) fn new(plan: Plan, watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
        dice.set_stream(1);
        let network = Network::new(World { seed: plan.seed, ..World::default() });
        Self { plan, network, people: Vec::new(), dice, watch }
    }

    /// Everybody joins through a random node that is there: in each wave as many as there are already.
    pub(super) fn join(&mut self) -> Result<(), Interrupted> {
        self.add();
        while self.people.len() < self.plan.nodes {
            let there = self.people.len();
            let coming = there.min(self.plan.nodes - there);
            let pause = Span::from_ms(WAVE.as_ms() / coming as u64);
            for _ in 0..coming {
                let door = NodeIndex(below(&mut self.dice, there));
                let node = self.add();
                let door = self.network.node(door);
                let door = JoinAddr { key: door.key(), address: door.address() };
                self.network.command(node, Command::Join(vec![door]));
                self.pass(pause, "joining")?;
            }
        }
        self.pass(SETTLING, "publishing")
    }

    /// What all nodes together had sent when each of them was in the network.
    pub(super) fn joined(&self) -> Traffic {
        self.network.nodes().filter_map(|node| node.joined_after()).sum()
    }

    /// What all nodes together have sent.
    pub(super) fn traffic(&self) -> Traffic {
        self.network.traffic()
    }

    pub(super) fn passed(&self) -> Span {
        self.network.now().tick.since(Tick::ZERO)
    }

    pub(super) fn trace(&self) -> [u8; 32] {
        self.network.trace()
    }

    /// Looks up random places from random nodes.
    pub(super) fn look_up(&mut self) -> Result<LookedUp, Interrupted> {
        let begun: Vec<_> = (0..LOOKUPS).map(|_| self.begin_lookup()).collect();
        self.pass(PATIENCE, "looking up")?;
        let (mut requests, mut right, mut shares) = (0, 0, 0.0);
        for (asker, target, lookup) in begun {
            let found = self.network.found(asker, lookup).expect("lookups end within their time budget");
            let keys: Vec<NodeKey> = found.peers.iter().map(starling_proto::addr::Peer::key).collect();
            let truth = truth::closest(&self.network, self.network.node(asker).key(), target, WIDTH);
            requests += found.requests;
            right += u32::from(keys.first() == truth.first());
            shares += truth::share(&truth, &keys);
        }
        let each = |sum: f64| sum / LOOKUPS as f64;
        Ok(LookedUp { requests: each(f64::from(requests)), top1: each(f64::from(right)), topk: each(shares) })
    }

    /// Searches random people from random nodes, by all their words. Gives the share of those who match that was found.
    pub(super) fn search(&mut self) -> Result<Option<f64>, Interrupted> {
        let count = self.plan.searches;
        if count == 0 {
            return Ok(None);
        }
        let begun: Vec<_> = (0..count).map(|_| self.begin_search()).collect();
        self.pass(PATIENCE, "searching")?;
        let mut shares = 0.0;
        for (asker, words, command) in begun {
            let result = self.network.take_result(command).expect("searches end within their time budget");
            let Ok(CommandOutput::Search(found)) = result else { panic!("no search: {result:?}") };
            let whole = found.results.iter().filter(|hit| hit.matched == hit.total_words);
            let found: Vec<AccountKey> = whole.map(|hit| hit.account).collect();
            let wanted = truth::matching(&self.people, asker.0, &words);
            let wanted: Vec<AccountKey> =
                wanted.into_iter().map(|n| self.network.node(NodeIndex(n)).account()).collect();
            shares += truth::share(&wanted, &found);
        }
        Ok(Some(shares / count as f64))
    }

    /// Nobody does anything; gives what all nodes together sent in it.
    pub(super) fn stay_quiet(&mut self) -> Result<Traffic, Interrupted> {
        let before = self.traffic();
        self.pass(self.plan.quiet, "staying quiet")?;
        Ok(self.traffic() - before)
    }

    fn add(&mut self) -> NodeIndex {
        let person = Person::random(self.plan.nodes, &mut self.dice);
        let setup = person.setup(self.plan.searches > 0);
        self.people.push(person);
        self.network.add(setup)
    }

    fn anybody(&mut self) -> NodeIndex {
        NodeIndex(below(&mut self.dice, self.people.len()))
    }

    fn begin_lookup(&mut self) -> (NodeIndex, NodeId, starling_core::LookupId) {
        let asker = self.anybody();
        let mut target = [0; 32];
        self.dice.fill_bytes(&mut target);
        let target = NodeId::new(target);
        (asker, target, self.network.look_up(asker, target, WIDTH))
    }

    fn begin_search(&mut self) -> (NodeIndex, Vec<String>, starling_core::io::CommandId) {
        let (asker, wanted) = (self.anybody(), self.anybody());
        let words = self.people.get(wanted.0).expect("somebody of this network").words.to_vec();
        let search = Command::Search { words: words.clone(), limit: SHOWN };
        (asker, words, self.network.command(asker, search))
    }

    /// Lets virtual time pass, and tells whoever watches.
    fn pass(&mut self, span: Span, doing: &'static str) -> Result<(), Interrupted> {
        let end = self.network.now().tick.after(span);
        loop {
            let progress = Progress { doing, passed: self.passed(), all: self.expected() };
            if (self.watch)(progress).is_break() {
                return Err(Interrupted);
            }
            let left = end.since(self.network.now().tick);
            if left == Span::ZERO {
                return Ok(());
            }
            self.network.run_for(left.min(SLICE));
            self.network.forget_events();
        }
    }

    /// Virtual time of the whole run.
    fn expected(&self) -> Span {
        let waves = u64::from(self.plan.nodes.next_power_of_two().ilog2());
        let phases = [SETTLING, PATIENCE, PATIENCE, self.plan.quiet];
        Span::from_ms(WAVE.times(waves).as_ms() + phases.iter().map(|span| span.as_ms()).sum::<u64>())
    }
}
