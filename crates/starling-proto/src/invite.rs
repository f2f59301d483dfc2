//! An invite: a link or QR code that carries the account key, a one-time key, a secret and ways into the network.
//!
//! Text form: `starling:invite1…`, the protobuf message in Bech32m, in either case.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use prost::Message as _;

use crate::addr::Peer;
use crate::ids::{AccountKey, DeviceKey, OlmKey};
use crate::time::UnixSeconds;
use crate::version::NetworkName;
use crate::{DecodeError, TextError, limits, text, wire};

/// 128 random bits; whoever knows them was invited.
#[derive(Clone)]
pub struct InviteSecret([u8; Self::LEN]);

impl InviteSecret {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Wraps random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes; never for a log.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Compares every byte, so that the time taken says nothing about where two secrets differ.
impl PartialEq for InviteSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl Eq for InviteSecret {}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

/// An invitation to become the contact of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Who invites.
    pub account: AccountKey,
    /// The device that holds the one-time key.
    pub device: DeviceKey,
    /// Olm one-time key, used up by the first who answers.
    pub one_time_key: OlmKey,
    /// What replaces the proof of work.
    pub secret: InviteSecret,
    /// Until when.
    pub expires: UnixSeconds,
    /// The network on which the account is found.
    pub network: NetworkName,
    peers: Vec<Peer>,
}

impl Invite {
    /// What stands before the text form.
    pub const SCHEME: &'static str = text::SCHEME;
    /// The prefix of the text form.
    pub const PREFIX: &'static str = "invite";
    /// The longest text form, in bytes: the longest Bech32m and the scheme.
    pub const LONGEST_TEXT: usize = text::LONGEST;

    /// An invite that names no way into the network.
    #[must_use]
    pub const fn new(
        account: AccountKey,
        device: DeviceKey,
        one_time_key: OlmKey,
        secret: InviteSecret,
        expires: UnixSeconds,
        network: NetworkName,
    ) -> Self {
        Self { account, device, one_time_key, secret, expires, network, peers: Vec::new() }
    }

    /// Names the first [`limits::INVITE_PEERS`] of `peers` as ways into the network, each with its first
    /// [`limits::INVITE_ADDRESSES`] addresses: more would not fit into a text form.
    #[must_use]
    pub fn with_peers(mut self, peers: impl IntoIterator<Item = Peer>) -> Self {
        self.peers = peers
            .into_iter()
            .take(limits::INVITE_PEERS)
            .map(|peer| {
                let addresses = peer.addresses().iter().copied().take(limits::INVITE_ADDRESSES);
                Peer::new(peer.key(), addresses)
            })
            .collect();
        self
    }

    /// Ways into the network.
    #[must_use]
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    fn encode(&self) -> Vec<u8> {
        let network = if self.network.is_main() { "" } else { self.network.as_str() };
        wire::Invite {
            account: self.account.as_bytes().to_vec(),
            device: self.device.as_bytes().to_vec(),
            one_time_key: self.one_time_key.as_bytes().to_vec(),
            secret: self.secret.as_bytes().to_vec(),
            expires_s: self.expires.get(),
            peers: self.peers.iter().map(Peer::to_wire).collect(),
            network: network.to_string(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let invite = wire::Invite::decode(bytes).map_err(|_| DecodeError::Malformed("invite"))?;
        limits::at_most("peers", invite.peers.len(), limits::INVITE_PEERS)?;
        let peers = invite.peers.iter().map(Peer::from_wire).collect::<Result<Vec<_>, _>>()?;
        for peer in &peers {
            limits::at_most("addresses", peer.addresses().len(), limits::INVITE_ADDRESSES)?;
        }
        let secret = invite.secret.as_slice().try_into().map_err(|_| DecodeError::WrongLength {
            what: "InviteSecret",
            expected: InviteSecret::LEN,
            got: invite.secret.len(),
        })?;
        let network = match invite.network.as_str() {
            "" => NetworkName::main(),
            name => name.parse().map_err(|_| DecodeError::BadText("network"))?,
        };
        Ok(Self {
            account: AccountKey::from_slice(&invite.account)?,
            device: DeviceKey::from_slice(&invite.device)?,
            one_time_key: OlmKey::from_slice(&invite.one_time_key)?,
            secret: InviteSecret::new(secret),
            expires: UnixSeconds::new(invite.expires_s),
            network,
            peers,
        })
    }
}

/// The text form. Holds the secret: for the invited person, never for a log.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(Self::PREFIX, &self.encode(), f)
    }
}

