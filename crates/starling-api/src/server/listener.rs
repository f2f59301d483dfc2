//! The two kinds of sockets.

use core::net::SocketAddr;
use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tracing::warn;

use super::{Listen, ServerConfig, ServerError};
use crate::announce::ApiAddress;
#[cfg(unix)]
use crate::announce::{API_SOCKET, remove_if_there};

/// A socket that accepts.
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The socket's name in the home, removed at the end.
#[cfg(unix)]
pub(super) struct SocketFile(std::path::PathBuf);

impl Listener {
    /// Listens where `config` says.
    pub(super) async fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        match config.listen {
            Listen::Tcp(address) => Self::bind_tcp(address, config.allow_remote).await,
            Listen::Unix => Self::bind_unix(&config.home),
        }
    }

    /// Where it listens, the port chosen.
    pub(super) fn address(&self) -> ApiAddress {
        match self {
            Self::Tcp(_, address) => ApiAddress::Tcp(*address),
            #[cfg(unix)]
            Self::Unix(_, file) => ApiAddress::Unix(file.0.clone()),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Answers are written whole; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }

    async fn bind_tcp(address: SocketAddr, allow_remote: bool) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            if !allow_remote {
                return Err(ServerError::NotLoopback(address));
            }
            warn!("the API listens where other machines can reach it, and its traffic is not encrypted");
        }
        let failed = |cause| ServerError::Bind { address: ApiAddress::Tcp(address), cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self::Tcp(listener, bound))
    }

    #[cfg(unix)]
    fn bind_unix(home: &Path) -> Result<Self, ServerError> {
        use std::os::unix::fs::PermissionsExt;

        let home = std::path::absolute(home).map_err(|_| ServerError::HomePath)?;
        let path = home.join(API_SOCKET);
        if path.to_str().is_none() {
            return Err(ServerError::HomePath);
        }
        let bind = || -> io::Result<UnixListener> {
            // Left by a node that was killed: a living one holds the home's lock, so this is nobody's.
            remove_if_there(&path)?;
            let listener = UnixListener::bind(&path)?;
            // Until here the home's own rights (0700) keep others out, and without the token nothing is told anyway.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self::Unix(listener, SocketFile(path))),
            Err(cause) => Err(ServerError::Bind { address: ApiAddress::Unix(path), cause }),
        }
    }

    #[cfg(not(unix))]
    fn bind_unix(_: &Path) -> Result<Self, ServerError> {
        Err(ServerError::NoUnixSockets)
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = remove_if_there(&self.0) {
            warn!(kind = ?error.kind(), "the API's socket could not be removed");
        }
    }
}
