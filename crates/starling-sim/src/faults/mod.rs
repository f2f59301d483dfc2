//! What goes wrong in the virtual world, all of it from the world's one seed, and nothing of it unless it is asked for.
//!
//! Only what can happen to a program over QUIC is here. A lost, doubled or overtaken datagram never shows itself as
//! such: loss is delay, at its worst the end of a connection ([`link`]); doubling is a peer that asks again because the
//! connection ended before the answer came ([`LinkFaults::repeats`]); and overtaking is between requests, each of which
//! has a stream of its own.
//!
//! [`LinkFaults`] says how links are, [`NodeFaults`] how machines are, [`partition`] who cannot reach whom, and
//! [`churn`] who is there at all.

mod chance;
pub mod churn;
pub mod link;
pub mod partition;

use std::num::NonZeroU64;

use starling_proto::time::Span;

pub use self::chance::Chance;
pub(crate) use self::chance::below;
use self::link::Loss;

/// How all links are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkFaults {
    /// Packets that are lost, each way.
    pub loss: Loss,
    /// The most by which a frame comes later than the pair's latency; each frame's is drawn between none and this.
    pub jitter: Span,
    /// Requests whose connection ends after they have arrived and before the answer has: the asker dials anew and asks
    /// again, as the shell does, so that the same request arrives twice.
    pub repeats: Chance,
    /// What a node can send in a second, in bytes; what does not fit waits its turn. None for no bound.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// How all machines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeFaults {
    /// Batches in the middle of which the machine fails: nothing of them is on disk.
    pub crash_before_commit: Chance,
    /// Batches after whose commit the machine fails: all of them is on disk, and nothing that they wanted done is done.
    pub crash_after_commit: Chance,
    /// The longest that a crashed machine stays down; each time is drawn between none and this.
    pub downtime: Span,
}
