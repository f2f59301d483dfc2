//! Who this node belongs to.

use serde::{Deserialize, Serialize};
use starling_core::view;
use starling_proto::ids::{AccountKey, DeviceKey, NodeKey};
use utoipa::ToSchema;

use super::text;

/// Answer to `whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// The account id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// This installation's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceKey,
    /// This peer's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub node: NodeKey,
    /// The name.
    pub name: String,
    /// The short key tag that stands beside the name.
    pub tag: String,
}

impl From<view::WhoAmI> for WhoAmI {
    fn from(view: view::WhoAmI) -> Self {
        Self { account: view.account, device: view.device, node: view.node, name: view.name, tag: view.tag }
    }
}
