//! Messages of the overlay: finding peers, keeping and finding records.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::addr::{self, Peer};
use crate::ids::{NodeId, NodeKey, RecordId, RecordKey};
use crate::record::{Record, RecordKind};
use crate::version::ProtocolVersion;
use crate::{DecodeError, count, limits, wire};

/// Whether a peer serves others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Asks only: in nobody's table, holds nothing.
    Client,
    /// Has been dialled by a peer of another address group: enters tables and holds records.
    Server,
}

/// The first message of a connection, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version the sender speaks.
    pub version: ProtocolVersion,
    /// Whether the sender serves.
    pub mode: Mode,
    /// The sender's clock, in minutes since 1970.
    pub coarse_time_min: u64,
    /// Where the sender sees the receiver.
    pub observed: Option<SocketAddr>,
    /// Where the sender believes that it can be dialled.
    pub addresses: Vec<SocketAddr>,
}

impl Hello {
    pub(super) fn to_wire(&self) -> wire::Hello {
        wire::Hello {
            version: self.version.number(),
            mode: match self.mode {
                Mode::Client => 1,
                Mode::Server => 2,
            },
            coarse_time_min: self.coarse_time_min,
            observed: self.observed.as_ref().map(addr::address_to_wire),
            addresses: self.addresses.iter().map(addr::address_to_wire).collect(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "all `from_wire` of owned messages look alike")]
    pub(super) fn from_wire(hello: wire::Hello) -> Result<Self, DecodeError> {
        Ok(Self {
            version: ProtocolVersion::from_number(hello.version)?,
            mode: match hello.mode {
                1 => Mode::Client,
                2 => Mode::Server,
                other => return Err(DecodeError::OutOfRange { what: "mode", got: u64::from(other) }),
            },
            coarse_time_min: hello.coarse_time_min,
            observed: hello.observed.as_ref().map(addr::address_from_wire).transpose()?,
            addresses: addr::addresses_from_wire(&hello.addresses)?,
        })
    }
}

/// Asks for the peers closest to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindNode {
    /// The place.
    pub target: NodeId,
    /// How many peers, 1 to [`limits::ANSWER_PEERS`].
    pub count: u8,
}

impl FindNode {
    pub(super) fn to_wire(self) -> wire::FindNode {
        wire::FindNode { target: self.target.as_bytes().to_vec(), count: u32::from(self.count) }
    }

    pub(super) fn from_wire(find: &wire::FindNode) -> Result<Self, DecodeError> {
        let count = small("count", find.count, limits::ANSWER_PEERS)?;
        Ok(Self { target: NodeId::from_slice(&find.target)?, count })
    }
}

/// Asks for records, and for closer peers in the same round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// Where the records are kept.
    pub key: RecordKey,
    /// Which kind.
    pub kind: RecordKind,
    /// How many records, 0 to [`limits::ANSWER_RECORDS`].
    pub count: u8,
    /// How many peers, 0 to [`limits::ANSWER_PEERS`].
    pub peers: u8,
}

impl Fetch {
    pub(super) fn to_wire(self) -> wire::Fetch {
        wire::Fetch {
            key: self.key.as_bytes().to_vec(),
            kind: self.kind.number(),
            count: u32::from(self.count),
            peers: u32::from(self.peers),
        }
    }

    pub(super) fn from_wire(fetch: &wire::Fetch) -> Result<Self, DecodeError> {
        Ok(Self {
            key: RecordKey::from_slice(&fetch.key)?,
            kind: RecordKind::from_number(fetch.kind)?,
            count: small("count", fetch.count, limits::ANSWER_RECORDS)?,
            peers: small("peers", fetch.peers, limits::ANSWER_PEERS)?,
        })
    }
}

/// Records found, and closer peers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// The records, signatures unchecked. One that does not parse was left out: a bad item does not hide the rest.
    pub records: Vec<Record>,
    /// The closest peers that the holder knows.
    pub peers: Vec<Peer>,
    /// How many more records the holder has.
    pub left_out: u32,
}

impl Records {
    pub(super) fn to_wire(&self) -> wire::Records {
        wire::Records {
            records: self.records.iter().map(Record::encode).collect(),
            peers: self.peers.iter().map(Peer::to_wire).collect(),
            left_out: self.left_out,
        }
    }

