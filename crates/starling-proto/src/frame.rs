//! The header before every message: one byte of kind, four of length (big endian).
//!
//! A request and its response each travel as one frame on a bidirectional stream of their own. The header is read
//! and checked before a byte of the body is buffered; each kind has a cap of its own, chosen so that what the body
//! unfolds to in memory stays under 1 MiB whatever it holds (`tests/blow_up.rs` counts the allocations).

use alloc::vec::Vec;

use crate::{DecodeError, limits};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named like the messages, which are documented")]
pub enum FrameKind {
    Hello,
    Ping,
    FindNode,
    Store,
    Fetch,
    Query,
    Prove,
    Owner,
    Notify,
    DialBack,
    PassOn,
    DeviceProof,
    Deliver,
    HelloBack,
    Pong,
    Nodes,
    Stored,
    Records,
    Matches,
    Proof,
    Listed,
    Deleted,
    Subscribed,
    Notified,
    DialBackResult,
    Passed,
    DeviceProofBack,
    Delivered,
    Refused,
}

impl FrameKind {
    /// Every kind with its byte and its cap in bytes. Requests are below 0x80, responses above.
    const TABLE: [(Self, u8, usize); 29] = [
        (Self::Hello, 0x01, 256),
        (Self::Ping, 0x02, 16),
        (Self::FindNode, 0x03, 64),
        (Self::Store, 0x04, limits::RECORD + 16),
        (Self::Fetch, 0x05, 64),
        (Self::Query, 0x06, 2048),
        (Self::Prove, 0x07, 64),
        (Self::Owner, 0x08, 12 * 1024),
        (Self::Notify, 0x09, 64),
        (Self::DialBack, 0x0a, 256),
        (Self::PassOn, 0x0b, limits::RECORD + 32),
        (Self::DeviceProof, 0x10, 1024),
        (Self::Deliver, 0x11, 24 * 1024),
        (Self::HelloBack, 0x81, 256),
        (Self::Pong, 0x82, 16),
        (Self::Nodes, 0x83, 14 * 1024),
        (Self::Stored, 0x84, 16),
        (Self::Records, 0x85, 36 * 1024),
        (Self::Matches, 0x86, 36 * 1024),
        (Self::Proof, 0x87, 64),
        (Self::Listed, 0x88, 10 * 1024),
        (Self::Deleted, 0x89, 16),
        (Self::Subscribed, 0x8a, 16),
        (Self::Notified, 0x8b, 16),
        (Self::DialBackResult, 0x8c, 16),
        (Self::Passed, 0x8d, 36 * 1024 + 16),
        (Self::DeviceProofBack, 0x90, 1024),
        (Self::Delivered, 0x91, 16),
        (Self::Refused, 0xff, 16),
    ];

    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.iter().map(|row| row.0)
    }

    /// The byte on the wire.
    #[must_use]
    pub fn byte(self) -> u8 {
        self.row().1
    }

    /// The longest body of this kind, in bytes.
    #[must_use]
    pub fn cap(self) -> usize {
        self.row().2
    }

    /// Whether this kind is asked, not answered.
    #[must_use]
    pub fn is_request(self) -> bool {
        self.byte() < 0x80
    }

    /// Whether a response of this kind can answer a request of the kind `asked`. Anything can be refused.
    #[must_use]
    pub const fn answers(self, asked: Self) -> bool {
        if matches!(self, Self::Refused) {
            return true;
        }
        match asked {
            Self::Hello => matches!(self, Self::HelloBack),
            Self::Ping => matches!(self, Self::Pong),
            Self::FindNode => matches!(self, Self::Nodes),
            Self::Store => matches!(self, Self::Stored),
            Self::Fetch => matches!(self, Self::Records),
            Self::Query => matches!(self, Self::Matches),
            Self::Prove => matches!(self, Self::Proof),
            Self::Owner => matches!(self, Self::Listed | Self::Records | Self::Deleted | Self::Subscribed),
            Self::Notify => matches!(self, Self::Notified),
            Self::DialBack => matches!(self, Self::DialBackResult),
            Self::PassOn => matches!(self, Self::Passed),
            Self::DeviceProof => matches!(self, Self::DeviceProofBack),
            Self::Deliver => matches!(self, Self::Delivered),
            _ => false,
        }
    }

    /// The kind of a byte.
    ///
    /// # Errors
    /// [`DecodeError::UnknownKind`] for a byte of a later version.
    pub fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        let row = Self::TABLE.iter().find(|row| row.1 == byte);
        row.map(|row| row.0).ok_or(DecodeError::UnknownKind(byte))
    }

    fn row(self) -> (Self, u8, usize) {
        // Every kind has its row (tested), so the fallback is never taken.
        Self::TABLE.iter().copied().find(|row| row.0 == self).unwrap_or((Self::Refused, 0xff, 16))
    }
}

