//! The account's devices.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};
use starling_core::view;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{Devices, ErrorReply, LinkDeviceRequest, RevokeDeviceRequest};

/// The account's devices.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    responses(
        (status = 200, description = "The devices.", body = Devices),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn list(State(shared): AppState) -> Result<Json<Devices>, Failure> {
    Ok(Json(shared.ask(Command::Devices, devices).await?.into()))
}

/// Makes a device one of the account's; the same one twice is done once.
#[utoipa::path(
    post,
    path = "/api/v1/devices/link",
    request_body = LinkDeviceRequest,
    responses(
        (status = 200, description = "The devices as they are now.", body = Devices),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn link(
    State(shared): AppState,
    JsonBody(request): JsonBody<LinkDeviceRequest>,
) -> Result<Json<Devices>, Failure> {
    Ok(Json(shared.ask(Command::try_from(request)?, devices).await?.into()))
}

/// Takes a device off the account's list, for ever.
#[utoipa::path(
    post,
    path = "/api/v1/devices/revoke",
    request_body = RevokeDeviceRequest,
    responses(
        (status = 200, description = "The devices as they are now.", body = Devices),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn revoke(
    State(shared): AppState,
    JsonBody(request): JsonBody<RevokeDeviceRequest>,
) -> Result<Json<Devices>, Failure> {
    Ok(Json(shared.ask(Command::try_from(request)?, devices).await?.into()))
}

fn devices(output: CommandOutput) -> Option<view::Devices> {
    match output {
        CommandOutput::Devices(devices) => Some(devices),
        _ => None,
    }
}
