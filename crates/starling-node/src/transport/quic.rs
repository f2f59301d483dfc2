//! The transport over iroh: QUIC, dialled by public key, with no relays, no address lookup and no port mapper.
//!
//! Facts that this file rests on were measured (docs/decisions, transport): `presets::Minimal` contacts nobody; with
//! relays disabled there is no relay transport at all; and a path's remote address is what the path began with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use iroh::endpoint::{
    BindError, IncomingAddr, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, PublicKey, RelayMode, SecretKey, TransportAddr};
use starling_overlay::io::{ChannelBinding, Remote};
use starling_proto::addr::{Peer, is_dialable};
use starling_proto::ids::NodeKey;
use starling_proto::limits::CHANNEL_BINDING;
use starling_proto::version::NetworkName;

use super::{
    CloseCode, ConnectFailed, Connection, ConnectionEnded, Incoming, ReceiveHalf, SendHalf, StreamEnded,
    Transport,
};
use crate::config::NodeSecret;
use crate::limits;

/// The TLS exporter's label and context (RFC 5705): fixed for ever, or signatures stop fitting their connections.
const BINDING_LABEL: &[u8] = b"EXPORTER-starling-channel-binding";
const BINDING_CONTEXT: &[u8] = b"starling/1";

/// Whether a log line comes from this project. The libraries beneath write keys and addresses at `debug` and above, so
/// a subscriber must pass only these targets; the log privacy test does the same.
#[must_use]
pub fn log_target_is_ours(target: &str) -> bool {
    target == "starling" || target.starts_with("starling_") || target.starts_with("starling::")
}

/// An iroh endpoint that speaks one network's protocol.
#[derive(Debug, Clone)]
pub struct QuicTransport {
    endpoint: Endpoint,
    alpn: Arc<[u8]>,
}

impl QuicTransport {
    /// Binds exactly the given sockets, or any port on all interfaces of both families if there are none (IPv6 may be
    /// missing then).
    ///
    /// # Errors
    /// [`BindFailed`] if an address is taken or not ours, or if one family is given twice.
    pub async fn bind(
        network: &NetworkName,
        secret: &NodeSecret,
        listen: &[SocketAddr],
    ) -> Result<Self, BindFailed> {
        let alpn: Arc<[u8]> = network.alpn().into();
        let mut builder = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(secret.as_bytes()))
            .alpns(vec![alpn.to_vec()])
            .relay_mode(RelayMode::Disabled)
            .clear_address_lookup()
            .portmapper_config(PortmapperConfig::Disabled)
            .transport_config(transport_config());
        if !listen.is_empty() {
            builder = builder.clear_ip_transports();
        }
        for address in listen {
            builder = builder.bind_addr(*address).map_err(|_| BindFailed::Duplicate)?;
        }
        let endpoint = Box::pin(builder.bind()).await.map_err(BindFailed::from)?;
        Ok(Self { endpoint, alpn })
    }
}

/// Why the sockets could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindFailed {
    /// Two addresses of one family.
    #[error("at most one IPv4 and one IPv6 address can be listened on")]
    Duplicate,
    /// The operating system said no.
    #[error("the address cannot be bound")]
    Socket(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<BindError> for BindFailed {
    fn from(error: BindError) -> Self {
        Self::Socket(Box::new(error))
    }
}

fn transport_config() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::STREAMS_PER_CONNECTION))
        // Nothing of ours travels on one-way streams or datagrams: what cannot be sent cannot be abused.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::RECEIVE_WINDOW))
        .send_window(limits::SEND_WINDOW)
        .build()
}

impl Transport for QuicTransport {
    type Connection = QuicConnection;
    type Incoming = QuicIncoming;

    fn key(&self) -> NodeKey {
        NodeKey::new(*self.endpoint.id().as_bytes())
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let links: Vec<SocketAddr> = self.endpoint.addr().ip_addrs().copied().collect();
        dialable(&self.endpoint.bound_sockets(), &links)
    }

    async fn connect(&self, peer: &Peer) -> Result<QuicConnection, ConnectFailed> {
        let id = PublicKey::from_bytes(peer.key().as_bytes()).map_err(|_| ConnectFailed)?;
        let addresses = peer.addresses().iter().map(|address| TransportAddr::Ip(*address));
        let target = EndpointAddr::from_parts(id, addresses);
        // Without addresses iroh would try those it remembers; a peer without addresses is not dialled.
        if target.is_empty() {
            return Err(ConnectFailed);
        }
        let connection = Box::pin(self.endpoint.connect(target, &self.alpn)).await;
        QuicConnection::new(connection.map_err(|_| ConnectFailed)?, None)
    }

    async fn accept(&self) -> Option<QuicIncoming> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let IncomingAddr::Ip(address) = incoming.remote_addr() else {
                incoming.ignore();
                continue;
            };
            if self.is_foreign(&incoming) {
                incoming.ignore();
                continue;
            }
            return Some(QuicIncoming { incoming, address: canonical(address) });
        }
    }

    async fn close(&self) {
        self.endpoint.close().await;
    }
}

impl QuicTransport {
    /// Whether the first packet says that it wants another protocol. If it does not say (the greeting spans packets),
    /// the handshake decides.
    fn is_foreign(&self, incoming: &iroh::endpoint::Incoming) -> bool {
        let Some(mut wanted) = incoming.decrypt().and_then(|initial| initial.alpns()) else {
            return false;
        };
        !wanted.any(|alpn| alpn.is_ok_and(|alpn| alpn[..] == self.alpn[..]))
    }
}

