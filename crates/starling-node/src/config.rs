//! What a node is started with.

use std::fmt;
use std::net::SocketAddr;

use starling_proto::version::NetworkName;
use zeroize::Zeroizing;

use crate::limits::Limits;

/// What the shell needs to know. What the core needs is the machine's own configuration.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Which network to be on.
    pub network: NetworkName,
    /// The node key's secret half.
    pub secret: NodeSecret,
    /// Sockets to listen on, at most one of each family; none means any port on all interfaces of both families.
    pub listen: Vec<SocketAddr>,
    /// The bounds.
    pub limits: Limits,
}

impl NodeConfig {
    /// A node of `network` that listens on any port of all interfaces, with the default bounds.
    #[must_use]
    pub fn new(network: NetworkName, secret: NodeSecret) -> Self {
        Self { network, secret, listen: Vec::new(), limits: Limits::default() }
    }
}

/// The Ed25519 seed of the node key. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct NodeSecret(Zeroizing<[u8; 32]>);

impl NodeSecret {
    /// Takes the seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let config = NodeConfig::new(NetworkName::main(), NodeSecret::new([0xab; 32]));
        let shown = format!("{config:?}");
        assert!(shown.contains("NodeSecret(..)") && !shown.contains("171") && !shown.contains("ab, "));
    }
}
