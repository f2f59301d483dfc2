//! Two nodes greet over real sockets, and nothing is asked before that.
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

use starling_core::io::Event;
use starling_node::limits::Limits;
use starling_node::transport::{Connection, SendHalf, Transport};
use starling_proto::frame::{FrameHeader, FrameKind};
use starling_proto::message::{Hello, Mode, Refusal, Request, Response};
use starling_proto::version::ProtocolVersion;
use support::{TestNode, bare, within};

fn hello() -> Request {
    Request::Hello(Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    })
}

async fn ask<C>(connection: &C, request: &Request) -> Response
where
    C: Connection<Receive = iroh::endpoint::RecvStream>,
{
    let (mut send, mut receive) = connection.open().await.unwrap();
    send.send_last(&request.to_frame().unwrap()).await.unwrap();
    let frame = within(receive.read_to_end(100_000)).await.unwrap();
    let header = FrameHeader::parse(&frame).unwrap();
    Response::decode(header.kind, &frame[FrameHeader::LEN..]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_greet_and_see_the_same_connection() {
    let (a, mut b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    b.wait_for(&Event::PeerUp(a.address().key)).await;

    let of_a = a.control.hellos.lock().unwrap().clone();
    let of_b = b.control.hellos.lock().unwrap().clone();
    assert_eq!((of_a.len(), of_b.len()), (1, 1));
    assert_eq!((of_a[0].0, of_b[0].0), (b.address().key, a.address().key));
    assert_eq!((of_a[0].2, of_b[0].2), (true, false), "the dialler knows that it dialled");
    assert_eq!(of_a[0].1.observed, Some(a.address().address), "a hears where it is seen");
    assert_eq!(of_b[0].1.observed, Some(b.address().address));
    assert_eq!(of_a[0].1.mode, Mode::Server);
    assert!(of_a[0].1.coarse_time_min > 29_000_000, "the greeting tells the time");
    assert_eq!(*a.control.bindings.lock().unwrap(), *b.control.bindings.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_last_connection_is_told() {
    let (mut a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    let key = b.address().key;
    within(b.handle.shutdown()).await;
    a.wait_for(&Event::PeerDown(key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_before_the_greeting_are_not_allowed() {
    let (node, stranger) = (TestNode::start(1).await, bare(2).await);
    let connection = within(stranger.connect(&node.address().into())).await.unwrap();
    assert_eq!(ask(&connection, &Request::Ping).await, Response::Refused(Refusal::NotAllowed));
    assert!(node.control.hellos.lock().unwrap().is_empty());
    assert!(matches!(ask(&connection, &hello()).await, Response::Hello(_)));
    assert_eq!(ask(&connection, &Request::Ping).await, Response::Pong);
    // A later greeting says that something has changed: the core hears it like any other request.
    assert_eq!(ask(&connection, &hello()).await, Response::Nodes(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_greet_is_cut_off() {
    let limits = Limits { handshake_time: std::time::Duration::from_millis(200), ..Limits::default() };
    let (node, stranger) = (TestNode::start_with(1, limits).await, bare(2).await);
    let connection = within(stranger.connect(&node.address().into())).await.unwrap();
    assert!(within(connection.accept()).await.is_err(), "the connection ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_asks_on_and_on_without_greeting_is_cut_off() {
    let (node, stranger) = (TestNode::start(1).await, bare(2).await);
    let connection = within(stranger.connect(&node.address().into())).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&connection, &Request::Ping).await, Response::Refused(Refusal::NotAllowed));
    }
    let (mut send, _receive) = connection.open().await.unwrap();
    send.send_last(&Request::Ping.to_frame().unwrap()).await.unwrap();
    assert!(within(connection.accept()).await.is_err(), "the fourth is the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_greeting_ends_the_dial() {
    let (node, peer) = (TestNode::start(1).await, bare(2).await);
    let address = starling_proto::addr::JoinAddr { key: peer.key(), address: peer.addresses()[0] };
    let serve = async {
        use starling_node::transport::Incoming as _;
        let connection = peer.accept().await.unwrap().accept().await.unwrap();
        let (mut send, _receive) = connection.accept().await.unwrap();
        send.send_last(&FrameHeader::frame(FrameKind::Pong, &[]).unwrap()).await.unwrap();
        connection.accept().await.is_err()
    };
    let (answered, ended) = within(async { tokio::join!(node.ping(address), serve) }).await;
    assert!(!answered && ended);
}
