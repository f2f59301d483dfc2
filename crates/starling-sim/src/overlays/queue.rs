//! What is on its way, in the order of its time; at one time in the order in which it was put there.

use std::collections::BTreeMap;

use starling_overlay::io::{CallId, Input};
use starling_proto::message::Request;
use starling_proto::time::Tick;

use super::OverlayIndex;

/// Who waits for an answer, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) index: OverlayIndex,
    /// In which of its lives.
    pub(super) life: u32,
    /// Nothing where nobody wants to know the answer: a flood.
    pub(super) call: Option<CallId>,
    pub(super) due: Tick,
}

/// Something on its way.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something reaches an overlay, if it has not begun anew meanwhile.
    Input { to: OverlayIndex, life: u32, input: Box<Input> },
    /// One who comes and goes does so.
    Turn(OverlayIndex),
    /// An overlay wanted to be woken.
    Timer(OverlayIndex),
    /// A request reaches its peer.
    Arrive { from: Caller, to: OverlayIndex, request: Box<Request> },
    /// A connection may have been without a request for long enough to be closed by the side that dialled.
    Idle { dialler: OverlayIndex, other: OverlayIndex, number: u64 },
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
