//! One reading of a mailbox: ids are listed by several holders, and each body is taken once.
//!
//! A machine over what was listed and taken; who asks, signs and checks stands around it. What is listed by a liar alone
//! costs some requests to that liar; a body counts only if it is the one that was asked for.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::limits;
use starling_proto::record::Record;

/// Ids in one request: of the smallest envelopes as many fit into an answer.
const TAKE: usize = 16;
/// Holders that are asked for bodies at the same time.
const AT_ONCE: usize = 8;
/// Bytes of payload that one reading collects; the rest is left to the next. What has been collected is opened together,
/// sorted, so that nothing is held back for what lies beside it.
const BYTES: usize = 8 << 20;

/// A reading that has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finished {
    /// What was taken.
    pub(super) records: Vec<Record>,
    /// Whether all known holders were asked, and not only one that told us of something.
    pub(super) full: bool,
    /// Holders other than ourselves that listed what they have.
    pub(super) answered: usize,
    /// Whether there is more than one reading collects.
    pub(super) more: bool,
    /// Whether something was listed, and whoever listed it could not be asked for it.
    pub(super) missed: bool,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Holders that were asked for a list.
    listing: BTreeSet<NodeKey>,
    /// What is wanted, and who has it.
    wanted: BTreeMap<RecordId, BTreeSet<NodeKey>>,
    /// Who was asked for what.
    taking: BTreeMap<NodeKey, Vec<RecordId>>,
    bytes: usize,
    result: Finished,
}

impl Reading {
    /// Nothing asked yet.
    pub(super) fn new(full: bool) -> Self {
        Self { result: Finished { full, ..Finished::default() }, ..Self::default() }
    }

    /// A holder is being asked for a list.
    pub(super) fn asked(&mut self, holder: NodeKey) {
        self.listing.insert(holder);
    }

    /// A holder has listed what it has. `wanted`: whether we want it; `other`: whether the holder is not ourselves.
    pub(super) fn listed(
        &mut self,
        holder: NodeKey,
        ids: &[RecordId],
        other: bool,
        wanted: impl Fn(&RecordId) -> bool,
    ) {
        if !self.listing.remove(&holder) {
            return;
        }
        self.result.answered = self.result.answered.saturating_add(usize::from(other));
        self.result.more |= ids.len() >= limits::RECORD_IDS;
        for id in ids.iter().filter(|id| wanted(id)) {
            if !self.result.records.iter().any(|record| record.id() == *id) {
                self.wanted.entry(*id).or_default().insert(holder);
            }
        }
    }

    /// The next request for bodies, if there is one to be made.
    pub(super) fn next_take(&mut self) -> Option<(NodeKey, Vec<RecordId>)> {
        if self.taking.len() >= AT_ONCE {
            return None;
        }
        let under_way: BTreeSet<&RecordId> = self.taking.values().flatten().collect();
        let free = self.wanted.iter().filter(|(id, _)| !under_way.contains(id));
        let mut shares: BTreeMap<NodeKey, Vec<RecordId>> = BTreeMap::new();
        for (id, holders) in free {
            let idle = holders.iter().filter(|holder| !self.taking.contains_key(*holder));
            for holder in idle {
                let share = shares.entry(*holder).or_default();
                share.push(*id);
                if share.len() >= TAKE {
                    return Some(self.take(*holder, core::mem::take(share)));
                }
            }
        }
        let (holder, share) = shares.into_iter().max_by_key(|(_, share)| share.len())?;
        Some(self.take(holder, share))
    }

    fn take(&mut self, holder: NodeKey, ids: Vec<RecordId>) -> (NodeKey, Vec<RecordId>) {
        self.taking.insert(holder, ids.clone());
        (holder, ids)
    }

