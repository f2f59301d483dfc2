//! What one peer does for another, so that holders do not see who wanted it.

use alloc::vec::Vec;

use prost::Message as _;

use super::{Fetch, Matches, Proof, Prove, Query, Records, Request};
use crate::frame::FrameKind;
use crate::ids::RecordKey;
use crate::record::Record;
use crate::{DecodeError, count, limits, wire};

/// Something that the receiver shall do as if it wanted it itself. What it asks of others does not say for whom, and can
/// not be passed on again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassOn {
    /// Place this record.
    Store(Record),
    /// Find the records of one kind under a key. It asks for no peers.
    Fetch(Fetch),
    /// Search the directory.
    Query(Query),
    /// Ask holders to show that they have a record.
    Prove {
        /// Where the record is kept.
        key: RecordKey,
        /// Which, with the nonce that each of them is asked with.
        prove: Prove,
    },
}

/// What became of a [`PassOn`], by the word of whoever did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// Of a record.
    Placed(Placed),
    /// Of a fetch: records, signatures unchecked, and no peers.
    Records(Records),
    /// Of a query.
    Matches(Matches),
    /// Of the holders that were asked to show a record: what each of them said, nothing of those that said nothing.
    Proofs(Vec<Proof>),
}

/// Where a record came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placed {
    /// How many were to keep it.
    pub wanted: u8,
    /// How many said that they do.
    pub stored: u8,
    /// How many refused it because a share of theirs is used up.
    pub full: u8,
}

impl PassOn {
    /// The kind of request that this is in a frame of its own.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Store(_) => FrameKind::Store,
            Self::Fetch(_) => FrameKind::Fetch,
            Self::Query(_) => FrameKind::Query,
            Self::Prove { .. } => FrameKind::Prove,
        }
    }

    /// The place that it is about.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Store(record) => record.body().key,
            Self::Fetch(fetch) => fetch.key,
            Self::Query(query) => query.key,
            Self::Prove { key, .. } => *key,
        }
    }

    pub(super) fn to_wire(&self) -> wire::PassOn {
        let (request, key) = match self {
            Self::Store(record) => (wire::Store { record: record.encode() }.encode_to_vec(), None),
            Self::Fetch(fetch) => (fetch.to_wire().encode_to_vec(), None),
            Self::Query(query) => (query.to_wire().encode_to_vec(), None),
            Self::Prove { key, prove } => (prove.to_wire().encode_to_vec(), Some(key)),
        };
        let key = key.map_or_else(Vec::new, |key| key.as_bytes().to_vec());
        wire::PassOn { kind: u32::from(self.kind().byte()), request, key }
    }

    pub(super) fn from_wire(pass: &wire::PassOn) -> Result<Self, DecodeError> {
        let kind = kind(pass.kind)?;
        if !matches!(kind, FrameKind::Store | FrameKind::Fetch | FrameKind::Query | FrameKind::Prove) {
            return Err(DecodeError::UnknownKind(kind.byte()));
        }
        if kind != FrameKind::Prove && !pass.key.is_empty() {
            return Err(DecodeError::Malformed("pass_on"));
        }
        Ok(match Request::decode(kind, &pass.request)? {
            Request::Store(record) => Self::Store(record),
            Request::Fetch(fetch) if fetch.peers == 0 => Self::Fetch(fetch),
            Request::Query(query) => Self::Query(query),
            Request::Prove(prove) => Self::Prove { key: RecordKey::from_slice(&pass.key)?, prove },
            _ => return Err(DecodeError::Malformed("pass_on")),
        })
    }
}

