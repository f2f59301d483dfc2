//! Crash points: one machine fails at one chosen moment of one chosen batch, and starts again.
//!
//! What it has sent by then is on its way and arrives; nobody is told that it has gone, and who was connected with it
//! finds out by itself.

use std::collections::BTreeMap;
use std::str::FromStr;

use starling_core::io::{CallId, Input};
use starling_proto::time::Span;

use super::queue::Happening;
use super::wires::scattered;
use super::{Network, NodeIndex};
use crate::checks::sometimes::Sometimes;

/// Peers notice after this long that a machine has gone without a word.
const NOTICED: Span = Span::from_secs(5);
/// A machine is down for less than this, in milliseconds: some are missed, and some are back before.
const DOWN_MS: u64 = 12_000;

/// A moment of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Nothing of it is on disk yet.
    BeforeCommit,
    /// All of it is on disk, and so many of its outputs have left.
    AfterOutputs(usize),
}

/// Where a machine fails. Written as `NODE:INPUT:before` or `NODE:INPUT:OUTPUTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrashPoint {
    /// Whose machine.
    pub node: NodeIndex,
    /// In the batch of which input, counted from 0 over all that the node has handled.
    pub input: u64,
    /// When in it.
    pub moment: Moment,
}

impl std::fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { node, input, moment } = self;
        match moment {
            Moment::BeforeCommit => write!(f, "{}:{input}:before", node.0),
            Moment::AfterOutputs(left) => write!(f, "{}:{input}:{left}", node.0),
        }
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (node, rest) = text.split_once(':')?;
            let (input, moment) = rest.split_once(':')?;
            let moment = match moment {
                "before" => Moment::BeforeCommit,
                left => Moment::AfterOutputs(left.parse().ok()?),
            };
            Some(Self { node: NodeIndex(node.parse().ok()?), input: input.parse().ok()?, moment })
        };
        parsed().ok_or_else(|| format!("expected NODE:INPUT:before or NODE:INPUT:OUTPUTS, got {text:?}"))
    }
}

/// One batch of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whose.
    pub node: NodeIndex,
    /// Which of its inputs, counted from 0.
    pub input: u64,
    /// What kind of input.
    pub kind: String,
    /// Outputs that left.
    pub outputs: usize,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    point: Option<CrashPoint>,
    has_struck: bool,
    handled: BTreeMap<NodeIndex, u64>,
    /// Every batch so far, if they are wanted.
    batches: Option<Vec<Batch>>,
}

impl Crashes {
    /// The batch that was begun last is done.
    pub(super) fn released(&mut self, outputs: usize) {
        if let Some(batch) = self.batches.as_mut().and_then(|batches| batches.last_mut()) {
            batch.outputs = outputs;
        }
    }
}

impl Network {
    /// A machine is to fail there.
    pub const fn crash_at(&mut self, point: CrashPoint) {
        self.crashes.point = Some(point);
    }

    /// Whether the machine that is to fail has failed.
    #[must_use]
    pub const fn has_crashed(&self) -> bool {
        self.crashes.has_struck
    }

    /// From now on batches are noted.
    pub fn note_batches(&mut self) {
        self.crashes.batches.get_or_insert_default();
    }

    /// The batches that were noted.
    #[must_use]
    pub fn batches(&self) -> &[Batch] {
        self.crashes.batches.as_deref().unwrap_or_default()
    }

    /// Counts an input that a node is about to handle; if its machine is to fail in that batch, says when.
    pub(super) fn moment(&mut self, index: NodeIndex, input: &Input) -> Option<Moment> {
        if !self.node(index).is_up() {
            return None;
        }
        let crashes = &mut self.crashes;
        let handled = crashes.handled.entry(index).or_default();
        let number = *handled;
        *handled = handled.saturating_add(1);
        if let Some(batches) = &mut crashes.batches {
            batches.push(Batch { node: index, input: number, kind: kind(input), outputs: 0 });
        }
        let point = crashes.point.filter(|point| (point.node, point.input) == (index, number))?;
        crashes.has_struck = true;
        Some(point.moment)
    }

    /// The machine fails and starts again after a while.
    pub(super) fn fail_silently(&mut self, index: NodeIndex) {
        let number = self.crashes.handled.get(&index).copied().unwrap_or(0);
        let down = scattered(self.world.seed ^ scattered(number)).checked_rem(DOWN_MS).unwrap_or(0);
        self.reached.note(match self.crashes.point.map(|point| point.moment) {
            Some(Moment::BeforeCommit) => Sometimes::CrashBeforeCommit,
            _ => Sometimes::CrashAfterCommit,
        });
        self.at(index).stop();
        self.forget_waiting(index);
        for peer in self.at(index).connections.clear() {
            if let Some(connection) = self.node(peer).connections.get(index) {
                let epoch = connection.epoch;
                self.schedule(NOTICED, Happening::Missed { at: peer, peer: index, epoch });
            }
        }
        self.schedule(Span::from_ms(down), Happening::Restart(index));
    }

    /// The end of a connection of which the other end has failed is noticed, unless another has taken its place.
    pub(super) fn miss(&mut self, at: NodeIndex, peer: NodeIndex, epoch: u64) {
        let standing = self.node(at).connections.get(peer);
        if standing.is_some_and(|connection| connection.epoch == epoch) {
            self.at(at).connections.remove(peer);
            self.tell_down(at, peer);
        }
    }
}

fn kind(input: &Input) -> String {
    match input {
        Input::PeerUp { .. } => "peer up".into(),
        Input::PeerDown(_) => "peer down".into(),
        Input::Request { request, .. } => format!("asked {:?}", request.kind()),
        Input::Answer { call, answer } => {
            let machine = match call {
                CallId::Overlay(_) => "overlay",
                CallId::Meet(_) => "meeting",
                CallId::Talk(_) => "talking",
            };
            match answer {
                Ok(response) => format!("answer to {machine} {:?}", response.kind()),
                Err(_) => format!("failure to {machine}"),
            }
        }
        Input::Command { .. } => "command".into(),
        Input::JobDone { .. } => "job".into(),
        Input::Timer => "timer".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_they_are_written() {
        for moment in [Moment::BeforeCommit, Moment::AfterOutputs(0), Moment::AfterOutputs(12)] {
            let point = CrashPoint { node: NodeIndex(3), input: 70, moment };
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        for wrong in ["", "1:2", "1:2:after", "1:2:3:4", "a:2:before"] {
            assert!(wrong.parse::<CrashPoint>().is_err(), "{wrong:?}");
        }
    }
}
