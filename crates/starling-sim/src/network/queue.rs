//! What is on its way, in the order of its time; at one time in the order in which it was put there.

use std::collections::BTreeMap;

use starling_overlay::io::ChannelBinding;
use starling_proto::message::{Request, Response};
use starling_proto::time::Tick;

use starling_core::io::{CallId, Input};

use super::NodeIndex;
use crate::faults::link::Remaining;

/// Something on its way. Hundreds wait for each node: what is large is boxed.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something reaches whatever core runs then.
    Input(NodeIndex, Box<Input>),
    /// Something reaches the core that asked for it, if that one still runs.
    Owed { to: NodeIndex, life: u32, input: Box<Input> },
    /// A core wanted to be woken.
    Timer(NodeIndex),
    /// A frame has arrived.
    Arrive(Box<Parcel>),
    /// What is missing of a frame is sent again.
    Again(Box<Parcel>, Remaining),
    /// The connection with a peer has ended, unless there is another meanwhile.
    Down { at: NodeIndex, peer: NodeIndex },
    /// A peer that failed without a word is missed, unless it is connected anew.
    Missed { at: NodeIndex, peer: NodeIndex, epoch: u64 },
    /// Nothing has come back in time.
    Deadline { from: NodeIndex, to: Option<NodeIndex>, call: CallId, ticket: u64, began: Tick },
    /// A connection may have been without a request for long enough to be closed by the side that dialled.
    Idle { dialler: NodeIndex, other: NodeIndex, binding: ChannelBinding },
    /// A machine that failed starts again.
    Restart(NodeIndex),
    /// There is room on a disk again.
    Room(NodeIndex),
}

/// A frame on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) from: NodeIndex,
    pub(super) to: NodeIndex,
    /// Its connection.
    pub(super) epoch: u64,
    /// When it was first sent.
    pub(super) sent: Tick,
    /// Whose request it is or answers.
    pub(super) call: CallId,
    /// Which of the calls of this id.
    pub(super) ticket: u64,
    pub(super) cargo: Cargo,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Cargo {
    /// A request; whether its answer gets lost because the connection ends.
    Request { request: Request, unanswered: bool },
    /// An answer.
    Answer(Response),
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
