//! Client request ids: the same request twice is carried out once.
//!
//! A client that lost the answer cannot know whether its message was sent. It repeats the request with the same id in
//! `Idempotency-Key` and gets the first one's answer. Rules (after draft-ietf-httpapi-idempotency-key-header-07):
//!
//! - an id belongs to one route and one body; with another body it is refused;
//! - while the first one is under way, the second waits for it;
//! - once begun, the work goes on though its client has gone, or has been told that it takes too long (504): that is an
//!   end of waiting, not of the work, and the repetition waits on;
//! - work that ended in a failure of ours (5xx) is not remembered, so that the repetition tries again.
//!
//! Remembered in memory: a command that must be safe across a restart of the node carries the id into the core.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::watch;

use super::failure::Failure;
use super::hosts::single;
use crate::limits;
use crate::request_id::{RequestId, RequestIdError};
use crate::types::Code;

/// The header that carries a client request id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What was asked under client request ids, and what was answered: at most [`limits::REQUEST_IDS`], oldest out first.
#[derive(Debug, Default, Clone)]
pub(super) struct Once(Arc<Mutex<Memory>>);

/// A client request id with the route it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Deed {
    route: String,
    id: RequestId,
}

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<Deed, Entry>,
    /// In the order in which they came.
    order: VecDeque<Deed>,
}

#[derive(Debug, Clone)]
struct Entry {
    body: blake3::Hash,
    answer: watch::Receiver<Option<Answer>>,
}

/// An answer that can be given again.
#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

/// Reads the client request id of a request; `None` if it carries none.
pub(super) fn read_id(headers: &HeaderMap) -> Result<Option<RequestId>, Failure> {
    let bad = || {
        Failure::new(
            Code::BadInput,
            format!("the Idempotency-Key header: {RequestIdError}"),
            "use a random UUID for each new request and the same one for its repetitions",
        )
    };
    let Some(value) = single(headers, &REQUEST_ID).map_err(|_| bad())? else { return Ok(None) };
    value.to_str().ok().and_then(|id| id.parse().ok()).map(Some).ok_or_else(bad)
}

impl Deed {
    /// What is asked of `route` under `id`.
    pub(super) fn new(route: &str, id: RequestId) -> Self {
        Self { route: route.to_owned(), id }
    }
}

impl Once {
    /// Answers from memory, or does `work` and remembers. After `patience` the answer is that it is still under way; the
    /// work goes on.
    pub(super) async fn run<F>(&self, deed: Deed, body: &Bytes, patience: Duration, work: F) -> Response
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let digest = blake3::hash(body);
        let (answer, first) = match self.enter(&deed, digest) {
            Ok(Entered::Known(answer)) => (answer, false),
            Ok(Entered::New(sender, answer)) => {
                let memory = self.clone();
                // A task of its own: a client that hangs up drops this future, and must not stop the work half-way.
                tokio::spawn(async move { memory.finish(deed, sender, work.await).await });
                (answer, true)
            }
            Err(failure) => return failure.into_response(),
        };
        match tokio::time::timeout(patience, wait(answer)).await {
            Ok(Some(answer)) => answer.into_response(!first),
            Ok(None) => {
                Failure::new(Code::Failed, "the request ended without an answer", "repeat it").into_response()
            }
            Err(_) => under_way().into_response(),
        }
    }

    fn enter(&self, deed: &Deed, body: blake3::Hash) -> Result<Entered, Failure> {
        let mut memory = self.lock();
        match memory.entries.get(deed) {
            Some(entry) if entry.is_dead() => memory.forget(deed),
            Some(entry) if entry.body == body => return Ok(Entered::Known(entry.answer.clone())),
            Some(_) => {
                return Err(Failure::new(
                    Code::RequestIdReused,
                    "this Idempotency-Key came before with another request",
                    "use a new one for each new request",
                ));
            }
            None => {}
        }
        memory.make_room()?;
        let (sender, answer) = watch::channel(None);
        memory.order.push_back(deed.clone());
        memory.entries.insert(deed.clone(), Entry { body, answer: answer.clone() });
        Ok(Entered::New(sender, answer))
    }

    /// Hands the answer to all who wait. Forgets those that are better asked for again.
    async fn finish(self, deed: Deed, sender: watch::Sender<Option<Answer>>, response: Response) {
        let answer = Answer::read(response).await;
        let keep = !answer.status.is_server_error() && answer.body.len() <= limits::REMEMBERED_BYTES;
        // First out of the memory, then to those who wait: whoever asks after having seen the failure begins anew.
        if !keep {
            self.lock().forget(&deed);
        }
        sender.send_replace(Some(answer));
    }

    /// A panic elsewhere leaves the memory whole: each change is one statement.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer, once it is there; `None` if it never will be.
