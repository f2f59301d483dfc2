//! Entering a network, and entering it again.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use starling_overlay::io::{Input, OpResult};
use starling_overlay::storage::PeerStore as _;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::{Hello, Mode};
use starling_proto::time::Span;

use super::net::{Net, loopback, public};
use super::serving::{hello, stranger};

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

/// In a network of short stays whoever was there a while ago is there again sooner or later.
#[test]
fn chn_01_those_who_have_gone_are_remembered_as_ways_back() {
    let mut net = Net::joined(44, 40, public);
    for n in 20..40 {
        net.kill(n);
    }
    net.run_for(Span::from_hours(3));
    assert_eq!(net.nodes[0].overlay.peers(), 19, "of the others none is a contact any more");
    let remembered = net.nodes[0].store.known_peers().unwrap().len();
    assert_eq!(remembered, 39);
}

/// Three quarters of those who are there are remembered, however many fresh identities come; and half of all may be gone.
#[test]
fn byz_02_fresh_identities_push_no_old_acquaintance_out_of_memory() {
    let mut net = Net::joined(45, 3, public);
    let remembered = |net: &Net| -> BTreeSet<NodeKey> {
        net.nodes[0].store.known_peers().unwrap().iter().map(Peer::key).collect()
    };
    let come = |net: &mut Net, numbers: RangeInclusive<u8>| {
        for n in numbers {
            let remote = stranger(&format!("{}.1.1.1:1", n % 200 + 20), n);
            let hello = Hello { mode: Mode::Server, ..hello() };
            net.input(0, Input::PeerUp { remote, hello, dialled: true });
            net.run_for(Span::from_secs(1));
        }
    };
    come(&mut net, 1..=120);
    let first = remembered(&net);
    assert_eq!(first.len(), 64);
    assert!(net.nodes[0].overlay.peers() > 64, "{} contacts", net.nodes[0].overlay.peers());
    come(&mut net, 121..=220);
    let second = remembered(&net);
    let (stayed, rotated) = (second.intersection(&first).count(), second.difference(&first).count());
    assert_eq!((stayed, rotated), (64 - 17, 17), "the newest quarter makes room");
    // Nobody of these answers: they are pinged within hours, and are gone then.
    net.run_for(Span::from_hours(12));
    assert_eq!(net.nodes[0].overlay.peers(), 2);
    // Some of those that waited for a place have had one meanwhile.
    let kept = remembered(&net).intersection(&second).count();
    assert!((50..=64).contains(&kept), "{kept} of those that are gone are remembered");
    come(&mut net, 221..=255);
    let (third, there) = (remembered(&net), net.nodes[0].overlay.peers());
    let known = net.nodes[0].overlay.known_peers().map(|peer| peer.key()).collect::<BTreeSet<_>>();
    let gone = third.difference(&known).count();
    assert!(there > 30, "{there} contacts");
    assert!(third.len() == 64 && (30..=34).contains(&gone), "{gone} that are gone, of {}", third.len());
}
