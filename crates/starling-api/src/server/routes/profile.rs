//! What the user says about themselves.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};
use starling_core::view;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{ErrorReply, ListedRequest, Profile, ProfileRequest};

/// The profile as it stands.
#[utoipa::path(
    get,
    path = "/api/v1/profile",
    responses(
        (status = 200, description = "The profile.", body = Profile),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn show(State(shared): AppState) -> Result<Json<Profile>, Failure> {
    let view = shared.ask(Command::ShowProfile, profile);
    Ok(Json(view.await?.into()))
}

/// Changes name, about text or keywords; absent fields stay.
#[utoipa::path(
    post,
    path = "/api/v1/profile",
    request_body = ProfileRequest,
    responses(
        (status = 200, description = "The profile as it is now.", body = Profile),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn set(
    State(shared): AppState,
    JsonBody(request): JsonBody<ProfileRequest>,
) -> Result<Json<Profile>, Failure> {
    let view = shared.ask(request, profile);
    Ok(Json(view.await?.into()))
}

/// Appears in the directory, or no longer.
#[utoipa::path(
    post,
    path = "/api/v1/profile/listed",
    request_body = ListedRequest,
    responses(
        (status = 200, description = "The profile as it is now.", body = Profile),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn listed(
    State(shared): AppState,
    JsonBody(request): JsonBody<ListedRequest>,
) -> Result<Json<Profile>, Failure> {
    let view = shared.ask(request, profile);
    Ok(Json(view.await?.into()))
}

fn profile(output: CommandOutput) -> Option<view::Profile> {
    match output {
        CommandOutput::Profile(view) => Some(view),
        _ => None,
    }
}