async fn wait(mut answer: watch::Receiver<Option<Answer>>) -> Option<Answer> {
    answer.wait_for(Option::is_some).await.ok()?.clone()
}

fn under_way() -> Failure {
    Failure::new(
        Code::TimedOut,
        "the node takes long, and goes on with it",
        "repeat the request under the same Idempotency-Key: it waits for the answer, and nothing is done twice",
    )
}

/// How a request with an id begins.
enum Entered {
    /// It has been here: its answer, or the place where the answer will be.
    Known(watch::Receiver<Option<Answer>>),
    /// It has not.
    New(watch::Sender<Option<Answer>>, watch::Receiver<Option<Answer>>),
}

impl Memory {
    fn forget(&mut self, deed: &Deed) {
        self.entries.remove(deed);
        self.order.retain(|other| other != deed);
    }

    /// Drops the oldest answer if there is no room. What is under way stays: forgetting it could do it twice.
    fn make_room(&mut self) -> Result<(), Failure> {
        if self.entries.len() < limits::REQUEST_IDS {
            return Ok(());
        }
        let done = |deed: &&Deed| self.entries.get(*deed).is_none_or(Entry::is_done);
        let Some(oldest) = self.order.iter().find(done).cloned() else {
            return Err(Failure::new(
                Code::Busy,
                "too many requests are under way",
                "try again in a few seconds",
            ));
        };
        self.forget(&oldest);
        Ok(())
    }
}

impl Entry {
    /// Whether it has been answered, or never will be.
    fn is_done(&self) -> bool {
        self.answer.borrow().is_some() || self.answer.has_changed().is_err()
    }

