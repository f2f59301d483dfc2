//! What there was to be found, from the list of nodes and the words of their users alone.

use std::collections::BTreeSet;

use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::message::Mode;

use super::cast::Person;
use crate::network::Network;

/// The `count` servers closest to `target` that somebody other than themselves can find.
pub(super) fn closest(network: &Network, asker: NodeKey, target: NodeId, count: usize) -> Vec<NodeKey> {
    let serves = |node: &&crate::node::Node| {
        node.key() != asker && node.overlay().is_some_and(|overlay| overlay.mode() == Mode::Server)
    };
    let mut keys: Vec<([u8; 32], NodeKey)> =
        network.nodes().filter(serves).map(|node| (distance(node.key(), target), node.key())).collect();
    keys.sort_unstable();
    keys.into_iter().take(count).map(|(_, key)| key).collect()
}

/// How much of `truth` is in `found`; all of it if there is none.
pub(super) fn share<T: Ord>(truth: &[T], found: &[T]) -> f64 {
    let found: BTreeSet<&T> = found.iter().collect();
    let right = truth.iter().filter(|one| found.contains(one)).count();
    if truth.is_empty() { 1.0 } else { right as f64 / truth.len() as f64 }
}

/// The places of all who say all of these words, `asker` apart.
pub(super) fn matching(people: &[Person], asker: usize, words: &[String]) -> Vec<usize> {
    let matches = |person: &Person| words.iter().all(|word| person.words.contains(word));
    let others = people.iter().enumerate().filter(|(place, _)| *place != asker);
    others.filter(|(_, person)| matches(person)).map(|(place, _)| place).collect()
}

fn distance(key: NodeKey, target: NodeId) -> [u8; 32] {
    let mut bytes = *key.node_id().as_bytes();
    for (byte, other) in bytes.iter_mut().zip(target.as_bytes()) {
        *byte ^= other;
    }
    bytes
}