    /// A holder has answered with records that have been checked; `left_out`: how many more of what it was asked for did
    /// not fit.
    pub(super) fn taken(&mut self, holder: &NodeKey, records: Vec<Record>, left_out: u32) {
        let Some(asked) = self.taking.remove(holder) else { return };
        let before = self.result.records.len();
        for record in records {
            let id = record.id();
            if asked.contains(&id) && self.wanted.remove(&id).is_some() {
                self.bytes = self.bytes.saturating_add(record.body().payload.len());
                self.result.records.push(record);
            }
        }
        let came = self.result.records.len() > before;
        if left_out == 0 || !came {
            self.lacks(holder, &asked);
        }
        if self.bytes >= BYTES {
            self.result.more |= !self.wanted.is_empty();
            self.wanted.clear();
        }
    }

    /// A holder has not answered.
    pub(super) fn failed(&mut self, holder: &NodeKey) {
        self.listing.remove(holder);
        self.taking.remove(holder);
        let all: Vec<RecordId> = self.wanted.keys().copied().collect();
        self.lacks(holder, &all);
        self.result.missed |= self.wanted.len() < all.len();
    }

    /// What it gave, if nothing is under way any more.
    pub(super) fn finished(&mut self) -> Option<Finished> {
        let at_rest = self.listing.is_empty() && self.taking.is_empty() && self.wanted.is_empty();
        at_rest.then(|| core::mem::take(&mut self.result))
    }

