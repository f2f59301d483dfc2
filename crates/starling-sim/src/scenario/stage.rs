//! The network of a run, and how it goes from phase to phase.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput};
use starling_core::profile::Profile;
use starling_crypto::stamp::StampPolicy;
use starling_proto::addr::JoinAddr;
use starling_proto::identity::{About, Name};
use starling_proto::time::{Span, Tick};
use starling_proto::version::NetworkName;

use super::chaos::Chaos;
use super::file::{Cut, Phase, Scenario};
use super::presence::Presence;
use super::users::Users;
use super::{Outcome, Progress};
use crate::checks::{Ledger, Rule, standing};
use crate::faults::link::unit;
use crate::faults::partition::Partition;
use crate::faults::{LinkFaults, NodeFaults, below};
use crate::network::{Nat, Network, NodeIndex, World, address_of};
use crate::node::NodeSetup;
use crate::scale::Interrupted;

/// After this much virtual time users look at their screens, and whoever watches is told.
const SLICE: Span = Span::from_ms(500);
/// After so many slices nodes are looked at as they stand.
const LOOKED_AT: u64 = 60;
/// Time between two who join.
const JOINING: Span = Span::from_ms(200);
/// Then everybody has this long to publish what they are.
const SETTLING: Span = Span::from_secs(60);
/// How long making contacts may take before the first phase.
const MEETING: Span = Span::from_secs(600);
/// In the end nothing is left to do for so long, after which caps and bounds are looked at.
const QUIET: Span = Span::from_secs(60);
/// Searches in the end.
const SEARCHES: usize = 20;
/// They take no longer than this.
const PATIENCE: Span = Span::from_secs(30);