    /// Whether the work ended without an answer: it panicked.
    fn is_dead(&self) -> bool {
        self.answer.has_changed().is_err() && self.answer.borrow().is_none()
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        debug_assert!(body.size_hint().upper().is_some(), "a stream cannot be remembered");
        match body.collect().await {
            Ok(body) => Self { status: head.status, content_type, body: body.to_bytes() },
            Err(_) => {
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, content_type: None, body: Bytes::new() }
            }
        }
    }

    fn into_response(self, replayed: bool) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    /// Longer than any test.
    const PATIENCE: Duration = Duration::from_secs(3600);

    fn id(text: &str) -> Deed {
        Deed::new("/send", text.parse().unwrap())
    }

    /// Runs `body` under `name`; the answer's status, and whether it was a replay.
    async fn run(once: &Once, name: &str, body: &str, done: &Arc<AtomicUsize>, status: u16) -> (u16, bool) {
        let done = Arc::clone(done);
        let body = Bytes::from(body.to_owned());
        let work = async move {
            done.fetch_add(1, Ordering::SeqCst);
            (StatusCode::from_u16(status).unwrap(), "answer").into_response()
        };
        let response = once.run(id(name), &body, PATIENCE, work).await;
        (response.status().as_u16(), response.headers().contains_key(REPLAYED))
    }

    #[tokio::test]
    async fn api_11_the_second_gets_the_first_ones_answer() {
        let (once, done) = (Once::default(), Arc::default());
        assert_eq!(run(&once, "a", "x", &done, 200).await, (200, false));
        assert_eq!(run(&once, "a", "x", &done, 200).await, (200, true));
        assert_eq!(run(&once, "b", "x", &done, 200).await, (200, false));
        assert_eq!(done.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_id_with_another_body_is_refused() {
        let (once, done) = (Once::default(), Arc::default());
        run(&once, "a", "x", &done, 200).await;
        assert_eq!(run(&once, "a", "y", &done, 200).await, (422, false));
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn our_failures_are_tried_again_and_refusals_are_not() {
        let (once, done) = (Once::default(), Arc::default());
        assert_eq!(run(&once, "a", "x", &done, 507).await, (507, false));
        assert_eq!(run(&once, "a", "x", &done, 404).await, (404, false));
        assert_eq!(run(&once, "a", "x", &done, 200).await, (404, true));
        assert_eq!(done.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_work_goes_on_without_its_client_and_the_next_one_waits() {
        let once = Once::default();
        let (release, wait) = oneshot::channel::<()>();
        let body = Bytes::from_static(b"x");
        let work = async move {
            wait.await.unwrap();
            "first".into_response()
        };
        {
            let gone = once.run(id("a"), &body, PATIENCE, work);
            assert!(gone.now_or_never().is_none(), "the client leaves before the answer");
        }
        let again = once.run(id("a"), &body, PATIENCE, async { "second".into_response() });
        let (response, ()) = tokio::join!(again, async { release.send(()).unwrap() });
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "first");
    }

    /// Time stands still until everybody waits, and then jumps to the next time-out.
    #[tokio::test(start_paused = true)]
    async fn api_11_a_time_out_ends_the_waiting_and_not_the_work() {
        let (once, done) = (Once::default(), Arc::default());
        let (release, wait) = oneshot::channel::<()>();
        let body = Bytes::from_static(b"x");
        let work = async move {
            wait.await.unwrap();
            "first".into_response()
        };
        let short = Duration::from_millis(1);
        assert_eq!(once.run(id("a"), &body, short, work).await.status(), 504);
        let again = once.run(id("a"), &body, short, async { "second".into_response() }).await;
        assert_eq!(again.status(), 504, "the repetition waits for the first");
        assert!(!again.headers().contains_key(REPLAYED), "this is no answer of before");
        release.send(()).unwrap();
        assert_eq!(run(&once, "a", "x", &done, 500).await, (200, true));
        assert_eq!(done.load(Ordering::SeqCst), 0, "it was done once");
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_forgotten() {
        let once = Once::default();
        let body = Bytes::new();
        let response = once.run(id("a"), &body, PATIENCE, async { panic!("on purpose") }).await;
        assert_eq!(response.status(), 500);
        assert_eq!(run(&once, "a", "", &Arc::default(), 200).await, (200, false));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let (once, done) = (Once::default(), Arc::default());
        for number in 0..limits::REQUEST_IDS + 5 {
            run(&once, &number.to_string(), "x", &done, 200).await;
        }
        assert_eq!(once.lock().entries.len(), limits::REQUEST_IDS);
        assert_eq!(once.lock().order.len(), limits::REQUEST_IDS);
        assert_eq!(run(&once, "0", "x", &done, 200).await, (200, false));
        assert_eq!(run(&once, "1028", "x", &done, 200).await, (200, true));
    }

    #[test]
    fn an_id_is_read_or_refused_and_never_overlooked() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            }
            read_id(&headers)
        };
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[b"a-1"]).unwrap(), Some("a-1".parse().unwrap()));
        for values in [&[&b""[..]][..], &[&[b'x'; 65]], &[b"a b"], &[b"\xff\xff"], &[b"a", b"a"]] {
            assert!(read(values).is_err());
        }
    }
}
