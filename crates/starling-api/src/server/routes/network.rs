//! Entering the network.

use axum::Json;
use axum::extract::State;
use starling_core::io::CommandOutput;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, JoinReply, JoinRequest};

/// Enters the network through these peers, and those known from before.
#[utoipa::path(
    post,
    path = "/api/v1/join",
    request_body = JoinRequest,
    responses(
        (status = 200, description = "How many peers the routing table has.", body = JoinReply),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn join(
    State(shared): AppState,
    JsonBody(request): JsonBody<JoinRequest>,
) -> Result<Json<JoinReply>, Failure> {
    let peers = shared.ask(request, |output| match output {
        CommandOutput::Joined { peers } => Some(peers),
        _ => None,
    });
    Ok(Json(JoinReply::new(peers.await?)))
}
