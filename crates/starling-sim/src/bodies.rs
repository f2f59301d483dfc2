//! One copy of each record body for all disks of a network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use starling_overlay::memory::{Body, BodyPool};
use starling_proto::ids::RecordId;

/// Below this many bodies nobody looks for those that are gone.
const LEAST: usize = 1 << 10;

/// See the module's text. A body lives as long as some disk has it; one that was damaged on a disk is that disk's own.
#[derive(Debug, Default)]
pub(crate) struct SharedBodies(Mutex<Bodies>);

#[derive(Debug, Default)]
struct Bodies {
    known: HashMap<RecordId, Weak<Body>>,
    /// How many may be known before those that are gone are forgotten.
    bound: usize,
}

impl BodyPool for SharedBodies {
    fn pooled(&self, body: Body) -> Arc<Body> {
        let mut bodies = self.0.lock().expect("nothing here panics");
        if let Some(known) = bodies.known.get(&body.id).and_then(Weak::upgrade)
            && *known == body
        {
            return known;
        }
        if bodies.known.len() >= bodies.bound {
            bodies.known.retain(|_, known| known.strong_count() > 0);
            bodies.bound = bodies.known.len().saturating_mul(2).max(LEAST);
        }
        let body = Arc::new(body);
        bodies.known.insert(body.id, Arc::downgrade(&body));
        body
    }
}

#[cfg(test)]
mod tests {
    use starling_core::memory::MemoryStore;
    use starling_core::storage::RecordStore as _;
    use starling_overlay::group::AddressGroup;
    use starling_overlay::storage::HeldRecord;
    use starling_proto::ids::{PublisherKey, RecordKey};
    use starling_proto::record::RecordKind;
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn held(n: u8) -> HeldRecord {
        HeldRecord {
            id: RecordId::new([n; 32]),
            key: RecordKey::new([n; 32]),
            kind: RecordKind::Directory,
            publisher: PublisherKey::new([n; 32]),
            sequence: 1,
            size: 3,
            received: UnixSeconds::default(),
            expires: UnixSeconds::default(),
            keep_until: UnixSeconds::default(),
            tombstone: false,
            welcome: false,
            work: 0,
            group: AddressGroup::V4([9, n, 1]),
        }
    }

    fn disk(bodies: &Arc<SharedBodies>) -> MemoryStore {
        let mut disk = MemoryStore::default();
        disk.share_bodies(Arc::<SharedBodies>::clone(bodies));
        disk
    }

    fn body(disk: &MemoryStore, n: u8) -> Arc<[u8]> {
        disk.read_record(&held(n).id).unwrap().unwrap()
    }

    #[test]
    fn two_disks_have_one_body_until_one_is_damaged() {
        let bodies = Arc::new(SharedBodies::default());
        let (mut one, mut other) = (disk(&bodies), disk(&bodies));
        for disk in [&mut one, &mut other] {
            disk.write_record(&held(1), &Arc::from([1, 2, 3])).unwrap();
        }
        assert!(Arc::ptr_eq(&body(&one, 1), &body(&other, 1)));
        one.write_record(&held(1), &Arc::from([1, 2, 7])).unwrap();
        assert_eq!((&*body(&one, 1), &*body(&other, 1)), ([1, 2, 7].as_slice(), [1, 2, 3].as_slice()));
    }

    #[test]
    fn a_holder_has_dates_of_its_own() {
        let bodies = Arc::new(SharedBodies::default());
        let (mut one, mut other) = (disk(&bodies), disk(&bodies));
        let later = HeldRecord { received: UnixSeconds::new(7), ..held(1) };
        one.write_record(&held(1), &Arc::from([1, 2, 3])).unwrap();
        other.write_record(&later, &Arc::from([1, 2, 3])).unwrap();
        assert_eq!(one.held_records().unwrap(), [held(1)]);
        assert_eq!(other.held_records().unwrap(), [later]);
    }

    #[test]
    fn what_no_disk_has_is_forgotten() {
        let bodies = Arc::new(SharedBodies::default());
        for _ in 0..3 * LEAST {
            let mut disk = disk(&bodies);
            disk.write_record(&held(1), &Arc::from([1, 2, 3])).unwrap();
        }
        let mut ids = (0..3 * LEAST).map(|n| *blake3::hash(&n.to_be_bytes()).as_bytes());
        assert!(ids.all(|id| {
            let mut disk = disk(&bodies);
            let row = HeldRecord { id: RecordId::new(id), ..held(1) };
            disk.write_record(&row, &Arc::from([1, 2, 3])).unwrap();
            bodies.0.lock().unwrap().known.len() <= LEAST
        }));
    }
}
