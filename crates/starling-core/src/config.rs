//! What a network, a user or a test may set.

use starling_crypto::stamp::StampPolicy;
use starling_overlay::config::Config as OverlayConfig;
use starling_overlay::holder::HolderConfig;
pub use starling_overlay::holder::limits::{DISK, DISK_MAX, DISK_MIN};
use starling_proto::ids::NodeKey;
use starling_proto::version::NetworkName;

/// Zero bits of a stamp on networks other than `main` where nobody says otherwise: sixteen tries, so that a network of
/// a day, a demonstration or a test does not wait seconds for each new account.
const SMALL_NETWORK_BITS: u8 = 4;

/// How a core behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The network that we are on.
    pub network: NetworkName,
    /// The overlay's numbers.
    pub overlay: OverlayConfig,
    /// What a stamp must cost on this network.
    pub stamps: StampPolicy,
    /// Bytes of disk for the records of others: [`DISK`] unless the user says otherwise, [`DISK_MIN`] to [`DISK_MAX`].
    pub disk: u64,
}

impl Config {
    /// The numbers of `network`.
    #[must_use]
    pub fn of(network: &NetworkName) -> Self {
        let cheap = StampPolicy::for_network(network, SMALL_NETWORK_BITS);
        Self {
            network: network.clone(),
            overlay: OverlayConfig::default(),
            stamps: cheap.unwrap_or(StampPolicy::main()),
            disk: DISK,
        }
    }

    pub(crate) fn holder(&self, node: NodeKey) -> HolderConfig {
        HolderConfig { disk: self.disk, ..HolderConfig::new(node) }
    }
}
