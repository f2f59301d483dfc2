//! Entering a network, and entering it again.

use starling_overlay::io::OpResult;
use starling_proto::message::Mode;
use starling_proto::time::Span;

use super::net::{Net, loopback, public};

#[test]
fn everybody_joins_and_serves() {
    let net = Net::joined(1, 60, public);
    for (n, node) in net.nodes.iter().enumerate() {
        assert_eq!(node.overlay.mode(), Mode::Server, "peer {n}");
        assert!(node.overlay.peers() >= 20, "peer {n} knows {}", node.overlay.peers());
    }
}

#[test]
fn two_peers_become_servers_by_meeting() {
    let mut net = Net::new(2);
    net.add(loopback(0));
    net.add(loopback(1));
    let op = net.join(1, 0);
    assert_eq!(net.finish(1, op), OpResult::Joined { peers: 1 });
    net.run_for(Span::from_secs(5));
    for node in &net.nodes {
        assert_eq!((node.overlay.mode(), node.overlay.peers()), (Mode::Server, 1));
    }
}

#[test]
fn a_network_of_one_street_works() {
    let net = Net::joined(7, 10, |n| format!("203.0.114.{}:4040", n + 1).parse().unwrap());
    for node in &net.nodes {
        assert_eq!((node.overlay.mode(), node.overlay.peers()), (Mode::Server, 9));
    }
}

#[test]
fn a_second_join_tries_its_own_peers_before_it_gives_up() {
    let mut net = Net::new(8);
    for n in 0..3 {
        net.add(loopback(n));
    }
    net.kill(0);
    let first = net.join(2, 0);
    let second = net.join(2, 1);
    assert_eq!(net.finish(2, first), OpResult::Joined { peers: 1 });
    assert_eq!(net.finish(2, second), OpResult::Joined { peers: 1 });
}

#[test]
fn joining_through_a_dead_peer_says_so_and_goes_on_trying() {
    let mut net = Net::new(3);
    net.add(loopback(0));
    net.add(loopback(1));
    net.kill(0);
    let op = net.join(1, 0);
    assert_eq!(net.finish(1, op), OpResult::Joined { peers: 0 });
    net.run_for(Span::from_secs(300));
    let tries = net.nodes[1].calls;
    assert!((5..20).contains(&tries), "{tries} requests in five minutes");
    net.restart(0);
    net.run_for(Span::from_secs(80));
    assert_eq!(net.nodes[1].overlay.peers(), 1);
}

#[test]
fn a_restart_finds_the_network_without_being_told() {
    let mut net = Net::joined(4, 30, public);
    net.restart(7);
    assert_eq!(net.nodes[7].overlay.peers(), 0);
    net.run_for(Span::from_secs(30));
    assert!(net.nodes[7].overlay.peers() >= 20, "{}", net.nodes[7].overlay.peers());
    assert_eq!(net.nodes[7].overlay.mode(), Mode::Server);
}

#[test]
fn a_quiet_network_is_quiet() {
    let mut net = Net::joined(5, 30, public);
    let before: u64 = net.nodes.iter().map(|node| node.calls).sum();
    net.run_for(Span::from_hours(10));
    let after: u64 = net.nodes.iter().map(|node| node.calls).sum();
    let each_hour = (after - before) / 30 / 10;
    assert!((20..400).contains(&each_hour), "{each_hour} requests for each peer and hour");
}

#[test]
fn the_dead_are_forgotten_and_the_living_kept() {
    let mut net = Net::joined(6, 60, public);
    for n in 40..60 {
        net.kill(n);
    }
    net.run_for(Span::from_hours(3));
    let dead: Vec<_> = net.nodes[40..].iter().map(|node| node.key).collect();
    for node in &net.nodes[..40] {
        let known = node.overlay.known_peers().filter(|peer| dead.contains(&peer.key())).count();
        assert_eq!(known, 0);
        assert!(node.overlay.peers() >= 20);
    }
}