impl Passed {
    /// The kind of answer that this is in a frame of its own.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Placed(_) => FrameKind::Stored,
            Self::Records(_) => FrameKind::Records,
            Self::Matches(_) => FrameKind::Matches,
            Self::Proofs(_) => FrameKind::Proof,
        }
    }

    /// Whether this says what became of such a request.
    #[must_use]
    pub fn answers(&self, asked: &PassOn) -> bool {
        self.kind().answers(asked.kind())
    }

    pub(super) fn to_wire(&self) -> wire::Passed {
        let answer = match self {
            Self::Placed(placed) => placed.to_wire().encode_to_vec(),
            Self::Records(found) => found.to_wire().encode_to_vec(),
            Self::Matches(found) => found.to_wire().encode_to_vec(),
            Self::Proofs(proofs) => {
                let proofs = proofs.iter().map(|proof| proof.to_wire()).collect();
                wire::Proofs { proofs }.encode_to_vec()
            }
        };
        wire::Passed { kind: u32::from(self.kind().byte()), answer }
    }

    pub(super) fn from_wire(passed: &wire::Passed) -> Result<Self, DecodeError> {
        let answer = passed.answer.as_slice();
        Ok(match kind(passed.kind)? {
            FrameKind::Stored => Self::Placed(Placed::from_wire(super::parse("placed", answer)?)?),
            FrameKind::Records => {
                limits::bytes_at_most("records", answer.len(), FrameKind::Records.cap())?;
                let found = Records::parse(answer)?;
                if !found.peers.is_empty() {
                    return Err(DecodeError::Malformed("passed"));
                }
                Self::Records(found)
            }
            FrameKind::Matches => {
                limits::bytes_at_most("matches", answer.len(), FrameKind::Matches.cap())?;
                Self::Matches(Matches::parse(answer)?)
            }
            FrameKind::Proof => {
                count::at_most("proofs", answer, 1, limits::PASSED_PROOFS)?;
                let proofs: wire::Proofs = super::parse("proofs", answer)?;
                Self::Proofs(proofs.proofs.iter().map(Proof::from_wire).collect::<Result<_, _>>()?)
            }
            other => return Err(DecodeError::UnknownKind(other.byte())),
        })
    }
}

impl Placed {
    fn to_wire(self) -> wire::Placed {
        let Self { wanted, stored, full } = self;
        wire::Placed { wanted: u32::from(wanted), stored: u32::from(stored), full: u32::from(full) }
    }

    fn from_wire(placed: wire::Placed) -> Result<Self, DecodeError> {
        let wanted = small("wanted", placed.wanted)?;
        // One that claims more holders than it looked for says nothing that could be true.
        let stored = small("stored", placed.stored)?;
        if stored > wanted {
            return Err(DecodeError::OutOfRange { what: "stored", got: u64::from(placed.stored) });
        }
        Ok(Self { wanted, stored, full: small("full", placed.full)? })
    }
}

fn small(what: &'static str, got: u32) -> Result<u8, DecodeError> {
    super::overlay::small(what, got, limits::WIDE)
}

