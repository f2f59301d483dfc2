//! The hash over everything that has happened, in order.

use starling_core::io::Output;
use starling_proto::time::Tick;

use super::NodeIndex;

/// What left any core, and when. Requests and answers count as the bytes that travel, the rest as it is written down.
#[derive(Debug, Default)]
pub(super) struct Trace(blake3::Hasher);

impl Trace {
    /// A request or an answer: `place` says which and between whom.
    pub(super) fn frame(&mut self, now: Tick, index: NodeIndex, place: &[u8], frame: &[u8]) {
        self.begin(now, index, frame.len());
        self.0.update(place).update(frame);
    }

    /// Anything else.
    pub(super) fn output(&mut self, now: Tick, index: NodeIndex, output: &Output) {
        let text = format!("{output:?}");
        self.begin(now, index, text.len());
        self.0.update(text.as_bytes());
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }

    fn begin(&mut self, now: Tick, index: NodeIndex, length: usize) {
        for number in [now.as_ms(), index.0 as u64, length as u64] {
            self.0.update(&number.to_be_bytes());
        }
    }
}