/// See the module's text.
pub(super) struct Stage<'a> {
    scenario: &'a Scenario,
    seed: u64,
    network: Network,
    dice: ChaCha8Rng,
    ledger: Ledger,
    users: Users,
    listed: Vec<NodeIndex>,
    slices: u64,
    healed_after: Option<Span>,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        seed: u64,
        watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(1);
        let (terrain, seats) = (scenario.terrain, scenario.crowd.seats);
        Self {
            scenario,
            seed,
            network: Network::new(World { seed, terrain, seats, ..World::default() }),
            dice,
            ledger: Ledger::default(),
            users: Users::default(),
            listed: Vec::new(),
            slices: 0,
            healed_after: None,
            watch,
        }
    }

    /// Everybody joins through somebody who is there, and makes contacts. Nothing goes wrong yet.
    pub(super) fn gather(&mut self) -> Result<(), Interrupted> {
        let crowd = self.scenario.crowd;
        self.add();
        for there in 1..crowd.nodes {
            let node = self.add();
            // An even number, since nobody can join through one that cannot be dialled.
            let door = NodeIndex(below(&mut self.dice, there.div_ceil(2)) * 2);
            self.join(node, door);
            self.pass(JOINING, "joining")?;
        }
        self.pass(SETTLING, "publishing")?;
        for who in 0..crowd.nodes {
            for step in 1..=crowd.friends {
                self.users.ask(&mut self.ledger, NodeIndex(who), NodeIndex((who + step) % crowd.nodes));
            }
        }
        let end = self.network.now().tick.after(MEETING);
        while !self.all_have_met() && self.network.now().tick < end {
            self.pass(SLICE, "meeting")?;
        }
        Ok(())
    }

    /// One phase: things go wrong, and people write.
    pub(super) fn suffer(&mut self, phase: &Phase) -> Result<(), Interrupted> {
        let newcomers = self.newcomers(phase);
        self.network.set_link_faults(phase.links);
        self.network.set_node_faults(phase.nodes);
        if let Some(cut) = phase.cut {
            let partition = self.partition(cut, &newcomers);
            self.network.part(Some(partition));
        }
        if phase.restart_all {
            for node in self.network.indices() {
                self.network.kill(node);
                self.network.restart(node, None);
            }
        }
        let mut presence = Presence::begin(phase, &mut self.network, &mut self.dice);
        let mut chaos = Chaos::new(phase.events);
        let end = self.network.now().tick.after(phase.length);
        while self.network.now().tick < end {
            presence.step(&mut self.network, &mut self.dice);
            if let Some(who) = chaos.step(&mut self.network, SLICE, &mut self.dice) {
                let whom = NodeIndex(below(&mut self.dice, self.network.nodes().len()));
                // Two of whom neither can be dialled by strangers cannot meet without a relay.
                if [who, whom].iter().any(|one| self.nat(*one).lets_strangers_in()) {
                    self.users.ask(&mut self.ledger, who, whom);
                }
            }
            self.write(phase.messages_per_minute);
            self.pass(SLICE, "suffering")?;
        }
        chaos.end(&mut self.network);
        presence.end(&mut self.network);
        if phase.cut == Some(Cut::Newcomers)
            && let Some(&islander) = newcomers.first()
        {
            self.join(islander, NodeIndex(0));
        }
        Ok(())
    }

    /// All faults end, everybody is back, and nobody writes anything new: whatever was written arrives.
    pub(super) fn heal(&mut self) -> Result<(), Interrupted> {
        self.network.set_link_faults(LinkFaults::default());
        self.network.set_node_faults(NodeFaults::default());
        self.ledger.heal();
        let began = self.network.now().tick;
        let end = began.after(self.scenario.healing);
        while self.network.now().tick < end {
            self.pass(SLICE, "healing")?;
            if self.is_whole() {
                self.healed_after = Some(self.network.now().tick.since(began));
                return Ok(());
            }
        }
        for (who, want) in self.users.unserved() {
            self.ledger.violate(self.network.now().tick, who, Rule::UsersAreServed, want);
        }
        Ok(())
    }

    /// What came of it all.
    pub(super) fn conclude(mut self) -> Result<Outcome, Interrupted> {
        self.pass(QUIET, "staying quiet")?;
        self.ledger.conclude(&self.network);
        let mut found = standing::contacts_agree(&self.network, &self.users.pairs());
        found.extend(standing::nobody_is_alone(&self.network));
        found.extend(standing::group_caps(&self.network));
        found.extend(standing::servers_are_dialled(&self.network));
        let recall = self.search()?;
        if recall.is_some_and(|share| share * 100.0 < f64::from(self.scenario.recall_percent)) {
            let what = format!("{:.0} % of searches find", recall.unwrap_or(0.0) * 100.0);
            let at = self.network.now().tick;
            self.ledger.violate(at, NodeIndex(0), Rule::DirectoryRecall, what);
        }
        let (written, delivered) = self.ledger.counts();
        let mut reached = self.network.reached().clone();
        reached.merge(self.ledger.reached());
        reached.merge(self.users.reached());
        Ok(Outcome {
            seed: self.seed,
            violations: self.ledger.violations().iter().cloned().chain(found).collect(),
            written,
            delivered,
            healed_after: self.healed_after,
            recall,
            reached,
            requests: self.network.requests(),
            virtual_time: self.network.now().tick.since(Tick::ZERO),
            trace: self.network.trace(),
        })
    }

    fn is_whole(&self) -> bool {
        self.users.are_content() && self.all_have_met() && self.ledger.all_has_arrived(&self.network)
    }

    fn all_have_met(&self) -> bool {
        self.users.are_content() && standing::contacts_agree(&self.network, &self.users.pairs()).is_empty()
    }

    /// Share of searches that find whom they are for, and as they describe themselves.
    fn search(&mut self) -> Result<Option<f64>, Interrupted> {
        if self.listed.is_empty() {
            return Ok(None);
        }
        let mut begun = Vec::new();
        for _ in 0..SEARCHES {
            let asker = NodeIndex(below(&mut self.dice, self.network.nodes().len()));
            let wanted = self.listed.get(below(&mut self.dice, self.listed.len())).copied();
            let wanted = wanted.filter(|wanted| *wanted != asker).unwrap_or(NodeIndex(0));
            let words = vec![name(wanted).to_lowercase()];
            let command = self.network.command(asker, Command::Search { words, limit: 50 });
            begun.push((asker, wanted, command));
        }
        self.pass(PATIENCE, "searching")?;
        let mut right = 0;
        for (asker, wanted, command) in begun {
            let Some(Ok(CommandOutput::Search(results))) = self.network.take_result(command) else {
                continue;
            };
            for hit in &results.results {
                let truth = self.network.node_of(&hit.account).map(name);
                if truth.as_ref() != Some(&hit.name) {
                    let at = self.network.now().tick;
                    self.ledger.violate(at, asker, Rule::NothingInvented, format!("{hit:?}"));
                }
            }
            let account = self.network.node(wanted).account();
            let is_found = results.results.iter().any(|hit| hit.account == account);
            right += usize::from(is_found || asker == wanted || !self.listed.contains(&wanted));
        }
        Ok(Some(right as f64 / SEARCHES as f64))
    }

    fn add(&mut self) -> NodeIndex {
        let (crowd, number) = (self.scenario.crowd, self.network.nodes().len());
        let listed = number < crowd.listed || (number >= crowd.nodes && crowd.listed == crowd.nodes);
        let setup = setup(NodeIndex(number), listed, self.nat(NodeIndex(number)));
        let mut address: SocketAddr = address_of(NodeIndex(number / crowd.per_street));
        if crowd.per_street > 1 {
            address.set_port(4_000 + u16::try_from(number % crowd.per_street).unwrap_or(0));
        }
        let node = self.network.add_at(setup, address);
        if listed {
            self.listed.push(node);
        }
        node
    }

    /// Every second node stands behind a router, while there are to be such.
    fn nat(&self, node: NodeIndex) -> Nat {
        let Scenario { crowd, routers, .. } = self.scenario;
        let behind = node.0 % 2 == 1 && node.0 / 2 < crowd.clients;
        let dealt = (node.0 / 2).checked_rem(routers.len()).and_then(|index| routers.get(index));
        dealt.filter(|_| behind).copied().unwrap_or_default()
    }

    fn join(&mut self, node: NodeIndex, door: NodeIndex) {
        let door = self.network.node(door);
        let door = JoinAddr { key: door.key(), address: door.address() };
        self.network.command(node, Command::Join(vec![door]));
    }

    /// Newcomers of a phase: through somebody who is there, or on an island through the first of them.
    fn newcomers(&mut self, phase: &Phase) -> Vec<NodeIndex> {
        let there = self.network.nodes().len();
        let newcomers: Vec<NodeIndex> = (0..phase.newcomers).map(|_| self.add()).collect();
        for &node in &newcomers {
            let door = match (phase.cut, newcomers.first()) {
                (Some(Cut::Newcomers), Some(first)) if *first == node => continue,
                (Some(Cut::Newcomers), Some(first)) => *first,
                _ => NodeIndex(below(&mut self.dice, there.div_ceil(2)) * 2),
            };
            self.join(node, door);
            if self.scenario.crowd.friends > 0 && door.0 >= there {
                self.users.ask(&mut self.ledger, node, door);
            }
        }
        newcomers
    }

    fn partition(&mut self, cut: Cut, newcomers: &[NodeIndex]) -> Partition {
        let count = self.network.nodes().len();
        let half: BTreeSet<NodeIndex> = (0..count / 2).map(NodeIndex).collect();
        let one = NodeIndex(below(&mut self.dice, count));
        match cut {
            Cut::Halves => Partition::Sides(half),
            Cut::One => Partition::Sides(BTreeSet::from([one])),
            Cut::Bridge => Partition::Bridge(half, one),
            Cut::Ring => Partition::Ring(count),
            Cut::Newcomers => Partition::Sides(newcomers.iter().copied().collect()),
        }
    }

    /// Begins what is written in one slice, so many in a minute.
    fn write(&mut self, per_minute: u32) {
        let mut expected = f64::from(per_minute) * SLICE.as_ms() as f64 / 60_000.0;
        while expected > 0.0 {
            if unit(&mut self.dice) < expected {
                self.users.write(&self.network, &mut self.ledger, &mut self.dice);
            }
            expected -= 1.0;
        }
    }

    /// Lets virtual time pass, slice by slice: users look at what came, and it is checked.
    fn pass(&mut self, span: Span, doing: &'static str) -> Result<(), Interrupted> {
        let end = self.network.now().tick.after(span);
        loop {
            let passed = self.network.now().tick.since(Tick::ZERO);
            let progress = Progress { doing, passed, all: self.expected() };
            if (self.watch)(progress).is_break() {
                return Err(Interrupted);
            }
            let left = end.since(self.network.now().tick);
            if left == Span::ZERO {
                return Ok(());
            }
            self.network.run_for(left.min(SLICE));
            for event in self.network.take_events() {
                self.ledger.event(&self.network, &event);
            }
            self.users.step(&mut self.network, &mut self.ledger);
            self.slices += 1;
            if self.slices.is_multiple_of(LOOKED_AT) {
                for violation in standing::check(&self.network) {
                    self.ledger.violate(violation.at, violation.node, violation.rule, violation.what);
                }
            }
        }
    }

    /// Virtual time of the whole run, about.
    fn expected(&self) -> Span {
        let phases = self.scenario.phases.iter().map(|phase| phase.length.as_ms()).sum::<u64>();
        let joining = JOINING.times(self.scenario.crowd.nodes as u64).as_ms();
        let rest = [SETTLING, SETTLING, QUIET, PATIENCE].iter().map(|span| span.as_ms()).sum::<u64>();
        Span::from_ms(phases + joining + rest)
    }
}

fn name(node: NodeIndex) -> String {
    format!("Person{:05}", node.0)
}

/// The numbers of the main network, but for the price of stamps.
fn setup(node: NodeIndex, listed: bool, nat: Nat) -> NodeSetup {
    let mut profile = Profile::new(Name::new(name(node)).expect("a short name"));
    profile.about = About::new("of a scenario").expect("a short text");
    profile.listed = listed;
    let network: NetworkName = "lab".parse().expect("a name");
    let stamps = StampPolicy::for_network(&network, 0).expect("a network of its own");
    NodeSetup { profile, config: Config { stamps, ..Config::of(&network) }, nat }
}
