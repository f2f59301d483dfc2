//! What a node has sent and received.

use std::iter::Sum;
use std::ops::{Add, Sub};

/// Counts of frames, for one node or for many. Handshakes and what QUIC and IP put around a frame are not in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Requests that left it.
    pub requests: u64,
    /// Connections that it dialled and that came to stand.
    pub handshakes: u64,
    /// Dials of it that were refused for want of a seat.
    pub refused: u64,
    /// Bytes of the requests and answers that left it.
    pub bytes_sent: u64,
    /// Bytes of the requests and answers that reached it.
    pub bytes_received: u64,
}

impl Traffic {
    /// Each field of both, put together by `with`.
    fn zip(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            handshakes: with(self.handshakes, other.handshakes),
            refused: with(self.refused, other.refused),
            bytes_sent: with(self.bytes_sent, other.bytes_sent),
            bytes_received: with(self.bytes_received, other.bytes_received),
        }
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

/// What has come since `other` was counted.
impl Sub for Traffic {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}