/// A first packet.
#[derive(Debug)]
pub struct QuicIncoming {
    incoming: iroh::endpoint::Incoming,
    address: SocketAddr,
}

impl Incoming for QuicIncoming {
    type Connection = QuicConnection;

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn address_proven(&self) -> bool {
        self.incoming.remote_addr_validated()
    }

    fn prove_address(self) {
        if let Err(error) = self.incoming.retry() {
            // Only an address that is proven already cannot be asked again.
            error.into_incoming().ignore();
        }
    }

    fn ignore(self) {
        self.incoming.ignore();
    }

    fn refuse(self) {
        self.incoming.refuse();
    }

    async fn accept(self) -> Result<QuicConnection, ConnectFailed> {
        let accepting = self.incoming.accept().map_err(|_| ConnectFailed)?;
        let connection = accepting.await.map_err(|_| ConnectFailed)?;
        QuicConnection::new(connection, Some(self.address))
    }
}

/// An iroh connection.
#[derive(Debug, Clone)]
pub struct QuicConnection {
    connection: iroh::endpoint::Connection,
    remote: Remote,
}

impl QuicConnection {
    /// `address`: where the first packet came from, for connections that others opened.
    fn new(
        connection: iroh::endpoint::Connection,
        address: Option<SocketAddr>,
    ) -> Result<Self, ConnectFailed> {
        let mut binding: ChannelBinding = [0; CHANNEL_BINDING];
        connection
            .export_keying_material(&mut binding, BINDING_LABEL, BINDING_CONTEXT)
            .map_err(|_| ConnectFailed)?;
        let address = address.or_else(|| path_address(&connection)).ok_or(ConnectFailed)?;
        let key = NodeKey::new(*connection.remote_id().as_bytes());
        Ok(Self { connection, remote: Remote { key, address, binding } })
    }
}

impl Connection for QuicConnection {
    type Send = SendStream;
    type Receive = RecvStream;

    fn remote(&self) -> Remote {
        self.remote
    }

    async fn open(&self) -> Result<(SendStream, RecvStream), ConnectionEnded> {
        self.connection.open_bi().await.map_err(|_| ConnectionEnded)
    }

    async fn accept(&self) -> Result<(SendStream, RecvStream), ConnectionEnded> {
        self.connection.accept_bi().await.map_err(|_| ConnectionEnded)
    }

    fn received(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    fn is_ended(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    fn close(&self, code: CloseCode) {
        self.connection.close(VarInt::from_u32(code.number()), b"");
    }
}

impl SendHalf for SendStream {
    async fn send_last(&mut self, frame: &[u8]) -> Result<(), StreamEnded> {
        self.write_all(frame).await.map_err(|_| StreamEnded)?;
        self.finish().map_err(|_| StreamEnded)
    }

    fn reset(&mut self) {
        // An error means that the stream has ended already, which is what is wanted.
        let _ = Self::reset(self, VarInt::from_u32(0));
    }
}

impl ReceiveHalf for RecvStream {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(), StreamEnded> {
        self.read_exact(buffer).await.map_err(|_| StreamEnded)
    }

    async fn ended(&mut self) -> Result<bool, StreamEnded> {
        let more = self.read(&mut [0; 1]).await.map_err(|_| StreamEnded)?;
        Ok(more.is_none())
    }

    fn stop(&mut self) {
        // An error means that the stream has ended already, which is what is wanted.
        let _ = Self::stop(self, VarInt::from_u32(0));
    }
}

/// The address of the path in use, or of any direct path.
fn path_address(connection: &iroh::endpoint::Connection) -> Option<SocketAddr> {
    let paths = connection.paths();
    let selected = paths.iter().filter(|path| path.is_selected());
    selected.chain(paths.iter()).find_map(|path| match path.remote_addr() {
        TransportAddr::Ip(address) => Some(canonical(*address)),
        _ => None,
    })
}

/// The plain spelling of an IPv4 address that came through an IPv6 socket.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Addresses to be dialled at, for `bound` sockets of which some listen on all interfaces; `links` are the addresses
/// of the interfaces, with ports. Loopback stands in where no interface is known yet.
fn dialable(bound: &[SocketAddr], links: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for socket in bound {
        if !socket.ip().is_unspecified() {
            found.push(*socket);
            continue;
        }
        let same = links.iter().filter(|link| link.is_ipv4() == socket.is_ipv4()).copied();
        let before = found.len();
        found.extend(same.filter(is_dialable));
        if found.len() == before {
            let loopback =
                if socket.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { IpAddr::from(Ipv6Addr::LOCALHOST) };
            found.push(SocketAddr::new(loopback, socket.port()));
        }
    }
    found.sort_by_key(|address| (address.ip().is_loopback(), address.is_ipv6()));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_given_address_is_the_only_one() {
        let found = dialable(&list(&["127.0.0.1:4"]), &list(&["192.168.1.2:4"]));
        assert_eq!(found, list(&["127.0.0.1:4"]));
    }

    #[test]
    fn all_interfaces_are_named_and_loopback_only_for_want_of_them() {
        let bound = list(&["[::]:5", "0.0.0.0:4"]);
        let found = dialable(&bound, &list(&["192.168.1.2:4"]));
        assert_eq!(found, list(&["192.168.1.2:4", "[::1]:5"]));
    }

    #[test]
    fn only_our_own_log_lines_pass() {
        assert!(log_target_is_ours("starling_node::pool") && log_target_is_ours("starling"));
        assert!(!log_target_is_ours("iroh::endpoint") && !log_target_is_ours("starlingx"));
    }
}