fn kind(number: u32) -> Result<FrameKind, DecodeError> {
    let out_of_range = DecodeError::OutOfRange { what: "kind", got: u64::from(number) };
    FrameKind::from_byte(u8::try_from(number).map_err(|_| out_of_range)?)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::FrameHeader;
    use crate::ids::{PublisherKey, RecordId, Signature};
    use crate::message::Response;
    use crate::record::{RecordBody, RecordKind};
    use crate::time::UnixSeconds;

    const KEY: RecordKey = RecordKey::new([1; 32]);

    fn record(length: usize) -> Record {
        let body = RecordBody {
            key: KEY,
            kind: RecordKind::Deposit,
            publisher: PublisherKey::new([2; 32]),
            sequence: 3,
            issued: UnixSeconds::new(4),
            expires: UnixSeconds::new(5),
            payload: vec![6; length],
            tombstone: false,
        };
        Record::new(body.encode(), Signature::new([7; 64]), None, None).unwrap()
    }

    fn fetch(peers: u8) -> PassOn {
        PassOn::Fetch(Fetch { key: KEY, kind: RecordKind::Account, count: 64, peers })
    }

    fn prove() -> PassOn {
        let prove = Prove { record: RecordId::new([8; 32]), nonce: [9; limits::NONCE] };
        PassOn::Prove { key: KEY, prove }
    }

    fn request(pass: &PassOn) -> Result<Request, DecodeError> {
        let frame = Request::PassOn(pass.clone()).to_frame()?;
        let header = FrameHeader::parse(&frame)?;
        Request::decode(header.kind, &frame[FrameHeader::LEN..])
    }

    fn response(passed: &Passed) -> Result<Response, DecodeError> {
        let frame = Response::Passed(passed.clone()).to_frame()?;
        let header = FrameHeader::parse(&frame)?;
        Response::decode(header.kind, &frame[FrameHeader::LEN..])
    }

    fn raw(kind: FrameKind, request: Vec<u8>, key: &[u8]) -> Result<Request, DecodeError> {
        let pass = wire::PassOn { kind: u32::from(kind.byte()), request, key: key.to_vec() };
        Request::decode(FrameKind::PassOn, &pass.encode_to_vec())
    }

    #[test]
    fn the_bytes_are_these() {
        let hex = |frame: Vec<u8>| -> String { frame.iter().map(|byte| format!("{byte:02x}")).collect() };
        let (one, four, eight, nine) = ("01".repeat(32), "04", "08".repeat(32), "09".repeat(16));
        // 0b PassOn; field 1: 07 Prove; field 2: its body of record id and nonce; field 3: the key.
        let expected = format!("0b0000005a080712340a20{eight}1210{nine}1a20{one}");
        assert_eq!(hex(Request::PassOn(prove()).to_frame().unwrap()), expected);
        // Field 1: 05 Fetch; field 2: its body of key, kind and count.
        let expected = format!("0b0000002a080512260a20{one}10011840");
        assert_eq!(hex(Request::PassOn(fetch(0)).to_frame().unwrap()), expected);
        // 8d Passed; field 1: 84 Stored; field 2: wanted, stored, full.
        let placed = Placed { wanted: 40, stored: 38, full: 1 };
        let expected = "8d0000000b0884011206082810261801";
        assert_eq!(hex(Response::Passed(Passed::Placed(placed)).to_frame().unwrap()), expected);
        // Field 1: 87 Proof; field 2: two proofs, one of which says that the record was deleted.
        let proofs = Passed::Proofs(vec![Proof::Held([4; 32]), Proof::Deleted]);
        let proof = four.repeat(32);
        let expected = format!("8d0000002d08870112280a220a20{proof}0a021001");
        assert_eq!(hex(Response::Passed(proofs).to_frame().unwrap()), expected);
    }

    #[test]
    fn the_longest_record_and_the_fullest_answer_fit() {
        let longest = record(limits::RECORD_PAYLOAD);
        assert!(request(&PassOn::Store(longest)).is_ok());
        let proofs = vec![Proof::Held([1; 32]); limits::PASSED_PROOFS];
        assert_eq!(
            response(&Passed::Proofs(proofs.clone())),
            Ok(Response::Passed(Passed::Proofs(proofs.clone())))
        );
        assert!(response(&Passed::Proofs([proofs, vec![Proof::Missing]].concat())).is_err());
    }

    #[test]
    fn nothing_else_is_passed_on_and_nothing_twice() {
        assert!(raw(FrameKind::Ping, Vec::new(), &[]).is_err());
        let once = PassOn::to_wire(&prove()).encode_to_vec();
        assert_eq!(raw(FrameKind::PassOn, once, &[]), Err(DecodeError::UnknownKind(0x0b)));
        assert!(raw(FrameKind::Owner, Vec::new(), &[]).is_err());
        assert!(request(&fetch(1)).is_err(), "it would have peers told to whom they may not be");
        let bodies = |pass: &PassOn| pass.to_wire().request;
        assert!(raw(FrameKind::Prove, bodies(&prove()), &[]).is_err(), "nobody knows where");
        assert!(raw(FrameKind::Fetch, bodies(&fetch(0)), &[1; 32]).is_err(), "two places");
        let long = [bodies(&fetch(0)), vec![0x7a; 64]].concat();
        assert!(raw(FrameKind::Fetch, long, &[]).is_err(), "longer than a frame of its own");
    }

    #[test]
    fn an_answer_that_cannot_be_is_none() {
        for (wanted, stored) in [(0, 1), (40, 41), (81, 0), (255, 255)] {
            let placed = Placed { wanted, stored, full: 0 };
            assert!(response(&Passed::Placed(placed)).is_err(), "{placed:?}");
        }
        let peer = crate::addr::Peer::new(crate::ids::NodeKey::new([1; 32]), []);
        let found = Records { records: Vec::new(), peers: vec![peer], left_out: 0 };
        assert!(response(&Passed::Records(found)).is_err());
        assert!(!Passed::Placed(Placed::default()).answers(&fetch(0)));
        assert!(Passed::Proofs(Vec::new()).answers(&prove()));
    }

    proptest! {
        #[test]
        fn all_of_it_round_trips(length in 0..2000_usize, wanted in 0..=80_u8, less in 0..=80_u8, full in 0..=80_u8) {
            let words = vec!["chess".into(); usize::from(full % 5) + 1];
            let query = PassOn::Query(Query { key: KEY, words, count: 64 });
            for pass in [PassOn::Store(record(length)), fetch(0), query, prove()] {
                prop_assert_eq!(request(&pass), Ok(Request::PassOn(pass)));
            }
            let placed = Placed { wanted, stored: wanted.saturating_sub(less), full };
            let found = Records { records: vec![record(length); 2], peers: Vec::new(), left_out: 9 };
            let matches = Matches { records: vec![record(length)], left_out: u32::MAX };
            let proofs = vec![Proof::Held([wanted; 32]), Proof::Missing, Proof::Deleted];
            let all = [
                Passed::Placed(placed), Passed::Records(found), Passed::Matches(matches), Passed::Proofs(proofs),
            ];
            for passed in all {
                prop_assert_eq!(response(&passed), Ok(Response::Passed(passed)));
            }
        }
    }
}
