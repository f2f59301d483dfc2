//! Who this node belongs to.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};

use super::AppState;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, WhoAmI};

/// Account, device, node, name, tag.
#[utoipa::path(
    get,
    path = "/api/v1/whoami",
    responses(
        (status = 200, description = "Who this node belongs to.", body = WhoAmI),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn whoami(State(shared): AppState) -> Result<Json<WhoAmI>, Failure> {
    let view = shared.ask(Command::WhoAmI, |output| match output {
        CommandOutput::WhoAmI(view) => Some(view),
        _ => None,
    });
    Ok(Json(view.await?.into()))
}
