//! Requests and answers under deadlines: slow, silent, wrong and too long ones harm nobody else.
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

use std::sync::atomic::Ordering;
use std::time::Duration;

use iroh::endpoint::{RecvStream, SendStream};
use starling_core::io::{Event, Way};
use starling_node::limits::Limits;
use starling_node::transport::{Connection, Incoming, QuicConnection, QuicTransport, SendHalf, Transport};
use starling_overlay::io::CallError;
use starling_proto::addr::JoinAddr;
use starling_proto::frame::{FrameHeader, FrameKind};
use starling_proto::message::{Hello, Mode, Refusal, Request, Response};
use starling_proto::version::ProtocolVersion;
use support::{TestNode, bare, within};

fn hello() -> Hello {
    Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    }
}

async fn send(connection: &QuicConnection, bytes: &[u8]) -> (SendStream, RecvStream) {
    let (mut send, receive) = within(connection.open()).await.unwrap();
    send.send_last(bytes).await.unwrap();
    (send, receive)
}

async fn response(mut receive: RecvStream) -> Option<Response> {
    let frame = within(receive.read_to_end(100_000)).await.ok()?;
    let header = FrameHeader::parse(&frame).ok()?;
    Response::decode(header.kind, &frame[FrameHeader::LEN..]).ok()
}

/// A stranger that has greeted.
async fn greeted(stranger: &QuicTransport, node: &TestNode) -> QuicConnection {
    let connection = within(stranger.connect(&node.address().into())).await.unwrap();
    let (_, receive) = send(&connection, &Request::Hello(hello()).to_frame().unwrap()).await;
    assert!(matches!(response(receive).await, Some(Response::Hello(_))));
    connection
}

/// Takes one connection and greets back.
async fn greet_back(peer: &QuicTransport) -> QuicConnection {
    let connection = within(peer.accept()).await.unwrap().accept().await.unwrap();
    let (mut send, _receive) = connection.accept().await.unwrap();
    send.send_last(&Response::Hello(hello()).to_frame().unwrap()).await.unwrap();
    connection
}

fn address(peer: &QuicTransport) -> JoinAddr {
    JoinAddr { key: peer.key(), address: peer.addresses()[0] }
}

