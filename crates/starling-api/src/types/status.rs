//! What is going on in the node.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};
use starling_core::view;
use starling_proto::addr::JoinAddr;
use starling_proto::message;
use utoipa::ToSchema;

use super::{count, text};
use crate::backend::NodeInfo;

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Whether this peer serves others.
    pub mode: Mode,
    /// Peers that are connected now.
    pub peers: u64,
    /// Peers that are known, by distance.
    pub routing_table: RoutingTable,
    /// Lookups, stores and queries under way.
    pub running: u64,
    /// Commands that wait for one of those to end.
    pub waiting: u64,
    /// What is held for others.
    pub held: Held,
    /// What was done for peers since the node started.
    pub served: Served,
    /// Our own directory entries.
    pub entries: Entries,
    /// People by how they stand to us.
    pub contacts: ContactCounts,
    /// Messages, receipts and contact requests that wait to be sent or confirmed.
    pub queued: u64,
    /// The node's own socket addresses.
    #[schema(value_type = Vec<String>)]
    pub addrs: Vec<SocketAddr>,
    /// Where several unrelated peers see the node.
    #[schema(value_type = Vec<String>)]
    pub observed: Vec<SocketAddr>,
    /// What another node's `--join` takes; null while no address is known.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub join: Option<JoinAddr>,
    /// Size of the database in bytes; null if it could not be read.
    pub database_bytes: Option<u64>,
    /// Whether the disk is full: then nothing is written until there is room.
    pub disk_full: bool,
    /// For how many seconds the node has been running.
    pub uptime_s: u64,
    /// The program's version.
    pub version: String,
}

/// Whether a peer serves others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Asks only: in nobody's table, holds nothing.
    Client,
    /// Can be dialled: in other peers' tables, holds records.
    Server,
}

/// The routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoutingTable {
    /// Peers in all.
    pub peers: u64,
    /// The buckets that are not empty.
    pub buckets: Vec<Bucket>,
}

/// Peers at one distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// Leading bits that their places share with ours.
    pub shared_bits: u32,
    /// How many there are.
    pub peers: u64,
}

/// What is held for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// Records, those included that only bar older versions.
    pub records: u64,
    /// Size of the deposits that their owners gave leave for, in bytes.
    pub welcome_bytes: u64,
    /// Size of everything else, in bytes.
    pub open_bytes: u64,
    /// The bound on each of the two sizes, in bytes: half of what `run --hold-at-most` says. More is held only where it
    /// said more before; nothing new is taken then until so much is over, fetched or deleted.
    pub pool_bytes: u64,
    /// Whether one of the two is so near to the bound, or beyond it, that the smallest record finds no room: it is refused,
    /// or others make way.
    pub full: bool,
    /// Deletions that are remembered.
    pub deletions: u64,
    /// Rows that could not be read and await removal.
    pub damaged: u64,
    /// Records that were taken since the node started, new versions included.
    pub taken: u64,
    /// What these counted, in bytes.
    pub taken_bytes: u64,
    /// Records that were refused since then because there was no room for them, or they had used up their share.
    pub refused: u64,
    /// Records that made way for others since then although their time was not over.
    pub evicted: u64,
    /// Those of them that were deposits their owners gave leave for: mail between contacts.
    pub evicted_welcome: u64,
}

/// What was done for peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Served {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were refused because whoever asked had used up their share for now.
    pub rate_limited: u64,
    /// Requests that were refused for another cause.
    pub refused: u64,
}

/// Our own directory entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entries {
    /// How many are to be published.
    pub wanted: u64,
    /// How many of them at least one holder has as they are now.
    pub placed: u64,
}

/// People by how they stand to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ContactCounts {
    /// Both agreed.
    pub accepted: u64,
    /// They ask, we have not answered.
    pub incoming: u64,
    /// We asked, they have not answered.
    pub requested: u64,
}

impl Status {
    pub(crate) fn new(view: view::Status, info: NodeInfo) -> Self {
        let held = Held::of(&view);
        let overlay = view.overlay;
        Self {
            mode: overlay.mode.into(),
            peers: count(overlay.connected),
            routing_table: RoutingTable::new(overlay.peers, &overlay.buckets),
            running: count(overlay.running),
            waiting: count(overlay.waiting),
            held,
            served: info.counts.answers().into(),
            entries: Entries { wanted: count(view.entries.wanted), placed: count(view.entries.placed) },
            contacts: view.contacts.into(),
            queued: count(view.queued),
            addrs: info.addresses,
            observed: overlay.addresses,
            join: info.join,
            database_bytes: info.database_bytes,
            disk_full: overlay.disk_full,
            uptime_s: info.uptime.as_secs(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl RoutingTable {
    /// `sizes`: of the bucket of those that share no bit first.
    fn new(peers: usize, sizes: &[usize]) -> Self {
        let buckets =
            (0_u32..).zip(sizes).map(|(shared_bits, peers)| Bucket { shared_bits, peers: count(*peers) });
        Self { peers: count(peers), buckets: buckets.filter(|bucket| bucket.peers > 0).collect() }
    }
}

impl Held {
    fn of(view: &view::Status) -> Self {
        let (held, turnover) = (&view.overlay.held, &view.overlay.turnover);
        Self {
            records: count(held.records),
            welcome_bytes: held.welcome_bytes,
            open_bytes: held.open_bytes,
            pool_bytes: held.pool_bytes,
            full: held.is_full(),
            deletions: count(held.deletions),
            damaged: count(held.damaged),
            taken: turnover.taken,
            taken_bytes: turnover.taken_bytes,
            refused: turnover.refused,
            evicted: turnover.evicted,
            evicted_welcome: turnover.evicted_welcome,
        }
    }
}

impl From<starling_node::Answers> for Served {
    fn from(answers: starling_node::Answers) -> Self {
        let starling_node::Answers { answered, rate_limited, refused } = answers;
        Self { answered, rate_limited, refused }
    }
}

impl From<view::ContactCounts> for ContactCounts {
    fn from(view: view::ContactCounts) -> Self {
        Self {
            accepted: count(view.accepted),
            incoming: count(view.incoming),
            requested: count(view.requested),
        }
    }
}

impl From<message::Mode> for Mode {
    fn from(mode: message::Mode) -> Self {
        match mode {
            message::Mode::Client => Self::Client,
            message::Mode::Server => Self::Server,
        }
    }
}
