//! Invites: links for one person each.

use axum::Json;
use axum::extract::State;
use starling_core::io::CommandOutput;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, InviteReply, InviteRequest};

/// Makes an invite for one person. It is a secret between the two.
#[utoipa::path(
    post,
    path = "/api/v1/invites",
    request_body = InviteRequest,
    responses(
        (status = 200, description = "The invite.", body = InviteReply),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn make(
    State(shared): AppState,
    JsonBody(request): JsonBody<InviteRequest>,
) -> Result<Json<InviteReply>, Failure> {
    let command = request.command(shared.backend.info().addresses)?;
    let invite = shared.ask(command, |output| match output {
        CommandOutput::Invite(invite) => Some(invite),
        _ => None,
    });
    Ok(Json(invite.await?.into()))
}
