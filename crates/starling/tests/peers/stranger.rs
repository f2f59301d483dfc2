//! Somebody who speaks our protocol and does with it what they want.

use std::net::SocketAddr;

use starling_node::NodeSecret;
use starling_node::transport::{
    Connection as _, QuicConnection, QuicTransport, SendHalf as _, Transport as _,
};
use starling_proto::addr::{JoinAddr, Peer};
use starling_proto::frame::FrameHeader;
use starling_proto::message::{Hello, Mode, Request, Response};
use starling_proto::version::ProtocolVersion;
use tokio::time::timeout;

use super::PATIENCE;

/// More than any answer is long.
const LONGEST_FRAME: usize = 100_000;

/// A greeted connection from a socket of its own, under a key of its own.
pub struct Stranger {
    connection: QuicConnection,
    /// Held, or the connection ends.
    _transport: QuicTransport,
}

impl Stranger {
    pub async fn connect(to: JoinAddr) -> Self {
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (network, secret) = ("test".parse().unwrap(), NodeSecret::new(rand::random()));
        let transport = QuicTransport::bind(&network, &secret, &[listen]).await.unwrap();
        let peer = Peer::from(to);
        let connecting = transport.connect(&peer);
        let connection = timeout(PATIENCE, connecting).await.expect("an answer in time").unwrap();
        let stranger = Self { connection, _transport: transport };
        let hello = Hello {
            version: ProtocolVersion::CURRENT,
            mode: Mode::Client,
            coarse_time_min: 0,
            observed: None,
            addresses: Vec::new(),
        };
        let greeted = stranger.ask(&Request::Hello(hello)).await;
        assert!(matches!(greeted, Response::Hello(_)), "{greeted:?}");
        stranger
    }

    pub async fn ask(&self, request: &Request) -> Response {
        let (mut send, mut receive) = self.connection.open().await.unwrap();
        send.send_last(&request.to_frame().unwrap()).await.unwrap();
        let answer = timeout(PATIENCE, receive.read_to_end(LONGEST_FRAME)).await;
        let frame = answer.expect("an answer in time").unwrap();
        let header = FrameHeader::parse(&frame).unwrap();
        Response::decode(header.kind, &frame[FrameHeader::LEN..]).unwrap()
    }
}
