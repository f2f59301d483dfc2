//! HTTP to one node, over TCP or its Unix socket.
//!
//! hyper's own connections and no client library above them: nothing here may know of proxies, redirects or TLS, and
//! the library that iroh brings along cannot be built without a TLS provider once iroh is in the same program.

use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::{ClientError, NotRunning};
use crate::announce::ApiAddress;
use crate::limits;

/// What a request carries.
type Body = Full<Bytes>;

/// Idle connections that are kept: calls rarely overlap.
const IDLE: usize = 4;

/// Connections to one node, kept for the next call.
#[derive(Debug)]
pub(super) struct Transport {
    address: ApiAddress,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

/// An answer whose body is still to come, on its connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    connection: SendRequest<Body>,
}

impl Transport {
    pub(super) const fn new(address: ApiAddress) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    /// What `Host` must say.
    pub(super) fn host(&self) -> String {
        match &self.address {
            ApiAddress::Tcp(socket) => socket.to_string(),
            ApiAddress::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Sends and waits for the answer's head. The server ends idle connections: if that crosses with our request, it is
    /// sent once more on a new one. Every request is safe to repeat, by its kind or by its request id.
    pub(super) async fn send(&self, request: Request<Body>, time: Duration) -> Result<Answer, ClientError> {
        let sent = async {
            if let Some(connection) = self.take_idle()
                && let Ok(answer) = exchange(connection, request.clone()).await
            {
                return Ok(answer);
            }
            exchange(self.connect().await?, request).await
        };
        timeout(time, sent).await.map_err(|_| ClientError::TimedOut)?
    }

    /// Reads a whole answer of at most [`limits::ANSWER_BYTES`] and keeps its connection.
    pub(super) async fn read(&self, answer: Answer, time: Duration) -> Result<Vec<u8>, ClientError> {
        let Answer { mut response, connection } = answer;
        let mut bytes = Vec::new();
        while let Some(piece) =
            timeout(time, piece(&mut response)).await.map_err(|_| ClientError::TimedOut)??
        {
            if bytes.len().saturating_add(piece.len()) > limits::ANSWER_BYTES {
                return Err(ClientError::Malformed(format!("longer than {} bytes", limits::ANSWER_BYTES)));
            }
            bytes.extend_from_slice(&piece);
        }
        self.keep(connection);
        Ok(bytes)
    }

    fn take_idle(&self) -> Option<SendRequest<Body>> {
        let mut idle = self.lock();
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    fn keep(&self, connection: SendRequest<Body>) {
        let mut idle = self.lock();
        if idle.len() < IDLE && !connection.is_closed() {
            idle.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SendRequest<Body>>> {
        // Nothing that holds the lock can panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, ClientError> {
        match &self.address {
            ApiAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(not_connected)?;
                stream.set_nodelay(true).map_err(not_connected)?;
                greet(stream).await
            }
            #[cfg(unix)]
            ApiAddress::Unix(path) => {
                greet(tokio::net::UnixStream::connect(path).await.map_err(not_connected)?).await
            }
            #[cfg(not(unix))]
            ApiAddress::Unix(_) => Err(ClientError::NoUnixSockets),
        }
    }
}

impl Answer {
    /// The next piece of the body; `None` at its end. Dropping the future loses nothing.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        piece(&mut self.response).await
    }
}

async fn piece(response: &mut Response<Incoming>) -> Result<Option<Bytes>, ClientError> {
    loop {
        match response.frame().await.transpose()? {
            None => return Ok(None),
            // Anything else would be trailers, which say nothing here.
            Some(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

async fn exchange(mut connection: SendRequest<Body>, request: Request<Body>) -> Result<Answer, ClientError> {
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    Ok(Answer { response, connection })
}

async fn greet<S>(stream: S) -> Result<SendRequest<Body>, ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever waits for an answer gets the error too.
        if let Err(error) = connection.await {
            debug!(parse = error.is_parse(), "a connection to the API broke");
        }
    });
    Ok(sender)
}

fn not_connected(error: io::Error) -> ClientError {
    match error.kind() {
        // Without a listener a port refuses, and a Unix socket refuses or is not there. A listener that ends resets
        // whoever stands in its queue.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::NotFound => {
            ClientError::NotRunning(NotRunning::NobodyListens)
        }
        _ => ClientError::Connect(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_ends_while_we_stand_in_its_queue_is_not_running() {
        for kind in
            [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset, io::ErrorKind::NotFound]
        {
            let error = not_connected(kind.into());
            assert!(matches!(error, ClientError::NotRunning(NotRunning::NobodyListens)), "{kind}: {error}");
        }
        let error = not_connected(io::ErrorKind::PermissionDenied.into());
        assert!(matches!(error, ClientError::Connect(_)), "{error}");
    }
}
