//! Seeing to it that others hand on what they should.
//!
//! The holder closest to a key hands its records on, the next ones look after it; and what was published when the heir
//! was there already should have come to it from the publisher. None of them asks for each record: of all that one
//! giver should have handed to one heir, one drawn at random is asked for, and the rest only if that is missing. Who
//! hands on nothing is found out at once, and who leaves some out is by chance.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, RecordId};
use starling_proto::time::{Span, Tick};

use crate::holder::chance;

/// The closest holder has this long before we look. It may come to know of the heir later than we do, and sends within
/// a budget of its own.
const PATIENCE: Span = Span::from_secs(60);
/// Records that are looked after at once; for those beyond, the other holders and the publisher's refresh must do.
const RECORDS: usize = 1024;

/// What each holder should hand to each heir.
#[derive(Debug, Default)]
pub(super) struct Backups {
    groups: BTreeMap<Place, Group>,
    records: usize,
}

/// Who should have handed on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Giver {
    /// Whoever published it: the heir was there already.
    Publisher,
    /// The holder closest to its key.
    First(NodeKey),
}

/// Who should have been handed the records, and by whom.
type Place = (NodeKey, Giver);

#[derive(Debug)]
struct Group {
    heir: Peer,
    records: Vec<RecordId>,
    due: Tick,
    /// The one that was asked for.
    sample: Option<RecordId>,
}

impl Backups {
    /// Notes that `giver` should hand `record` to `heir`.
    pub(super) fn note(&mut self, giver: Giver, heir: Peer, record: RecordId, now: Tick) {
        if self.records >= RECORDS {
            return;
        }
        let place = (heir.key(), giver);
        let due = now.after(PATIENCE);
        let group = self.groups.entry(place).or_insert_with(|| Group {
            heir,
            records: Vec::new(),
            due,
            sample: None,
        });
        // What comes while we ask about the others is too late for their sample.
        if group.sample.is_none() && !group.records.contains(&record) {
            group.records.push(record);
            self.records = self.records.saturating_add(1);
        }
    }

    /// When the next group is to be looked at.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.groups.values().filter(|group| group.sample.is_none()).map(|group| group.due).min()
    }

    /// A record whose heir is to be asked now whether it has it.
    pub(super) fn sample(&mut self, now: Tick, rng: &mut dyn CryptoRng) -> Option<(RecordId, Peer)> {
        let due = |group: &&mut Group| group.sample.is_none() && group.due <= now;
        let group = self.groups.values_mut().find(due)?;
        group.sample = group.records.get(chance::below(rng, group.records.len())).copied();
        group.sample.map(|record| (record, group.heir.clone()))
    }

    /// Ends the group of which `heir` was asked for `record`: gives the other records, if there is such a group.
    pub(super) fn sampled(&mut self, heir: NodeKey, record: RecordId) -> Option<(Peer, Vec<RecordId>)> {
        let all = (heir, Giver::Publisher)..=(heir, Giver::First(NodeKey::new([0xff; 32])));
        let mut groups = self.groups.range(all);
        let place = groups.find(|(_, group)| group.sample == Some(record)).map(|(place, _)| *place)?;
        let Group { heir, mut records, .. } = self.groups.remove(&place)?;
        self.records = self.records.saturating_sub(records.len());
        records.retain(|other| *other != record);
        Some((heir, records))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn heir(n: u8) -> Peer {
        Peer::new(NodeKey::new([n; 32]), [])
    }

    fn record(n: u16) -> RecordId {
        let [a, b] = n.to_be_bytes();
        RecordId::new([[a; 16], [b; 16]].concat().try_into().unwrap())
    }

    fn at(s: u64) -> Tick {
        Tick::from_ms(s * 1000)
    }

    #[test]
    fn one_record_stands_for_all_that_one_holder_owes_to_one_heir() {
        let (mut backups, mut rng) = (Backups::default(), ChaCha8Rng::seed_from_u64(1));
        for n in 0..30usize {
            let giver = [Giver::Publisher, Giver::First(heir(0).key()), Giver::First(heir(1).key())][n % 3];
            backups.note(giver, heir(9), record(n as u16), at(0));
        }
        assert_eq!(backups.next_timeout(), Some(at(60)));
        assert_eq!(backups.sample(at(59), &mut rng), None);
        let mut samples = Vec::new();
        while let Some((record, to)) = backups.sample(at(60), &mut rng) {
            assert_eq!(to, heir(9));
            samples.push(record);
        }
        assert_eq!((samples.len(), backups.next_timeout()), (3, None));
        for sample in samples {
            let (_, others) = backups.sampled(heir(9).key(), sample).unwrap();
            assert!(others.len() == 9 && !others.contains(&sample));
            assert_eq!(backups.sampled(heir(9).key(), sample), None, "that is over");
        }
        assert_eq!(backups.records, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut backups = Backups::default();
        let mut note = |n: u16| backups.note(Giver::Publisher, heir((n % 200) as u8), record(n), at(0));
        (0..5000).for_each(&mut note);
        assert_eq!(backups.records, RECORDS);
    }
}
