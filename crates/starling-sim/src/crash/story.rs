//! The story that is told again for each crash point.

use starling_core::config::Config;
use starling_core::io::Command;
use starling_core::profile::Profile;
use starling_crypto::stamp::StampPolicy;
use starling_proto::addr::JoinAddr;
use starling_proto::identity::Name;
use starling_proto::time::Span;
use starling_proto::version::NetworkName;

use super::{CrashPoint, Outcome};
use crate::checks::{Ledger, Rule, standing};
use crate::network::{Nat, Network, NodeIndex, World};
use crate::node::NodeSetup;
use crate::scenario::Users;

/// The two who write; everybody else holds.
const ADA: NodeIndex = NodeIndex(1);
const BOB: NodeIndex = NodeIndex(2);
const NODES: usize = 4;

/// Users look at their screens this often: more than once in the time that a message takes.
const SLICE: Span = Span::from_ms(50);
/// Time between two who join.
const JOINING: Span = Span::from_ms(500);
/// What a step of the story takes at most: it goes on without it, since a crash may have got in its way.
const STEP: Span = Span::from_secs(60);
/// Becoming contacts takes longer at most.
const MEETING: Span = Span::from_secs(600);
/// Somebody is away for so long before and after something is left for them.
const AWAY: Span = Span::from_secs(20);
/// What one says to the other without a pause.
const TEXTS: usize = 5;
/// In the end nothing waits any more after this.
const SETTLING: Span = Span::from_hours(2);
/// And nothing comes of it after all for so long.
const QUIET: Span = Span::from_secs(30);

/// See the module's text.
pub(super) struct Story {
    seed: u64,
    point: Option<CrashPoint>,
    network: Network,
    ledger: Ledger,
    users: Users,
    /// Which life of each node was last told to join.
    joined: [Option<u32>; NODES],
}

/// What a node is in the story.
pub(super) fn role(node: NodeIndex) -> &'static str {
    if [ADA, BOB].contains(&node) { "writer" } else { "holder" }
}

impl Story {
    pub(super) fn new(seed: u64, point: Option<CrashPoint>) -> Self {
        let mut network = Network::new(World { seed, ..World::default() });
        match point {
            Some(point) => network.crash_at(point),
            None => network.note_batches(),
        }
        let (ledger, users) = (Ledger::default(), Users::default());
        Self { seed, point, network, ledger, users, joined: [None; NODES] }
    }

    pub(super) fn tell(mut self) -> Outcome {
        self.meet();
        self.talk();
        self.write_to_who_is_away();
        self.miss_each_other();
        self.settle()
    }

    /// Everybody joins, and two become contacts.
    fn meet(&mut self) {
        for number in 0..NODES {
            // With every other seed one of the two cannot be dialled.
            let closed = NodeIndex(number) == BOB && self.seed.is_multiple_of(2);
            self.network.add(setup(number, if closed { Nat::Closed } else { Nat::None }));
            self.pass(JOINING);
        }
        self.users.ask(&mut self.ledger, ADA, BOB);
        self.until(MEETING, |story| {
            story.users.are_content() && standing::contacts_agree(&story.network, &[(ADA, BOB)]).is_empty()
        });
    }

    /// Both are there and write, each whenever they have been told that the last was taken.
    fn talk(&mut self) {
        self.write(&[(ADA, BOB, TEXTS), (BOB, ADA, TEXTS)]);
        self.pass(AWAY);
    }

    /// One is away, and finds what the other has left.
    fn write_to_who_is_away(&mut self) {
        self.leave(BOB);
        self.write(&[(ADA, BOB, TEXTS)]);
        self.until(STEP, |story| standing::all_is_mailed(&story.network, ADA));
        self.come_back(BOB);
        self.until(STEP, Self::is_settled);
        self.write(&[(BOB, ADA, 1), (ADA, BOB, 1)]);
    }

    /// Each is there only when the other is not.
    fn miss_each_other(&mut self) {
        self.leave(ADA);
        self.write(&[(BOB, ADA, TEXTS)]);
        self.until(STEP, |story| standing::all_is_mailed(&story.network, BOB));
        self.leave(BOB);
        self.come_back(ADA);
        self.pass(AWAY);
        self.write(&[(ADA, BOB, 2)]);
        self.come_back(BOB);
        self.write(&[(ADA, BOB, 1), (BOB, ADA, 1)]);
    }

