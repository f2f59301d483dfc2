//! Who serves, and what a peer may ask.

use starling_overlay::io::{InboundId, Input, Output, Remote};
use starling_overlay::storage::PeerStore as _;
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::message::{
    DialBack, FindNode, Hello, Mode, Query, Refusal, Request, Response, StoreOutcome,
};
use starling_proto::time::Span;
use starling_proto::version::ProtocolVersion;

use super::net::{Net, loopback, public, record};

#[test]
fn a_peer_that_cannot_be_dialled_stays_a_client() {
    let mut net = Net::joined(30, 30, public);
    let hidden = net.add(public(100));
    net.nodes[hidden].reachable = false;
    net.join(hidden, 0);
    net.run_for(Span::from_secs(600));
    assert_eq!(net.nodes[hidden].overlay.mode(), Mode::Client);
    assert!(net.nodes[hidden].overlay.peers() >= 20, "it knows others all the same");
    let key = net.nodes[hidden].key;
    for node in &net.nodes[..30] {
        assert!(!node.overlay.known_peers().any(|peer| peer.key() == key), "a client is in a table");
    }
    assert_eq!(net.publish(hidden, &record(1, 1, 1, "alice")).holders.len(), 30);
}

#[test]
fn a_server_that_moves_behind_a_wall_stops_serving() {
    let mut net = Net::joined(31, 30, public);
    net.nodes[7].reachable = false;
    net.run_for(Span::from_hours(4));
    assert_eq!(net.nodes[7].overlay.mode(), Mode::Client);
    net.nodes[7].reachable = true;
    net.run_for(Span::from_hours(1));
    assert_eq!(net.nodes[7].overlay.mode(), Mode::Server);
}

#[test]
fn nobody_is_served_before_greeting() {
    let mut net = Net::joined(32, 3, loopback);
    let reply = net.ask(0, &stranger("127.0.0.1:9", 7), Request::Ping);
    assert_eq!(reply, Response::Refused(Refusal::NotAllowed));
    net.greet(0, &stranger("127.0.0.1:9", 7));
    assert_eq!(net.ask(0, &stranger("127.0.0.1:9", 7), Request::Ping), Response::Pong);
}

#[test]
fn a_flood_is_refused_and_others_are_served() {
    let mut net = Net::joined(33, 3, public);
    let (loud, quiet) = (stranger("8.8.8.8:1", 7), stranger("7.7.7.7:1", 8));
    net.greet(0, &loud);
    net.greet(0, &quiet);
    let find = Request::FindNode(FindNode { target: NodeId::new([1; 32]), count: 20 });
    let refused = (0..2000)
        .filter(|_| net.ask(0, &loud, find.clone()) == Response::Refused(Refusal::RateLimited))
        .count();
    assert!(refused >= 1400, "{refused}");
    assert!(matches!(net.ask(0, &quiet, find), Response::Nodes(_)));
}

#[test]
fn prv_04_inner_addresses_are_not_told_outside() {
    let mut net = Net::joined(34, 5, |n| format!("192.168.1.{}:4040", n + 1).parse().unwrap());
    let outside = stranger("8.8.8.8:1", 7);
    let inside = stranger("192.168.1.77:1", 8);
    let find = Request::FindNode(FindNode { target: NodeId::new([1; 32]), count: 20 });
    net.greet(0, &outside);
    net.greet(0, &inside);
    assert_eq!(net.ask(0, &outside, find.clone()), Response::Nodes(Vec::new()));
    let Response::Nodes(peers) = net.ask(0, &inside, find) else { panic!("no answer") };
    assert_eq!(peers.len(), 4);
}

#[test]
fn a_dial_back_goes_to_nobody_but_the_asker() {
    let mut net = Net::joined(35, 3, public);
    let asker = stranger("8.8.8.8:1", 7);
    net.greet(0, &asker);
    let victim = vec!["9.9.9.9:53".parse().unwrap(), "8.8.8.8:2".parse().unwrap()];
    let request =
        |subject| Request::DialBack(DialBack { subject, addresses: victim.clone(), relayed: false });
    let calls = net.outputs_of(0, &asker, request(asker.key));
    let [Output::Call { to, request: Request::DialBack(passed), .. }] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert!(net.nodes[1..].iter().any(|node| node.key == to.key()));
    assert_eq!(passed.addresses, ["8.8.8.8:1".parse().unwrap(), "8.8.8.8:2".parse().unwrap()]);
    let calls = net.outputs_of(0, &asker, request(NodeKey::new([9; 32])));
    assert!(calls.iter().all(|output| !matches!(output, Output::Call { .. })), "for somebody else");
    let relayed =
        Request::DialBack(DialBack { subject: NodeKey::new([9; 32]), addresses: victim, relayed: true });
    let calls = net.outputs_of(0, &asker, relayed);
    assert!(calls.iter().all(|output| !matches!(output, Output::Call { .. })), "a stranger passes it on");
}

#[test]
fn a_client_takes_no_records() {
    let mut net = Net::new(36);
    net.add(loopback(0));
    let asker = stranger("127.0.0.1:9", 7);
    let op = net.greet_dialled(0, &asker);
    assert_eq!(op, Mode::Client);
    let response = net.ask(0, &asker, Request::Store(record(1, 1, 1, "x")));
    assert_eq!(response, Response::Stored(StoreOutcome::NotServing));
}

