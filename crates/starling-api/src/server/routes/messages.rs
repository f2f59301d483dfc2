//! Texts between us and a contact.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use starling_core::io::{Command, CommandOutput};
use starling_core::view::Message;
use starling_proto::ids::MessageId;

use super::AppState;
use crate::request_id::RequestId;
use crate::server::body::JsonBody;
use crate::server::failure::Failure;
use crate::types::{
    ChangeMessageRequest, Code, ErrorReply, Messages, MessagesRequest, SendReply, SendRequest, Trace,
};

/// Writes a text to a contact. The `Idempotency-Key` is kept with the message: under the same one it is sent once,
/// also across restarts of the node.
#[utoipa::path(
    post,
    path = "/api/v1/messages",
    request_body = SendRequest,
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "1 to 64 visible letters, 128 random bits or so: the message's own name for repetitions."
    )),
    responses(
        (status = 200, description = "It is in the outbox, on disk.", body = SendReply),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn send(
    State(shared): AppState,
    id: Option<Extension<RequestId>>,
    JsonBody(request): JsonBody<SendRequest>,
) -> Result<Json<SendReply>, Failure> {
    let command = request.command(id.map(|Extension(id)| id))?;
    Ok(Json(shared.ask(command, sent).await?.into()))
}

/// Says something about a text, to whoever has it: edits or deletes one of ours, or reacts to one. What is said travels as a
/// message of its own; its id and how far it has come are the answer.
#[utoipa::path(
    post,
    path = "/api/v1/messages/change",
    request_body = ChangeMessageRequest,
    responses(
        (status = 200, description = "It is in the outbox, on disk.", body = SendReply),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn change(
    State(shared): AppState,
    JsonBody(request): JsonBody<ChangeMessageRequest>,
) -> Result<Json<SendReply>, Failure> {
    let view = shared.ask(Command::try_from(request)?, sent);
    Ok(Json(view.await?.into()))
}

fn sent(output: CommandOutput) -> Option<Message> {
    match output {
        CommandOutput::Sent(view) => Some(view),
        _ => None,
    }
}

/// Reads a conversation. The messages of others that it gives count as read, which is why it is a POST.
#[utoipa::path(
    post,
    path = "/api/v1/messages/read",
    request_body = MessagesRequest,
    responses(
        (status = 200, description = "Messages, oldest first.", body = Messages),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn read(
    State(shared): AppState,
    JsonBody(request): JsonBody<MessagesRequest>,
) -> Result<Json<Messages>, Failure> {
    let view = shared.ask(Command::try_from(request)?, |output| match output {
        CommandOutput::Messages(view) => Some(view),
        _ => None,
    });
    Ok(Json(view.await?.into()))
}

/// Why has it not arrived: the steps of one message.
#[utoipa::path(
    get,
    path = "/api/v1/messages/{id}/trace",
    params(("id" = String, Path, description = "The message's id, `starmsg1…`.")),
    responses(
        (status = 200, description = "The steps, oldest first.", body = Trace),
        (status = "default", description = "Refused.", body = ErrorReply)
    )
)]
pub(super) async fn trace(
    State(shared): AppState,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Trace>, Failure> {
    let id: MessageId = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(bad_id)?;
    let view = shared.ask(Command::Trace(id), |output| match output {
        CommandOutput::Trace(view) => Some(view),
        _ => None,
    });
    Ok(Json(view.await?.into()))
}

fn bad_id() -> Failure {
    Failure::new(
        Code::BadInput,
        "this is no message id: a letter is wrong or missing",
        "a message id begins with starmsg1; POST /api/v1/messages/read shows those of a conversation",
    )
}
