//! Peers that lie.

use std::collections::{BTreeMap, BTreeSet};

use starling_overlay::group::AddressGroup;
use starling_overlay::io::{Command, OpResult};
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::time::Span;

use super::net::{Conduct, Net, public, record};

#[test]
fn byz_04_invented_contacts_do_not_hide_the_closest() {
    let mut net = Net::joined(40, 200, public);
    for n in (0..200).step_by(3) {
        net.nodes[n].conduct = Conduct::Inventing;
    }
    let mut found = 0;
    let mut requests = 0;
    for n in 0..50_u64 {
        let place = NodeId::new(*blake3::hash(&n.to_be_bytes()).as_bytes());
        let asker = n as usize * 3 + 1;
        let key = net.nodes[asker].key;
        let truth: Vec<_> = net.closest(&place, 4).into_iter().filter(|other| *other != key).collect();
        let began = net.now;
        let result = net.run(asker, Command::Lookup { target: place, width: 20 });
        let OpResult::Found { peers, requests: cost } = result else { panic!("no lookup") };
        found += u32::from(peers.first().is_some_and(|peer| peer.key() == truth[0]));
        requests += cost;
        assert!(net.now.since(began) <= Span::from_secs(20));
    }
    assert_eq!(found, 50);
    assert!(requests / 50 <= 90, "{} requests each", requests / 50);
}

#[test]
fn byz_04_real_peers_named_at_dead_addresses_are_found_and_stay_known() {
    let found: usize = (46..50).map(found_among_misplacing).sum();
    assert!(found >= 3_960, "{found} of 4,000");
}

/// A third of a network names real peers at dead addresses; how many of the twenty closest to fifty places are found.
fn found_among_misplacing(seed: u64) -> usize {
    let mut net = Net::joined(seed, 200, public);
    let known = |net: &Net, n: usize| -> BTreeSet<NodeKey> {
        net.nodes[n].overlay.known_peers().map(|peer| peer.key()).collect()
    };
    let before: Vec<_> = (0..200).map(|n| known(&net, n)).collect();
    for n in (0..200).step_by(3) {
        net.nodes[n].conduct = Conduct::Misplacing;
    }
    let mut found = 0;
    for n in 0..50_u64 {
        let place = NodeId::new(*blake3::hash(&n.to_be_bytes()).as_bytes());
        let asker = n as usize * 3 + 1;
        let key = net.nodes[asker].key;
        let truth: Vec<_> = net.closest(&place, 21).into_iter().filter(|other| *other != key).collect();
        let OpResult::Found { peers, .. } = net.run(asker, Command::Lookup { target: place, width: 20 })
        else {
            panic!("no lookup")
        };
        found += peers.iter().filter(|peer| truth[..20].contains(&peer.key())).count();
    }
    for n in (1..150).step_by(3) {
        assert!(known(&net, n).is_superset(&before[n]), "a contact was dropped on a liar's word");
    }
    found
}

#[test]
fn byz_07_forged_records_lose_and_their_holders_are_remembered() {
    let mut net = Net::joined(41, 40, public);
    let record = record(1, 1, 1, "alice");
    net.publish(0, &record);
    for n in 0..20 {
        net.nodes[n].conduct = Conduct::Forging;
    }
    assert_eq!(net.fetch(30, &record).0, std::slice::from_ref(&record));
    let liars: Vec<_> = net.nodes[..20].iter().map(|node| node.key).collect();
    let known = net.nodes[30].overlay.known_peers().filter(|peer| liars.contains(&peer.key())).count();
    assert!(known <= 5, "{known} liars are still known: more than were not asked");
    let (again, requests) = net.fetch(30, &record);
    assert_eq!(again, [record]);
    assert!(requests <= 25, "liars are not asked again: {requests}");
}

#[test]
fn the_caps_hold_in_every_table_and_replica_set() {
    // Every third peer is one operator's: 30 identities in one /24.
    let mut net =
        Net::joined(
            42,
            90,
            |n| {
                if n % 3 == 2 { format!("66.6.6.{n}:4040").parse().unwrap() } else { public(n) }
            },
        );
    let operator = AddressGroup::V4([66, 6, 6]);
    for node in net.nodes.iter().filter(|node| AddressGroup::of(&node.address) != operator) {
        let me = node.key.node_id();
        let mut buckets: BTreeMap<u32, usize> = BTreeMap::new();
        for peer in node.overlay.known_peers() {
            if AddressGroup::of(&peer.addresses()[0]) == operator {
                *buckets.entry(peer.key().node_id().distance(&me).shared_bits()).or_default() += 1;
            }
        }
        assert!(buckets.values().all(|count| *count <= 2), "{buckets:?}");
    }
    for key in 0..10 {
        let placement = net.publish(0, &record(key, 1, 1, "alice"));
        let theirs = net.nodes.iter().filter(|node| {
            AddressGroup::of(&node.address) == operator && placement.holders.contains(&node.key)
        });
        assert!(theirs.count() <= 2);
        assert!(!placement.caps_relaxed);
    }
}
