//! Who cannot reach whom.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

use super::below;
use crate::network::NodeIndex;

/// A way in which the network falls apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partition {
    /// These on one side, everybody else on the other.
    Sides(BTreeSet<NodeIndex>),
    /// These on one side, everybody else on the other, and one node that reaches both.
    Bridge(BTreeSet<NodeIndex>, NodeIndex),
    /// In a ring of so many nodes, each reaches only its two neighbours.
    Ring(usize),
}

impl Partition {
    /// One of the shapes, of `count` nodes: halves, one node alone, a bridge, a ring.
    pub(crate) fn random(count: usize, dice: &mut ChaCha8Rng) -> Self {
        let one = NodeIndex(below(dice, count));
        let half = |dice: &mut ChaCha8Rng| {
            (0..count).map(NodeIndex).filter(|_| dice.next_u32().is_multiple_of(2)).collect()
        };
        match dice.next_u32() % 4 {
            0 => Self::Sides(BTreeSet::from([one])),
            1 => Self::Bridge(half(dice), one),
            2 => Self::Ring(count),
            _ => Self::Sides(half(dice)),
        }
    }

    /// Whether these two cannot reach each other.
    #[must_use]
    pub fn separates(&self, one: NodeIndex, other: NodeIndex) -> bool {
        let across = |side: &BTreeSet<NodeIndex>| side.contains(&one) != side.contains(&other);
        match self {
            Self::Sides(side) => across(side),
            Self::Bridge(side, bridge) => one != *bridge && other != *bridge && across(side),
            Self::Ring(count) => {
                let apart = one.0.abs_diff(other.0);
                apart.min(count.saturating_sub(apart)) > 1
            }
        }
    }
}

/// What is cut.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) partition: Option<Partition>,
    pub(crate) one_way: BTreeSet<(NodeIndex, NodeIndex)>,
}

impl Cuts {
    /// Whether nothing from `from` reaches `to`.
    pub(crate) fn block(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.partition.as_ref().is_some_and(|partition| partition.separates(from, to))
            || self.one_way.contains(&(from, to))
    }

    /// Whether these two cannot shake hands.
    pub(crate) fn bar_dials(&self, one: NodeIndex, other: NodeIndex) -> bool {
        self.block(one, other) || self.block(other, one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separated(partition: &Partition, count: usize) -> Vec<(usize, usize)> {
        let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
        pairs.filter(|&(one, other)| partition.separates(NodeIndex(one), NodeIndex(other))).collect()
    }

    #[test]
    fn each_shape_separates_whom_it_says() {
        let side = BTreeSet::from([NodeIndex(0), NodeIndex(1)]);
        assert_eq!(separated(&Partition::Sides(side.clone()), 4), [(0, 2), (0, 3), (1, 2), (1, 3)]);
        assert_eq!(separated(&Partition::Bridge(side, NodeIndex(1)), 4), [(0, 2), (0, 3)]);
        assert_eq!(separated(&Partition::Ring(5), 5), [(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)]);
    }

    #[test]
    fn a_cut_is_one_way_and_bars_dials_both_ways() {
        let (a, b) = (NodeIndex(0), NodeIndex(1));
        let cuts = Cuts { one_way: BTreeSet::from([(a, b)]), ..Cuts::default() };
        assert!(cuts.block(a, b) && !cuts.block(b, a));
        assert!(cuts.bar_dials(a, b) && cuts.bar_dials(b, a));
    }
}
