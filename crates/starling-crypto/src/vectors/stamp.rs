//! `stamp.json`: the smallest nonce of a few subjects, and its hash's zero bits.

use serde_json::{Value, json};
use starling_proto::ids::{PublisherKey, RecordId};
use starling_proto::time::Month;

use super::check;
use crate::fixture::{NOW, hex};
use crate::stamp::{StampPolicy, StampSearch, StampSubject};

fn made() -> Value {
    let policy = StampPolicy::for_network(&"vectors".parse().unwrap(), 6).unwrap();
    let month = Month::of(NOW);
    let vector = |kind: &str, key: [u8; 32], subject: StampSubject, month: Month| {
        let stamp = StampSearch::new(subject, month, policy, 0).step(10_000).unwrap();
        json!({
            "kind": kind,
            "subject": hex(&key),
            "month": month.get(),
            "bits": policy.bits(),
            "salt": hex(&subject.salt(month, policy.bits())),
            "first_nonce": stamp.nonce,
        })
    };
    let publisher = |byte: u8| StampSubject::Publisher(PublisherKey::new([byte; 32]));
    let request = StampSubject::Request(RecordId::new([1; 32]));
    json!({
        "main_network_bits": StampPolicy::MAIN_BITS,
        "stamps": [
            vector("publisher", [1; 32], publisher(1), month),
            vector("publisher", [2; 32], publisher(2), month),
            vector("publisher", [1; 32], publisher(1), Month::new(month.get() + 1)),
            vector("request", [1; 32], request, month),
        ],
    })
}

#[test]
fn stamp_vectors_stand() {
    check("stamp.json", &made());
}
