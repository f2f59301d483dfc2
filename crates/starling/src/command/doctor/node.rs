//! What the running node says.

use std::path::Path;

use starling_api::types::{Mode, Status};

use super::Checkup;
use crate::client;
use crate::failure::Failure;

/// Asks the node that is running for `home`.
pub(super) async fn check(home: &Path, checkup: &mut Checkup) {
    match status(home).await {
        Ok(status) => {
            peers(&status, checkup);
            held_and_entries(&status, checkup);
        }
        Err(failure) => checkup.fail(
            "api",
            format!("a node is running but does not answer: {}", failure.message()),
            "wait until it has started; otherwise end it and start it again",
        ),
    }
}

async fn status(home: &Path) -> Result<Status, Failure> {
    Ok(client::connect(home)?.status().await?)
}

fn peers(status: &Status, checkup: &mut Checkup) {
    match (status.peers, status.mode) {
        (0, _) => checkup.warn(
            "peers",
            "none is connected",
            "join one: `starling run --join NODEID@IP:PORT`, with the text that the other's `starling run` prints",
        ),
        (peers, Mode::Server) => checkup.ok("peers", format!("{peers} connected; others can dial this node")),
        (peers, Mode::Client) => checkup.warn(
            "peers",
            format!("{peers} connected; none of them could dial this node yet"),
            "behind a router or firewall let the UDP port in, which `starling run --listen` fixes",
        ),
    }
}

fn held_and_entries(status: &Status, checkup: &mut Checkup) {
    match status.held.damaged {
        0 => {}
        rows => checkup.warn(
            "records",
            format!("{rows} rows could not be read; the node removes them"),
            "end the node and run `starling doctor` with the passphrase: it checks every page",
        ),
    }
    let entries = status.entries;
    if entries.placed < entries.wanted {
        checkup.warn(
            "directory",
            format!("{} of {} entries are in the directory", entries.placed, entries.wanted),
            "wait some minutes after joining; without peers nobody can hold them",
        );
    }
}