impl FromStr for Invite {
    type Err = TextError;

    /// Reads `starling:invite1…` in either case; the scheme may be absent.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = text::read(Self::PREFIX, text, TextError::Invite)?;
        Self::decode(&bytes).map_err(TextError::Invite)
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use bech32::{Bech32m, Hrp};
    use proptest::prelude::*;

    use super::*;
    use crate::ids::NodeKey;

    fn invite() -> Invite {
        Invite::new(
            AccountKey::new([1; 32]),
            DeviceKey::new([2; 32]),
            OlmKey::new([3; 32]),
            InviteSecret::new([4; 16]),
            UnixSeconds::new(1_800_000_000),
            NetworkName::main(),
        )
    }

    fn full() -> Invite {
        let addresses: Vec<SocketAddr> = (1..=4)
            .map(|n| format!("[2001:db8:ffff:ffff:ffff:ffff:ffff:{n}]:65535").parse().unwrap())
            .collect();
        let peers = (0..5).map(|n| Peer::new(NodeKey::new([n; 32]), addresses.clone()));
        let mut invite = invite().with_peers(peers);
        invite.network = "x".repeat(limits::NETWORK_NAME).parse().unwrap();
        invite.expires = UnixSeconds::new(u64::MAX);
        invite
    }

    #[test]
    fn round_trips_in_either_case_and_without_the_scheme() {
        for invite in [invite(), full()] {
            let text = invite.to_string();
            assert!(text.starts_with("starling:invite1"));
            assert_eq!(text.parse(), Ok(invite.clone()));
            assert_eq!(text.to_uppercase().parse(), Ok(invite.clone()));
            assert_eq!(text.strip_prefix("starling:").unwrap().parse(), Ok(invite));
        }
    }

    #[test]
    fn the_fullest_invite_fits_and_a_plain_one_is_short() {
        assert_eq!((full().peers().len(), full().peers()[0].addresses().len()), (4, 3));
        assert!(full().to_string().len() <= Invite::LONGEST_TEXT);
        let plain = invite().with_peers([Peer::new(NodeKey::new([9; 32]), ["1.2.3.4:5".parse().unwrap()])]);
        assert_eq!(plain.to_string().len(), 298);
    }

    #[test]
    fn other_texts_are_named_for_what_they_are() {
        let account = AccountKey::new([1; 32]).to_string();
        assert!(matches!(account.parse::<Invite>(), Err(TextError::WrongPrefix { .. })));
        let mut cut = invite().to_string();
        cut.pop();
        assert_eq!(cut.parse::<Invite>(), Err(TextError::Checksum));
        assert!(matches!("x".repeat(5000).parse::<Invite>(), Err(TextError::Invite(_))));
        let hrp = Hrp::parse("invite").unwrap();
        let empty = bech32::encode::<Bech32m>(hrp, &[]).unwrap();
        assert!(matches!(empty.parse::<Invite>(), Err(TextError::Invite(_))));
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(format!("{:?}", invite()).contains("InviteSecret(..)"));
    }

    proptest! {
        #[test]
        fn any_invite_round_trips(key: [u8; 32], secret: [u8; 16], expires: u64, port in 1u16.., count in 0usize..6) {
            let peers = (0..count).map(|n| {
                let addresses = [SocketAddr::from(([10, 0, 0, 1], port)), SocketAddr::from(([0x2001, 0, 0, 0, 0, 0, 0, 1], port))];
                Peer::new(NodeKey::new([n as u8; 32]), addresses)
            });
            let mut invite = invite().with_peers(peers);
            (invite.account, invite.secret) = (AccountKey::new(key), InviteSecret::new(secret));
            invite.expires = UnixSeconds::new(expires);
            prop_assert_eq!(invite.to_string().parse(), Ok(invite));
        }

        #[test]
        fn one_wrong_letter_is_found(at in 16usize..250, letter in 0usize..32) {
            let text = invite().to_string();
            let new = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"[letter] as char;
            let changed: String =
                text.chars().enumerate().map(|(i, c)| if i == at { new } else { c }).collect();
            prop_assume!(changed != text);
            prop_assert_eq!(changed.parse::<Invite>(), Err(TextError::Checksum));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,100}") {
            let _ = text.parse::<Invite>();
        }
    }
}
