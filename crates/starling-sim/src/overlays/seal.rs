//! Records of a network of bare overlays, whose signature is a hash: a signature costs 30 times as much, and forty holders
//! check each record. Nothing that the overlay decides depends on how dear the check was.

use starling_overlay::verify::{RecordRejection, Verify};
use starling_proto::ids::{NodeKey, PublisherKey, RecordKey, Signature};
use starling_proto::limits;
use starling_proto::message::OwnerRequest;
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Span, UnixSeconds};

/// How long before its end a record was made, here.
const LIFE: Span = Span::from_days(7);

/// Checks [`sealed`] records: the signature begins with the hash of what is signed, and the dates are in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal;

impl Verify for Seal {
    fn record(&self, record: &Record, now: UnixSeconds) -> Result<(), RecordRejection> {
        if now >= record.body().expires {
            return Err(RecordRejection::Dates);
        }
        let seal = blake3::hash(record.signed());
        if record.signature().as_bytes().starts_with(seal.as_bytes()) {
            Ok(())
        } else {
            Err(RecordRejection::Signature)
        }
    }

    fn owner(&self, _: &OwnerRequest, _: &NodeKey, _: &[u8; limits::CHANNEL_BINDING]) -> bool {
        false
    }

    fn matched_words(&self, record: &Record, words: &[String]) -> usize {
        let text = String::from_utf8_lossy(&record.body().payload);
        let has = |word: &&String| text.split(' ').any(|own| own.starts_with(word.as_str()));
        words.iter().filter(has).count()
    }
}

/// What a record is to be.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Where it belongs.
    pub key: RecordKey,
    /// What it is.
    pub kind: RecordKind,
    /// Whose it is.
    pub publisher: PublisherKey,
    /// Its version.
    pub sequence: u64,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Draft {
    /// The record, made at `now`.
    ///
    /// # Panics
    /// If the payload is larger than its kind may be.
    #[must_use]
    pub fn seal(self, now: UnixSeconds) -> Record {
        let Self { key, kind, publisher, sequence, payload } = self;
        let (issued, expires) = (now, now.after(LIFE));
        let body = RecordBody { key, kind, publisher, sequence, issued, expires, payload, tombstone: false };
        let signed = body.encode();
        let mut signature = [0; 64];
        signature.iter_mut().zip(blake3::hash(&signed).as_bytes()).for_each(|(to, from)| *to = *from);
        Record::new(signed, Signature::new(signature), None, None).expect("a draft within its limits")
    }
}

/// A record that is not what it was signed as: its last byte is gone.
pub(crate) fn cut(record: &Record) -> Option<Record> {
    let mut body = record.body().clone();
    body.payload.pop();
    Record::new(body.encode(), *record.signature(), None, None).ok()
}