    fn lacks(&mut self, holder: &NodeKey, ids: &[RecordId]) {
        for id in ids {
            if let Some(holders) = self.wanted.get_mut(id) {
                holders.remove(holder);
                if holders.is_empty() {
                    self.wanted.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::{PublisherKey, RecordKey, Signature};
    use starling_proto::record::{RecordBody, RecordKind};
    use starling_proto::time::UnixSeconds;

    use super::*;

    const ANN: NodeKey = NodeKey::new([1; 32]);
    const BEN: NodeKey = NodeKey::new([2; 32]);

    fn record(n: u16, payload: usize) -> Record {
        let mut bytes = vec![7; payload];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        let body = RecordBody {
            key: RecordKey::new([9; 32]),
            kind: RecordKind::Deposit,
            publisher: PublisherKey::new([8; 32]),
            sequence: 1,
            issued: UnixSeconds::new(1),
            expires: UnixSeconds::new(2),
            payload: bytes,
            tombstone: false,
        };
        Record::new(body.encode(), Signature::new([0; 64]), None, None).unwrap()
    }

    fn ids(range: core::ops::Range<u16>) -> Vec<RecordId> {
        range.map(|n| record(n, 2).id()).collect()
    }

    fn begun(holders: &[NodeKey]) -> Reading {
        let mut reading = Reading::new(true);
        holders.iter().for_each(|holder| reading.asked(*holder));
        reading
    }

    /// Answers every request of `holder` out of what it has, and gives how many there were.
    fn serve(reading: &mut Reading, has: impl Fn(&NodeKey, &RecordId) -> Option<Record>) -> usize {
        let mut requests = 0;
        loop {
            let mut asked = Vec::new();
            while let Some(take) = reading.next_take() {
                asked.push(take);
            }
            if asked.is_empty() {
                return requests;
            }
            for (holder, ids) in asked {
                requests += 1;
                let mut records: Vec<Record> = ids.iter().filter_map(|id| has(&holder, id)).collect();
                let left_out = records.len().saturating_sub(10);
                records.truncate(10);
                reading.taken(&holder, records, u32::try_from(left_out).unwrap());
            }
        }
    }

    fn any(id: &RecordId) -> Option<Record> {
        (0..400).map(|n| record(n, 2)).find(|record| record.id() == *id)
    }

    #[test]
    fn each_body_is_taken_once_and_the_work_is_shared() {
        let mut reading = begun(&[ANN, BEN]);
        reading.listed(ANN, &ids(0..40), true, |_| true);
        assert!(reading.finished().is_none());
        reading.listed(BEN, &ids(0..40), true, |_| true);
        let (first, second) = (reading.next_take().unwrap(), reading.next_take().unwrap());
        assert_ne!(first.0, second.0);
        assert!(first.1.iter().all(|id| !second.1.contains(id)));
        assert_eq!(reading.next_take(), None, "both are busy");
        for (holder, ids) in [first, second] {
            reading.taken(&holder, ids.iter().filter_map(any).collect(), 0);
        }
        serve(&mut reading, |_, id| any(id));
        let finished = reading.finished().unwrap();
        let got: BTreeSet<RecordId> = finished.records.iter().map(Record::id).collect();
        assert_eq!((finished.records.len(), got.len(), finished.answered), (40, 40, 2));
        assert!(finished.full && !finished.more);
    }

    #[test]
    fn what_one_holder_lacks_another_has() {
        let mut reading = begun(&[ANN, BEN]);
        reading.listed(ANN, &ids(0..30), true, |_| true);
        reading.listed(BEN, &ids(0..30), true, |_| true);
        let halves = |holder: &NodeKey, id: &RecordId| {
            any(id).filter(|record| (record.body().payload[1] % 2 == 0) == (*holder == ANN))
        };
        serve(&mut reading, halves);
        assert_eq!(reading.finished().unwrap().records.len(), 30);
    }

    #[test]
    fn what_nobody_gives_ends_the_reading_too() {
        let mut reading = begun(&[ANN, BEN]);
        reading.listed(ANN, &ids(0..100), true, |_| true);
        reading.failed(&BEN);
        let requests = serve(&mut reading, |_, _| None);
        assert!(requests <= 7, "16 ids in a request: {requests}");
        let finished = reading.finished().unwrap();
        assert_eq!((finished.records.len(), finished.answered, finished.missed), (0, 1, false));
    }

    #[test]
    fn what_could_not_be_asked_for_is_missed() {
        let mut reading = begun(&[ANN]);
        reading.listed(ANN, &ids(0..3), true, |_| true);
        reading.next_take().unwrap();
        reading.failed(&ANN);
        let finished = reading.finished().unwrap();
        assert_eq!((finished.records.len(), finished.answered, finished.missed), (0, 1, true));
    }

    #[test]
    fn a_holder_that_goes_leaves_its_share_to_others() {
        let mut reading = begun(&[ANN, BEN]);
        reading.listed(ANN, &ids(0..5), true, |_| true);
        let (holder, _) = reading.next_take().unwrap();
        assert_eq!(holder, ANN);
        reading.listed(BEN, &ids(0..5), true, |_| true);
        reading.failed(&ANN);
        serve(&mut reading, |_, id| any(id));
        assert_eq!(reading.finished().unwrap().records.len(), 5);
    }

    #[test]
    fn a_body_that_was_not_asked_for_and_a_list_that_was_not_count_for_nothing() {
        let mut reading = begun(&[ANN]);
        reading.listed(BEN, &ids(0..5), true, |_| true);
        reading.listed(ANN, &ids(0..1), true, |_| true);
        let (holder, _) = reading.next_take().unwrap();
        reading.taken(&holder, vec![record(7, 2)], 0);
        reading.taken(&BEN, vec![record(0, 2)], 0);
        assert_eq!(reading.finished().unwrap().records, []);
    }

    #[test]
    fn what_is_known_is_not_taken_and_our_own_list_is_no_answer() {
        let mut reading = begun(&[ANN]);
        let known = ids(0..1);
        reading.listed(ANN, &ids(0..2), false, |id| !known.contains(id));
        serve(&mut reading, |_, id| any(id));
        let finished = reading.finished().unwrap();
        assert_eq!((finished.records, finished.answered), (vec![record(1, 2)], 0));
    }

    #[test]
    fn one_reading_is_bounded() {
        let mut reading = begun(&[ANN]);
        let all: Vec<Record> = (0..600).map(|n| record(n, 16_000)).collect();
        let ids: Vec<RecordId> = all.iter().map(Record::id).collect();
        for page in ids.chunks(200) {
            reading.asked(ANN);
            reading.listed(ANN, page, true, |_| true);
        }
        serve(&mut reading, |_, id| all.iter().find(|record| record.id() == *id).cloned());
        let finished = reading.finished().unwrap();
        assert!(finished.more && finished.records.len() < 540 && finished.records.len() > 500);
    }
}
