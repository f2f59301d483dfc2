//! What `--join` takes.

use std::net::SocketAddr;
use std::str::FromStr;

use starling_api::types::Code;
use starling_proto::addr::JoinAddr;
use starling_proto::invite::Invite;
use starling_proto::version::NetworkName;

use crate::failure::Failure;

/// A way into a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JoinTarget {
    /// One peer at one address.
    Peer(JoinAddr),
    /// The peers that an invite names.
    Invite(Box<Invite>),
}

impl JoinTarget {
    /// The peers to dial.
    ///
    /// # Errors
    /// The invite is for another network.
    pub(super) fn peers(&self, network: &NetworkName) -> Result<Vec<JoinAddr>, Failure> {
        match self {
            Self::Peer(peer) => Ok(vec![*peer]),
            Self::Invite(invite) if invite.network == *network => {
                let peers = invite.peers().iter();
                Ok(peers
                    .flat_map(|peer| peer.addresses().iter().map(|address| join_addr(peer.key(), *address)))
                    .collect())
            }
            Self::Invite(invite) => Err(Failure::new(
                Code::BadInput,
                format!("the invite is for the network {}, not for {network}", invite.network),
                format!("use --network {}", invite.network),
            )),
        }
    }
}

fn join_addr(key: starling_proto::ids::NodeKey, address: SocketAddr) -> JoinAddr {
    JoinAddr { key, address }
}

impl FromStr for JoinTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let begins =
            |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        if begins(Invite::SCHEME) || begins(&format!("{}1", Invite::PREFIX)) {
            return text
                .parse()
                .map(|invite| Self::Invite(Box::new(invite)))
                .map_err(|error| format!("{error}"));
        }
        if text.parse::<SocketAddr>().is_ok() {
            return Err(
                "an address alone does not say who must answer there: write NODEID@IP:PORT, the `join` line \
                        that the other peer's `starling run` prints"
                    .to_owned(),
            );
        }
        text.parse().map(Self::Peer).map_err(|error: starling_proto::TextError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::addr::Peer;
    use starling_proto::ids::{AccountKey, DeviceKey, NodeKey, OlmKey};
    use starling_proto::invite::InviteSecret;
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn peer() -> JoinAddr {
        JoinAddr { key: NodeKey::new([5; 32]), address: "192.0.2.7:4040".parse().unwrap() }
    }

    #[test]
    fn a_peer_is_understood() {
        let target: JoinTarget = peer().to_string().parse().unwrap();
        assert_eq!(target.peers(&NetworkName::main()).unwrap(), [peer()]);
    }

    #[test]
    fn a_bare_address_is_refused_with_a_hint() {
        for bare in ["127.0.0.1:4040", "[::1]:4040"] {
            assert!(bare.parse::<JoinTarget>().unwrap_err().contains("NODEID@IP:PORT"), "{bare}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "alice", "@", "starnode1@127.0.0.1:1", "starling:invite1qqqq", "127.0.0.1"] {
            assert!(text.parse::<JoinTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_invite_names_its_peers_on_its_network() {
        let invite = Invite::new(
            AccountKey::new([1; 32]),
            DeviceKey::new([2; 32]),
            OlmKey::new([3; 32]),
            InviteSecret::new([4; 16]),
            UnixSeconds::new(2_000_000_000),
            "village".parse().unwrap(),
        )
        .with_peers([Peer::from(peer())]);
        let target: JoinTarget = invite.to_string().to_uppercase().parse().unwrap();
        assert_eq!(target.peers(&"village".parse().unwrap()).unwrap(), [peer()]);
        let refused = target.peers(&NetworkName::main()).unwrap_err();
        assert_eq!(refused.hint(), "use --network village");
    }
}
