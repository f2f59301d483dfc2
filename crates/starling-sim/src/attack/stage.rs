//! The network of a run, and what honest peers do in it.

use rand_core::Rng as _;
use starling_overlay::io::{Command, OpId, OpResult, Placement};
use starling_overlay::storage::RecordStore as _;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, PublisherKey, RecordKey};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::{Interrupted, Outcome, Plan, Progress, Scenario, Tables, Tally, Watch};
use crate::adversary::{Conduct, GangId, grind};
use crate::faults::churn::Coming;
use crate::overlays::{Draft, Favoured, OverlayIndex, Overlays, Terrain, below, house, street};

/// Operations under way at one moment: few enough that no group of addresses asks more than it may.
const BATCH: usize = 100;
/// Operations that take longer than this have failed; their own budgets end them before.
const PATIENCE: Span = Span::from_secs(120);
/// What follows when all are there: dials back, greetings, refreshes.
const SETTLING: Span = Span::from_secs(60);
/// Of every so many tables filled, whoever watches is told.
const TOLD: usize = 64;
/// Keys tried for each node of the network and each place: the forty best of them are some fifty times closer than the
/// closest honest node.
const TRIES_PER_NODE: u64 = 1 << 11;
/// Identities that inventors have made beforehand, for each node of the network.
const INVENTED_PER_NODE: usize = 1 << 9;
/// The pause between two identities that move in.
const DOOR: Span = Span::from_ms(200);
/// How long ground identities take to be known.
const MOVING_IN: Span = Span::from_secs(60);
/// How long nodes come and go before anything is tried. At the beginning all are there.
const BEFORE: Span = Span::from_hours(2);
/// Of a time in which they do, whoever watches is told so often.
const STEPS: usize = 30;
/// Nodes that try something where identities are made for some keys.
const USERS: usize = 100;
/// Records that each of them has stored before: an account has some eleven.
const OWN_RECORDS: u64 = 5;
/// Bytes of a record's payload: what a locator has.
const PAYLOAD: usize = 400;

