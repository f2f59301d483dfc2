//! Connections: at most [`limits::CONNECTIONS`], each with bounds on heads, silence and stalls.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Timeouts;
use super::listener::{Listener, Stream};
use super::stall::StallGuard;
use crate::limits;

/// Pause after a failed accept: with no descriptors left, trying at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop` becomes true, then lets connections end within the drain time.
pub(super) async fn accept(
    listener: Listener,
    router: Router,
    timeouts: Timeouts,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // A slot first: what cannot be served is better left in the kernel's queue.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match (slot, accepted) {
            (Ok(slot), Ok(stream)) => {
                let served = serve(stream, router.clone(), timeouts, stop.clone());
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            (_, Err(error)) => {
                warn!(kind = ?error.kind(), "the API could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The semaphore is never closed; without it there is no bound, so nothing is served.
            (Err(_), _) => break,
        }
    }
    drop(listener);
    drain(connections, timeouts.drain).await;
}

/// Lets connections end by themselves within `time`, then ends them.
async fn drain(mut connections: JoinSet<()>, time: Duration) {
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(time, ended).await.is_err() {
        debug!(left = connections.len(), "API connections closed in the middle of an answer");
        connections.shutdown().await;
    }
}

/// Waits for the shutdown, or for the server to be dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: the server with it.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Serves one connection to its end.
async fn serve(stream: Box<dyn Stream>, router: Router, timeouts: Timeouts, mut stop: watch::Receiver<bool>) {
    let io = TokioIo::new(StallGuard::new(stream, timeouts.stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .max_header_size(limits::HEAD_BYTES)
        .max_buf_size(limits::HEAD_BYTES)
        .max_headers(limits::HEADERS)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The kind only: the error's text may quote what was sent.
        debug!(parse = error.is_parse(), timeout = error.is_timeout(), "an API connection ended early");
    }
}
