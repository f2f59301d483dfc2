//! Records from many holders become one answer: verified, the newest of each publisher, none of another key or kind.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::ids::{PublisherKey, RecordId, RecordKey};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::UnixSeconds;

use crate::verify::{RecordRejection, Verify};

/// What distinguishes two records under one key: their publishers, or for deposits, of which a publisher may have many,
/// their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Publisher(PublisherKey),
    Deposit(RecordId),
}

/// Whether somebody who handed over records is to be believed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Nothing wrong.
    Honest,
    /// Among them was one that nobody has signed like that, or that was not asked for.
    Lied,
}

/// Verified records of one key and kind.
#[derive(Debug, Clone)]
pub(crate) struct Harvest {
    key: RecordKey,
    kind: RecordKind,
    most: usize,
    newest: BTreeMap<Slot, Record>,
}

impl Harvest {
    /// Nothing yet, and at most `most` records.
    pub(crate) const fn new(key: RecordKey, kind: RecordKind, most: usize) -> Self {
        Self { key, kind, most, newest: BTreeMap::new() }
    }

    /// Whether nothing has been found.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// Takes what one holder handed over. What it sends after a lie is not looked at: checking costs us more than
    /// making it up costs the liar.
    pub(crate) fn take(&mut self, records: Vec<Record>, verify: &dyn Verify, now: UnixSeconds) -> Conduct {
        for record in records {
            if record.body().key != self.key || record.body().kind != self.kind {
                return Conduct::Lied;
            }
            let slot = self.slot(&record);
            if !self.is_news(slot, &record) {
                continue;
            }
            match verify.record(&record, now) {
                Ok(()) => {
                    self.newest.insert(slot, record);
                }
                // Clocks differ: not a lie.
                Err(RecordRejection::Dates) => {}
                Err(_) => return Conduct::Lied,
            }
        }
        Conduct::Honest
    }

    /// The records, tombstones left out: they have done their work.
    pub(crate) fn finish(&mut self) -> Vec<Record> {
        let newest = core::mem::take(&mut self.newest);
        newest.into_values().filter(|record| !record.body().tombstone).collect()
    }

    fn slot(&self, record: &Record) -> Slot {
        match self.kind {
            RecordKind::Deposit => Slot::Deposit(record.id()),
            _ => Slot::Publisher(record.body().publisher),
        }
    }

    fn is_news(&self, slot: Slot, record: &Record) -> bool {
        match self.newest.get(&slot) {
            Some(known) => known.body().sequence < record.body().sequence,
            None => self.newest.len() < self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use starling_proto::ids::{NodeKey, Signature};
    use starling_proto::message::OwnerRequest;
    use starling_proto::record::RecordBody;

    use super::*;

    /// Good signatures begin with 1; records that expire at 0 are out of date.
    struct FirstByte;

    impl Verify for FirstByte {
        fn record(&self, record: &Record, _: UnixSeconds) -> Result<(), RecordRejection> {
            match (record.signature().as_bytes()[0], record.body().expires.get()) {
                (_, 0) => Err(RecordRejection::Dates),
                (1, _) => Ok(()),
                _ => Err(RecordRejection::Signature),
            }
        }

        fn owner(&self, _: &OwnerRequest, _: &NodeKey, _: &[u8; 32]) -> bool {
            false
        }

        fn matched_words(&self, _: &Record, _: &[String]) -> usize {
            0
        }
    }

    #[derive(Clone, Copy)]
    struct Sample {
        key: u8,
        publisher: u8,
        sequence: u64,
        signature: u8,
        expires: u64,
        tombstone: bool,
    }

    const GOOD: Sample =
        Sample { key: 7, publisher: 1, sequence: 5, signature: 1, expires: 9, tombstone: false };

    fn record(sample: Sample) -> Record {
        let body = RecordBody {
            key: RecordKey::new([sample.key; 32]),
            kind: RecordKind::Account,
            publisher: PublisherKey::new([sample.publisher; 32]),
            sequence: sample.sequence,
            issued: UnixSeconds::new(1),
            expires: UnixSeconds::new(sample.expires),
            payload: Vec::new(),
            tombstone: sample.tombstone,
        };
        Record::new(body.encode(), Signature::new([sample.signature; 64]), None, None).unwrap()
    }

    fn harvest(samples: &[Sample]) -> (Conduct, Vec<u64>) {
        let mut harvest = Harvest::new(RecordKey::new([7; 32]), RecordKind::Account, 10);
        let records = samples.iter().map(|sample| record(*sample)).collect();
        let conduct = harvest.take(records, &FirstByte, UnixSeconds::new(2));
        (conduct, harvest.finish().iter().map(|record| record.body().sequence).collect())
    }

    #[test]
    fn byz_07_the_newest_valid_record_wins() {
        let older = Sample { sequence: 4, ..GOOD };
        for samples in [[GOOD, older], [older, GOOD]] {
            assert_eq!(harvest(&samples), (Conduct::Honest, vec![5]));
        }
    }

    #[test]
    fn byz_07_a_cut_or_foreign_record_is_a_lie() {
        let forged = Sample { sequence: 9, signature: 2, ..GOOD };
        assert_eq!(harvest(&[GOOD, forged]), (Conduct::Lied, vec![5]));
        let foreign = Sample { key: 8, ..GOOD };
        assert_eq!(harvest(&[foreign, GOOD]), (Conduct::Lied, vec![]));
    }

    #[test]
    fn a_wrong_clock_is_no_lie() {
        assert_eq!(harvest(&[Sample { expires: 0, ..GOOD }]), (Conduct::Honest, vec![]));
    }

    #[test]
    fn a_tombstone_hides_what_it_ends() {
        let tombstone = Sample { sequence: 6, tombstone: true, ..GOOD };
        let other = Sample { publisher: 2, ..GOOD };
        assert_eq!(harvest(&[tombstone, GOOD, other]), (Conduct::Honest, vec![5]));
    }

    #[test]
    fn no_more_than_the_bound_is_gathered() {
        let many: Vec<Sample> = (0..40).map(|publisher| Sample { publisher, ..GOOD }).collect();
        assert_eq!(harvest(&many).1.len(), 10);
    }
}
