//! Finding people.

use axum::Json;
use axum::extract::State;
use starling_core::io::CommandOutput;
use tokio::time::Instant;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, SearchReply, SearchRequest};

/// Finds people by words or beginnings of words. A POST, so that what one looks for is in no address.
#[utoipa::path(
    post,
    path = "/api/v1/search",
    request_body = SearchRequest,
    responses(
        (status = 200, description = "People, best first.", body = SearchReply),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn search(
    State(shared): AppState,
    JsonBody(request): JsonBody<SearchRequest>,
) -> Result<Json<SearchReply>, Failure> {
    let began = Instant::now();
    let view = shared.ask(request, |output| match output {
        CommandOutput::Search(view) => Some(view),
        _ => None,
    });
    Ok(Json(SearchReply::new(view.await?, began.elapsed())))
}
