//! What is going on.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};
use starling_core::view;

use super::AppState;
use crate::server::Shared;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, Status};

/// Peers, routing table, what is held for others, own entries, database.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    responses(
        (status = 200, description = "What is going on.", body = Status),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn status(State(shared): AppState) -> Result<Json<Status>, Failure> {
    let view = shared.status().await?;
    Ok(Json(Status::new(view, shared.backend.info())))
}

impl Shared {
    /// What the core says of itself.
    pub(super) async fn status(&self) -> Result<view::Status, Failure> {
        let view = self.ask(Command::Status, |output| match output {
            CommandOutput::Status(view) => Some(view),
            _ => None,
        });
        view.await
    }
}
