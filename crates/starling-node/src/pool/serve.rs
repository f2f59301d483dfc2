//! What peers ask on a connection: one stream each, read and answered under deadlines.

use std::sync::Arc;
use std::time::Duration;

use starling_overlay::io::Remote;
use starling_proto::message::{Refusal, Request, Response};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::{InboundPermit, Link, Pool};
use crate::driver::Item;
use crate::frames::{NoRequest, read_request};
use crate::limits;
use crate::transport::{CloseCode, Connection, ReceiveHalf, SendHalf, Transport};

impl<T: Transport> Pool<T> {
    /// Serves a connection until it ends.
    pub(super) async fn serve(self, link: Arc<Link<T::Connection>>) {
        let most = usize::try_from(limits::STREAMS_PER_CONNECTION).unwrap_or(usize::MAX);
        let streams = Arc::new(Semaphore::new(most));
        // The semaphore is never closed. It outlasts the transport's own bound on open streams: a peer that resets
        // its streams to open others waits here for what it has asked before.
        while let Ok(permit) = Arc::clone(&streams).acquire_owned().await {
            let Ok((send, receive)) = link.connection().accept().await else { break };
            let (pool, link) = (self.clone(), Arc::clone(&link));
            link.begin();
            tokio::spawn(async move {
                pool.serve_stream(link.remote(), send, receive).await;
                link.end(pool.0.clock.tick());
                drop(permit);
            });
        }
        self.remove(&link, CloseCode::Goodbye);
        tracing::debug!("a connection is down");
    }

    /// One request and its answer.
    async fn serve_stream<S: SendHalf, R: ReceiveHalf>(&self, remote: Remote, mut send: S, mut receive: R) {
        let read = timeout(self.0.limits.read_time, read_request(&mut receive, &self.0.reading)).await;
        let (response, _permit) = match read {
            Ok(Ok(request)) => match self.ask_core(remote, request).await {
                Some((response, permit)) => (response, Some(permit)),
                None => {
                    send.reset();
                    return;
                }
            },
            Ok(Err(NoRequest::Refuse(refusal))) => {
                receive.stop();
                (Response::Refused(refusal), None)
            }
            // Too slow, or gone.
            Ok(Err(NoRequest::Ended)) | Err(_) => {
                receive.stop();
                send.reset();
                return;
            }
        };
        answer(&mut send, &response, limits::WRITE_TIME).await;
    }

    /// Hands a request to the core and waits for the reply; `None` if there will be none.
    async fn ask_core(&self, remote: Remote, request: Request) -> Option<(Response, Option<InboundPermit>)> {
        let Ok(permit) = Arc::clone(&self.0.inbound).try_acquire_owned() else {
            let response = Response::Refused(Refusal::Busy);
            self.0.counters.answered(request.kind(), &response);
            return Some((response, None));
        };
        let permit: InboundPermit = Arc::new(permit);
        let (reply, replied) = oneshot::channel();
        let item = Item::Request { remote, request, reply, permit: Arc::clone(&permit) };
        if self.0.inbox.push(item).is_err() {
            return None;
        }
        let response = timeout(limits::REPLY_TIME, replied).await.ok()?.ok()?;
        Some((response, Some(permit)))
    }
}

/// Writes an answer; a peer that does not take it in time is cut off.
async fn answer<S: SendHalf>(send: &mut S, response: &Response, within: Duration) {
    let Ok(frame) = response.to_frame() else {
        tracing::error!("the core's answer is too long for its frame");
        send.reset();
        return;
    };
    if timeout(within, send.send_last(&frame)).await.is_err() {
        send.reset();
    }
}
