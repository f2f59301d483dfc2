//! Who is there: churn, days, and those who vanish.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use starling_proto::time::Tick;

use super::Phase;
use crate::faults::below;
use crate::faults::churn::{Churn, Day};
use crate::network::{Network, NodeIndex};

/// Nodes that come and go, each for itself.
#[derive(Debug)]
pub(crate) struct Turns {
    churn: Churn,
    /// When each comes or goes next.
    next: BTreeMap<NodeIndex, Tick>,
}

impl Turns {
    /// These come and go from now on; all of them are there.
    pub(crate) fn begin(
        nodes: impl Iterator<Item = NodeIndex>,
        churn: Churn,
        now: Tick,
        dice: &mut ChaCha8Rng,
    ) -> Self {
        Self { churn, next: nodes.map(|node| (node, now.after(churn.on.draw(dice)))).collect() }
    }

    /// This one stays as it is from now on.
    pub(crate) fn forget(&mut self, node: NodeIndex) {
        self.next.remove(&node);
    }

    /// Whoever's time has come comes or goes.
    pub(crate) fn step(&mut self, network: &mut Network, dice: &mut ChaCha8Rng) {
        let now = network.now().tick;
        for (node, turn) in self.next.iter_mut().filter(|(_, turn)| **turn <= now) {
            let up = network.node(*node).is_up();
            if up {
                network.kill(*node);
            } else {
                network.restart(*node, None);
            }
            let stays = if up { self.churn.off } else { self.churn.on };
            *turn = now.after(stays.draw(dice));
        }
    }
}

/// What a phase says about who is there.
#[derive(Debug, Default)]
pub(super) struct Presence {
    turns: Option<Turns>,
    day: Option<(Day, Tick)>,
    gone: Vec<NodeIndex>,
}

impl Presence {
    pub(super) fn begin(phase: &Phase, network: &mut Network, dice: &mut ChaCha8Rng) -> Self {
        let now = network.now().tick;
        let all: Vec<NodeIndex> = network.indices().collect();
        let turns = phase.churn.map(|churn| Turns::begin(all.iter().copied(), churn, now, dice));
        let mut presence = Self { turns, day: phase.day.map(|day| (day, now)), gone: Vec::new() };
        for _ in 0..all.len() * phase.vanish_percent / 100 {
            presence.one_goes(network, dice);
        }
        presence
    }

    /// Whoever's time has come comes or goes.
    pub(super) fn step(&mut self, network: &mut Network, dice: &mut ChaCha8Rng) {
        let now = network.now().tick;
        if let Some(turns) = &mut self.turns {
            turns.step(network, dice);
        }
        if let Some((day, dawn)) = self.day {
            let wanted = day.present(now.since(dawn), network.nodes().len());
            let there = network.nodes().len() - self.gone.len();
            for _ in wanted..there {
                self.one_goes(network, dice);
            }
            for _ in there..wanted {
                self.one_comes(network, dice);
            }
        }
    }

    /// Those who are away are back.
    pub(super) fn end(self, network: &mut Network) {
        for node in network.indices() {
            if !network.node(node).is_up() {
                network.restart(node, None);
            }
        }
    }

    fn one_goes(&mut self, network: &mut Network, dice: &mut ChaCha8Rng) {
        let there: Vec<NodeIndex> = network.indices().filter(|node| !self.gone.contains(node)).collect();
        if let Some(&node) = there.get(below(dice, there.len())) {
            network.kill(node);
            self.gone.push(node);
        }
    }

    fn one_comes(&mut self, network: &mut Network, dice: &mut ChaCha8Rng) {
        if self.gone.is_empty() {
            return;
        }
        let node = self.gone.swap_remove(below(dice, self.gone.len()));
        if !network.node(node).is_up() {
            network.restart(node, None);
        }
    }
}
