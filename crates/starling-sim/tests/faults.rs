//! What goes wrong in the virtual world goes wrong as it says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: what fails must stop it")]

use std::collections::BTreeSet;

use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput, ErrorCode};
use starling_core::profile::Profile;
use starling_proto::addr::JoinAddr;
use starling_proto::identity::Name;
use starling_proto::time::Span;
use starling_sim::checks::sometimes::Sometimes;
use starling_sim::faults::partition::Partition;
use starling_sim::faults::{Chance, NodeFaults};
use starling_sim::network::{Nat, Network, NodeIndex, World};
use starling_sim::node::NodeSetup;

const ADA: NodeIndex = NodeIndex(0);
const BOB: NodeIndex = NodeIndex(1);

fn network(count: usize) -> Network {
    let mut network = Network::new(World::default());
    for _ in 0..count {
        let profile = Profile::new(Name::new("Before").unwrap());
        let config = Config::of(&"test".parse().unwrap());
        network.add(NodeSetup { profile, config, nat: Nat::None });
    }
    network
}

fn rename() -> Command {
    Command::SetProfile { name: Some("After".into()), about: None, keywords: None }
}

fn name(network: &mut Network) -> String {
    match network.run_command(ADA, Command::ShowProfile) {
        Ok(CommandOutput::Profile(profile)) => profile.name,
        other => panic!("{other:?}"),
    }
}

/// What is on disk after a machine has failed while its name was being changed.
fn name_after(faults: NodeFaults) -> String {
    let mut network = network(1);
    network.run_for(Span::from_secs(1));
    network.set_node_faults(NodeFaults { downtime: Span::from_hours(1), ..faults });
    let command = network.command(ADA, rename());
    network.run_for(Span::from_ms(1));
    assert!(network.result(command).is_none(), "its outputs never left");
    assert!(!network.node(ADA).is_up());
    network.set_node_faults(NodeFaults::default());
    network.restart(ADA, None);
    name(&mut network)
}

#[test]
fn cra_05_before_the_commit_all_is_lost_and_after_it_nothing_but_the_outputs() {
    let always = Chance::percent(100);
    assert_eq!(name_after(NodeFaults { crash_before_commit: always, ..NodeFaults::default() }), "Before");
    assert_eq!(name_after(NodeFaults { crash_after_commit: always, ..NodeFaults::default() }), "After");
}

#[test]
fn dsk_01_a_disk_that_runs_full_refuses_keeps_and_recovers() {
    let mut network = network(1);
    network.run_for(Span::from_secs(1));
    network.fill_disk(ADA, Span::from_secs(60));
    // Some of the last writes may still fit.
    let refused = (0..10).find_map(|_| network.run_command(ADA, rename()).err());
    assert_eq!(refused.unwrap().code, ErrorCode::Storage);
    assert!(network.reached().of(Sometimes::RolledBack) > 0);
    network.run_for(Span::from_secs(60));
    network.run_command(ADA, rename()).unwrap();
    assert_eq!(name(&mut network), "After");
}

#[test]
fn nobody_dials_across_a_cut() {
    let mut network = network(2);
    let door = JoinAddr { key: network.node(ADA).key(), address: network.node(ADA).address() };
    network.part(Some(Partition::Sides(BTreeSet::from([ADA]))));
    let joined = |network: &mut Network| match network.run_command(BOB, Command::Join(vec![door])) {
        Ok(CommandOutput::Joined { peers }) => peers,
        other => panic!("{other:?}"),
    };
    assert_eq!(joined(&mut network), 0);
    assert!(network.reached().of(Sometimes::DialCut) > 0);
    network.part(None);
    assert_eq!(joined(&mut network), 1);
}

#[test]
fn a_one_way_cut_silences_what_stands() {
    let mut network = network(2);
    let door = JoinAddr { key: network.node(ADA).key(), address: network.node(ADA).address() };
    network.run_command(BOB, Command::Join(vec![door])).unwrap();
    network.cut(BOB, ADA);
    network.run_for(Span::from_hours(1));
    assert!(network.reached().of(Sometimes::DialCut) > 0, "{:?}", network.reached());
    network.uncut();
    network.run_for(Span::from_hours(1));
    assert_eq!(network.node(BOB).overlay().unwrap().peers(), 1, "they found each other again");
}

#[test]
fn an_island_finds_the_network_that_it_was_told_of() {
    let mut network = network(6);
    let door = |network: &Network, of: usize| {
        let node = network.node(NodeIndex(of));
        Command::Join(vec![JoinAddr { key: node.key(), address: node.address() }])
    };
    let island = BTreeSet::from([NodeIndex(4), NodeIndex(5)]);
    network.part(Some(Partition::Sides(island)));
    for (node, through) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, 4)] {
        let join = door(&network, through);
        network.run_command(NodeIndex(node), join).unwrap();
    }
    network.run_for(Span::from_secs(120));
    let known = |network: &Network| -> Vec<usize> {
        network.nodes().map(|node| node.overlay().unwrap().peers()).collect()
    };
    assert_eq!(known(&network), [3, 3, 3, 3, 1, 1]);
    network.part(None);
    let whole = network.run_until(Span::from_secs(300), |network| known(network) == [5; 6]);
    assert!(whole, "{:?}", known(&network));
}
