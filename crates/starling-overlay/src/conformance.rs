//! What every implementation of the storage traits is held to: one suite for the one in memory and the one on disk.
#![expect(clippy::unwrap_used, reason = "a suite of tests: a store that fails is to fail loudly")]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;

use crate::group::AddressGroup;
use crate::storage::{DeletedRecord, HeldRecord, OverlayStore, PeerStore as _, RecordStore as _};

/// How the suite gets at a store.
pub trait Harness {
    /// The implementation.
    type Store: OverlayStore;

    /// The store.
    fn store(&mut self) -> &mut Self::Store;

    /// Commits, closes and opens again: what was written must still be there.
    fn reopen(&mut self);
}

/// Runs every check, each on a fresh, empty store from `fresh`.
pub fn check<H: Harness>(mut fresh: impl FnMut() -> H) {
    an_empty_store_is_empty(&mut fresh());
    rows_come_back_whole_and_in_order(&mut fresh());
    a_second_write_replaces(&mut fresh());
    what_is_removed_is_gone(&mut fresh());
    deletions_are_kept_by_key_and_id(&mut fresh());
    peers_come_back_newest_first(&mut fresh());
    a_peer_is_replaced_and_removed(&mut fresh());
}

fn an_empty_store_is_empty<H: Harness>(harness: &mut H) {
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.held_records().unwrap(), []);
        assert_eq!(store.deleted_records().unwrap(), []);
        assert_eq!(store.known_peers().unwrap(), []);
        assert_eq!(store.read_record(&RecordId::new([1; 32])).unwrap(), None);
        store.remove_record(&RecordId::new([1; 32])).unwrap();
        store.remove_deletion(&RecordKey::new([1; 32]), &RecordId::new([1; 32])).unwrap();
        store.remove_peer(&NodeKey::new([1; 32])).unwrap();
        harness.reopen();
    }
}

/// Every kind, every group of addresses, and numbers at the ends of their scale.
fn rows_come_back_whole_and_in_order<H: Harness>(harness: &mut H) {
    let rows = rows();
    for (number, row) in rows.iter().enumerate().rev() {
        harness.store().write_record(row, &body(number)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(harness.store().held_records().unwrap(), rows);
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(harness.store().read_record(&row.id).unwrap(), Some(body(number)));
        }
        harness.reopen();
    }
}

fn a_second_write_replaces<H: Harness>(harness: &mut H) {
    let first = row(1, RecordKind::Bundle, GROUPS[0]);
    let id = first.id;
    harness.store().write_record(&first, &body(1)).unwrap();
    let second = HeldRecord { sequence: 9, tombstone: true, group: GROUPS[1], ..first };
    harness.store().write_record(&second, &body(2)).unwrap();
    harness.reopen();
    assert_eq!(harness.store().held_records().unwrap(), [second]);
    assert_eq!(harness.store().read_record(&id).unwrap(), Some(body(2)));
}

fn what_is_removed_is_gone<H: Harness>(harness: &mut H) {
    let (goes, stays) = (row(1, RecordKind::Deposit, GROUPS[0]), row(2, RecordKind::Deposit, GROUPS[0]));
    harness.store().write_record(&goes, &body(1)).unwrap();
    harness.store().write_record(&stays, &body(2)).unwrap();
    harness.reopen();
    harness.store().remove_record(&goes.id).unwrap();
    for _ in 0..2 {
        assert_eq!(harness.store().held_records().unwrap(), core::slice::from_ref(&stays));
        assert_eq!(harness.store().read_record(&goes.id).unwrap(), None);
        harness.reopen();
    }
}

fn deletions_are_kept_by_key_and_id<H: Harness>(harness: &mut H) {
    let first = deletion(1, 2);
    let same_id = deletion(3, 2);
    for deleted in [&same_id, &first] {
        harness.store().write_deletion(deleted).unwrap();
    }
    let replaced = DeletedRecord { keep_until: UnixSeconds::new(u64::MAX), group: GROUPS[5], ..first };
    harness.store().write_deletion(&replaced).unwrap();
    harness.reopen();
    assert_eq!(harness.store().deleted_records().unwrap(), [replaced.clone(), same_id.clone()]);
    harness.store().remove_deletion(&same_id.key, &RecordId::new([9; 32])).unwrap();
    harness.store().remove_deletion(&same_id.key, &same_id.id).unwrap();
    harness.reopen();
    assert_eq!(harness.store().deleted_records().unwrap(), [replaced]);
}

