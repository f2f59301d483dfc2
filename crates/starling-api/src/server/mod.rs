//! The listening side: one task that accepts, one per connection, all gone after [`ApiServer::shutdown`].

mod body;
mod connection;
mod failure;
mod gate;
mod hosts;
mod listener;
mod once;
mod routes;
mod stall;

use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

pub(crate) use gate::VERSION_HEADER;
pub(crate) use once::REQUEST_ID;
pub use routes::openapi;

use crate::announce::{AnnounceError, Announcement, ApiAddress};
use crate::backend::Backend;
use crate::limits;
use crate::token::Token;
use hosts::Hosts;
use listener::Listener;

/// Where to listen: what `--api` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// On TCP; port 0 lets the operating system choose.
    Tcp(SocketAddr),
    /// On a Unix socket in the home, which only its owner can open.
    Unix,
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; a port of 127.0.0.1 that is free, unless said otherwise.
    pub listen: Listen,
    /// The node's home, in which `api.json` is written.
    pub home: PathBuf,
    /// Whether an address that other machines can reach is allowed: the traffic is not encrypted. False by default.
    pub allow_remote: bool,
    /// Further `HOST:PORT` names under which the server may be called, for such an address. None by default.
    pub extra_hosts: Vec<String>,
    /// How long the server waits for what; as in [`limits`] unless said otherwise.
    pub timeouts: Timeouts,
}

/// How long the server waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, and for the next request on an idle connection.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For an answer's head.
    pub answer: Duration,
    /// For the client to read some of the answer.
    pub stall: Duration,
    /// Of silence before an empty line on the event stream.
    pub heartbeat: Duration,
    /// For requests under way at shutdown.
    pub drain: Duration,
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Other machines could reach the address.
    #[error("{0} is not a loopback address: other machines could reach the API")]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen at {address}: {cause}")]
    Bind {
        /// Where.
        address: ApiAddress,
        /// What the operating system said.
        #[source]
        cause: io::Error,
    },
    /// The home's path cannot be written into `api.json`.
    #[error("the path of the home is not UTF-8, which a Unix socket needs")]
    HomePath,
    /// There are no Unix sockets on this platform.
    #[error("this platform has no Unix sockets")]
    NoUnixSockets,
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[source] rand::rngs::SysError),
    /// `api.json` cannot be written.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

/// A server that runs. Dropping it ends it at once and leaves `api.json` behind; [`Self::shutdown`] does it properly.
#[derive(Debug)]
pub struct ApiServer {
    announcement: Announcement,
    home: PathBuf,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// What gate and routes share.
struct Shared {
    backend: Arc<dyn Backend>,
    address: ApiAddress,
    token: Token,
    hosts: Hosts,
    once: once::Once,
    timeouts: Timeouts,
    stop: watch::Receiver<bool>,
}

impl ServerConfig {
    /// The safe way: a free port of 127.0.0.1, for the node of `home`.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self {
            listen: Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))),
            home: home.to_owned(),
            allow_remote: false,
            extra_hosts: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: limits::HEAD_TIME,
            body: limits::BODY_TIME,
            answer: limits::ANSWER_TIME,
            stall: limits::STALL_TIME,
            heartbeat: limits::HEARTBEAT,
            drain: limits::DRAIN_TIME,
        }
    }
}

impl FromStr for Listen {
    type Err = core::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unix" { Ok(Self::Unix) } else { text.parse().map(Self::Tcp) }
    }
}

impl ApiServer {
    /// Listens, writes `api.json`, and serves `backend` until [`Self::shutdown`].
    ///
    /// # Errors
    /// [`ServerError`]: the address is not allowed or taken, or `api.json` cannot be written.
    pub async fn start(config: ServerConfig, backend: Arc<dyn Backend>) -> Result<Self, ServerError> {
        let listener = Listener::bind(&config).await?;
        let address = listener.address();
        let token = Token::generate().map_err(ServerError::Random)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            backend,
            hosts: Hosts::new(&address, &config.extra_hosts),
            address: address.clone(),
            token: token.clone(),
            once: once::Once::default(),
            timeouts: config.timeouts,
            stop: stopped.clone(),
        });
        let announcement = Announcement { address, token };
        // Connections that come before the accepting task begins wait in the kernel's queue.
        announcement.write(&config.home)?;
        let router = routes::router(shared);
        let accepting = tokio::spawn(connection::accept(listener, router, config.timeouts, stopped));
        Ok(Self { announcement, home: config.home, stop, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> &ApiAddress {
        &self.announcement.address
    }

    /// Removes `api.json`, ends the event streams, gives requests under way [`Timeouts::drain`], and closes the rest.
    ///
    /// # Errors
    /// [`AnnounceError::Io`] if `api.json` could not be removed; the server has ended all the same.
    pub async fn shutdown(self) -> Result<(), AnnounceError> {
        // First the file: whoever reads it from now on is told that no node is running.
        let withdrawn = self.announcement.withdraw(&self.home);
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            warn!(panicked = error.is_panic(), "the API's accepting task ended early");
        }
        withdrawn
    }
}
