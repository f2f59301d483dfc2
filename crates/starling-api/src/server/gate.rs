//! What every request passes before any route sees it: host, origin, token, content type, body.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::debug;

use super::Shared;
use super::body;
use super::failure::Failure;
use super::hosts::single;
use super::once::{self, Deed};
use crate::API_VERSION;
use crate::types::Code;

/// On every answer: tells a client that it is talking to a node, and with which version of the API.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("starling-api");

/// Names under which people put tokens into addresses, where they end up in histories and logs.
const TOKEN_PARAMETERS: [&str; 4] = ["token", "access_token", "api_key", "authorization"];

/// Lets a request through, or answers it.
pub(super) async fn pass(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    // Never the address as it came: its query may hold what must not be logged.
    let method = request.method().clone();
    let mut response = match check(&shared, &request) {
        Ok(()) => admit(&shared, request, next).await,
        Err(failure) => failure.into_response(),
    };
    debug!(%method, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(VERSION_HEADER, HeaderValue::from(API_VERSION));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// What the head alone says. The order matters: nothing is told to whoever has no token.
fn check(shared: &Shared, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    shared.hosts.check(request.uri(), headers)?;
    if has_token_parameter(request.uri().query().unwrap_or_default()) {
        return Err(unauthorized("a token in the address is not accepted"));
    }
    let offered = single(headers, &AUTHORIZATION).ok().flatten().and_then(bearer);
    match offered {
        Some(token) if shared.token.is(token) => {}
        Some(_) => return Err(unauthorized("the token is wrong")),
        None => return Err(unauthorized("the Authorization header is missing or is no Bearer token")),
    }
    if request.method() == Method::POST || has_body(headers) { check_content_type(headers) } else { Ok(()) }
}

/// Reads the body and passes on, once for each client request id.
async fn admit(shared: &Arc<Shared>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let bytes = match body::read(body, shared.timeouts.body).await {
        Ok(bytes) => bytes,
        Err(failure) => return failure.into_response(),
    };
    let id = match once::read_id(&head.headers) {
        Ok(id) if head.method == Method::POST => id,
        Ok(_) => None,
        Err(failure) => return failure.into_response(),
    };
    let patience = shared.timeouts.answer;
    let mut request = Request::from_parts(head, Body::from(bytes.clone()));
    let Some(id) = id else {
        let answer = tokio::time::timeout(patience, next.run(request)).await;
        return answer.unwrap_or_else(|_| timed_out().into_response());
    };
    // For the routes whose command carries it into the core.
    request.extensions_mut().insert(id.clone());
    let deed = Deed::new(request.uri().path(), id);
    shared.once.run(deed, &bytes, patience, async move { next.run(request).await }).await
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

fn has_token_parameter(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        TOKEN_PARAMETERS.iter().any(|parameter| name.eq_ignore_ascii_case(parameter))
    })
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// `application/json`, in UTF-8 if it says so. A form, which any page may post, is neither.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = single(headers, &CONTENT_TYPE).ok().flatten().and_then(|value| value.to_str().ok());
    let mut parts = value.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if is_json && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8")) {
        return Ok(());
    }
    Err(Failure::new(
        Code::UnsupportedMediaType,
        "the body must be application/json",
        "send Content-Type: application/json and one JSON object",
    ))
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(Code::Unauthorized, message, "send Authorization: Bearer with the token of api.json")
}

fn timed_out() -> Failure {
    Failure::new(
        Code::TimedOut,
        "the node takes long, and may go on with it",
        "look whether it was done before you ask again; with an Idempotency-Key nothing is done twice",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_read_in_any_case() {
        for text in ["Bearer abc", "bearer abc", "BEARER abc"] {
            assert_eq!(bearer(&HeaderValue::from_static(text)), Some(&b"abc"[..]));
        }
        for text in ["Basic abc", "Bearer", "Bearer\tabc", "abc", ""] {
            assert_eq!(bearer(&HeaderValue::from_static(text)), None, "{text:?}");
        }
    }

    #[test]
    fn tokens_in_the_query_are_seen() {
        for query in ["token=x", "since=1-2&access_token=x", "since=1-2;TOKEN=x", "token", "=&api_key="] {
            assert!(has_token_parameter(query), "{query}");
        }
        assert!(!has_token_parameter("since=1-2"));
        assert!(!has_token_parameter(""));
    }

    #[test]
    fn only_json_is_json() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            check_content_type(&headers).is_ok()
        };
        for value in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
        {
            assert!(check(value), "{value}");
        }
        for value in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain; application/json",
            "application/jsonp",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "",
        ] {
            assert!(!check(value), "{value}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_err());
    }
}
