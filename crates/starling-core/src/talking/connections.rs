//! Which connections stand, and who dialled: what a device proof is bound to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_crypto::proof::{Connection, End};
use starling_overlay::io::ChannelBinding;
use starling_proto::ids::NodeKey;

/// Connections with one peer that are remembered. Two dial each other at once, an address changes, a third is being
/// closed; of more the oldest is forgotten, and a proof on it is refused.
const PER_PEER: usize = 4;

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    binding: ChannelBinding,
    dialled: bool,
}

/// See the module's text. Bounded by the peers that are connected.
#[derive(Debug, Default)]
pub struct Connections {
    peers: BTreeMap<NodeKey, Vec<Standing>>,
}

impl Connections {
    /// A connection stands.
    pub fn up(&mut self, peer: NodeKey, binding: ChannelBinding, dialled: bool) {
        let connections = self.peers.entry(peer).or_default();
        connections.retain(|known| known.binding != binding);
        // Nearly all peers have one connection: no room for more than there are.
        connections.reserve_exact(1);
        connections.push(Standing { binding, dialled });
        if connections.len() > PER_PEER {
            connections.remove(0);
        }
    }

    /// The last connection with a peer ended.
    pub fn down(&mut self, peer: &NodeKey) {
        self.peers.remove(peer);
    }

    /// One connection has turned out to be gone.
    pub fn closed(&mut self, peer: &NodeKey, binding: &ChannelBinding) {
        if let Some(connections) = self.peers.get_mut(peer) {
            connections.retain(|known| known.binding != *binding);
        }
    }

    /// The newest connection with a peer.
    #[must_use]
    pub fn newest(&self, peer: &NodeKey) -> Option<ChannelBinding> {
        self.peers.get(peer)?.last().map(|known| known.binding)
    }

    /// A connection as we sign for it: from `own` to `peer`.
    #[must_use]
    pub fn as_prover(&self, own: NodeKey, peer: NodeKey, binding: &ChannelBinding) -> Option<Connection> {
        let end = if self.dialled(&peer, binding)? { End::Dialler } else { End::Listener };
        Some(Connection { channel_binding: *binding, prover: own, verifier: peer, end })
    }

    /// A connection as `peer` signs for it.
    #[must_use]
    pub fn as_verifier(&self, own: NodeKey, peer: NodeKey, binding: &ChannelBinding) -> Option<Connection> {
        let end = if self.dialled(&peer, binding)? { End::Listener } else { End::Dialler };
        Some(Connection { channel_binding: *binding, prover: peer, verifier: own, end })
    }

    fn dialled(&self, peer: &NodeKey, binding: &ChannelBinding) -> Option<bool> {
        let known = self.peers.get(peer)?.iter().find(|known| known.binding == *binding)?;
        Some(known.dialled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeKey = NodeKey::new([1; 32]);
    const OWN: NodeKey = NodeKey::new([2; 32]);

    #[test]
    fn both_ends_see_one_connection() {
        let (mut ours, mut theirs) = (Connections::default(), Connections::default());
        ours.up(PEER, [7; 32], true);
        theirs.up(OWN, [7; 32], false);
        assert_eq!(ours.as_prover(OWN, PEER, &[7; 32]), theirs.as_verifier(PEER, OWN, &[7; 32]));
        assert_eq!(ours.as_verifier(OWN, PEER, &[7; 32]), theirs.as_prover(PEER, OWN, &[7; 32]));
        assert_ne!(ours.as_prover(OWN, PEER, &[7; 32]), ours.as_verifier(OWN, PEER, &[7; 32]));
    }

    #[test]
    fn the_newest_counts_and_few_are_kept() {
        let mut connections = Connections::default();
        for n in 0..9 {
            connections.up(PEER, [n; 32], true);
        }
        assert_eq!(connections.newest(&PEER), Some([8; 32]));
        assert_eq!(connections.as_prover(OWN, PEER, &[4; 32]), None);
        connections.closed(&PEER, &[8; 32]);
        assert_eq!(connections.newest(&PEER), Some([7; 32]));
        connections.down(&PEER);
        assert_eq!(connections.newest(&PEER), None);
    }
}
