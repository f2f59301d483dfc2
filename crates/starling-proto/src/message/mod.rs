//! What peers ask of one another and answer.
//!
//! One request and one response travel on a stream of their own. [`Request::decode`] and [`Response::decode`] turn a
//! checked frame into checked fields; [`Request::to_frame`] and [`Response::to_frame`] do the reverse.

mod overlay;
mod owner;
mod pass_on;
mod talk;

use alloc::vec::Vec;

use prost::Message as _;

pub use overlay::{
    DialBack, Fetch, FindNode, Hello, Matches, Mode, Proof, Prove, Query, Records, Refusal, StoreOutcome,
};
pub use owner::{Operation, OwnerOperation, OwnerRequest};
pub use pass_on::{PassOn, Passed, Placed};
pub use talk::{Deliver, DeviceProof, Sealed};

use crate::addr::Peer;
use crate::frame::{FrameHeader, FrameKind};
use crate::ids::{MailboxAddress, RecordId};
use crate::record::Record;
use crate::{DecodeError, wire};

/// Something asked of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// The first request of every connection.
    Hello(Hello),
    /// Are you there?
    Ping,
    /// Which peers do you know that are closest to a place?
    FindNode(FindNode),
    /// Keep this record.
    Store(Record),
    /// Which records do you hold under a key, and which peers are closer?
    Fetch(Fetch),
    /// Which directory entries match these words?
    Query(Query),
    /// Show that you hold a record.
    Prove(Prove),
    /// A mailbox owner's signed request: list, take, delete or subscribe.
    Owner(OwnerRequest),
    /// From a holder to a subscribed owner: something has come.
    Notify(MailboxAddress),
    /// Have me dialled, so that I learn whether I can be reached.
    DialBack(DialBack),
    /// Do this as if you wanted it yourself.
    PassOn(PassOn),
    /// My device speaks on this connection.
    DeviceProof(DeviceProof),
    /// Messages from one device to another.
    Deliver(Deliver),
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// To [`Request::Hello`].
    Hello(Hello),
    /// To [`Request::Ping`].
    Pong,
    /// To [`Request::FindNode`]: closest first.
    Nodes(Vec<Peer>),
    /// To [`Request::Store`]: on disk, or why not.
    Stored(StoreOutcome),
    /// To [`Request::Fetch`], and to [`Request::Owner`] that takes.
    Records(Records),
    /// To [`Request::Query`].
    Matches(Matches),
    /// To [`Request::Prove`].
    Proof(Proof),
    /// To [`Request::Owner`] with a list.
    Listed(Vec<RecordId>),
    /// To [`Request::Owner`] with a deletion: how many were there.
    Deleted(u32),
    /// To [`Request::Owner`] with a subscription.
    Subscribed,
    /// To [`Request::Notify`].
    Notified,
    /// To [`Request::DialBack`]: whether somebody will try.
    DialBack(bool),
    /// To [`Request::PassOn`].
    Passed(Passed),
    /// To [`Request::DeviceProof`]: the other side's.
    DeviceProof(DeviceProof),
    /// To [`Request::Deliver`]: how many, from the first, are on disk.
    Delivered(u32),
    /// To any: no.
    Refused(Refusal),
}

