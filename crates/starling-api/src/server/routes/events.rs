//! The event stream.

use core::convert::Infallible;
use core::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::error;

use super::AppState;
use crate::backend::{Cursor, Notice};
use crate::server::Shared;
use crate::server::connection::stopped;
use crate::server::failure::Failure;
use crate::types::{Code, ErrorReply, EventBody, EventLine, Ready};

/// What the stream can be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// The `cursor` of the last line that was read. Absent: from now on, beginning with a `ready` line.
    since: Option<String>,
}

/// Events as they happen: a JSON object on each line, an empty line in every 15 s of silence. Ends with the node.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    params((
        "since" = Option<String>, Query,
        description = "The cursor of the last line that was read. Absent: from now on, beginning with a ready line."
    )),
    responses(
        (status = 200, description = "One EventLine per line.", body = EventLine,
            content_type = "application/x-ndjson"),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn events(
    State(shared): AppState,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|_| bad_query())?;
    let since = query.since.as_deref().map(str::parse::<Cursor>).transpose().map_err(|_| bad_query())?;
    let body = Body::from_stream(lines(&shared, since.as_ref())?.map(Ok::<_, Infallible>));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// A reader's place in the stream.
struct Reader {
    events: BoxStream<'static, (Cursor, Notice)>,
    silence: Interval,
    stop: watch::Receiver<bool>,
}

fn lines(
    shared: &Shared,
    since: Option<&Cursor>,
) -> Result<impl futures_util::Stream<Item = Bytes> + use<>, Failure> {
    let feed = shared.backend.events(since)?;
    // Without it a reader that loses the connection before the first event could not say where it was.
    let ready = since.is_none().then(|| {
        let ready = Ready::new(shared.backend.info(), shared.address.to_string());
        line(feed.from, EventBody::Ready(ready))
    });
    let reader = Reader {
        events: feed.events,
        silence: heartbeat(shared.timeouts.heartbeat),
        stop: shared.stop.clone(),
    };
    let rest = stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) });
    Ok(stream::iter(ready).chain(rest))
}

impl Reader {
    /// The next line; `None` when the node ends.
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => None,
            next = self.events.next() => {
                let (cursor, notice) = next?;
                self.silence.reset();
                Some(line(cursor, notice.into()))
            }
            _ = self.silence.tick() => Some(Bytes::from_static(b"\n")),
        }
    }
}

fn heartbeat(every: Duration) -> Interval {
    let first = Instant::now().checked_add(every).unwrap_or_else(Instant::now);
    let mut interval = interval_at(first, every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn line(cursor: Cursor, event: EventBody) -> Bytes {
    match serde_json::to_vec(&EventLine { cursor, event }) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            bytes.into()
        }
        Err(cause) => {
            // Cannot be with these types. The reader sees an empty line and, from the next cursor, that one is missing.
            error!(%cause, "an event could not be written");
            Bytes::from_static(b"\n")
        }
    }
}

fn bad_query() -> Failure {
    Failure::new(
        Code::BadInput,
        "the query must be empty or since=CURSOR",
        "use the cursor of the last line that was read, as it stands there",
    )
}
