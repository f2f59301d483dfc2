//! A refusal as an HTTP answer.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use starling_core::io::CommandError;

use crate::types::{Code, ErrorBody, ErrorReply};

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Failure(ErrorBody);

impl Failure {
    /// A refusal.
    pub(super) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(ErrorBody::new(code, message, hint))
    }

    /// The core answered with something else than was asked for.
    pub(super) fn mismatch() -> Self {
        Self::new(
            Code::Failed,
            "the node answered another question than the one asked",
            "please report this with the route that you called",
        )
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self(error.into())
    }
}

impl From<ErrorBody> for Failure {
    fn from(error: ErrorBody) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ErrorReply { error: self.0 })).into_response();
        if code == Code::Unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
