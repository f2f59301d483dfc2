//! Floods and strangers: what is over a bound is turned away, what stands lives on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

mod support;

use std::time::Duration;

use starling_core::io::Event;
use starling_node::limits::Limits;
use starling_node::transport::{Connection, QuicConnection, QuicTransport, SendHalf, Transport};
use starling_overlay::seats::SeatLimits;
use starling_proto::message::{Hello, Mode, Request};
use starling_proto::time::Span;
use starling_proto::version::ProtocolVersion;
use support::{TestNode, bare, loopback, node_config, within};

/// Connects and greets; `None` if turned away.
async fn greeted(stranger: &QuicTransport, node: &TestNode) -> Option<QuicConnection> {
    let connection = within(stranger.connect(&node.address().into())).await.ok()?;
    let hello = Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    };
    let answer = exchange(&connection, &Request::Hello(hello)).await;
    answer.then_some(connection)
}

/// Whether any answer comes.
async fn exchange(connection: &QuicConnection, request: &Request) -> bool {
    let Ok((mut send, mut receive)) = connection.open().await else { return false };
    let _ = send.send_last(&request.to_frame().unwrap()).await;
    within(receive.read_to_end(100_000)).await.is_ok_and(|frame| !frame.is_empty())
}

fn seats(incoming: usize, fresh: Span) -> Limits {
    Limits { seats: SeatLimits { incoming, fresh, ..SeatLimits::default() }, ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn spm_03_while_all_seats_are_in_use_others_are_refused_and_those_inside_live_on() {
    let node = TestNode::start_with(1, seats(3, Span::from_hours(1))).await;
    let mut crowd = Vec::new();
    for seed in 10..20 {
        let stranger = bare(seed).await;
        let connection = greeted(&stranger, &node).await;
        crowd.push((stranger, connection));
    }
    let inside: Vec<_> = crowd.iter().filter_map(|(_, connection)| connection.as_ref()).collect();
    assert_eq!(inside.len(), 3);
    for connection in inside {
        assert!(exchange(connection, &Request::Ping).await);
    }
    // A crowd of strangers does not keep us from dialling.
    let friend = TestNode::start(2).await;
    assert!(node.ping(friend.address()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn spm_03_who_comes_takes_the_place_of_whoever_has_been_idle_but_not_of_the_oldest() {
    let mut node = TestNode::start_with(1, seats(4, Span::ZERO)).await;
    let mut inside = Vec::new();
    for seed in 10..14 {
        let stranger = bare(seed).await;
        inside.push((greeted(&stranger, &node).await.unwrap(), stranger));
    }
    for (connection, _) in inside.iter().rev() {
        assert!(exchange(connection, &Request::Ping).await);
    }
    let newcomer = bare(20).await;
    let connection = greeted(&newcomer, &node).await.expect("room is made");
    assert!(exchange(&connection, &Request::Ping).await);
    // The last of the four was used first; the first has stood longest, so it would stay in any case.
    node.wait_for(&Event::PeerDown(inside[3].1.key())).await;
    for (connection, _) in &inside[..3] {
        assert!(exchange(connection, &Request::Ping).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spm_03_one_group_of_addresses_takes_only_its_share() {
    let limits = Limits {
        seats: SeatLimits { incoming_per_group: 1, ..SeatLimits::default() },
        incoming_per_key: 9,
        ..Limits::default()
    };
    let node = TestNode::start_with(1, limits).await;
    // On loopback a socket is a group, so one stranger's second connection is of the same group.
    let (stranger, other) = (bare(2).await, bare(3).await);
    let first = greeted(&stranger, &node).await.unwrap();
    assert!(greeted(&stranger, &node).await.is_none());
    assert!(greeted(&other, &node).await.is_some());
    assert!(exchange(&first, &Request::Ping).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_connection_of_one_key_replaces_its_oldest() {
    let mut node = TestNode::start(1).await;
    let stranger = bare(2).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(greeted(&stranger, &node).await.unwrap());
    }
    assert!(within(connections[0].accept()).await.is_err(), "the oldest ends");
    assert!(exchange(&connections[1], &Request::Ping).await);
    assert!(exchange(&connections[2], &Request::Ping).await);
    for connection in &connections {
        connection.close(starling_node::transport::CloseCode::Goodbye);
    }
    node.wait_for(&Event::PeerDown(stranger.key())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_makes_room_for_a_dial() {
    let limits =
        Limits { seats: SeatLimits { connections: 1, ..SeatLimits::default() }, ..Limits::default() };
    let mut node = TestNode::start_with(1, limits).await;
    let (a, b) = (TestNode::start(2).await, TestNode::start(3).await);
    assert!(node.ping(a.address()).await);
    assert!(node.ping(b.address()).await);
    node.wait_for(&Event::PeerDown(a.address().key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_nobody_uses_is_closed() {
    let (idle, idle_sweep) = (Duration::from_millis(1), Duration::from_millis(20));
    let mut node = TestNode::start_with(1, Limits { idle, idle_sweep, ..Limits::default() }).await;
    let peer = TestNode::start(2).await;
    assert!(node.ping(peer.address()).await);
    node.wait_for(&Event::PeerDown(peer.address().key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_at_once_can_use_either_connection() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    let (to_b, to_a) = tokio::join!(a.ping(b.address()), b.ping(a.address()));
    assert!(to_a && to_b);
    assert!(a.ping(b.address()).await && b.ping(a.address()).await);
    assert!(a.control.hellos.lock().unwrap().len() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_protocol_gets_nothing() {
    let (node, friend) = (TestNode::start(1).await, TestNode::start(2).await);
    let config = node_config(3);
    let foreign =
        QuicTransport::bind(&"another".parse().unwrap(), &config.secret, &[loopback()]).await.unwrap();
    let peer = node.address().into();
    let pings = async {
        for _ in 0..50 {
            assert!(friend.ping(node.address()).await);
        }
    };
    tokio::select! {
        connected = foreign.connect(&peer) => assert!(connected.is_err()),
        () = pings => {}
    }
    assert!(node.control.hellos.lock().unwrap().iter().all(|(key, ..)| *key == friend.address().key));
}

#[tokio::test(flavor = "multi_thread")]
async fn stray_datagrams_are_dropped() {
    let (node, friend) = (TestNode::start(1).await, TestNode::start(2).await);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..2000_u32 {
        let size = usize::try_from(round % 1400).unwrap();
        let garbage: Vec<u8> = (0..size).map(|at| u8::try_from((at * 31 + size) % 251).unwrap()).collect();
        socket.send_to(&garbage, node.address().address).unwrap();
    }
    assert!(friend.ping(node.address()).await);
}
