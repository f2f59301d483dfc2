//! Calling the node that runs for a home.

use std::path::Path;

use starling_api::client::{Client, ClientError};
use starling_api::types::{Code, ErrorBody};
use starling_store::Home;

use crate::failure::Failure;

/// A client of the node that runs for `home`.
///
/// # Errors
/// No node is running there; if there is not even an account, that is said.
pub(crate) fn connect(home: &Path) -> Result<Client, Failure> {
    Client::open(home).map_err(|error| match error {
        ClientError::NotRunning(_) if !has_account(home) => Failure::new(
            Code::NotRunning,
            format!("no node is running for this home: {} has no account yet", home.display()),
            "make one with `starling init --name NAME`, then `starling run`; or name another home with --home",
        ),
        error => error.into(),
    })
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let body: ErrorBody = error.to_body();
        body.into()
    }
}

fn has_account(home: &Path) -> bool {
    Home::open(home).is_ok_and(|home| home.has_account())
}