    /// Reads the body of a frame.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        check_records(body)?;
        check_peers(body, 2)?;
        let found: wire::Records = super::parse("records", body)?;
        Ok(Self {
            records: records_from_wire(&found.records),
            peers: peers_from_wire(&found.peers)?,
            left_out: found.left_out,
        })
    }
}

/// A directory search that the holder of an index key answers from its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The index key of one of the words.
    pub key: RecordKey,
    /// All the words, folded.
    pub words: Vec<String>,
    /// How many entries, at most [`limits::ANSWER_RECORDS`].
    pub count: u8,
}

impl Query {
    pub(super) fn to_wire(&self) -> wire::Query {
        wire::Query {
            key: self.key.as_bytes().to_vec(),
            words: self.words.clone(),
            count: u32::from(self.count),
        }
    }

    pub(super) fn from_wire(query: wire::Query) -> Result<Self, DecodeError> {
        limits::at_most("words", query.words.len(), limits::WORDS)?;
        for word in &query.words {
            limits::bytes_at_most("word", word.len(), limits::WORD)?;
            if word.is_empty() {
                return Err(DecodeError::Missing("word"));
            }
        }
        let count = small("count", query.count, limits::ANSWER_RECORDS)?;
        Ok(Self { key: RecordKey::from_slice(&query.key)?, words: query.words, count })
    }
}

/// What a holder found for a [`Query`], best first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// Directory entries, signatures unchecked.
    pub records: Vec<Record>,
    /// How many more matched.
    pub left_out: u32,
}

impl Matches {
    pub(super) fn to_wire(&self) -> wire::Matches {
        wire::Matches { records: self.records.iter().map(Record::encode).collect(), left_out: self.left_out }
    }

    /// Reads the body of a frame.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        check_records(body)?;
        let matches: wire::Matches = super::parse("matches", body)?;
        Ok(Self { records: records_from_wire(&matches.records), left_out: matches.left_out })
    }
}

/// Asks a holder to show that it has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prove {
    /// Which record.
    pub record: RecordId,
    /// Chosen by the asker, fresh each time.
    pub nonce: [u8; limits::NONCE],
}

impl Prove {
    pub(super) fn to_wire(self) -> wire::Prove {
        wire::Prove { record_id: self.record.as_bytes().to_vec(), nonce: self.nonce.to_vec() }
    }

    pub(super) fn from_wire(prove: &wire::Prove) -> Result<Self, DecodeError> {
        let nonce = prove.nonce.as_slice().try_into().map_err(|_| DecodeError::WrongLength {
            what: "nonce",
            expected: limits::NONCE,
            got: prove.nonce.len(),
        })?;
        Ok(Self { record: RecordId::from_slice(&prove.record_id)?, nonce })
    }
}

/// What became of a [`Request::Store`](super::Request::Store).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StoreOutcome {
    /// On the holder's disk.
    Stored,
    /// The holder has this version or a newer one on its disk.
    HaveNewer,
    /// Signature, publisher, stamp, dates or leave are not in order.
    Invalid,
    /// The holder is not among the peers that this key belongs to.
    NotNear,
    /// The publisher's, the sender's or the holder's share is used up.
    QuotaFull,
    /// The holder's disk is full, or it only asks.
    NotServing,
}

impl StoreOutcome {
    const ALL: [Self; 6] =
        [Self::Stored, Self::HaveNewer, Self::Invalid, Self::NotNear, Self::QuotaFull, Self::NotServing];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Stored => 1,
            Self::HaveNewer => 2,
            Self::Invalid => 3,
            Self::NotNear => 4,
            Self::QuotaFull => 5,
            Self::NotServing => 6,
        }
    }

    pub(super) fn from_number(number: u32) -> Result<Self, DecodeError> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.number() == number)
            .ok_or(DecodeError::OutOfRange { what: "store outcome", got: u64::from(number) })
    }
}

/// Asks to be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialBack {
    /// Whom to dial.
    pub subject: NodeKey,
    /// Where.
    pub addresses: Vec<SocketAddr>,
    /// Whether a peer asks for another: then the receiver dials, and asks nobody further.
    pub relayed: bool,
}

impl DialBack {
    pub(super) fn to_wire(&self) -> wire::DialBack {
        wire::DialBack {
            subject: self.subject.as_bytes().to_vec(),
            addresses: self.addresses.iter().map(addr::address_to_wire).collect(),
            relayed: self.relayed,
        }
    }