/// A checked header: the body that follows is within its kind's cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body holds.
    pub kind: FrameKind,
    /// The body's length in bytes.
    pub len: usize,
}

impl FrameHeader {
    /// Length of a header, in bytes.
    pub const LEN: usize = 5;

    /// Checks the header at the beginning of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer than [`Self::LEN`] bytes, [`DecodeError::UnknownKind`], and
    /// [`DecodeError::TooLong`] for a length above the kind's cap.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some([kind, len @ ..]) = bytes.first_chunk::<{ Self::LEN }>() else {
            return Err(DecodeError::Truncated { expected: Self::LEN, got: bytes.len() });
        };
        let kind = FrameKind::from_byte(*kind)?;
        let claimed = u32::from_be_bytes(*len);
        let cap = kind.cap();
        match usize::try_from(claimed) {
            Ok(len) if len <= cap => Ok(Self { kind, len }),
            _ => Err(DecodeError::TooLong { what: "frame", limit: cap as u64, got: u64::from(claimed) }),
        }
    }

    /// Puts a header before `body`.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if the body is above the kind's cap: the receiver would refuse it.
    pub fn frame(kind: FrameKind, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        limits::bytes_at_most("frame", body.len(), kind.cap())?;
        let len = u32::try_from(body.len()).map_err(|_| DecodeError::Malformed("frame"))?;
        let mut frame = Vec::with_capacity(Self::LEN.saturating_add(body.len()));
        frame.push(kind.byte());
        frame.extend_from_slice(&len.to_be_bytes());
        frame.extend_from_slice(body);
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_and_kinds_pair_up() {
        let bytes: BTreeSet<u8> = FrameKind::all().map(FrameKind::byte).collect();
        assert_eq!(bytes.len(), FrameKind::TABLE.len());
        for kind in FrameKind::all() {
            assert_eq!(FrameKind::from_byte(kind.byte()), Ok(kind));
            assert_eq!(kind.row().0, kind);
        }
    }

    #[test]
    fn every_request_has_an_answer_and_every_response_a_request() {
        let (requests, responses): (Vec<_>, Vec<_>) = FrameKind::all().partition(|kind| kind.is_request());
        let answers = |asked: FrameKind| responses.iter().filter(move |got| got.answers(asked));
        for asked in &requests {
            assert!(FrameKind::Refused.answers(*asked));
            let expected = if *asked == FrameKind::Owner { 5 } else { 2 };
            assert_eq!(answers(*asked).count(), expected, "{asked:?}");
            assert!(requests.iter().all(|got| !got.answers(*asked)), "a request answers nothing");
        }
        for got in &responses {
            assert!(requests.iter().any(|asked| got.answers(*asked)), "{got:?}");
        }
    }

    #[test]
    fn wir_02_lengths_are_checked_before_anything_is_read() {
        for kind in FrameKind::all() {
            let cap = u32::try_from(kind.cap()).unwrap();
            for len in [0, 1, cap] {
                let mut header = vec![kind.byte()];
                header.extend(len.to_be_bytes());
                assert_eq!(FrameHeader::parse(&header).unwrap().len, len as usize);
            }
            for len in [cap + 1, u32::MAX] {
                let mut header = vec![kind.byte()];
                header.extend(len.to_be_bytes());
                assert!(matches!(FrameHeader::parse(&header), Err(DecodeError::TooLong { .. })));
            }
        }
    }

    #[test]
    fn wir_08_an_unknown_kind_is_named() {
        assert_eq!(FrameHeader::parse(&[0x7f, 0, 0, 0, 0]), Err(DecodeError::UnknownKind(0x7f)));
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_refused(bytes: Vec<u8>) {
            if let Ok(header) = FrameHeader::parse(&bytes) {
                prop_assert!(header.len <= header.kind.cap());
            }
        }
    }
}