async fn still_answers(connection: &QuicConnection) -> bool {
    let (_send, receive) = send(connection, &Request::Ping.to_frame().unwrap()).await;
    response(receive).await == Some(Response::Pong)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_share_one_connection() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert_eq!(a.ask(b.address(), "parallel", 64, 5000).await, (64, 0));
    assert_eq!(a.ask_nodes(b.address(), 64, 5000).await, (64, 0));
    assert_eq!(a.control.hellos.lock().unwrap().len(), 1, "one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_peer_allows_at_once_wait_their_turn() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert_eq!(a.ask(b.address(), "parallel", 500, 10_000).await, (500, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_our_own_bound_fail_as_overloaded() {
    let limits = Limits { calls: 8, ..Limits::default() };
    let (a, b) = (TestNode::start_with(1, limits).await, TestNode::start(2).await);
    assert_eq!(a.ask(b.address(), "parallel", 10, 5000).await, (8, 2));
    assert_eq!(a.failures(), [Err(CallError::Overloaded), Err(CallError::Overloaded)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_peer_can_handle_are_refused_as_busy() {
    let limits = Limits { inbound: 4, ..Limits::default() };
    let (a, b) = (TestNode::start(1).await, TestNode::start_with(2, limits).await);
    b.control.silent.store(true, Ordering::Relaxed);
    assert_eq!(a.ask_nodes(b.address(), 6, 500).await, (0, 6));
    let failures = a.failures();
    let busy = failures.iter().filter(|end| **end == Ok(Response::Refused(Refusal::Busy))).count();
    assert_eq!(busy, 2, "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wir_02_a_frame_above_its_cap_ends_only_its_stream() {
    let (node, stranger) = (TestNode::start(1).await, bare(2).await);
    let connection = greeted(&stranger, &node).await;
    let mut header = vec![FrameKind::Store.byte()];
    header.extend(u32::MAX.to_be_bytes());
    let (_send, receive) = send(&connection, &header).await;
    assert_eq!(response(receive).await, Some(Response::Refused(Refusal::Malformed)));
    assert!(still_answers(&connection).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wir_03_garbage_is_refused_and_the_connection_lives() {
    let (node, stranger) = (TestNode::start(1).await, bare(2).await);
    let connection = greeted(&stranger, &node).await;
    let garbage = FrameHeader::frame(FrameKind::FindNode, &[0xff; 64]).unwrap();
    let (_send, receive) = send(&connection, &garbage).await;
    assert_eq!(response(receive).await, Some(Response::Refused(Refusal::Malformed)));
    let (_send, receive) = send(&connection, &[0x7f, 0, 0, 0, 0]).await;
    assert_eq!(response(receive).await, Some(Response::Refused(Refusal::Unknown)));
    let (_send, receive) = send(&connection, &[FrameKind::Ping.byte(), 0]).await;
    assert_eq!(response(receive).await, None, "a cut header gets no answer");
    assert!(still_answers(&connection).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn byz_08_a_request_of_a_byte_now_and_then_is_cut() {
    let limits = Limits { read_time: Duration::from_millis(300), ..Limits::default() };
    let (node, stranger) = (TestNode::start_with(1, limits).await, bare(2).await);
    let connection = greeted(&stranger, &node).await;
    let (mut send, mut receive) = within(connection.open()).await.unwrap();
    let frame = FrameHeader::frame(FrameKind::Deliver, &[0; 20_000]).unwrap();
    let trickle = async {
        // Never silent for long, so only a deadline over the whole frame can end it.
        let mut pace = tokio::time::interval(Duration::from_millis(30));
        for byte in frame.chunks(1) {
            pace.tick().await;
            if send.write_all(byte).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(within(trickle).await, "the node stops reading");
    assert!(within(receive.read_to_end(100)).await.is_err(), "and does not answer");
    assert!(still_answers(&connection).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn byz_08_an_answer_of_a_byte_now_and_then_is_cut_by_our_deadline() {
    let (node, peer) = (TestNode::start(1).await, bare(2).await);
    let serve = async {
        let connection = greet_back(&peer).await;
        let (mut send, _receive) = connection.accept().await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_millis(30));
        let frame = FrameHeader::frame(FrameKind::Nodes, &[0; 10_000]).unwrap();
        for byte in frame.chunks(1) {
            pace.tick().await;
            if send.write_all(byte).await.is_err() {
                return;
            }
        }
        panic!("the node took it all");
    };
    let (ended, ()) = within(async { tokio::join!(node.ask_nodes(address(&peer), 1, 300), serve) }).await;
    assert_eq!(ended, (0, 1));
    assert_eq!(node.failures(), [Err(CallError::TimedOut)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn byz_08_an_answer_above_its_cap_is_malformed() {
    let (node, peer) = (TestNode::start(1).await, bare(2).await);
    let serve = async {
        let connection = greet_back(&peer).await;
        let (mut send, receive) = connection.accept().await.unwrap();
        let mut header = vec![FrameKind::Nodes.byte()];
        header.extend(10_000_000_u32.to_be_bytes());
        send.send_last(&header).await.unwrap();
        (connection, send, receive)
    };
    let (ended, _open) = within(async { tokio::join!(node.ask_nodes(address(&peer), 1, 5000), serve) }).await;
    assert_eq!(ended, (0, 1));
    assert_eq!(node.failures(), [Err(CallError::Malformed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_times_out_by_our_deadline_and_its_connection_stays() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    b.control.silent.store(true, Ordering::Relaxed);
    assert_eq!(a.ask_nodes(b.address(), 3, 300).await, (0, 3));
    assert_eq!(a.failures(), vec![Err(CallError::TimedOut); 3]);
    assert!(a.ping(b.address()).await);
    assert_eq!(a.control.hellos.lock().unwrap().len(), 1, "it is slow, not gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_unreachable() {
    let node = TestNode::start(1).await;
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = JoinAddr { key: bare(2).await.key(), address: taken.local_addr().unwrap() };
    assert_eq!(node.ask(nobody, "parallel", 3, 300).await, (0, 3));
    assert_eq!(node.failures(), vec![Err(CallError::Unreachable); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_address_is_unreachable() {
    let (node, other) = (TestNode::start(1).await, TestNode::start(2).await);
    let wrong = JoinAddr { key: bare(3).await.key(), address: other.address().address };
    assert_eq!(node.ask(wrong, "parallel", 1, 1000).await, (0, 1));
    assert_eq!(node.failures(), [Err(CallError::Unreachable)]);
    let me = node.address();
    assert_eq!(node.ask(me, "parallel", 1, 1000).await, (0, 1), "oneself is not dialled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_came_back_is_asked_again_without_a_word_to_the_core() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    within(b.handle.shutdown()).await;
    drop(b);
    let again = TestNode::start(2).await;
    assert_eq!(a.ask(again.address(), "sequential", 2, 5000).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_bound_to_a_connection_travels_on_no_other() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    *a.control.way.lock().unwrap() = Some(Way::Only([7; 32]));
    assert_eq!(a.ask(b.address(), "parallel", 1, 5000).await, (0, 1));
    assert_eq!(a.failures(), [Err(CallError::Closed)], "it is not dialled for");
    *a.control.way.lock().unwrap() = None;
    assert!(a.ping(b.address()).await);
    *a.control.way.lock().unwrap() = Some(Way::Only(a.control.bindings.lock().unwrap()[0]));
    assert!(a.ping(b.address()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_a_fresh_connection_dials_although_one_stands() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await && b.ping(a.address()).await);
    assert_eq!(a.control.bindings.lock().unwrap().len(), 1);
    *b.control.way.lock().unwrap() = Some(Way::Fresh);
    assert!(b.ping(a.address()).await);
    let dialled: Vec<bool> = b.control.hellos.lock().unwrap().iter().map(|hello| hello.2).collect();
    assert_eq!(dialled, [false, true]);
}

#[test]
fn net_07_a_peer_that_is_gone_without_a_word_is_hung_up_at_the_first_silence() {
    let nodes = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Nothing of the peer runs unless this runtime is driven: to stop driving it is to pull the plug.
    let plug = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let peer = plug.block_on(bare(2));
    let to = address(&peer);
    let node = nodes.spawn(async move {
        let node = TestNode::start(1).await;
        assert!(node.ping(to).await);
        node
    });
    let connection = plug.block_on(async {
        let connection = greet_back(&peer).await;
        let (mut send, _receive) = connection.accept().await.unwrap();
        send.send_last(&Response::Pong.to_frame().unwrap()).await.unwrap();
        // Driven until the node has acknowledged the answer.
        within(send.stopped()).await.unwrap();
        connection
    });
    nodes.block_on(async {
        let mut node = within(node).await.unwrap();
        assert_eq!(node.ask(to, "parallel", 1, 300).await, (0, 1));
        assert_eq!(node.failures(), [Err(CallError::TimedOut)]);
        node.wait_for(&Event::PeerDown(to.key)).await;
    });
    drop(connection);
}
