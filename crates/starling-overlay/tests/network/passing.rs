//! Go-betweens: what holders see, what may be asked of them, and those that do nothing.

use std::collections::BTreeSet;

use starling_overlay::group::AddressGroup;
use starling_overlay::io::{Command, Favour, NotPassed, OpResult, Output, Placement};
use starling_overlay::storage::RecordStore as _;
use starling_proto::ids::{NodeKey, RecordKey, Signature};
use starling_proto::message::{Fetch, Mode, PassOn, Query, Refusal, Request, Response};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::net::{Conduct, Net, loopback, public, record};
use super::serving::stranger;

fn pass(net: &mut Net, n: usize, favour: Favour) -> OpResult {
    net.run(n, Command::PassOn { favour, avoid: Vec::new() })
}

fn publish(net: &mut Net, n: usize, record: &Record) -> Placement {
    try_publish(net, n, record).expect("somebody has seen it shown")
}

/// Nothing if nobody confirms it.
fn try_publish(net: &mut Net, n: usize, record: &Record) -> Option<Placement> {
    match pass(net, n, Favour::Store(record.clone())) {
        OpResult::Stored(placement) => Some(placement),
        OpResult::NotPassed(NotPassed::Unproven) => None,
        other => panic!("{other:?}"),
    }
}

fn fetch(net: &mut Net, n: usize, like: &Record) -> Vec<Record> {
    match pass(net, n, Favour::Fetch { key: like.body().key, kind: like.body().kind }) {
        OpResult::Fetched { records, .. } => records,
        other => panic!("{other:?}"),
    }
}

fn copies(net: &Net, record: &Record) -> usize {
    net.nodes.iter().filter(|node| node.store.read_record(&record.id()).unwrap().is_some()).count()
}

/// The place that a request is about.
fn place_of(request: &Request) -> Option<RecordKey> {
    match request {
        Request::FindNode(find) => Some(RecordKey::new(*find.target.as_bytes())),
        Request::Store(record) => Some(record.body().key),
        Request::Fetch(fetch) => Some(fetch.key),
        Request::Query(query) => Some(query.key),
        _ => None,
    }
}

#[test]
fn prv_07_nobody_but_go_betweens_sees_who_wants_it() {
    let mut net = Net::joined(60, 150, public);
    let entry = record(1, 1, 1, "alice chess");
    let (key, asker) = (entry.body().key, 3);
    net.watches = true;
    let placement = publish(&mut net, asker, &entry);
    assert_eq!((placement.unnamed, placement.wanted, placement.holders.len()), (40, 40, 0));
    assert_eq!(placement.requests, 3, "one to place it, two to have it shown");
    assert_eq!(copies(&net, &entry), 40);
    for _ in 0..20 {
        assert_eq!(fetch(&mut net, asker, &entry), std::slice::from_ref(&entry));
    }
    let query = Favour::Query { key, words: vec!["alice".into()] };
    let OpResult::Matched { records, .. } = pass(&mut net, asker, query) else { panic!("no query") };
    assert_eq!(records, std::slice::from_ref(&entry));
    let seen = std::mem::take(&mut net.seen);
    let region: BTreeSet<NodeKey> = net.closest(&key.as_node_id(), 60).into_iter().collect();
    let own = AddressGroup::of(&net.nodes[asker].address);
    let mut between = BTreeSet::new();
    for (from, to, request) in &seen {
        match request {
            Request::PassOn(_) => {
                assert_eq!(*from, asker, "what was passed on is not passed on again");
                assert!(!region.contains(&net.nodes[*to].key), "a go-between is a holder");
                assert_ne!(AddressGroup::of(&net.nodes[*to].address), own);
                between.insert(*to);
            }
            request if place_of(request) == Some(key) => assert_ne!(*from, asker, "{request:?}"),
            Request::Prove(prove) if prove.record == entry.id() => assert_ne!(*from, asker),
            _ => {}
        }
    }
    assert!(between.len() >= 10, "drawn anew each time: {between:?}");
}

#[test]
fn who_says_that_it_is_placed_and_drops_it_is_not_believed() {
    let mut net = Net::joined(61, 150, public);
    for n in (0..150).step_by(3) {
        net.nodes[n].conduct = Conduct::Idling;
    }
    let mut placed = 0;
    for n in 0..30 {
        let entry = record(n, n, 1, "alice");
        let count = try_publish(&mut net, usize::from(n) * 3 + 1, &entry).map_or(0, |it| it.count());
        let kept = copies(&net, &entry);
        assert!(count <= kept, "{n}: {count} of {kept}");
        placed += u32::from(count >= 24);
    }
    // A third idle: in 30 of 100 tries none of three does, and there are three tries.
    assert!(placed >= 12, "{placed} of 30");
}

