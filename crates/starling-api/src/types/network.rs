//! Entering the network.

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_proto::addr::JoinAddr;
use utoipa::ToSchema;

use super::text;

/// Enter the network through these peers, and those known from before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// `NODEID@IP:PORT`, each. May be empty: then only peers known from before are tried.
    #[serde(with = "text::list")]
    #[schema(value_type = Vec<String>)]
    pub peers: Vec<JoinAddr>,
}

/// Answer to a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinReply {
    /// Peers in the routing table; 0 means that nobody answered.
    pub peers: u64,
}

impl From<JoinRequest> for Command {
    fn from(request: JoinRequest) -> Self {
        Self::Join(request.peers)
    }
}

impl JoinReply {
    pub(crate) fn new(peers: usize) -> Self {
        Self { peers: super::count(peers) }
    }
}