impl Request {
    /// The kind of frame it travels in.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Hello(_) => FrameKind::Hello,
            Self::Ping => FrameKind::Ping,
            Self::FindNode(_) => FrameKind::FindNode,
            Self::Store(_) => FrameKind::Store,
            Self::Fetch(_) => FrameKind::Fetch,
            Self::Query(_) => FrameKind::Query,
            Self::Prove(_) => FrameKind::Prove,
            Self::Owner(_) => FrameKind::Owner,
            Self::Notify(_) => FrameKind::Notify,
            Self::DialBack(_) => FrameKind::DialBack,
            Self::PassOn(_) => FrameKind::PassOn,
            Self::DeviceProof(_) => FrameKind::DeviceProof,
            Self::Deliver(_) => FrameKind::Deliver,
        }
    }

    /// Header and body.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if the receiver would refuse it.
    pub fn to_frame(&self) -> Result<Vec<u8>, DecodeError> {
        let body = match self {
            Self::Hello(hello) => hello.to_wire().encode_to_vec(),
            Self::Ping => Vec::new(),
            Self::FindNode(find) => find.to_wire().encode_to_vec(),
            Self::Store(record) => wire::Store { record: record.encode() }.encode_to_vec(),
            Self::Fetch(fetch) => fetch.to_wire().encode_to_vec(),
            Self::Query(query) => query.to_wire().encode_to_vec(),
            Self::Prove(prove) => prove.to_wire().encode_to_vec(),
            Self::Owner(owner) => owner.to_wire().encode_to_vec(),
            Self::Notify(address) => wire::Notify { address: address.as_bytes().to_vec() }.encode_to_vec(),
            Self::DialBack(dial) => dial.to_wire().encode_to_vec(),
            Self::PassOn(pass) => pass.to_wire().encode_to_vec(),
            Self::DeviceProof(proof) => proof.to_wire().encode_to_vec(),
            Self::Deliver(deliver) => deliver.to_wire().encode_to_vec(),
        };
        FrameHeader::frame(self.kind(), &body)
    }

    /// Reads the body of a frame whose header has been checked.
    ///
    /// # Errors
    /// [`DecodeError`] saying what is wrong; a response's kind is refused as unknown.
    pub fn decode(kind: FrameKind, body: &[u8]) -> Result<Self, DecodeError> {
        crate::limits::bytes_at_most("frame", body.len(), kind.cap())?;
        Ok(match kind {
            FrameKind::Hello => Self::Hello(Hello::from_wire(parse("hello", body)?)?),
            FrameKind::Ping => Self::Ping,
            FrameKind::FindNode => Self::FindNode(FindNode::from_wire(&parse("find_node", body)?)?),
            FrameKind::Store => Self::Store(Record::decode(&parse::<wire::Store>("store", body)?.record)?),
            FrameKind::Fetch => Self::Fetch(Fetch::from_wire(&parse("fetch", body)?)?),
            FrameKind::Query => Self::Query(Query::from_wire(parse("query", body)?)?),
            FrameKind::Prove => Self::Prove(Prove::from_wire(&parse("prove", body)?)?),
            FrameKind::Owner => Self::Owner(OwnerRequest::from_wire(parse("owner request", body)?)?),
            FrameKind::Notify => {
                let notify: wire::Notify = parse("notify", body)?;
                Self::Notify(MailboxAddress::from_slice(&notify.address)?)
            }
            FrameKind::DialBack => Self::DialBack(DialBack::from_wire(&parse("dial_back", body)?)?),
            FrameKind::PassOn => Self::PassOn(PassOn::from_wire(&parse("pass_on", body)?)?),
            FrameKind::DeviceProof => {
                Self::DeviceProof(DeviceProof::from_wire(parse("device_proof", body)?)?)
            }
            FrameKind::Deliver => Self::Deliver(Deliver::parse(body)?),
            _ => return Err(DecodeError::UnknownKind(kind.byte())),
        })
    }
}

