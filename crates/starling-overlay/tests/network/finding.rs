//! Lookups: are the true closest found, and for how many requests?

use starling_overlay::io::{Command, OpResult};
use starling_proto::ids::{NodeId, NodeKey};

use super::net::{Net, public};

fn target(n: u64) -> NodeId {
    NodeId::new(*blake3::hash(&n.to_be_bytes()).as_bytes())
}

/// Looks up `count` places from all over the network; the mean of requests.
fn all_true(net: &mut Net, count: u64, width: usize) -> f64 {
    let mut all = 0;
    for n in 0..count {
        let place = target(n);
        let asker = (n as usize * 7) % net.nodes.len();
        let mut truth = net.closest(&place, width + 1);
        truth.retain(|key| *key != net.nodes[asker].key);
        truth.truncate(width);
        let OpResult::Found { peers, requests } = net.run(asker, Command::Lookup { target: place, width })
        else {
            panic!("no lookup")
        };
        // A place that looks too empty is looked up more widely: the closest come first all the same.
        let found: Vec<NodeKey> = peers.iter().map(starling_proto::addr::Peer::key).take(width).collect();
        assert_eq!(found, truth, "lookup {n}");
        all += requests;
    }
    f64::from(all) / count as f64
}

#[test]
fn the_twenty_closest_are_found_for_24_requests_at_1000_nodes() {
    let mut net = Net::joined(10, 1000, public);
    let calls: u64 = net.nodes.iter().map(|node| node.calls).sum();
    println!(
        "requests for each join: {}, contacts: {}",
        calls / 1000,
        net.nodes.iter().map(|n| n.overlay.peers()).sum::<usize>() / 1000
    );
    let mean = all_true(&mut net, 200, 20);
    println!("mean requests at 1,000 nodes: {mean}");
    assert!(mean <= 24.0, "{mean} requests");
    let wide = all_true(&mut net, 20, 80);
    println!("80-wide: {wide}");
    assert!(wide <= 90.0, "{wide} requests for a wide lookup");
}

#[test]
fn loss_costs_requests_but_not_the_result() {
    let mut right = 0;
    for seed in [11, 12] {
        let mut net = Net::joined(seed, 150, public);
        net.loss = 20;
        for n in 0..100 {
            let place = target(n);
            let truth = net.closest(&place, 1);
            let result = net.run(n as usize, Command::Lookup { target: place, width: 20 });
            let OpResult::Found { peers, .. } = result else { panic!("no lookup") };
            let asker = net.nodes[n as usize].key;
            right += u32::from(truth[0] == asker || peers.first().is_some_and(|peer| peer.key() == truth[0]));
        }
    }
    assert!(right >= 186, "the closest was found {right} times of 200");
}
