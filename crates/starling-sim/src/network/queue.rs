//! What is on its way, in the order of its time; at one time in the order in which it was put there.

use std::collections::BTreeMap;

use starling_overlay::io::ChannelBinding;
use starling_proto::message::Request;
use starling_proto::time::Tick;

use starling_core::io::{CallId, Input};

use super::NodeIndex;

/// Something on its way.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something reaches a core.
    Input(NodeIndex, Input),
    /// A core wanted to be woken.
    Timer(NodeIndex),
    /// A request reaches its peer.
    Arrive { from: NodeIndex, to: NodeIndex, call: CallId, request: Request },
    /// Nothing has come back in time.
    Deadline { from: NodeIndex, call: CallId },
    /// A connection may have been without a request for long enough to be closed by the side that dialled.
    Idle { dialler: NodeIndex, other: NodeIndex, binding: ChannelBinding },
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Tick, u64), Happening>,
    queued: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Tick, happening: Happening) {
        self.queued = self.queued.saturating_add(1);
        self.waiting.insert((at, self.queued), happening);
    }

    /// The next, if its time is not after `end`.
    pub(super) fn pop_until(&mut self, end: Tick) -> Option<(Tick, Happening)> {
        let first = self.waiting.first_entry()?;
        let at = first.key().0;
        (at <= end).then(|| (at, first.remove()))
    }
}
