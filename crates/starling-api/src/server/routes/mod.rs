//! The routes: one module per subject, each with its handlers and nothing else.
//!
//! A handler turns a request type into a [`Command`](starling_core::io::Command), gives it to the backend, and turns
//! the output into an answer type. To add a subject: its types in `types/`, its handlers in a module here, one line in
//! [`described`].

mod contacts;
mod devices;
mod events;
mod identity;
mod invites;
mod messages;
mod metrics;
mod network;
mod profile;
mod search;
mod settings;
mod status;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::middleware;
use starling_core::io::{Command, CommandOutput};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::failure::Failure;
use super::{Shared, gate};
use crate::types::{Code, ErrorReply};

type AppState = State<Arc<Shared>>;

/// What all routes have in common.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Starling local API",
        description = "The local door of a Starling node. Every request needs the token of `api.json` as a Bearer \
                       token; `Host` and `Origin` are checked against an exact list; bodies are JSON objects. \
                       A POST with an `Idempotency-Key` header is carried out once, however often it is sent.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ErrorReply)),
    security(("token" = []))
)]
struct Common;

/// The OpenAPI document of all routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().split_for_parts().1
}

/// All routes behind the gate.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let (router, _) = described().split_for_parts();
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        // Last, so that it stands before all the others, the fallbacks included.
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), gate::pass))
        .with_state(shared)
}

fn described() -> OpenApiRouter<Arc<Shared>> {
    let mut common = Common::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    common.components.get_or_insert_default().add_security_scheme("token", bearer);
    OpenApiRouter::with_openapi(common)
        .routes(routes!(status::status))
        .routes(routes!(metrics::metrics))
        .routes(routes!(identity::whoami))
        .routes(routes!(profile::show, profile::set))
        .routes(routes!(profile::listed))
        .routes(routes!(settings::show, settings::set))
        .routes(routes!(settings::typing))
        .routes(routes!(search::search))
        .routes(routes!(network::join))
        .routes(routes!(contacts::list))
        .routes(routes!(contacts::add))
        .routes(routes!(contacts::change))
        .routes(routes!(contacts::safety))
        .routes(routes!(invites::make))
        .routes(routes!(devices::list))
        .routes(routes!(devices::link))
        .routes(routes!(devices::revoke))
        .routes(routes!(messages::send))
        .routes(routes!(messages::change))
        .routes(routes!(messages::read))
        .routes(routes!(messages::trace))
        .routes(routes!(events::events))
        .routes(routes!(document))
}

/// Describes this API.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    responses((status = 200, description = "This document.", body = Object))
)]
async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}

async fn no_such_route() -> Failure {
    Failure::new(
        Code::NoSuchRoute,
        "there is no such route",
        "GET /api/v1/openapi.json lists all routes; is the program older than the node?",
    )
}

async fn method_not_allowed() -> Failure {
    Failure::new(
        Code::MethodNotAllowed,
        "the route takes another method",
        "GET /api/v1/openapi.json lists the methods of all routes",
    )
}

impl Shared {
    /// Gives the core a command and picks its answer with `pick`.
    async fn ask<T>(
        &self,
        command: impl Into<Command>,
        pick: impl FnOnce(CommandOutput) -> Option<T>,
    ) -> Result<T, Failure> {
        let output = self.backend.command(command.into()).await?;
        pick(output).ok_or_else(Failure::mismatch)
    }
}
