//! The network of a run, and the people in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput, ContactChange, Event, Newcomer};
use starling_core::profile::Profile;
use starling_core::storage::{ContactState, ContactStore as _, OutboxStore as _, RecordStore as _};
use starling_core::view::MessageState;
use starling_crypto::stamp::StampPolicy;
use starling_proto::addr::JoinAddr;
use starling_proto::content::MessageText;
use starling_proto::identity::Name;
use starling_proto::ids::{MessageId, RecordId};
use starling_proto::record::RecordKind;
use starling_proto::time::{Span, Tick};
use starling_proto::version::NetworkName;

use super::{Mishap, Outcome, Plan, SAMPLES, Sample};
use crate::faults::below;
use crate::faults::partition::Partition;
use crate::network::{Nat, Network, NodeIndex, World, address_of};
use crate::node::NodeSetup;
use crate::scale::{Interrupted, Progress};
use crate::scenario::Turns;
use crate::traffic::Traffic;

/// Whoever comes or goes does so at the end of one of these.
const SLICE: Span = Span::from_secs(5);
/// Time between two who join.
const JOINING: Span = Span::from_ms(200);
/// Then everybody has this long to publish what they are.
const SETTLING: Span = Span::from_secs(120);
/// How long making contacts may take: a request whose recipient is told by droppers alone waits for the next full
/// reading of the inbox, which is within half an hour.
const MEETING: Span = Span::from_secs(2_400);
/// How long nodes come and go before anything is written.
const WARMING: Span = Span::from_hours(2);
/// How long a writer stays to hear that all is stored.
const WRITING: Span = Span::from_secs(1_800);
/// When all fail at one moment, nobody is there for so long, if there is so much time between two samples.
const DARK: Span = Span::from_hours(1);
/// Of a hundred nodes, how many vanish at one moment.
const VANISH_PERCENT: usize = 60;
/// How long a recipient reads.
const READING: Span = Span::from_hours(6);

/// Two who know each other.
#[derive(Debug, Clone, Copy)]
struct Pair {
    writer: NodeIndex,
    reader: NodeIndex,
    accepted: bool,
}

/// A text on its way.
#[derive(Debug)]
struct Text {
    reader: NodeIndex,
    number: usize,
    holders: Option<u32>,
}

