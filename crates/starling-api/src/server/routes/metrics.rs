//! The same as `status`, for programs that draw curves.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::AppState;
use crate::metrics;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, Status};

/// Figures in Prometheus' text format, the only answer that is not JSON: peers, what is held for others, requests
/// answered and refused, messages, database. None says who, what or where.
#[utoipa::path(
    get,
    path = "/api/v1/metrics",
    responses(
        (status = 200, description = "Prometheus text format 0.0.4.", body = String,
            content_type = "text/plain; version=0.0.4; charset=utf-8"),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn metrics(State(shared): AppState) -> Result<Response, Failure> {
    let view = shared.status().await?;
    let info = shared.backend.info();
    let counts = info.counts.clone();
    let text = metrics::text(&Status::new(view, info), &counts);
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