#[test]
fn what_a_third_of_all_go_betweens_hide_is_found_all_the_same() {
    let mut net = Net::joined(62, 150, public);
    let entry = record(1, 1, 1, "alice");
    net.publish(1, &entry);
    for n in (0..150).step_by(3) {
        net.nodes[n].conduct = Conduct::Idling;
    }
    let found = (0..50).filter(|n| fetch(&mut net, n * 3 + 1, &entry).contains(&entry)).count();
    // A third idle: one in 27 asks three that do.
    assert!(found >= 44, "{found} of 50");
}

#[test]
fn records_that_nobody_signed_are_not_taken_from_a_go_between() {
    let mut net = Net::joined(63, 60, public);
    let entry = record(1, 1, 1, "alice");
    net.publish(1, &entry);
    let mut forge = entry.body().clone();
    forge.sequence += 1;
    let forged = Record::new(forge.encode(), Signature::new([0; 64]), None, None).unwrap();
    for node in &mut net.nodes {
        node.conduct = Conduct::Forging;
    }
    let found = fetch(&mut net, 5, &entry);
    assert!(!found.contains(&forged), "{found:?}");
}

#[test]
fn in_a_small_network_those_close_by_are_asked_and_alone_nobody_is() {
    for (count, seed) in [(2, 64), (4, 65), (12, 66)] {
        let mut net = Net::joined(seed, count, loopback);
        let entry = record(1, 1, 1, "alice");
        let placement = try_publish(&mut net, 1, &entry).map(|it| (it.count(), it.wanted));
        // With one other there is nobody who could have it shown; it takes three.
        assert_eq!(placement, (count > 2).then_some((count, count)));
        assert_eq!(copies(&net, &entry), count);
    }
    let mut net = Net::new(67);
    net.add(loopback(0));
    let nobody = OpResult::NotPassed(NotPassed::Nobody);
    assert_eq!(pass(&mut net, 0, Favour::Store(record(1, 1, 1, "alice"))), nobody);
}

#[test]
fn who_is_to_be_avoided_is_never_asked() {
    let mut net = Net::joined(68, 30, public);
    let others: Vec<NodeKey> = net.nodes[1..].iter().map(|node| node.key).collect();
    let favour = || Favour::Fetch { key: RecordKey::new([1; 32]), kind: RecordKind::Account };
    let result = net.run(0, Command::PassOn { favour: favour(), avoid: others[1..].to_vec() });
    let OpResult::Fetched { holders, requests, .. } = result else { panic!("{result:?}") };
    assert_eq!((holders, requests), (0, 1), "there is one who may be asked, once; nothing is its word alone");
    let nobody = OpResult::NotPassed(NotPassed::Nobody);
    assert_eq!(net.run(0, Command::PassOn { favour: favour(), avoid: others }), nobody);
}

#[test]
fn silent_go_betweens_are_given_up_one_after_another() {
    let mut net = Net::joined(69, 30, public);
    (1..30).for_each(|n| net.nodes[n].up = false);
    let began = net.now;
    let silence = OpResult::NotPassed(NotPassed::Silence);
    assert_eq!(pass(&mut net, 0, Favour::Store(record(1, 1, 1, "alice"))), silence);
    assert_eq!(net.now.since(began), Span::from_secs(75));
}

/// Whether a peer begins to do it, or what it says.
fn ask(net: &mut Net, n: usize, who: &str, pass: PassOn) -> Result<(), Response> {
    let asker = stranger(who, who.bytes().map(u32::from).sum::<u32>() as u8);
    net.greet(n, &asker);
    let outputs = net.outputs_of(n, &asker, Request::PassOn(pass));
    let reply = outputs.iter().find_map(|output| match output {
        Output::Reply { response, .. } => Some(response.clone()),
        _ => None,
    });
    let calls = outputs.iter().filter(|output| matches!(output, Output::Call { .. })).count();
    match reply {
        None => {
            assert!(calls > 0, "{outputs:?}");
            Ok(())
        }
        Some(reply) => {
            assert_eq!(calls, 0, "refused, and sent on all the same");
            Err(reply)
        }
    }
}

fn refused(why: Refusal) -> Result<(), Response> {
    Err(Response::Refused(why))
}

fn fetch_of(kind: RecordKind) -> PassOn {
    PassOn::Fetch(Fetch { key: RecordKey::new([1; 32]), kind, count: 64, peers: 0 })
}

