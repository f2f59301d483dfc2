//! The store on disk keeps to the same suites as the one in memory.

use crate::common::TestHome;
use starling_core::memory::MemoryStore;
use starling_core::storage::{Slot, SlotStore};
use starling_overlay::conformance::{self, Harness};
use starling_store::Database;

/// A database that is always inside a transaction, as the core's thread sees it.
pub(crate) struct OnDisk {
    database: Option<Database>,
    home: TestHome,
}

impl OnDisk {
    pub(crate) fn fresh() -> Self {
        let (home, mut database) = TestHome::new();
        database.begin().unwrap();
        Self { database: Some(database), home }
    }
}

impl Harness for OnDisk {
    type Store = Database;

    fn store(&mut self) -> &mut Database {
        self.database.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        let mut database = self.database.take().unwrap();
        database.commit().unwrap();
        database.close().unwrap();
        let mut database = self.home.open().unwrap();
        database.begin().unwrap();
        self.database = Some(database);
    }
}

#[test]
fn the_overlays_suite() {
    conformance::check(OnDisk::fresh);
}

#[test]
fn slots_on_disk() {
    let mut disk = OnDisk::fresh();
    check_slots(disk.store());
    disk.reopen();
    check_written(disk.store());
}

#[test]
fn slots_in_memory() {
    let mut memory = MemoryStore::default();
    check_slots(&mut memory);
    check_written(&memory);
}

fn check_slots(store: &mut impl SlotStore) {
    for slot in Slot::ALL {
        assert_eq!(store.read_slot(slot).unwrap(), None);
    }
    for slot in Slot::ALL {
        store.write_slot(slot, b"before").unwrap();
        store.write_slot(slot, &content(slot)).unwrap();
    }
    check_written(store);
}

fn check_written(store: &impl SlotStore) {
    for slot in Slot::ALL {
        assert_eq!(store.read_slot(slot).unwrap(), Some(content(slot)));
    }
}

/// From nothing at all to many pages.
fn content(slot: Slot) -> Vec<u8> {
    vec![7; (slot.number() as usize - 1) * 7000]
}