/// A network, and what is counted in it.
pub(super) struct Stage<'a> {
    pub(super) scenario: Scenario,
    pub(super) plan: Plan,
    pub(super) net: Overlays,
    pub(super) tally: Tally,
    watch: Watch<'a>,
    /// Random nodes that turn.
    pub(super) crowd: Vec<OverlayIndex>,
    /// Those that behave and are up, or come back.
    honest: Vec<OverlayIndex>,
    /// Those of them who try something, if not all do.
    users: Vec<OverlayIndex>,
    /// How many of them were there, and of how many, whenever that was looked at.
    present: (usize, usize),
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: Scenario, plan: Plan, watch: Watch<'a>) -> Self {
        let Scenario { protocol, .. } = scenario;
        let terrain = Terrain { config: protocol.config, names: protocol.names, ..Terrain::new(plan.seed) };
        Self::on(terrain, (scenario, plan, watch))
    }

    fn on(terrain: Terrain, (scenario, plan, watch): (Scenario, Plan, Watch<'a>)) -> Self {
        let (crowd, honest, users) = (Vec::new(), Vec::new(), Vec::new());
        let (net, tally) = (Overlays::new(terrain), Tally::default());
        Self { scenario, plan, net, tally, watch, crowd, honest, users, present: (0, 0) }
    }

    /// The same with smaller disks.
    pub(super) fn shrink_disks(&mut self, disk: u64) {
        let Scenario { protocol, .. } = self.scenario;
        let terrain =
            Terrain { config: protocol.config, names: protocol.names, ..Terrain::new(self.plan.seed) };
        self.net = Overlays::new(Terrain { disk, ..terrain });
    }

    pub(super) fn finish(self) -> Outcome {
        self.tally.outcome(&self.scenario, self.plan, &self.net)
    }

    /// Has the network stand, and says who will turn.
    pub(super) fn build(&mut self) -> Result<(), Interrupted> {
        let nodes = self.plan.nodes;
        match self.plan.tables {
            Tables::Joined => {
                while self.net.len() < nodes {
                    self.told("joining", self.net.len(), nodes)?;
                    self.net.double(nodes);
                }
                self.net.run_for(SETTLING);
                self.cast();
            }
            Tables::Filled => self.fill(0, 0).map(|_| ())?,
        }
        Ok(())
    }

    /// Fills all tables; so many honest ones are victims, of whose contacts so much will turn, in percent.
    pub(super) fn fill(&mut self, victims: usize, percent: usize) -> Result<Vec<OverlayIndex>, Interrupted> {
        for _ in 0..self.plan.nodes {
            self.net.add();
        }
        self.cast();
        let victims: Vec<OverlayIndex> = self.honest.iter().copied().take(victims).collect();
        let all = self.net.crowd(|_| true);
        let turning = |index: OverlayIndex| self.crowd.binary_search(&index).is_ok();
        let hostile = self.net.crowd(turning);
        for index in self.net.indices() {
            if index.0 % TOLD == 0 {
                self.told("filling tables", index.0, self.plan.nodes)?;
            }
            let favoured = Favoured { crowd: &hostile, percent };
            self.net.fill(index, &all, Some(favoured).filter(|_| victims.contains(&index)));
        }
        self.net.run_for(SETTLING);
        Ok(victims)
    }

    /// Draws who will turn.
    fn cast(&mut self) {
        let percent = self.scenario.crowd.map_or(0, |(_, percent)| percent);
        let mut all: Vec<OverlayIndex> = self.net.indices().collect();
        for at in (1..all.len()).rev() {
            let other = below(self.net.dice(), at + 1);
            all.swap(at, other);
        }
        self.crowd = all.split_off(all.len() - all.len() * percent / 100);
        self.crowd.sort_unstable();
        self.honest = all;
    }

    /// Those who were drawn turn. They name `friends` too, who turn by themselves.
    pub(super) fn turn(&mut self, friends: &[OverlayIndex]) {
        let Some((conduct, _)) = self.scenario.crowd else { return };
        let crowd = self.crowd.clone();
        self.conspire(conduct, &crowd, friends);
        if conduct == Conduct::Inventing {
            let tries = self.plan.nodes * INVENTED_PER_NODE;
            let keys: Vec<_> = (0..tries).map(|_| self.fresh_key()).collect();
            self.net.adversary.invent(crate::overlays::crowd::Crowd::new(keys));
        }
        if conduct == Conduct::Foreign {
            let record = self.draft(RecordKind::Locator, self.net.now().tick.as_ms());
            self.net.adversary.hand_out(record);
        }
    }

    fn fresh_key(&mut self) -> (NodeId, starling_proto::ids::NodeKey) {
        let mut key = [0; 32];
        self.net.dice().fill_bytes(&mut key);
        let key = starling_proto::ids::NodeKey::new(key);
        (key.node_id(), key)
    }

    /// These are one gang from now on, and name these friends beside their own.
    pub(super) fn conspire(
        &mut self,
        conduct: Conduct,
        members: &[OverlayIndex],
        friends: &[OverlayIndex],
    ) -> GangId {
        let named = |index: &OverlayIndex| (*index, self.net.member(*index).peer());
        let members: Vec<(OverlayIndex, Peer)> = members.iter().map(named).collect();
        let friends: Vec<(OverlayIndex, Peer)> = friends.iter().map(named).collect();
        self.net.adversary.turn(conduct, &members, &friends)
    }

    /// Identities made for these places join and are known. They do not turn yet.
    pub(super) fn move_in(&mut self, targets: &[NodeId]) -> Result<Vec<Vec<OverlayIndex>>, Interrupted> {
        let Some(setup) = self.scenario.ground else { return Ok(vec![Vec::new(); targets.len()]) };
        self.told("grinding identities", 0, targets.len())?;
        let tries = TRIES_PER_NODE * self.plan.nodes as u64;
        let bands = setup.stand.bands(setup.identities, self.plan.nodes);
        let ground = grind(targets, &bands, tries, self.net.dice());
        let mut gangs = Vec::new();
        let free = self.net.len();
        for (done, place) in ground.into_iter().enumerate() {
            self.told("moving in", done, targets.len())?;
            let mut gang = Vec::new();
            for (number, key) in place.keys.iter().enumerate() {
                let address = match setup.streets {
                    Some(streets) => house(free + done * streets + number % streets, number / streets),
                    None => street(self.net.len()),
                };
                let newcomer = self.net.add_as(*key, address);
                let door = self.anybody();
                self.net.join(newcomer, door);
                self.net.run_for(DOOR);
                gang.push(newcomer);
            }
            gangs.push(gang);
        }
        self.net.run_for(MOVING_IN);
        Ok(gangs)
    }

    /// So much of the honest vanishes, in percent.
    pub(super) fn vanish(&mut self, percent: usize) {
        let stay = self.honest.len() - self.honest.len() * percent / 100;
        for gone in self.honest.split_off(stay) {
            self.net.vanish(gone);
        }
    }

    /// The honest come and go from now on, if they do, and do so for a while before anything is tried.
    pub(super) fn come_and_go(&mut self) -> Result<(), Interrupted> {
        let Some(churn) = self.scenario.coming.churn() else { return Ok(()) };
        self.net.come_and_go(&self.honest, churn);
        self.let_them_come_and_go(BEFORE, "coming and going")
    }

    /// Lets time pass in which nodes come and go, if they do.
    pub(super) fn let_them_come_and_go(
        &mut self,
        long: Span,
        doing: &'static str,
    ) -> Result<(), Interrupted> {
        if self.scenario.coming == Coming::Steady {
            return Ok(());
        }
        for passed in 0..STEPS {
            self.told(doing, passed, STEPS)?;
            self.net.run_for(Span::from_ms(long.as_ms() / STEPS as u64));
        }
        let there = self.honest.iter().filter(|index| self.net.member(**index).is_up()).count();
        self.present = (self.present.0 + there, self.present.1 + self.honest.len());
        Ok(())
    }

    /// Says how many were there on average.
    pub(super) fn note_presence(&mut self) {
        let (there, of) = self.present;
        if of > 0 {
            self.tally.note("honest_up_percent", there as f64 * 100.0 / of as f64);
        }
    }

    /// Some honest nodes have records of their own in the network, as everybody's account and locators are; whoever tries
    /// something from now on is one of them.
    pub(super) fn settle(&mut self) -> Result<(), Interrupted> {
        self.users = (0..USERS).map(|_| self.anybody()).collect();
        let mut commands = Vec::new();
        for user in self.users.clone() {
            for number in 0..OWN_RECORDS {
                commands.push((user, Command::Store(self.draft(RecordKind::Locator, number))));
            }
        }
        self.perform(commands, "settling")?;
        Ok(())
    }

    /// A random honest node that is up.
    pub(super) fn anybody(&mut self) -> OverlayIndex {
        let among = if self.users.is_empty() { &self.honest } else { &self.users };
        assert!(among.iter().any(|index| self.net.member(*index).is_up()), "somebody is there");
        loop {
            let among = if self.users.is_empty() { &self.honest } else { &self.users };
            let at = below(self.net.dice(), among.len());
            let drawn = among.get(at).copied().expect("one of them");
            if self.net.member(drawn).is_up() {
                return drawn;
            }
        }
    }

    pub(super) fn anywhere(&mut self) -> RecordKey {
        let mut key = [0; 32];
        self.net.dice().fill_bytes(&mut key);
        RecordKey::new(key)
    }

    /// A record of somebody, at a random place.
    pub(super) fn draft(&mut self, kind: RecordKind, number: u64) -> Record {
        let key = self.anywhere();
        self.draft_at(key, kind, (1, &format!("record {number}")))
    }

    /// A record of somebody at a place, of this version and with this text.
    pub(super) fn draft_at(
        &mut self,
        key: RecordKey,
        kind: RecordKind,
        (sequence, text): (u64, &str),
    ) -> Record {
        let mut publisher = [0; 32];
        self.net.dice().fill_bytes(&mut publisher);
        let mut payload = text.as_bytes().to_vec();
        payload.resize(PAYLOAD.max(payload.len()), b' ');
        let publisher = PublisherKey::new(publisher);
        Draft { key, kind, publisher, sequence, payload }.seal(self.net.now().seconds())
    }

    /// Has these stored, each by the node beside it.
    pub(super) fn store(
        &mut self,
        records: &[(OverlayIndex, Record)],
    ) -> Result<Vec<Placement>, Interrupted> {
        let placements = self.try_store(records)?.into_iter();
        Ok(placements.map(|placement| placement.expect("nobody goes meanwhile")).collect())
    }

    /// The same; nothing for a record whose node has gone in the middle of it.
    pub(super) fn try_store(
        &mut self,
        records: &[(OverlayIndex, Record)],
    ) -> Result<Vec<Option<Placement>>, Interrupted> {
        let commands = records.iter().map(|(by, record)| (*by, Command::Store(record.clone()))).collect();
        let results = self.perform(commands, "storing")?;
        let goes = self.scenario.coming != Coming::Steady;
        let placement = |result| match result {
            Some(OpResult::Stored(placement)) => Some(placement),
            None if goes => None,
            other => panic!("no placement: {other:?}"),
        };
        let placements: Vec<Option<Placement>> = results.into_iter().map(placement).collect();
        for (placement, (_, record)) in placements.iter().zip(records) {
            if let Some(placement) = placement {
                self.count(placement, &record.body().key.as_node_id());
            }
        }
        Ok(placements)
    }

    /// Honest nodes that have a record.
    pub(super) fn copies(&self, record: &Record) -> usize {
        let (id, place) = (record.id(), record.body().key.as_node_id());
        let has = |index: &OverlayIndex| {
            let held = self.net.member(*index).disk().read_record(&id);
            !self.net.adversary.attacks(*index, &place) && held.is_ok_and(|held| held.is_some())
        };
        self.net.indices().filter(has).count()
    }

    fn count(&mut self, placement: &Placement, place: &NodeId) {
        let keeps =
            |key| self.net.index_of(key).is_some_and(|index| !self.net.adversary.attacks(index, place));
        let copies = placement.holders.iter().filter(|key| keeps(key)).count();
        self.tally.stores += 1;
        self.tally.store_requests += u64::from(placement.requests);
        self.tally.acknowledged += placement.holders.len();
        self.tally.copies += copies;
        self.tally.lost += usize::from(copies == 0);
    }

    /// Carries these out, some at a time, and gives what came of each.
    pub(super) fn perform(
        &mut self,
        commands: Vec<(OverlayIndex, Command)>,
        doing: &'static str,
    ) -> Result<Vec<Option<OpResult>>, Interrupted> {
        let all = commands.len();
        let mut results = Vec::with_capacity(all);
        let mut commands = commands.into_iter();
        loop {
            self.told(doing, results.len(), all)?;
            let batch: Vec<OpId> =
                commands.by_ref().take(BATCH).map(|(who, command)| self.net.command(who, command)).collect();
            if batch.is_empty() {
                return Ok(results);
            }
            self.net.settle(PATIENCE);
            results.extend(batch.into_iter().map(|op| self.net.take_result(op)));
        }
    }

    pub(super) fn told(&mut self, doing: &'static str, done: usize, all: usize) -> Result<(), Interrupted> {
        let progress = Progress { doing, done, all };
        if (self.watch)(progress).is_break() { Err(Interrupted) } else { Ok(()) }
    }
}
