//! Where peers are dialled.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::slice;
use core::str::FromStr;

use crate::ids::{NodeId, NodeKey};
use crate::{DecodeError, TextError, limits, wire};

/// A peer and where it may be reached: at most [`limits::PEER_ADDRESSES`] addresses, none of them twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    key: NodeKey,
    // Hashing the key of each peer that an answer names whenever its place is asked for was a tenth of a lookup.
    id: NodeId,
    addresses: Addresses,
}

/// A list of addresses. Most peers have one, and thousands of peers are named every second: no allocation for that.
#[derive(Debug, Clone)]
enum Addresses {
    One(SocketAddr),
    /// None, or more than one.
    Listed(Box<[SocketAddr]>),
}

impl Peer {
    /// A peer with the first [`limits::PEER_ADDRESSES`] different dialable `addresses`.
    #[must_use]
    pub fn new(key: NodeKey, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { key, id: key.node_id(), addresses: addresses.into_iter().collect() }
    }

    /// The same peer with other `addresses`.
    #[must_use]
    pub fn at(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { key: self.key, id: self.id, addresses: addresses.into_iter().collect() }
    }

    /// The node key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// Its place in the overlay.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// The addresses, most trusted first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.addresses.as_slice()
    }

    pub(crate) fn to_wire(&self) -> wire::Peer {
        wire::Peer {
            node_key: self.key.as_bytes().to_vec(),
            addresses: self.addresses().iter().map(address_to_wire).collect(),
        }
    }

    /// Bytes of [`Self::to_wire`] when it is encoded.
    pub(crate) fn wire_len(&self) -> usize {
        let addresses = self.addresses().iter().map(|address| field_len(address_len(address)));
        addresses.fold(field_len(NodeKey::LEN), usize::saturating_add)
    }

    pub(crate) fn from_wire(peer: &wire::Peer) -> Result<Self, DecodeError> {
        let key = NodeKey::from_slice(&peer.node_key)?;
        Ok(Self { key, id: key.node_id(), addresses: addresses_from_wire(&peer.addresses)?.into() })
    }
}

impl Addresses {
    fn as_slice(&self) -> &[SocketAddr] {
        match self {
            Self::One(address) => slice::from_ref(address),
            Self::Listed(addresses) => addresses,
        }
    }
}

/// The first [`limits::PEER_ADDRESSES`] different ones that can be dialled.
impl FromIterator<SocketAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let mut addresses = addresses.into_iter().filter(is_dialable);
        let Some(first) = addresses.next() else { return Vec::new().into() };
        let Some(second) = addresses.find(|address| *address != first) else { return Self::One(first) };
        let mut kept = [first, second].to_vec();
        for address in addresses {
            if kept.len() < limits::PEER_ADDRESSES && !kept.contains(&address) {
                kept.push(address);
            }
        }
        kept.into()
    }
}

impl From<Vec<SocketAddr>> for Addresses {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        match addresses.as_slice() {
            [address] => Self::One(*address),
            _ => Self::Listed(addresses.into_boxed_slice()),
        }
    }
}

impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Addresses {}

impl PartialOrd for Addresses {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Addresses {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

/// `NODEID@IP:PORT`: what `--join` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JoinAddr {
    /// The peer's node key.
    pub key: NodeKey,
    /// Where to dial it.
    pub address: SocketAddr,
}

impl fmt::Display for JoinAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.address)
    }
}

impl FromStr for JoinAddr {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let (key, address) = text.split_once('@').ok_or(TextError::Address)?;
        let address = SocketAddr::from_str(address).map_err(|_| TextError::Address)?;
        if !is_dialable(&address) {
            return Err(TextError::Address);
        }
        Ok(Self { key: key.parse()?, address })
    }
}

impl From<JoinAddr> for Peer {
    fn from(addr: JoinAddr) -> Self {
        Self::new(addr.key, [addr.address])
    }
}

/// Whether a packet to `address` can reach one peer: port 0, unspecified, multicast and broadcast cannot.
#[must_use]
pub fn is_dialable(address: &SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

pub(crate) fn address_to_wire(address: &SocketAddr) -> wire::Address {
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    wire::Address { ip, port: u32::from(address.port()) }
}

fn address_len(address: &SocketAddr) -> usize {
    let ip = if address.is_ipv4() { 4 } else { 16 };
    let port = match address.port() {
        0 => 0, // Not written.
        port => prost::length_delimiter_len(usize::from(port)).saturating_add(1),
    };
    field_len(ip).saturating_add(port)
}

/// Bytes of a field with a number below 16 whose content is `len` bytes: tag, length, content.
pub(crate) fn field_len(len: usize) -> usize {
    prost::length_delimiter_len(len).saturating_add(len).saturating_add(1)
}

pub(crate) fn address_from_wire(address: &wire::Address) -> Result<SocketAddr, DecodeError> {
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(address.ip.as_slice()) {
        IpAddr::from(v4)
    } else if let Ok(v6) = <[u8; 16]>::try_from(address.ip.as_slice()) {
        // A mapped address is the same socket as the plain one; two spellings would count as two groups.
        IpAddr::from(v6).to_canonical()
    } else {
        return Err(DecodeError::WrongLength { what: "ip", expected: 16, got: address.ip.len() });
    };
    let bad_port = DecodeError::OutOfRange { what: "port", got: u64::from(address.port) };
    let socket = SocketAddr::new(ip, u16::try_from(address.port).map_err(|_| bad_port.clone())?);
    if is_dialable(&socket) { Ok(socket) } else { Err(bad_port) }
}

pub(crate) fn addresses_from_wire(list: &[wire::Address]) -> Result<Vec<SocketAddr>, DecodeError> {
    limits::at_most("addresses", list.len(), limits::PEER_ADDRESSES)?;
    let mut addresses = Vec::with_capacity(list.len());
    for item in list {
        let address = address_from_wire(item)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> NodeKey {
        NodeKey::new([5; 32])
    }

    #[test]
    fn join_addr_round_trips() {
        for text in ["127.0.0.1:4040", "[::1]:4040"] {
            let addr = JoinAddr { key: key(), address: text.parse().unwrap() };
            assert_eq!(addr.to_string().parse(), Ok(addr));
        }
    }

    #[test]
    fn a_bare_address_is_no_join_addr() {
        assert_eq!("127.0.0.1:4040".parse::<JoinAddr>(), Err(TextError::Address));
        let text = format!("{}@127.0.0.1:0", key());
        assert_eq!(text.parse::<JoinAddr>(), Err(TextError::Address));
    }

    #[test]
    fn undialable_addresses_are_dropped() {
        let addresses = ["0.0.0.0:1", "224.0.0.1:5", "255.255.255.255:5", "[ff02::1]:9", "10.0.0.1:0"];
        let peer = Peer::new(key(), addresses.iter().map(|a| a.parse().unwrap()));
        assert!(peer.addresses().is_empty());
    }

    #[test]
    fn a_mapped_address_is_the_plain_one() {
        let mapped = wire::Address {
            ip: "::ffff:1.2.3.4".parse::<core::net::Ipv6Addr>().unwrap().octets().to_vec(),
            port: 7,
        };
        assert_eq!(address_from_wire(&mapped), Ok("1.2.3.4:7".parse().unwrap()));
    }

    #[test]
    fn a_fifth_address_is_refused_from_the_wire() {
        let address = wire::Address { ip: [1, 2, 3, 4].to_vec(), port: 5 };
        let list = vec![address; limits::PEER_ADDRESSES + 1];
        assert!(matches!(addresses_from_wire(&list), Err(DecodeError::TooMany { .. })));
    }
}
