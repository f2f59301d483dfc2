//! Records: placed where they belong, counted truthfully, found again, handed on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use starling_overlay::io::{Command, OpResult, Placement};
use starling_overlay::sampling::Shown;
use starling_proto::ids::NodeKey;
use starling_proto::message::Mode;
use starling_proto::time::Span;

use super::net::{Net, loopback, public, record};

/// Peers that really have a record on their disk.
fn holders(net: &Net, id: starling_proto::ids::RecordId) -> Vec<NodeKey> {
    use starling_overlay::storage::RecordStore as _;
    let has = |node: &&super::net::Node| node.store.read_record(&id).unwrap().is_some();
    net.nodes.iter().filter(has).map(|node| node.key).collect()
}

#[test]
fn chn_07_networks_of_every_small_size_work_and_count_truthfully() {
    for count in [1, 2, 3, 5, 19, 21, 45] {
        let mut net = Net::joined(20, count, loopback);
        let record = record(1, 1, 1, "alice");
        let placement = net.publish(count / 2, &record);
        let wanted = count.min(40);
        assert_eq!((placement.holders.len(), placement.wanted), (wanted, wanted), "{count} peers");
        let mut said = placement.holders.clone();
        said.sort();
        let mut truth = holders(&net, record.id());
        truth.sort();
        assert_eq!(said, truth, "{count} peers");
        for n in 0..count {
            assert_eq!(net.fetch(n, &record).0, std::slice::from_ref(&record), "peer {n} of {count}");
        }
        let words = vec!["ali".to_owned()];
        let result = net.run(count - 1, Command::Query { key: record.body().key, words });
        let OpResult::Matched { records, .. } = result else { panic!("no query") };
        assert_eq!(records.len(), 1, "{count} peers");
    }
}

#[test]
fn a_lone_peer_keeps_what_it_publishes_and_hands_it_over() {
    let mut net = Net::new(21);
    net.add(loopback(0));
    let record = record(1, 1, 1, "alice");
    let placement = net.publish(0, &record);
    assert_eq!((placement.holders, placement.wanted), (vec![net.nodes[0].key], 1));
    for n in 1..6 {
        net.add(loopback(n));
        net.join(n, 0);
    }
    net.run_for(Span::from_secs(180));
    assert_eq!(holders(&net, record.id()).len(), 6);
}

#[test]
fn a_higher_sequence_replaces_a_lower() {
    let mut net = Net::joined(22, 30, public);
    net.publish(3, &record(1, 1, 1, "old"));
    let new = record(1, 1, 2, "new");
    net.publish(4, &new);
    let old = net.publish(5, &record(1, 1, 1, "old"));
    assert_eq!(old.holders, []);
    assert_eq!(old.refused.len(), 30);
    assert_eq!(net.fetch(6, &new).0, [new]);
}

#[test]
fn records_go_to_the_twenty_closest_and_twenty_around() {
    let mut net = Net::joined(23, 200, public);
    let record = record(1, 1, 1, "alice");
    let placement = net.publish(3, &record);
    assert_eq!((placement.holders.len(), placement.wanted, placement.caps_relaxed), (40, 40, false));
    let closest = net.closest(&record.body().key.as_node_id(), 81);
    assert!(closest[..20].iter().all(|key| placement.holders.contains(key)));
    assert!(placement.holders.iter().all(|key| closest.contains(key)));
    let (found, requests) = net.fetch(150, &record);
    assert_eq!(found, [record]);
    assert!(requests <= 30, "{requests} requests");
}

#[test]
fn a_newcomer_near_a_key_is_given_its_records() {
    let mut net = Net::joined(24, 40, public);
    let records: Vec<_> = (0..20).map(|key| record(key, 1, 1, "alice")).collect();
    for record in &records {
        net.publish(usize::from(record.body().key.as_bytes()[0]) % 40, record);
    }
    for n in 40..60 {
        net.add(public(n));
        net.join(n, 0);
    }
    net.run_for(Span::from_secs(1200));
    let mut missing = 0;
    for record in &records {
        let have = holders(&net, record.id());
        missing +=
            net.closest(&record.body().key.as_node_id(), 20).iter().filter(|key| !have.contains(key)).count();
    }
    assert!(missing <= 8, "{missing} of 400 places have no copy");
}

#[test]
fn when_holders_leave_others_take_their_place() {
    let mut net = Net::joined(25, 60, public);
    let record = record(1, 1, 1, "alice");
    net.publish(3, &record);
    let closest = net.closest(&record.body().key.as_node_id(), 10);
    for key in &closest {
        let n = net.nodes.iter().position(|node| node.key == *key).unwrap();
        net.kill(n);
    }
    net.run_for(Span::from_hours(4));
    let have = holders(&net, record.id());
    let now = net.closest(&record.body().key.as_node_id(), 20);
    let missing = now.iter().filter(|key| !have.contains(key)).count();
    assert!(missing <= 1, "{missing} of the twenty closest have no copy");
}

#[test]
fn a_far_key_is_not_near() {
    let mut net = Net::joined(26, 400, public);
    let record = record(1, 1, 1, "alice");
    let far = *net.closest(&record.body().key.as_node_id(), 400).last().unwrap();
    let n = net.nodes.iter().position(|node| node.key == far).unwrap();
    assert_eq!(net.nodes[n].overlay.mode(), Mode::Server);
    assert!(!net.would_hold(n, &record));
    let near = net.closest(&record.body().key.as_node_id(), 60);
    for key in near {
        let n = net.nodes.iter().position(|node| node.key == key).unwrap();
        assert!(net.would_hold(n, &record));
    }
}

/// What the holders of a placement show when some of them are asked, and what that cost.
fn sample(net: &mut Net, n: usize, placement: &mut Placement) -> (Vec<(NodeKey, Shown)>, u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let sample = placement.samples.draw(placement.id, &mut rng).unwrap();
    let before = net.nodes[n].calls;
    let OpResult::Sampled(shown) = net.run(n, Command::Sample(sample)) else { panic!("no sample") };
    (shown, net.nodes[n].calls - before)
}

#[test]
fn holders_show_what_they_keep_for_one_request_each() {
    let mut net = Net::joined(27, 60, public);
    let record = record(1, 1, 1, "alice");
    let mut placement = net.publish(3, &record);
    let others = placement.holders.iter().filter(|key| **key != net.nodes[3].key).count();
    assert_eq!(placement.samples.holders(), others, "ourselves we need not ask");
    let (shown, requests) = sample(&mut net, 3, &mut placement);
    assert!(shown.len() == 8 && shown.iter().all(|(_, shown)| *shown == Shown::Kept), "{shown:?}");
    assert_eq!((requests, placement.samples.judge(&shown, true)), (8, others));
}

#[test]
fn holders_that_let_go_or_went_away_are_found_out() {
    let mut net = Net::joined(28, 5, loopback);
    let record = record(1, 1, 1, "alice");
    let mut placement = net.publish(0, &record);
    net.forget(1, record.id());
    net.kill(2);
    let (mut shown, requests) = sample(&mut net, 0, &mut placement);
    shown.sort_unstable_by_key(|(key, _)| net.nodes.iter().position(|node| node.key == *key));
    let shown: Vec<Shown> = shown.into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(shown, [Shown::Nothing, Shown::Nothing, Shown::Kept, Shown::Kept]);
    assert_eq!(requests, 4);
    [1, 3, 4].into_iter().for_each(|n| net.kill(n));
    net.run_for(Span::from_secs(60));
    assert_eq!(sample(&mut net, 0, &mut placement).0, [], "who is cut off learns nothing");
}
