//! The people we know, asked, or were asked by.

use axum::Json;
use axum::extract::State;
use starling_core::io::{Command, CommandOutput};
use starling_core::view;

use super::AppState;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{
    AddContactRequest, ChangeContactRequest, Contact, Contacts, ErrorReply, SafetyNumber, SafetyRequest,
};

/// Everybody who is a contact, asks to be one, or was asked.
#[utoipa::path(
    get,
    path = "/api/v1/contacts",
    responses(
        (status = 200, description = "Everybody, however they stand.", body = Contacts),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn list(State(shared): AppState) -> Result<Json<Contacts>, Failure> {
    let view = shared.ask(Command::Contacts, |output| match output {
        CommandOutput::Contacts(view) => Some(view),
        _ => None,
    });
    Ok(Json(view.await?.into()))
}

/// Asks somebody to be a contact, by account id or invite; accepts them if they have asked.
#[utoipa::path(
    post,
    path = "/api/v1/contacts/add",
    request_body = AddContactRequest,
    responses(
        (status = 200, description = "How they stand now.", body = Contact),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn add(
    State(shared): AppState,
    JsonBody(request): JsonBody<AddContactRequest>,
) -> Result<Json<Contact>, Failure> {
    let view = shared.ask(Command::try_from(request)?, contact);
    Ok(Json(view.await?.into()))
}

/// Changes how somebody stands: one change in each request.
#[utoipa::path(
    post,
    path = "/api/v1/contacts/change",
    request_body = ChangeContactRequest,
    responses(
        (status = 200, description = "How they stand now, or stood before they were forgotten.", body = Contact),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn change(
    State(shared): AppState,
    JsonBody(request): JsonBody<ChangeContactRequest>,
) -> Result<Json<Contact>, Failure> {
    let view = shared.ask(Command::try_from(request)?, contact);
    Ok(Json(view.await?.into()))
}

/// The 60 digits to compare with a contact. A POST, so that whom one checks is in no address.
#[utoipa::path(
    post,
    path = "/api/v1/contacts/safety",
    request_body = SafetyRequest,
    responses(
        (status = 200, description = "The digits.", body = SafetyNumber),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn safety(
    State(shared): AppState,
    JsonBody(request): JsonBody<SafetyRequest>,
) -> Result<Json<SafetyNumber>, Failure> {
    let view = shared.ask(request, |output| match output {
        CommandOutput::SafetyNumber(view) => Some(view),
        _ => None,
    });
    Ok(Json(view.await?.into()))
}

fn contact(output: CommandOutput) -> Option<view::Contact> {
    match output {
        CommandOutput::Contact(view) => Some(view),
        _ => None,
    }
}
