//! Rows that are not what was written.

use std::sync::Arc;

use starling_proto::message::StoreOutcome::Stored;
use starling_proto::message::{Proof, Prove};

use crate::holder::Wanted;
use crate::holder::testing::{Desk, Maker, held};
use crate::storage::RecordStore as _;

#[test]
fn dsk_03_a_damaged_row_hides_nothing_else_and_can_be_replaced() {
    let mut desk = Desk::new();
    let (whole, damaged, missing) = (Maker::directory(1), Maker::directory(2), Maker::directory(3));
    for maker in [&whole, &damaged, &missing] {
        desk.put(maker);
    }
    let record = damaged.make();
    let mut bytes = record.encode();
    bytes[40] ^= 1;
    desk.store.write_record(&held(&record), &Arc::from(bytes)).unwrap();
    desk.store.remove_record(&missing.make().id()).unwrap();
    let wanted = Wanted { key: whole.body.key, kind: whole.body.kind, count: 9, reserved: 0 };
    let found = desk.holder.fetch(desk.now, &desk.store, wanted).unwrap();
    assert_eq!((found.records, found.left_out), (vec![whole.make()], 0));
    assert_eq!(desk.holder.usage().damaged, 2);
    let prove = Prove { record: record.id(), nonce: [0; 16] };
    assert_eq!(desk.holder.prove(&desk.store, &prove).unwrap(), Proof::Missing);
    assert_eq!(desk.put(&damaged), Stored, "a whole one takes its place");
    assert_eq!(desk.holder.usage().damaged, 1);
    assert_eq!(desk.sweep(false), 1);
    assert!(desk.has(&whole) && desk.has(&damaged) && !desk.has(&missing));
    assert!(matches!(desk.holder.prove(&desk.store, &prove).unwrap(), Proof::Held(_)));
}
