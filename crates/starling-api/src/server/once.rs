//! Client request ids: the same request twice is carried out once.
//!
//! A client that lost the answer cannot know whether its message was sent. It repeats the request with the same id in
//! `Idempotency-Key` and gets the first one's answer. Rules (after draft-ietf-httpapi-idempotency-key-header-07):
//!
//! - an id belongs to one route and one body; with another body it is refused;
//! - while the first one is under way, the second waits for it;
//! - once begun, the work goes on though its client has gone;
//! - a failure of ours (5xx) is not remembered, so that the repetition tries again.
//!
//! Remembered in memory: a command that must be safe across a restart of the node carries the id into the core.

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
pub(super) struct RequestId {
    route: String,
    id: String,
}

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<RequestId, Entry>,
    /// In the order in which they came.
    order: VecDeque<RequestId>,
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

impl RequestId {
    /// Reads the id from a request to `route`; `None` if it carries none.
    pub(super) fn read(route: &str, headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let bad = || {
            Failure::new(
                Code::BadInput,
                format!("the Idempotency-Key header needs 1 to {} visible letters", limits::REQUEST_ID_BYTES),
                "use a random UUID for each new request and the same one for its repetitions",
            )
        };
        let Some(value) = single(headers, &REQUEST_ID).map_err(|_| bad())? else { return Ok(None) };
        let id = value.to_str().map_err(|_| bad())?;
        let fits = (1..=limits::REQUEST_ID_BYTES).contains(&id.len());
        let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && visible {
            Ok(Some(Self { route: route.to_owned(), id: id.to_owned() }))
        } else {
            Err(bad())
        }
    }
}

impl Once {
    /// Answers from memory, or does `work` and remembers.
    pub(super) async fn run<F>(&self, id: RequestId, body: &Bytes, work: F) -> Response
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let digest = blake3::hash(body);
        let (mut answer, first) = match self.enter(&id, digest) {
            Ok(Entered::Known(answer)) => (answer, false),
            Ok(Entered::New(sender, answer)) => {
                let memory = self.clone();
                // A task of its own: a client that hangs up drops this future, and must not stop the work half-way.
                tokio::spawn(async move { memory.finish(id, sender, work.await).await });
                (answer, true)
            }
            Err(failure) => return failure.into_response(),
        };
        let given = answer.wait_for(Option::is_some).await.ok().and_then(|given| given.clone());
        match given {
            Some(answer) => answer.into_response(!first),
            None => {
                Failure::new(Code::Failed, "the request ended without an answer", "repeat it").into_response()
            }
        }
    }

    fn enter(&self, id: &RequestId, body: blake3::Hash) -> Result<Entered, Failure> {
        let mut memory = self.lock();
        match memory.entries.get(id) {
            Some(entry) if entry.is_dead() => memory.forget(id),
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
        memory.order.push_back(id.clone());
        memory.entries.insert(id.clone(), Entry { body, answer: answer.clone() });
        Ok(Entered::New(sender, answer))
    }

    /// Hands the answer to all who wait. Forgets those that are better asked for again.
    async fn finish(self, id: RequestId, sender: watch::Sender<Option<Answer>>, response: Response) {
        let answer = Answer::read(response).await;
        let keep = !answer.status.is_server_error() && answer.body.len() <= limits::REMEMBERED_BYTES;
        // First out of the memory, then to those who wait: whoever asks after having seen the failure begins anew.
        if !keep {
            self.lock().forget(&id);
        }
        sender.send_replace(Some(answer));
    }

    /// A panic elsewhere leaves the memory whole: each change is one statement.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request with an id begins.
enum Entered {
    /// It has been here: its answer, or the place where the answer will be.
    Known(watch::Receiver<Option<Answer>>),
    /// It has not.
    New(watch::Sender<Option<Answer>>, watch::Receiver<Option<Answer>>),
}

impl Memory {
    fn forget(&mut self, id: &RequestId) {
        self.entries.remove(id);
        self.order.retain(|other| other != id);
    }

    /// Drops the oldest answer if there is no room. What is under way stays: forgetting it could do it twice.
    fn make_room(&mut self) -> Result<(), Failure> {
        if self.entries.len() < limits::REQUEST_IDS {
            return Ok(());
        }
        let done = |id: &&RequestId| self.entries.get(*id).is_none_or(Entry::is_done);
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

    fn id(text: &str) -> RequestId {
        RequestId { route: "/send".into(), id: text.into() }
    }

    /// Runs `body` under `name`; the answer's status, and whether it was a replay.
    async fn run(once: &Once, name: &str, body: &str, done: &Arc<AtomicUsize>, status: u16) -> (u16, bool) {
        let done = Arc::clone(done);
        let body = Bytes::from(body.to_owned());
        let work = async move {
            done.fetch_add(1, Ordering::SeqCst);
            (StatusCode::from_u16(status).unwrap(), "answer").into_response()
        };
        let response = once.run(id(name), &body, work).await;
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
            let gone = once.run(id("a"), &body, work);
            assert!(gone.now_or_never().is_none(), "the client leaves before the answer");
        }
        let again = once.run(id("a"), &body, async { "second".into_response() });
        let (response, ()) = tokio::join!(again, async { release.send(()).unwrap() });
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "first");
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_forgotten() {
        let once = Once::default();
        let body = Bytes::new();
        let response = once.run(id("a"), &body, async { panic!("on purpose") }).await;
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
    fn ids_are_short_and_visible() {
        let read = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
            RequestId::read("/send", &headers)
        };
        assert!(read(b"0f8fad5b-d9cb-469f-a165-70867728950e").unwrap().is_some());
        assert!(read(&[b'x'; 64]).is_ok());
        for value in [&b""[..], &[b'x'; 65], b"a b", b"\xff\xff"] {
            assert!(read(value).is_err());
        }
    }
}