    /// Everybody is there, and nobody wants anything new.
    fn settle(mut self) -> Outcome {
        self.ledger.heal();
        let began = self.network.now().tick;
        let settled = self.until(SETTLING, Self::is_settled);
        let settled_after = settled.then(|| self.network.now().tick.since(began));
        self.pass(QUIET);
        // Who was crashed in the last seconds is still on its way back.
        self.until(STEP, |story| standing::nobody_is_alone(&story.network).is_empty());
        self.ledger.conclude(&self.network);
        let at = self.network.now().tick;
        for (who, want) in self.users.unserved() {
            self.ledger.violate(at, who, Rule::UsersAreServed, want);
        }
        for (who, what) in self.ledger.unconfirmed(&self.network) {
            self.ledger.violate(at, who, Rule::StatesAreTrue, what);
        }
        let mut violations = self.ledger.violations().to_vec();
        violations.extend(standing::contacts_agree(&self.network, &[(ADA, BOB)]));
        violations.extend(standing::outboxes_are_empty(&self.network));
        violations.extend(standing::nobody_is_alone(&self.network));
        violations.extend(standing::check(&self.network));
        Outcome {
            seed: self.seed,
            point: self.point,
            crashed: self.network.has_crashed(),
            violations,
            written: self.ledger.counts().0,
            settled_after,
            batches: self.network.batches().to_vec(),
        }
    }

    fn is_settled(&self) -> bool {
        self.users.are_content()
            && standing::outboxes_are_empty(&self.network).is_empty()
            && self.ledger.all_has_arrived(&self.network)
            && self.ledger.unconfirmed(&self.network).is_empty()
    }

    /// Each of these writes so many texts to the other, all at the same time.
    fn write(&mut self, wanted: &[(NodeIndex, NodeIndex, usize)]) {
        let mut left = wanted.to_vec();
        let end = self.network.now().tick.after(STEP);
        while self.network.now().tick < end {
            for (from, to, count) in &mut left {
                if *count > 0 && self.users.write_to(&mut self.ledger, *from, *to) {
                    *count -= 1;
                }
            }
            if left.iter().all(|(_, _, count)| *count == 0) && self.users.are_content() {
                return;
            }
            self.pass(SLICE);
        }
    }

    /// Goes without a word.
    fn leave(&mut self, who: NodeIndex) {
        self.network.kill(who);
        self.pass(AWAY);
    }

    fn come_back(&mut self, who: NodeIndex) {
        // Whose machine has failed while they were away may be there already.
        if !self.network.node(who).is_up() {
            self.network.restart(who, None);
        }
    }

    fn until(&mut self, span: Span, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.network.now().tick.after(span);
        while !done(self) {
            if self.network.now().tick >= end {
                return false;
            }
            self.pass(SLICE);
        }
        true
    }

    /// Lets virtual time pass, slice by slice.
    fn pass(&mut self, span: Span) {
        let end = self.network.now().tick.after(span);
        while self.network.now().tick < end {
            self.join();
            self.network.run_for(end.since(self.network.now().tick).min(SLICE));
            for event in self.network.take_events() {
                self.ledger.event(&self.network, &event);
            }
            self.users.step(&mut self.network, &mut self.ledger);
        }
    }

    /// Whoever has started is told the way in, as by `starling run --join`.
    fn join(&mut self) {
        for node in self.network.indices() {
            let running = self.network.node(node);
            let life = running.is_up().then_some(running.life);
            let Some(joined) = self.joined.get_mut(node.0).filter(|joined| **joined != life) else {
                continue;
            };
            *joined = life;
            let door = NodeIndex(if node.0 == 0 { NODES - 1 } else { 0 });
            if life.is_some() && door.0 < self.network.nodes().len() {
                let door = self.network.node(door);
                let door = JoinAddr { key: door.key(), address: door.address() };
                self.network.command(node, Command::Join(vec![door]));
            }
        }
    }
}

fn setup(number: usize, nat: Nat) -> NodeSetup {
    let profile = Profile::new(Name::new(format!("Person{number}")).expect("a short name"));
    let network: NetworkName = "lab".parse().expect("a name");
    let stamps = StampPolicy::for_network(&network, 0).expect("a network of its own");
    NodeSetup { profile, config: Config { stamps, ..Config::of(&network) }, nat }
}
