//! Who waits for the core: peers for replies, users for results.

use std::collections::BTreeMap;

use starling_core::io::{CommandError, CommandId, CommandOutput, ErrorCode};
use starling_core::storage::StorageError;
use starling_overlay::io::InboundId;
use starling_proto::frame::FrameKind;
use starling_proto::message::{Refusal, Response};
use tokio::sync::oneshot;

use super::{CommandReply, Permit};
use crate::counts::Counters;
use crate::pool::InboundPermit;

/// Who waits for the machine that runs now.
pub(super) struct Waiting {
    next: u64,
    peers: BTreeMap<InboundId, Peer>,
    users: BTreeMap<CommandId, (CommandReply, Permit)>,
    counters: Counters,
}

/// A peer that waits for the answer to what it asked.
struct Peer {
    asked: FrameKind,
    reply: oneshot::Sender<Response>,
    _permit: InboundPermit,
}

impl Waiting {
    /// Nobody waits yet.
    pub(super) const fn new(counters: Counters) -> Self {
        Self { next: 0, peers: BTreeMap::new(), users: BTreeMap::new(), counters }
    }

    /// A peer waits; its permit is free once it has its reply.
    pub(super) fn peer(
        &mut self,
        asked: FrameKind,
        reply: oneshot::Sender<Response>,
        permit: InboundPermit,
    ) -> InboundId {
        let id = InboundId(self.fresh());
        self.peers.insert(id, Peer { asked, reply, _permit: permit });
        id
    }

    /// A user waits; the permit is free once there is a result.
    pub(super) fn user(&mut self, reply: CommandReply, permit: Permit) -> CommandId {
        let id = CommandId(self.fresh());
        self.users.insert(id, (reply, permit));
        id
    }

    /// Hands a peer its reply.
    pub(super) fn reply(&mut self, id: InboundId, response: Response) {
        match self.peers.remove(&id) {
            Some(peer) => {
                self.counters.answered(peer.asked, &response);
                // The peer may have given up: then there is nobody to tell.
                drop(peer.reply.send(response));
            }
            None => tracing::warn!("the core answered a request that does not wait"),
        }
    }

    /// Hands a user the result.
    pub(super) fn finish(&mut self, id: CommandId, result: Result<CommandOutput, CommandError>) {
        match self.users.remove(&id) {
            // The user may have given up: then there is nobody to tell.
            Some((reply, _permit)) => drop(reply.send(result)),
            None => tracing::warn!("the core answered a command that does not wait"),
        }
    }

    /// The machine is gone: users are told why, peers that they may ask again later.
    pub(super) fn fail(&mut self, error: &StorageError) {
        for peer in std::mem::take(&mut self.peers).into_values() {
            let response = Response::Refused(Refusal::Busy);
            self.counters.answered(peer.asked, &response);
            drop(peer.reply.send(response));
        }
        for (reply, _permit) in std::mem::take(&mut self.users).into_values() {
            drop(reply.send(Err(storage_failed(error))));
        }
    }

    /// Numbers are never used again, not even by a later machine.
    fn fresh(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}

/// What a user is told whose command could not be stored.
fn storage_failed(error: &StorageError) -> CommandError {
    let (message, hint) = match error {
        StorageError::Full => {
            ("the disk is full, so nothing was changed", "free some space, and try again after half a minute")
        }
        StorageError::Corrupt(_) => (
            "the database holds something that cannot be right",
            "run `starling doctor`, and restore a backup",
        ),
        _ => ("the database failed, so nothing was changed", "run `starling doctor`"),
    };
    CommandError { code: ErrorCode::Storage, message: message.into(), hint: hint.into() }
}
