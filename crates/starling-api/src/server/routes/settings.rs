//! What others learn of us while we talk.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};
use starling_core::settings;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{Contact, ErrorReply, Settings, SettingsRequest, TypingRequest};

/// The settings as they stand.
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    responses(
        (status = 200, description = "The settings.", body = Settings),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn show(State(shared): AppState) -> Result<Json<Settings>, Failure> {
    let settings = shared.ask(Command::ShowSettings, settings);
    Ok(Json(settings.await?.into()))
}

/// Changes settings; absent fields stay.
#[utoipa::path(
    post,
    path = "/api/v1/settings",
    request_body = SettingsRequest,
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn set(
    State(shared): AppState,
    JsonBody(request): JsonBody<SettingsRequest>,
) -> Result<Json<Settings>, Failure> {
    let settings = shared.ask(request, settings);
    Ok(Json(settings.await?.into()))
}

/// Tells a contact that we are typing to them, or have stopped; nothing is told if the settings say so.
#[utoipa::path(
    post,
    path = "/api/v1/contacts/typing",
    request_body = TypingRequest,
    responses(
        (status = 200, description = "How they stand.", body = Contact),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn typing(
    State(shared): AppState,
    JsonBody(request): JsonBody<TypingRequest>,
) -> Result<Json<Contact>, Failure> {
    let contact = shared.ask(request, |output| match output {
        CommandOutput::Contact(contact) => Some(contact),
        _ => None,
    });
    Ok(Json(contact.await?.into()))
}

fn settings(output: CommandOutput) -> Option<settings::Settings> {
    match output {
        CommandOutput::Settings(settings) => Some(settings),
        _ => None,
    }
}
