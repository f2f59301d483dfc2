//! Requests' bodies: read once, with a bound in bytes and in time, and then parsed.

use core::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::limits;
use crate::types::Code;

/// Reads the whole body. Not a byte above the bound is kept, whatever length was announced.
pub(super) async fn read(body: Body, time: Duration) -> Result<Bytes, Failure> {
    // An announced length above the bound is refused before the first byte.
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if announced > u64::try_from(limits::BODY_BYTES).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match tokio::time::timeout(time, gather(body)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Code::BodyTooSlow,
            "the body did not arrive in time",
            "send the whole body at once",
        )),
    }
}

/// Copies the pieces together. Keeping them would keep a read buffer of 8 KiB alive for each: 64 thousand pieces of one
/// byte would hold half a gigabyte.
async fn gather(mut body: Body) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Failure::new(
                Code::BadInput,
                "the body broke off or is not framed as HTTP says",
                "send a Content-Length and that many bytes",
            )
        })?;
        // Trailers mean nothing here.
        if let Ok(data) = frame.into_data() {
            if bytes.len().saturating_add(data.len()) > limits::BODY_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

/// A body that is one JSON object of type `T`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body(), limits::BODY_TIME).await?;
        parse(&bytes).map(Self)
    }
}

/// Parses one JSON object. Nesting is bounded by `serde_json` (128); fields that are twice there, unknown or of another
/// type are refused.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let bad = |message: String| {
        Failure::new(Code::BadInput, message, "GET /api/v1/openapi.json describes what each route takes")
    };
    // serde would also take the fields' values as an array, in order: a second spelling nobody needs.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(bad("the body must be one JSON object".to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|error| bad(format!("the body does not fit: {error}")))
}

fn too_large() -> Failure {
    let limit = limits::BODY_BYTES;
    Failure::new(
        Code::BodyTooLarge,
        format!("the body is larger than {limit} bytes"),
        "send less at once; long texts travel as files",
    )
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;
    use futures_util::stream;
    use serde::Deserialize;

    use super::*;

    #[tokio::test]
    async fn api_06_of_an_endless_body_no_more_than_the_bound_is_taken() {
        const PIECE: usize = 1000;
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let endless = stream::repeat_with(move || {
            counter.fetch_add(PIECE, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(&[b' '; PIECE]))
        });
        let refused = read(Body::from_stream(endless.boxed()), limits::BODY_TIME).await;
        assert!(refused.is_err());
        let taken = taken.load(Ordering::SeqCst);
        assert!((limits::BODY_BYTES..=limits::BODY_BYTES + PIECE).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn the_largest_body_passes() {
        let largest = Body::from(vec![b' '; limits::BODY_BYTES]);
        assert_eq!(read(largest, limits::BODY_TIME).await.unwrap().len(), limits::BODY_BYTES);
        let larger = Body::from(vec![b' '; limits::BODY_BYTES + 1]);
        assert!(read(larger, limits::BODY_TIME).await.is_err());
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Example {
        a: u8,
        #[serde(default)]
        b: Option<String>,
    }

    #[test]
    fn one_object_passes() {
        assert!(parse::<Example>(br#" {"a":1,"b":"x"}"#).is_ok());
        assert!(parse::<Example>(br#"{"a":1}"#).is_ok());
    }

    #[test]
    fn api_07_everything_else_is_bad_input() {
        let deep = format!("{{\"a\":{}", "[".repeat(60_000));
        for text in [
            "",
            "null",
            "[1,\"x\"]",
            "{}",
            r#"{"a":1}{"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"c":1}"#,
            r#"{"a":256}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e400}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1,"b":{"b":1}}"#,
            "{\"a\":1,\"b\":\"\u{0}\"}",
            r#"{"a":1,"b":"\ud800"}"#,
            &deep,
        ] {
            assert!(parse::<Example>(text.as_bytes()).is_err(), "{text:.40}");
        }
        assert!(parse::<Example>(b"{\"a\":1,\"b\":\"\xff\"}").is_err());
    }
}