impl Response {
    /// The kind of frame it travels in.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Hello(_) => FrameKind::HelloBack,
            Self::Pong => FrameKind::Pong,
            Self::Nodes(_) => FrameKind::Nodes,
            Self::Stored(_) => FrameKind::Stored,
            Self::Records(_) => FrameKind::Records,
            Self::Matches(_) => FrameKind::Matches,
            Self::Proof(_) => FrameKind::Proof,
            Self::Listed(_) => FrameKind::Listed,
            Self::Deleted(_) => FrameKind::Deleted,
            Self::Subscribed => FrameKind::Subscribed,
            Self::Notified => FrameKind::Notified,
            Self::DialBack(_) => FrameKind::DialBackResult,
            Self::Passed(_) => FrameKind::Passed,
            Self::DeviceProof(_) => FrameKind::DeviceProofBack,
            Self::Delivered(_) => FrameKind::Delivered,
            Self::Refused(_) => FrameKind::Refused,
        }
    }

    /// Header and body.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if the receiver would refuse it.
    pub fn to_frame(&self) -> Result<Vec<u8>, DecodeError> {
        let body = match self {
            Self::Hello(hello) => hello.to_wire().encode_to_vec(),
            Self::Pong | Self::Subscribed | Self::Notified => Vec::new(),
            Self::Nodes(peers) => overlay::nodes_to_wire(peers).encode_to_vec(),
            Self::Stored(outcome) => wire::Stored { outcome: outcome.number() }.encode_to_vec(),
            Self::Records(records) => records.to_wire().encode_to_vec(),
            Self::Matches(matches) => matches.to_wire().encode_to_vec(),
            Self::Proof(proof) => proof.to_wire().encode_to_vec(),
            Self::Listed(ids) => wire::Listed { record_ids: owner::ids_to_wire(ids) }.encode_to_vec(),
            Self::Deleted(count) => wire::Deleted { count: *count }.encode_to_vec(),
            Self::DialBack(accepted) => wire::DialBackResult { accepted: *accepted }.encode_to_vec(),
            Self::Passed(passed) => passed.to_wire().encode_to_vec(),
            Self::DeviceProof(proof) => proof.to_wire().encode_to_vec(),
            Self::Delivered(accepted) => wire::Delivered { accepted: *accepted }.encode_to_vec(),
            Self::Refused(refusal) => wire::Refused { code: refusal.number() }.encode_to_vec(),
        };
        FrameHeader::frame(self.kind(), &body)
    }

    /// Bytes of [`Self::to_frame`]; of the commonest long answer without making it, for those who count.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if the receiver would refuse it.
    pub fn frame_len(&self) -> Result<usize, DecodeError> {
        let Self::Nodes(peers) = self else { return Ok(self.to_frame()?.len()) };
        let len = overlay::nodes_len(peers);
        crate::limits::bytes_at_most("frame", len, self.kind().cap())?;
        Ok(len.saturating_add(FrameHeader::LEN))
    }

    /// Reads the body of a frame whose header has been checked.
    ///
    /// # Errors
    /// [`DecodeError`] saying what is wrong; a request's kind is refused as unknown.
    pub fn decode(kind: FrameKind, body: &[u8]) -> Result<Self, DecodeError> {
        crate::limits::bytes_at_most("frame", body.len(), kind.cap())?;
        Ok(match kind {
            FrameKind::HelloBack => Self::Hello(Hello::from_wire(parse("hello", body)?)?),
            FrameKind::Pong => Self::Pong,
            FrameKind::Nodes => Self::Nodes(overlay::parse_nodes(body)?),
            FrameKind::Stored => {
                Self::Stored(StoreOutcome::from_number(parse::<wire::Stored>("stored", body)?.outcome)?)
            }
            FrameKind::Records => Self::Records(Records::parse(body)?),
            FrameKind::Matches => Self::Matches(Matches::parse(body)?),
            FrameKind::Proof => Self::Proof(Proof::from_wire(&parse("proof", body)?)?),
            FrameKind::Listed => {
                Self::Listed(owner::ids_from_wire(&parse::<wire::Listed>("listed", body)?.record_ids)?)
            }
            FrameKind::Deleted => Self::Deleted(parse::<wire::Deleted>("deleted", body)?.count),
            FrameKind::Subscribed => Self::Subscribed,
            FrameKind::Notified => Self::Notified,
            FrameKind::DialBackResult => {
                Self::DialBack(parse::<wire::DialBackResult>("dial_back", body)?.accepted)
            }
            FrameKind::Passed => Self::Passed(Passed::from_wire(&parse("passed", body)?)?),
            FrameKind::DeviceProofBack => {
                Self::DeviceProof(DeviceProof::from_wire(parse("device_proof", body)?)?)
            }
            FrameKind::Delivered => Self::Delivered(parse::<wire::Delivered>("delivered", body)?.accepted),
            FrameKind::Refused => {
                Self::Refused(Refusal::from_number(parse::<wire::Refused>("refused", body)?.code))
            }
            _ => return Err(DecodeError::UnknownKind(kind.byte())),
        })
    }
}

/// Reads a protobuf message.
fn parse<M: prost::Message + Default>(what: &'static str, body: &[u8]) -> Result<M, DecodeError> {
    M::decode(body).map_err(|_| DecodeError::Malformed(what))
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::NodeKey;
    use crate::limits;

    fn peers() -> impl Strategy<Value = Vec<Peer>> {
        let addresses = proptest::collection::vec(any::<SocketAddr>(), 0..6);
        let peer = (any::<[u8; 32]>(), addresses).prop_map(|(key, at)| Peer::new(NodeKey::new(key), at));
        proptest::collection::vec(peer, 0..limits::ANSWER_PEERS)
    }

    proptest! {
        #[test]
        fn a_frame_is_as_long_as_it_is_said_to_be(peers in peers()) {
            for response in [Response::Nodes(peers), Response::Pong, Response::Deleted(300)] {
                prop_assert_eq!(response.frame_len().unwrap(), response.to_frame().unwrap().len());
            }
        }
    }

    #[test]
    fn what_no_frame_takes_has_no_length() {
        let address: SocketAddr = "[2001:db8::1]:40000".parse().unwrap();
        let peer = |n: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            Peer::new(NodeKey::new(key), [address])
        };
        let response = Response::Nodes((0..2_000).map(peer).collect());
        assert!(matches!(response.to_frame(), Err(DecodeError::TooLong { .. })));
        assert!(matches!(response.frame_len(), Err(DecodeError::TooLong { .. })));
    }
}