/// See the module's text.
pub(super) struct Stage<'a> {
    plan: Plan,
    network: Network,
    dice: ChaCha8Rng,
    pairs: Vec<Pair>,
    turns: Option<Turns>,
    /// Nodes that are gone for good, with their disks.
    gone: BTreeSet<NodeIndex>,
    texts: BTreeMap<MessageId, Text>,
    letters: BTreeSet<RecordId>,
    /// What each recipient was shown, in order.
    shown: BTreeMap<NodeIndex, Vec<(MessageId, Tick)>>,
    samples: Vec<Sample>,
    /// Milliseconds that nodes ran while all were away, together.
    running_ms: u64,
    traffic: Traffic,
    returned: Tick,
    watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(plan: Plan, watch: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
        dice.set_stream(1);
        Self {
            plan,
            network: Network::new(World { seed: plan.seed, ..World::default() }),
            dice,
            pairs: Vec::new(),
            turns: None,
            gone: BTreeSet::new(),
            texts: BTreeMap::new(),
            letters: BTreeSet::new(),
            shown: BTreeMap::new(),
            samples: Vec::new(),
            running_ms: 0,
            traffic: Traffic::default(),
            returned: Tick::ZERO,
            watch,
        }
    }

    /// Everybody joins through somebody who is there. Those who will drop mail behave until it comes.
    pub(super) fn gather(&mut self) -> Result<(), Interrupted> {
        for there in 0..self.plan.nodes + 2 * self.plan.pairs {
            let node = self.network.add(setup(there));
            if there > 0 {
                let door = self.network.node(NodeIndex(below(&mut self.dice, there.min(self.plan.nodes))));
                let door = JoinAddr { key: door.key(), address: door.address() };
                self.network.command(node, Command::Join(vec![door]));
            }
            self.pass(JOINING, "joining")?;
        }
        for number in 0..self.plan.nodes * self.plan.droppers_percent / 100 {
            self.network.make_dropper(NodeIndex(number));
        }
        self.pass(SETTLING, "publishing")
    }

    /// The people become contacts; then the nodes begin to come and go.
    pub(super) fn meet(&mut self) -> Result<(), Interrupted> {
        for number in 0..self.plan.pairs {
            let writer = NodeIndex(self.plan.nodes + 2 * number);
            let reader = NodeIndex(writer.0 + 1);
            let whom = Newcomer::Account(self.network.node(reader).account());
            self.network.command(writer, Command::AddContact { whom, note: String::new() });
            self.pairs.push(Pair { writer, reader, accepted: false });
        }
        let end = self.network.now().tick.after(MEETING);
        while !self.all_have_met() && self.network.now().tick < end {
            self.pass(SLICE, "meeting")?;
            self.accept();
        }
        assert!(
            self.all_have_met(),
            "seed {}: in a network without faults contacts are made",
            self.plan.seed
        );
        if let Some(churn) = self.plan.coming.churn() {
            let nodes = (0..self.plan.nodes).map(NodeIndex);
            let now = self.network.now().tick;
            self.turns = Some(Turns::begin(nodes, churn, now, &mut self.dice));
            self.pass(WARMING, "warming up")?;
        }
        Ok(())
    }

    /// The recipients leave, the writers write, wait until all is stored or for long enough, and leave for good.
    pub(super) fn write(&mut self) -> Result<(), Interrupted> {
        for pair in self.pairs.clone() {
            self.network.kill(pair.reader);
        }
        if self.plan.mishap == Mishap::Halves {
            self.network.part(Some(self.halves()));
        }
        self.pass(Span::from_secs(60), "leaving")?;
        let before = self.deposits();
        for pair in self.pairs.clone() {
            for number in 0..self.plan.texts {
                self.say(pair, number);
            }
        }
        let end = self.network.now().tick.after(WRITING);
        while self.texts.values().any(|text| text.holders.is_none()) && self.network.now().tick < end {
            self.pass(SLICE, "writing")?;
        }
        for pair in self.pairs.clone() {
            self.network.kill(pair.writer);
        }
        self.letters = self.deposits().difference(&before).copied().collect();
        Ok(())
    }

    /// Nobody is there but those who keep the mail.
    pub(super) fn wait(&mut self) -> Result<(), Interrupted> {
        let (began, before) = (self.network.now().tick, self.network.traffic());
        self.sample(Span::ZERO);
        let step = Span::from_ms(self.plan.away.as_ms() / u64::from(SAMPLES));
        self.running_ms = 0;
        for number in 1..=SAMPLES {
            let end = began.after(step.times(u64::from(number)));
            self.pass(end.since(self.network.now().tick), "being away")?;
            self.sample(end.since(began));
            if number == SAMPLES / 2 {
                self.befall(DARK.min(step))?;
            }
        }
        self.traffic = self.network.traffic() - before;
        Ok(())
    }

    /// In the middle of the absence; if nobody is there for a time, for `dark`.
    fn befall(&mut self, dark: Span) -> Result<(), Interrupted> {
        match self.plan.mishap {
            Mishap::None => {}
            Mishap::Halves => self.network.part(None),
            Mishap::Vanish => {
                let mut left: Vec<NodeIndex> = (0..self.plan.nodes).map(NodeIndex).collect();
                for _ in 0..self.plan.nodes * VANISH_PERCENT / 100 {
                    let node = left.swap_remove(below(&mut self.dice, left.len()));
                    self.network.kill(node);
                    self.gone.insert(node);
                    self.turns.iter_mut().for_each(|turns| turns.forget(node));
                }
            }
            Mishap::Restart => {
                let nodes = (0..self.plan.nodes).map(NodeIndex);
                let up: Vec<NodeIndex> = nodes.filter(|node| self.network.node(*node).is_up()).collect();
                up.iter().for_each(|node| self.network.kill(*node));
                let turns = self.turns.take();
                self.pass(dark, "being away")?;
                up.iter().for_each(|node| self.network.restart(*node, None));
                self.turns = turns;
            }
        }
        Ok(())
    }

    /// Every second node; of a pair, one is here and the other there.
    fn halves(&self) -> Partition {
        let nodes = (0..self.plan.nodes).step_by(2).map(NodeIndex);
        Partition::Sides(nodes.chain(self.pairs.iter().map(|pair| pair.writer)).collect())
    }

    /// The recipients come back elsewhere and read.
    pub(super) fn read(&mut self) -> Result<(), Interrupted> {
        self.returned = self.network.now().tick;
        for (number, pair) in self.pairs.clone().into_iter().enumerate() {
            let elsewhere = address_of(NodeIndex(self.network.nodes().len() + number));
            self.network.restart(pair.reader, Some(elsewhere));
        }
        let end = self.returned.after(READING);
        while self.missing() > 0 && self.network.now().tick < end {
            self.pass(SLICE, "reading")?;
        }
        // Whatever comes twice comes now.
        self.pass(Span::from_secs(600), "reading")
    }

    pub(super) fn conclude(self) -> Outcome {
        let stored: Vec<u32> = self.texts.values().filter_map(|text| text.holders).collect();
        let mut waits: Vec<Span> =
            self.shown.values().filter_map(|shown| Some(shown.last()?.1.since(self.returned))).collect();
        waits.sort_unstable();
        let at =
            |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1))).copied();
        let hours = self.running_ms as f64 / 3_600_000.0;
        let per_hour = |count: u64| if hours > 0.0 { count as f64 / hours } else { 0.0 };
        let all: Vec<MessageId> = self.shown.values().flatten().map(|(id, _)| *id).collect();
        let distinct: BTreeSet<MessageId> = all.iter().copied().collect();
        let is_stored = |id: &MessageId| self.texts.get(id).is_some_and(|text| text.holders.is_some());
        let readers = |of: &dyn Fn(&MessageId) -> bool| -> BTreeSet<NodeIndex> {
            self.texts.iter().filter(|(id, _)| of(id)).map(|(_, text)| text.reader).collect()
        };
        let expecting = readers(&is_stored);
        let disappointed = readers(&|id| is_stored(id) && !distinct.contains(id));
        Outcome {
            plan: self.plan,
            written: self.texts.len(),
            stored: stored.len(),
            holders: mean(stored.iter().map(|holders| f64::from(*holders))),
            letters: self.letters.len(),
            delivered: distinct.iter().filter(|id| is_stored(id)).count(),
            mailboxes: expecting.len(),
            whole: expecting.difference(&disappointed).count(),
            twice: all.len() - distinct.len(),
            disordered: self.shown.values().filter(|shown| !self.is_ordered(shown)).count(),
            median_wait: at(50),
            p95_wait: at(95),
            bytes_per_node_hour: per_hour(self.traffic.bytes_sent),
            requests_per_node_hour: per_hour(self.traffic.requests),
            letter_bytes_per_node: mean(self.samples.iter().map(|sample| sample.letter_bytes)),
            held_bytes_per_node: mean(self.samples.iter().map(|sample| sample.held_bytes)),
            samples: self.samples,
            virtual_time: self.network.now().tick.since(Tick::ZERO),
            trace: self.network.trace(),
        }
    }

    fn is_ordered(&self, shown: &[(MessageId, Tick)]) -> bool {
        shown.iter().filter_map(|(id, _)| self.texts.get(id)).is_sorted_by_key(|text| text.number)
    }

    fn say(&mut self, pair: Pair, number: usize) {
        let who = self.network.node(pair.reader).account().to_string();
        let text = MessageText::new(format!("text {number}")).expect("a short text").into();
        match self.network.run_command(pair.writer, Command::Send { who, text, request: None }) {
            Ok(CommandOutput::Sent(message)) => {
                self.texts.insert(message.id, Text { reader: pair.reader, number, holders: None });
            }
            other => panic!("seed {}: a contact could not be written to: {other:?}", self.plan.seed),
        }
    }

    /// Stored texts that their recipient has not been shown.
    fn missing(&self) -> usize {
        let shown: BTreeSet<&MessageId> = self.shown.values().flatten().map(|(id, _)| id).collect();
        self.texts.iter().filter(|(id, text)| text.holders.is_some() && !shown.contains(id)).count()
    }

    fn all_have_met(&self) -> bool {
        let knows = |who: NodeIndex, whom: NodeIndex| {
            let account = self.network.node(whom).account();
            let rows = self.network.node(who).disk().contacts().expect("memory does not fail");
            rows.iter().any(|row| row.account == account && row.state == ContactState::Accepted)
        };
        let settled =
            |who: NodeIndex| self.network.node(who).disk().outbox().is_ok_and(|rows| rows.is_empty());
        self.pairs.iter().all(|pair| {
            knows(pair.writer, pair.reader)
                && knows(pair.reader, pair.writer)
                && settled(pair.writer)
                && settled(pair.reader)
        })
    }

    fn accept(&mut self) {
        for place in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get(place).copied() else { continue };
            let rows = self.network.node(pair.reader).disk().contacts().expect("memory does not fail");
            if !pair.accepted && rows.iter().any(|row| row.state == ContactState::Incoming) {
                let who = self.network.node(pair.writer).account().to_string();
                let accept = Command::Contact { who, change: ContactChange::Accept };
                self.network.command(pair.reader, accept);
                self.pairs.iter_mut().skip(place).take(1).for_each(|pair| pair.accepted = true);
            }
        }
    }

    /// Deposits with their owner's leave that some disk has: mail.
    fn deposits(&self) -> BTreeSet<RecordId> {
        let disks =
            self.network.nodes().map(|node| node.disk().held_records().expect("memory does not fail"));
        let mail = disks.flatten().filter(|held| held.kind == RecordKind::Deposit && held.welcome);
        mail.map(|held| held.id).collect()
    }

    fn sample(&mut self, at: Span) {
        let (mut kept, mut copies, mut bytes) = (BTreeSet::new(), BTreeMap::<RecordId, usize>::new(), 0_u64);
        let mut all = 0_u64;
        let nodes = self.network.indices().take(self.plan.nodes).filter(|node| !self.gone.contains(node));
        for node in nodes.map(|node| self.network.node(node)) {
            for held in node.disk().held_records().expect("memory does not fail") {
                all += u64::from(held.size);
                if !self.letters.contains(&held.id) {
                    continue;
                }
                kept.insert(held.id);
                bytes += u64::from(held.size);
                *copies.entry(held.id).or_default() += usize::from(node.is_up());
            }
        }
        let letters = self.letters.len().max(1) as f64;
        let disks = (self.plan.nodes - self.gone.len()) as f64;
        let within_reach = copies.values().filter(|copies| **copies > 0).count();
        self.samples.push(Sample {
            at,
            kept: kept.len() as f64 / letters,
            within_reach: within_reach as f64 / letters,
            copies: copies.values().sum::<usize>() as f64 / letters,
            running: self.network.nodes().take(self.plan.nodes).filter(|node| node.is_up()).count(),
            letter_bytes: bytes as f64 / disks,
            held_bytes: all as f64 / disks,
        });
    }

    /// Lets virtual time pass: nodes come and go, and what people are told is noted.
    fn pass(&mut self, span: Span, doing: &'static str) -> Result<(), Interrupted> {
        let end = self.network.now().tick.after(span);
        loop {
            let now = self.network.now().tick;
            let progress = Progress { doing, passed: now.since(Tick::ZERO), all: self.expected() };
            if (self.watch)(progress).is_break() {
                return Err(Interrupted);
            }
            let left = end.since(now).min(SLICE);
            if left == Span::ZERO {
                return Ok(());
            }
            let up = self.network.nodes().take(self.plan.nodes).filter(|node| node.is_up()).count();
            self.running_ms += up as u64 * left.as_ms();
            self.network.run_for(left);
            if let Some(turns) = &mut self.turns {
                turns.step(&mut self.network, &mut self.dice);
            }
            self.note();
        }
    }

    fn note(&mut self) {
        for (at, node, event) in self.network.take_events() {
            match event {
                Event::MessageState { id, state: MessageState::Stored, holders, .. } => {
                    if let Some(text) = self.texts.get_mut(&id) {
                        text.holders = Some(holders.unwrap_or(0));
                    }
                }
                Event::Message(message) if !message.mine => {
                    self.shown.entry(node).or_default().push((message.id, at));
                }
                _ => {}
            }
        }
    }

    /// Virtual time of the whole run, about.
    fn expected(&self) -> Span {
        let people = 2 * self.plan.pairs as u64;
        let joining = JOINING.times(self.plan.nodes as u64 + people);
        let parts = [joining, SETTLING, WARMING, self.plan.away, Span::from_secs(1_800)];
        Span::from_ms(parts.iter().map(|span| span.as_ms()).sum())
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0_u32), |(sum, count), number| (sum + number, count + 1));
    sum / f64::from(count.max(1))
}

/// The numbers of the main network, but for the price of stamps. Nobody is listed: nobody searches.
fn setup(number: usize) -> NodeSetup {
    let mut profile = Profile::new(Name::new(format!("Person{number:05}")).expect("a short name"));
    profile.listed = false;
    let network: NetworkName = "lab".parse().expect("a name");
    let stamps = StampPolicy::for_network(&network, 0).expect("a network of its own");
    NodeSetup { profile, config: Config { stamps, ..Config::of(&network) }, nat: Nat::None }
}