#[test]
fn while_the_disk_is_full_nothing_is_taken() {
    let mut net = Net::joined(38, 3, loopback);
    net.nodes[0].overlay.set_disk_full(true);
    assert!(net.nodes[0].overlay.status().disk_full);
    let placement = net.publish(0, &record(1, 1, 1, "alice"));
    assert_eq!((placement.holders.len(), placement.wanted), (2, 3));
    assert_eq!(placement.refused, [(net.nodes[0].key, StoreOutcome::NotServing)]);
    net.nodes[0].overlay.set_disk_full(false);
    assert!(!net.nodes[0].overlay.status().disk_full);
    assert_eq!(net.publish(0, &record(1, 1, 2, "alice")).holders.len(), 3);
}

#[test]
fn dsk_01_while_the_disk_is_full_no_peer_is_written_down() {
    let mut net = Net::joined(39, 3, loopback);
    net.nodes[0].overlay.set_disk_full(true);
    let newcomer = net.add(loopback(50));
    net.join(newcomer, 0);
    net.run_for(Span::from_secs(30));
    let key = net.nodes[newcomer].key;
    assert!(net.nodes[0].overlay.known_peers().any(|peer| peer.key() == key), "it is known");
    assert!(
        net.nodes[0].store.known_peers().unwrap().iter().all(|peer| peer.key() != key),
        "and not written"
    );
}

#[test]
fn a_peer_that_changes_its_mode_again_and_again_is_believed_now_and_then() {
    let mut net = Net::joined(43, 3, public);
    let restless = stranger("8.8.8.8:1", 7);
    net.input(0, Input::PeerUp { remote: restless, hello: hello(), dialled: true });
    let known = |net: &Net| net.nodes[0].overlay.known_peers().any(|peer| peer.key() == restless.key);
    let mut changes = 0;
    for n in 0..100 {
        let before = known(&net);
        let mode = if n % 2 == 0 { Mode::Server } else { Mode::Client };
        net.outputs_of(0, &restless, Request::Hello(Hello { mode, ..hello() }));
        changes += u32::from(known(&net) != before);
    }
    assert_eq!((changes, known(&net)), (1, true), "the first change counts at once");
    net.input(0, Input::Timer);
    net.run_for(Span::from_secs(11));
    assert!(!known(&net), "its last word counts when ten seconds have gone by");
}

#[test]
fn one_group_cannot_use_up_the_dials_for_others() {
    let mut net = Net::joined(44, 3, public);
    let mut dials = |asker: &Remote, times: usize| {
        let request = DialBack { subject: asker.key, addresses: Vec::new(), relayed: false };
        net.greet(0, asker);
        let outputs = (0..times).flat_map(|_| net.outputs_of(0, asker, Request::DialBack(request.clone())));
        outputs.filter(|output| matches!(output, Output::Call { .. })).count()
    };
    let greedy: usize = (1..=10).map(|n| dials(&stranger(&format!("8.8.8.{n}:1"), n), 10)).sum();
    assert!((1..=10).contains(&greedy), "{greedy}");
    assert_eq!(dials(&stranger("7.7.7.7:1", 99), 1), 1, "another is served");
}

#[test]
fn a_query_of_a_full_key_costs_what_it_takes() {
    let mut net = Net::joined(45, 3, public);
    for n in 0..=255 {
        let publisher = stranger(&format!("9.9.{n}.1:1"), n);
        net.greet(0, &publisher);
        let stored = net.ask(0, &publisher, Request::Store(record(1, n, 1, "alice")));
        assert_eq!(stored, Response::Stored(StoreOutcome::Stored));
    }
    let asker = stranger("8.8.8.8:1", 7);
    net.greet(0, &asker);
    let query = Query { key: record(1, 1, 1, "").body().key, words: vec!["alice".into()], count: 1 };
    let mut served = 0;
    while matches!(net.ask(0, &asker, Request::Query(query.clone())), Response::Matches(_)) {
        served += 1;
    }
    // 256 entries, so 8 units and 37 for the work, of 1,000.
    assert!((20..=24).contains(&served), "{served}");
    net.run_for(Span::from_secs(1));
    assert!(matches!(net.ask(0, &asker, Request::Query(query)), Response::Matches(_)));
}

pub(crate) fn stranger(address: &str, n: u8) -> Remote {
    Remote { key: NodeKey::new([n; 32]), address: address.parse().unwrap(), binding: [0; 32] }
}

pub(crate) fn hello() -> Hello {
    Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    }
}

impl Net {
    pub(crate) fn greet(&mut self, n: usize, remote: &Remote) {
        self.input(n, Input::PeerUp { remote: *remote, hello: hello(), dialled: false });
    }

    pub(crate) fn greet_dialled(&mut self, n: usize, remote: &Remote) -> Mode {
        self.input(n, Input::PeerUp { remote: *remote, hello: hello(), dialled: true });
        self.nodes[n].overlay.mode()
    }

    /// What a peer answers to somebody who is not part of the network.
    pub(crate) fn ask(&mut self, n: usize, remote: &Remote, request: Request) -> Response {
        let outputs = self.outputs_of(n, remote, request);
        let replies = outputs.into_iter().filter_map(|output| match output {
            Output::Reply { response, .. } => Some(response),
            _ => None,
        });
        replies.last().expect("an answer")
    }

    pub(crate) fn outputs_of(&mut self, n: usize, remote: &Remote, request: Request) -> Vec<Output> {
        self.input_raw(n, Input::Request { remote: *remote, inbound: InboundId(u64::MAX), request })
    }

    /// Whether a peer takes a record from a stranger.
    pub(crate) fn would_hold(&mut self, n: usize, record: &starling_proto::record::Record) -> bool {
        let asker = stranger("8.8.8.8:1", 7);
        self.greet(n, &asker);
        self.ask(n, &asker, Request::Store(record.clone())) == Response::Stored(StoreOutcome::Stored)
    }
}