    pub(super) fn from_wire(dial: &wire::DialBack) -> Result<Self, DecodeError> {
        Ok(Self {
            subject: NodeKey::from_slice(&dial.subject)?,
            addresses: addr::addresses_from_wire(&dial.addresses)?,
            relayed: dial.relayed,
        })
    }
}

/// Why a peer said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refusal {
    /// A frame kind that the peer does not know, or a reason that we do not.
    Unknown,
    /// The request was malformed.
    Malformed,
    /// The peer has more to do than it can.
    Busy,
    /// Only a greeted, a proven or an accepted peer may ask this.
    NotAllowed,
    /// The asker has used up its share for now.
    RateLimited,
}

impl Refusal {
    const ALL: [Self; 5] = [Self::Unknown, Self::Malformed, Self::Busy, Self::NotAllowed, Self::RateLimited];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Unknown => 1,
            Self::Malformed => 2,
            Self::Busy => 3,
            Self::NotAllowed => 4,
            Self::RateLimited => 5,
        }
    }

    /// Reads the number on the wire; a reason of a later version is [`Self::Unknown`].
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self::ALL.into_iter().find(|refusal| refusal.number() == number).unwrap_or(Self::Unknown)
    }
}

pub(super) fn nodes_to_wire(peers: &[Peer]) -> wire::Nodes {
    wire::Nodes { peers: peers.iter().map(Peer::to_wire).collect() }
}

/// Bytes of [`nodes_to_wire`] when it is encoded.
pub(super) fn nodes_len(peers: &[Peer]) -> usize {
    peers.iter().map(|peer| addr::field_len(peer.wire_len())).fold(0, usize::saturating_add)
}

/// Reads the body of an answer to [`FindNode`].
pub(super) fn parse_nodes(body: &[u8]) -> Result<Vec<Peer>, DecodeError> {
    check_peers(body, 1)?;
    let nodes: wire::Nodes = super::parse("nodes", body)?;
    peers_from_wire(&nodes.peers)
}

/// What a holder says of a record that it is to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is here: [`Record::proof`](crate::record::Record::proof) of the nonce, unchecked.
    Held([u8; 32]),
    /// It is not: the owner of its mailbox has deleted it. The holder's word alone.
    Deleted,
    /// It is not here.
    Missing,
}

impl Proof {
    pub(super) fn to_wire(self) -> wire::Proof {
        match self {
            Self::Held(proof) => wire::Proof { proof: proof.to_vec(), deleted: false },
            Self::Deleted => wire::Proof { proof: Vec::new(), deleted: true },
            Self::Missing => wire::Proof { proof: Vec::new(), deleted: false },
        }
    }

    pub(super) fn from_wire(proof: &wire::Proof) -> Result<Self, DecodeError> {
        if proof.proof.is_empty() {
            return Ok(if proof.deleted { Self::Deleted } else { Self::Missing });
        }
        let exact = proof.proof.as_slice().try_into();
        exact.map(Self::Held).map_err(|_| DecodeError::WrongLength {
            what: "proof",
            expected: 32,
            got: proof.proof.len(),
        })
    }
}

/// Counts the peers in field `number`, and the addresses of each.
fn check_peers(body: &[u8], number: u32) -> Result<(), DecodeError> {
    count::at_most("peers", body, number, limits::ANSWER_PEERS)?;
    count::items(body, number)
        .try_for_each(|peer| count::at_most("addresses", peer, 2, limits::PEER_ADDRESSES))
}

fn peers_from_wire(peers: &[wire::Peer]) -> Result<Vec<Peer>, DecodeError> {
    peers.iter().map(Peer::from_wire).collect()
}

/// Counts the records, which are field 1 in all answers that hold any.
fn check_records(body: &[u8]) -> Result<(), DecodeError> {
    count::at_most("records", body, 1, limits::ANSWER_RECORDS)
}

fn records_from_wire(records: &[Vec<u8>]) -> Vec<Record> {
    records.iter().filter_map(|bytes| Record::decode(bytes).ok()).collect()
}

pub(super) fn small(what: &'static str, got: u32, limit: usize) -> Result<u8, DecodeError> {
    match u8::try_from(got) {
        Ok(small) if usize::from(small) <= limit => Ok(small),
        _ => Err(DecodeError::OutOfRange { what, got: u64::from(got) }),
    }
}
