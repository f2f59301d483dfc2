//! The greeting: the first exchange on every connection.

use std::net::SocketAddr;

use starling_overlay::group::AddressGroup;
use starling_proto::addr::is_dialable;
use starling_proto::frame::FrameKind;
use starling_proto::limits::PEER_ADDRESSES;
use starling_proto::message::{Hello, Refusal, Request, Response};
use starling_proto::version::ProtocolVersion;

use super::{Pool, lock};
use crate::frames::{NoRequest, read_request, read_response};
use crate::transport::{Connection, ReceiveHalf, SendHalf, Transport};

/// Requests before the greeting that are answered; a peer that sends more is not of our kind.
const EARLY_REQUESTS: usize = 3;

impl<T: Transport> Pool<T> {
    /// Greets a peer that we have dialled; `None` if it does not greet back.
    pub(super) async fn greet_first(&self, connection: &T::Connection) -> Option<Hello> {
        let (mut send, mut receive) = connection.open().await.ok()?;
        let frame = Request::Hello(self.hello(connection)).to_frame().ok()?;
        send.send_last(&frame).await.ok()?;
        match read_response(&mut receive, FrameKind::Hello).await.ok()? {
            Response::Hello(hello) => Some(hello),
            _ => None,
        }
    }

    /// Waits for the greeting of a peer that has dialled us, and returns it. Anything else it asks is not allowed yet.
    pub(super) async fn greet_back(&self, connection: &T::Connection) -> Option<Hello> {
        for _ in 0..=EARLY_REQUESTS {
            let (mut send, mut receive) = connection.accept().await.ok()?;
            let (response, hello) = match read_request(&mut receive, &self.0.reading).await {
                Ok(Request::Hello(hello)) => (Response::Hello(self.hello(connection)), Some(hello)),
                Ok(_) => (Response::Refused(Refusal::NotAllowed), None),
                Err(NoRequest::Refuse(refusal)) => (Response::Refused(refusal), None),
                Err(NoRequest::Ended) => return None,
            };
            if hello.is_none() {
                receive.stop();
            }
            send.send_last(&response.to_frame().ok()?).await.ok()?;
            if hello.is_some() {
                return hello;
            }
        }
        None
    }

    /// What we say: how we greet, where we see the peer, and the minute by our clock.
    fn hello(&self, connection: &T::Connection) -> Hello {
        let greeting = lock(&self.0.greeting).clone();
        let observed: SocketAddr = connection.remote().address;
        let theirs = AddressGroup::of(&observed);
        // What means nothing where the peer is would only tell it about our network.
        let tellable =
            |ours: &SocketAddr| is_dialable(ours) && AddressGroup::of(ours).may_be_told_to(&theirs);
        Hello {
            version: ProtocolVersion::CURRENT,
            mode: greeting.mode,
            coarse_time_min: self.0.clock.now().seconds().get() / 60,
            observed: is_dialable(&observed).then_some(observed),
            addresses: greeting.addresses.into_iter().filter(tellable).take(PEER_ADDRESSES).collect(),
        }
    }
}
