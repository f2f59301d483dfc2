//! Who is there: churn, days, and those who vanish.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use starling_proto::time::Tick;

use super::Phase;
use crate::faults::below;
use crate::faults::churn::{Churn, Day};
use crate::network::{Network, NodeIndex};

/// What a phase says about who is there.
#[derive(Debug, Default)]
pub(super) struct Presence {
    churn: Option<Churn>,
    day: Option<(Day, Tick)>,
    /// When each comes or goes next.
    turns: BTreeMap<NodeIndex, Tick>,
    gone: Vec<NodeIndex>,
}

impl Presence {
    pub(super) fn begin(phase: &Phase, network: &mut Network, dice: &mut ChaCha8Rng) -> Self {
        let now = network.now().tick;
        let all: Vec<NodeIndex> = network.indices().collect();
        let turn = |churn: Churn, dice: &mut ChaCha8Rng| now.after(churn.on.draw(dice));
        let turns = phase.churn.map(|churn| all.iter().map(|node| (*node, turn(churn, dice))).collect());
        let mut presence = Self {
            churn: phase.churn,
            day: phase.day.map(|day| (day, now)),
            turns: turns.unwrap_or_default(),
            gone: Vec::new(),
        };
        for _ in 0..all.len() * phase.vanish_percent / 100 {
            presence.one_goes(network, dice);
        }
        presence
    }

    /// Whoever's time has come comes or goes.
    pub(super) fn step(&mut self, network: &mut Network, dice: &mut ChaCha8Rng) {
        let now = network.now().tick;
        if let Some(churn) = self.churn {
            for (node, turn) in self.turns.iter_mut().filter(|(_, turn)| **turn <= now) {
                let up = network.node(*node).is_up();
                if up {
                    network.kill(*node);
                } else {
                    network.restart(*node, None);
                }
                let stays = if up { churn.off } else { churn.on };
                *turn = now.after(stays.draw(dice));
            }
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