fn peers_come_back_newest_first<H: Harness>(harness: &mut H) {
    let peers: Vec<Peer> = (1..=4).map(peer).collect();
    for (peer, at) in peers.iter().zip([5, u64::MAX, 5, 7]) {
        harness.store().write_peer(peer, UnixSeconds::new(at)).unwrap();
    }
    let order = [peer(2), peer(4), peer(1), peer(3)];
    for _ in 0..2 {
        assert_eq!(harness.store().known_peers().unwrap(), order);
        harness.reopen();
    }
}

fn a_peer_is_replaced_and_removed<H: Harness>(harness: &mut H) {
    let moved = Peer::new(peer(1).key(), peer(7).addresses().iter().copied());
    let nowhere = Peer::new(NodeKey::new([9; 32]), []);
    harness.store().write_peer(&peer(1), UnixSeconds::new(9)).unwrap();
    harness.store().write_peer(&nowhere, UnixSeconds::new(5)).unwrap();
    harness.store().write_peer(&moved, UnixSeconds::new(3)).unwrap();
    harness.reopen();
    assert_eq!(harness.store().known_peers().unwrap(), [nowhere.clone(), moved.clone()]);
    harness.store().remove_peer(&nowhere.key()).unwrap();
    harness.reopen();
    assert_eq!(harness.store().known_peers().unwrap(), [moved]);
}

const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 2, 3, 4, 5, 6, 7);

/// One of each.
const GROUPS: [AddressGroup; 6] = [
    AddressGroup::V4([8, 8, 255]),
    AddressGroup::V6([0x20, 1, 0xd, 0xb8, 0, 255]),
    AddressGroup::Local(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 255))),
    AddressGroup::Local(IpAddr::V6(V6)),
    AddressGroup::Loopback(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 65535)),
    AddressGroup::Loopback(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1)),
];

fn rows() -> Vec<HeldRecord> {
    let kinds = RecordKind::ALL.into_iter().cycle();
    let rows = GROUPS.into_iter().zip(kinds).zip(1..);
    let mut rows: Vec<HeldRecord> = rows.map(|((group, kind), number)| row(number, kind, group)).collect();
    if let Some(last) = rows.last_mut() {
        let end = UnixSeconds::new(u64::MAX);
        (last.received, last.expires, last.keep_until) = (end, end, end);
        (last.sequence, last.size, last.work) = (u64::MAX, u32::MAX, u8::MAX);
        (last.tombstone, last.welcome) = (true, true);
    }
    rows
}

fn row(number: u8, kind: RecordKind, group: AddressGroup) -> HeldRecord {
    HeldRecord {
        id: RecordId::new([number; 32]),
        key: RecordKey::new([number.wrapping_add(100); 32]),
        kind,
        publisher: PublisherKey::new([number.wrapping_add(200); 32]),
        sequence: u64::from(number),
        size: 3,
        received: UnixSeconds::new(10),
        expires: UnixSeconds::new(20),
        keep_until: UnixSeconds::new(30),
        tombstone: false,
        welcome: number == 2,
        work: number,
        group,
    }
}

fn body(number: usize) -> Arc<[u8]> {
    alloc::vec![7; number.saturating_mul(9)].into()
}

fn deletion(key: u8, id: u8) -> DeletedRecord {
    DeletedRecord {
        key: RecordKey::new([key; 32]),
        id: RecordId::new([id; 32]),
        deleted: UnixSeconds::new(1),
        keep_until: UnixSeconds::new(2),
        group: GROUPS[2],
    }
}

fn peer(number: u8) -> Peer {
    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(8, 8, 8, number)), 4000);
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number))), 1);
    Peer::new(NodeKey::new([number; 32]), [v6, v4])
}
