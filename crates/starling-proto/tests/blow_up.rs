//! What hostile bytes unfold to: every message, at its cap, filled with whatever takes the most memory.
//!
//! The bodies come from the schema itself, so that a field which is added is measured without a word here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

mod hostile;

use std::hint::black_box;

use bech32::{Bech32m, Hrp};
use hostile::Schema;
use prost::Message as _;
use starling_proto::contact::ContactRequest;
use starling_proto::content::Content;
use starling_proto::frame::FrameKind;
use starling_proto::identity::{Bundle, DeviceCert, DeviceList, DirectoryEntry, Envelope, LocatorSecret};
use starling_proto::invite::Invite;
use starling_proto::message::{Deliver, Request, Response};
use starling_proto::padding::Buckets;
use starling_proto::record::{Capability, Record, RecordBody, RecordKind};
use starling_proto::session::SessionPlaintext;
use starling_proto::{limits, wire};

/// What a message may take while it is read, besides its own bytes.
const BOUND: u64 = 1024 * 1024;

/// The most bytes that are allocated at once while `read` runs. A vector that grows is counted twice in that moment,
/// since an allocator may have to copy it. Counts are kept for each thread, so tests may run beside this one.
fn peak(read: impl FnOnce()) -> u64 {
    allocation_counter::measure(read).bytes_max
}

/// Reads every body that the schema allows for `message` at `cap`; the worst peak, and how it was reached.
fn worst(schema: &Schema, message: &str, cap: usize, read: &dyn Fn(&[u8])) -> (u64, String) {
    let bodies = schema.bodies(message, cap);
    let peaks = bodies.into_iter().map(|(way, body)| {
        assert_eq!(body.len(), cap, "{way}");
        (peak(|| read(&body)), way)
    });
    peaks.max().unwrap_or_default()
}

/// As the node reads a frame's body.
fn read_frame(kind: FrameKind, body: &[u8]) {
    if kind.is_request() {
        let _ = black_box(Request::decode(kind, body));
    } else {
        let _ = black_box(Response::decode(kind, body));
    }
}

#[test]
fn wir_02_no_frame_unfolds_to_a_mebibyte() {
    let schema = Schema::read();
    let mut above = Vec::new();
    for kind in FrameKind::all() {
        let name = format!("{kind:?}");
        // Where both directions share a message, the kind of the answer has a suffix.
        let message = if schema.has(&name) { &name } else { name.strip_suffix("Back").unwrap() };
        let (peak, way) = worst(&schema, message, kind.cap(), &|body| read_frame(kind, body));
        if peak >= BOUND {
            above.push(format!("{name}, {} bytes, unfolds to {peak} bytes: {way}", kind.cap()));
        }
    }
    assert!(above.is_empty(), "{above:#?}");
}

/// A message, its cap in bytes, and how it is read.
type Row = (&'static str, usize, fn(&[u8]));

/// What lies inside frames and records, or comes by hand.
const INNER: &[Row] = &[
    ("Record", limits::RECORD, |bytes| drop(black_box(Record::decode(bytes)))),
    ("RecordBody", limits::RECORD_BODY, |bytes| drop(black_box(RecordBody::decode(bytes)))),
    ("Capability", limits::CAPABILITY, |bytes| drop(black_box(Capability::decode(bytes)))),
    ("DeviceList", limits::DEVICE_LIST, |bytes| drop(black_box(DeviceList::decode(bytes)))),
    ("DeviceCert", limits::DEVICE_CERT, |bytes| drop(black_box(DeviceCert::decode(bytes)))),
    ("Bundle", RecordKind::Bundle.payload_limit(), |bytes| drop(black_box(Bundle::decode(bytes)))),
    ("DirectoryEntry", limits::DIRECTORY_ENTRY, |bytes| drop(black_box(DirectoryEntry::decode(bytes)))),
    ("LocatorSecret", limits::LOCATOR, |bytes| drop(black_box(LocatorSecret::decode(bytes)))),
    ("Envelope", limits::RECORD_PAYLOAD, |bytes| drop(black_box(Envelope::decode(bytes)))),
    ("Deliver", 16_639, |bytes| drop(black_box(Deliver::decode(bytes)))),
    ("SessionPlaintext", 16_383, read_plaintext),
    ("Content", limits::SESSION_CONTENT, |bytes| drop(black_box(Content::decode(bytes)))),
    ("ContactRequest", limits::CONTACT_REQUEST, |bytes| drop(black_box(ContactRequest::decode(bytes)))),
    ("Invite", 620, read_invite),
    ("Store", limits::RECORD + 16, |bytes| read_pass_on(FrameKind::Store, bytes)),
    ("Query", 20 * 1024, |bytes| read_pass_on(FrameKind::Query, bytes)),
    ("Records", 36 * 1024, |bytes| read_passed(FrameKind::Records, bytes)),
    ("Matches", 36 * 1024, |bytes| read_passed(FrameKind::Matches, bytes)),
    ("Proofs", 36 * 1024, |bytes| read_passed(FrameKind::Proof, bytes)),
    ("Placed", 36 * 1024, |bytes| read_passed(FrameKind::Stored, bytes)),
];

/// A request inside one that is passed on.
fn read_pass_on(kind: FrameKind, request: &[u8]) {
    let (kind, request) = (u32::from(kind.byte()), request.to_vec());
    let body = wire::PassOn { kind, request, key: Vec::new() }.encode_to_vec();
    read_frame(FrameKind::PassOn, &body);
}

/// An answer inside what became of a request that was passed on.
fn read_passed(kind: FrameKind, answer: &[u8]) {
    let (kind, answer) = (u32::from(kind.byte()), answer.to_vec());
    read_frame(FrameKind::Passed, &wire::Passed { kind, answer }.encode_to_vec());
}

fn read_plaintext(bytes: &[u8]) {
    let padded = Buckets::SESSION.pad(bytes.to_vec()).unwrap();
    drop(black_box(SessionPlaintext::decode(&padded)));
}

fn read_invite(bytes: &[u8]) {
    let text = bech32::encode::<Bech32m>(Hrp::parse(Invite::PREFIX).unwrap(), bytes).unwrap();
    drop(black_box(text.parse::<Invite>()));
}

#[test]
fn nothing_inside_a_frame_unfolds_to_a_mebibyte() {
    let schema = Schema::read();
    let mut above = Vec::new();
    for (message, cap, read) in INNER {
        let (peak, way) = worst(&schema, message, *cap, read);
        if peak >= BOUND {
            above.push(format!("{message}, {cap} bytes, unfolds to {peak} bytes: {way}"));
        }
    }
    assert!(above.is_empty(), "{above:#?}");
}

#[test]
fn the_caps_of_what_is_padded_are_those_of_the_buckets() {
    let cap = |name| INNER.iter().find(|row| row.0 == name).unwrap().1;
    assert_eq!(cap("Deliver"), Buckets::ENVELOPE.longest());
    assert_eq!(cap("SessionPlaintext"), Buckets::SESSION.longest());
}

/// Without this the two tests above could pass because nothing is measured.
#[test]
fn without_a_bound_64_kib_unfold_to_more() {
    let schema = Schema::read();
    let read = |body: &[u8]| drop(black_box(wire::Nodes::decode(body)));
    let (peak, way) = worst(&schema, "Nodes", 64 * 1024, &read);
    assert!(peak > 2 * BOUND, "{peak}: {way}");
}