#[test]
fn a_go_between_serves_those_who_have_greeted_and_reads_nobodys_mail() {
    let mut net = Net::joined(70, 20, public);
    let outputs =
        net.outputs_of(0, &stranger("8.8.8.8:1", 7), Request::PassOn(fetch_of(RecordKind::Account)));
    assert!(matches!(outputs[..], [Output::Reply { response: Response::Refused(Refusal::NotAllowed), .. }]));
    assert_eq!(ask(&mut net, 0, "8.8.8.8:1", fetch_of(RecordKind::Deposit)), refused(Refusal::NotAllowed));
    assert_eq!(ask(&mut net, 0, "8.8.8.8:1", fetch_of(RecordKind::Account)), Ok(()));
    let mut client = Net::new(71);
    client.add(loopback(0));
    let asker = stranger("127.0.0.1:9", 7);
    client.greet_dialled(0, &asker);
    assert_eq!(client.nodes[0].overlay.mode(), Mode::Client);
    let outputs = client.outputs_of(0, &asker, Request::PassOn(fetch_of(RecordKind::Account)));
    assert!(matches!(outputs[..], [Output::Reply { response: Response::Refused(Refusal::NotAllowed), .. }]));
}

#[test]
fn spm_11_a_forged_record_leaves_nobody_and_one_that_was_placed_rests() {
    let mut net = Net::joined(72, 20, public);
    let entry = record(1, 1, 1, "alice");
    let forged = Record::new(entry.body().encode(), Signature::new([0; 64]), None, None).unwrap();
    let who = "8.8.8.8:1";
    assert_eq!(ask(&mut net, 0, who, PassOn::Store(forged)), refused(Refusal::NotAllowed));
    assert_eq!(ask(&mut net, 0, who, PassOn::Store(entry.clone())), Ok(()));
    net.run_for(Span::from_secs(30));
    assert_eq!(ask(&mut net, 0, "7.7.7.7:1", PassOn::Store(entry.clone())), refused(Refusal::Busy));
    net.run_for(Span::from_secs(31));
    assert_eq!(ask(&mut net, 0, who, PassOn::Store(entry)), Ok(()));
}

#[test]
fn spm_11_a_go_between_does_four_things_at_once_and_two_for_one_group() {
    let mut net = Net::joined(73, 20, public);
    let nth = |n: u8| PassOn::Store(record(n, n, 1, "alice"));
    let of_one = (0..5).filter(|n| ask(&mut net, 2, &format!("5.5.5.{n}:1"), nth(*n)).is_ok()).count();
    let of_others = (5..9).filter(|n| ask(&mut net, 2, &format!("9.9.{n}.8:1"), nth(*n)).is_ok()).count();
    assert_eq!((of_one, of_others), (2, 2), "half is left to others");
    let at_once = (0..9).filter(|n| ask(&mut net, 0, &format!("8.8.{n}.8:1"), nth(*n)).is_ok()).count();
    assert_eq!(at_once, 4);
    assert_eq!(ask(&mut net, 0, "7.7.7.7:1", nth(20)), refused(Refusal::Busy));
    // What it has begun comes to nothing here, and is given up: then there is room again.
    net.run_for(Span::from_secs(60));
    assert_eq!(ask(&mut net, 0, "7.7.7.7:1", nth(20)), Ok(()));
}

#[test]
fn spm_11_what_is_done_for_others_is_most_of_what_a_group_may_ask_for() {
    let mut net = Net::joined(74, 20, public);
    let nth = |n: u8| PassOn::Store(record(n, n, 1, "alice"));
    let mut last = Ok(());
    for n in 0..6 {
        last = ask(&mut net, 0, "8.8.8.8:1", nth(n));
    }
    assert_eq!(last, refused(Refusal::RateLimited), "five of 200 units each");
    let query = PassOn::Query(Query { key: RecordKey::new([1; 32]), words: vec!["a".into()], count: 1 });
    for _ in 0..17 {
        last = ask(&mut net, 1, "8.8.8.8:1", query.clone());
    }
    assert_eq!(last, refused(Refusal::RateLimited), "sixteen of 60 units each");
}

#[test]
fn what_does_not_fit_into_an_answer_is_counted() {
    let mut net = Net::joined(75, 30, public);
    let text = "x".repeat(1_000);
    let entries: Vec<Record> = (1..=45).map(|publisher| record(1, publisher, 1, &text)).collect();
    for entry in &entries {
        net.publish(1, entry);
    }
    let found = fetch(&mut net, 5, &entries[0]);
    assert!((25..45).contains(&found.len()), "as many as a frame holds: {}", found.len());
    assert!(found.iter().all(|record| entries.contains(record)));
}
