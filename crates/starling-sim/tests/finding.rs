//! People who describe themselves are found by others, through the overlay alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput};
use starling_core::profile::Profile;
use starling_core::view::SearchResults;
use starling_proto::addr::JoinAddr;
use starling_proto::identity::{About, Name};
use starling_proto::time::Span;
use starling_sim::network::{Nat, Network, NodeIndex, World};
use starling_sim::node::NodeSetup;

const TRADES: [&str; 5] = ["gardener", "chess player", "astronomer", "carpenter", "sailor"];

fn setup(number: usize) -> NodeSetup {
    let mut profile = Profile::new(Name::new(format!("Person{number:03}")).unwrap());
    profile.about = About::new(TRADES[number % TRADES.len()]).unwrap();
    profile.listed = true;
    NodeSetup { profile, config: Config::of(&"test".parse().unwrap()), nat: Nat::None }
}

/// `count` nodes that joined through the first, and have had time to list themselves.
fn network(seed: u64, count: usize) -> Network {
    let mut network = Network::new(World { seed, ..World::default() });
    let first = network.add(setup(0));
    let door = JoinAddr { key: network.node(first).key(), address: network.node(first).address() };
    for number in 1..count {
        let node = network.add(setup(number));
        network.command(node, Command::Join(vec![door]));
        network.run_for(Span::from_ms(200));
    }
    network.run_for(Span::from_secs(120));
    network
}

fn search(network: &mut Network, from: usize, words: &[&str]) -> SearchResults {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    match network.run_command(NodeIndex(from), Command::Search { words, limit: 50 }) {
        Ok(CommandOutput::Search(results)) => results,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fifty_people_find_each_other_by_two_words() {
    let mut network = network(7, 50);
    for from in [0, 1, 17, 33, 49] {
        for wanted in [2, 25, 48] {
            let name = format!("person{wanted:03}");
            let trade: String = TRADES[wanted % TRADES.len()].chars().take(5).collect();
            let results = search(&mut network, from, &[&name, &trade]);
            let best = results.results.first().unwrap_or_else(|| panic!("{from} does not find {wanted}"));
            assert_eq!(best.name, format!("Person{wanted:03}"), "asked by {from}");
            assert_eq!((best.matched, best.total_words), (2, 2));
        }
    }
    let gardeners = search(&mut network, 3, &["garde"]);
    assert_eq!(gardeners.results.len(), 10, "every fifth of fifty, by a beginning");
}

#[test]
fn chn_07_small_networks_work() {
    for count in [2, 3, 5, 19, 21] {
        let mut network = network(count as u64, count);
        let wanted = format!("Person{:03}", count - 1);
        let results = search(&mut network, 0, &[&wanted]);
        assert_eq!(results.results.len(), 1, "{count} nodes");
    }
}

#[test]
fn two_that_join_a_fresh_node_at_the_same_moment_find_each_other() {
    for seed in 0..20 {
        let mut network = Network::new(World { seed, ..World::default() });
        let first = network.add(setup(0));
        let door = JoinAddr { key: network.node(first).key(), address: network.node(first).address() };
        for number in 1..3 {
            let node = network.add(setup(number));
            network.command(node, Command::Join(vec![door]));
        }
        network.run_for(Span::from_secs(5));
        for (from, wanted) in [(1, 2), (2, 1), (0, 1), (1, 0)] {
            let results = search(&mut network, from, &[&format!("person{wanted:03}")]);
            assert_eq!(results.results.len(), 1, "seed {seed}: {from} does not find {wanted}");
        }
    }
}

#[test]
fn a_lone_node_finds_nobody_and_says_so() {
    let mut network = network(1, 1);
    let results = search(&mut network, 0, &["gardener"]);
    assert!(results.results.is_empty());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut network = network(seed, 12);
        search(&mut network, 3, &["sailor"]);
        network.trace()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
