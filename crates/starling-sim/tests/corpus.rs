//! Every decoder is fed what has been kept for it, whole and damaged.
//!
//! `STARLING_WRITE_CORPUS=1 cargo test -p starling-sim --test corpus` writes one good input for each decoder of frames
//! and records; the fuzzer adds what it finds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use starling_proto::frame::FrameHeader;
use starling_proto::ids::{NodeId, NodeKey, PublisherKey, RecordId, RecordKey, Signature};
use starling_proto::message::{
    DialBack, Fetch, FindNode, Hello, Matches, Mode, Prove, Query, Records, Request, Response, StoreOutcome,
};
use starling_proto::record::{Record, RecordBody, RecordKind, Stamp};
use starling_proto::time::{Month, UnixSeconds};
use starling_proto::version::ProtocolVersion;
use starling_sim::fuzz::TABLE;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The inputs that are kept for a decoder.
fn inputs(name: &str) -> Vec<Vec<u8>> {
    let Ok(folder) = fs::read_dir(kept().join(name)) else { return Vec::new() };
    folder.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_decoder_survives_its_corpus() {
    if std::env::var_os("STARLING_WRITE_CORPUS").is_some() {
        write_corpus();
    }
    let mut fed = 0;
    for (name, decode) in TABLE.iter() {
        for input in inputs(name) {
            decode(&input);
            fed += 1;
        }
    }
    assert!(fed >= 20, "only {fed} inputs are kept");
}

#[test]
fn wir_03_every_truncation_and_every_flipped_bit_is_survived() {
    for (name, decode) in TABLE.iter() {
        for input in inputs(name).iter().filter(|input| input.len() < 2048) {
            for end in 0..input.len() {
                decode(&input[..end]);
            }
            let mut input = input.clone();
            for at in 0..input.len() {
                for bit in 0..8 {
                    input[at] ^= 1 << bit;
                    decode(&input);
                    input[at] ^= 1 << bit;
                }
            }
        }
    }
}

#[test]
fn every_kept_folder_has_its_decoder() {
    let names: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), TABLE.len(), "two decoders of one name");
    for folder in fs::read_dir(kept()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(name.as_str()), "{name} is named after no decoder");
    }
}

/// One good request and response of each kind, as the fuzz functions take them: the kind's byte, then the body.
fn write_corpus() {
    for (number, request) in requests().iter().enumerate() {
        keep("request", number, &without_length(&request.to_frame().unwrap()));
        keep("frame", number, &request.to_frame().unwrap());
    }
    for (number, response) in responses().iter().enumerate() {
        keep("response", number, &without_length(&response.to_frame().unwrap()));
    }
    keep("record", 0, &record().encode());
    keep("ids", 0, b"starnode1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqg7yl0n@127.0.0.1:4040");
}

fn keep(name: &str, number: usize, bytes: &[u8]) {
    let folder = kept().join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("good-{number:02}")), bytes).unwrap();
}

fn without_length(frame: &[u8]) -> Vec<u8> {
    [&frame[..1], &frame[FrameHeader::LEN..]].concat()
}

fn record() -> Record {
    let body = RecordBody {
        key: RecordKey::new([1; 32]),
        kind: RecordKind::Directory,
        publisher: PublisherKey::new([2; 32]),
        sequence: 3,
        issued: UnixSeconds::new(4),
        expires: UnixSeconds::new(5),
        payload: b"payload".to_vec(),
        tombstone: false,
    };
    let stamp = Stamp { month: Month::new(6), bits: 7, nonce: 8 };
    Record::new(body.encode(), Signature::new([9; 64]), Some(stamp), None).unwrap()
}

fn hello() -> Hello {
    Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Server,
        coarse_time_min: 29_000_000,
        observed: Some("192.0.2.1:4040".parse().unwrap()),
        addresses: vec!["[2001:db8::1]:4040".parse().unwrap()],
    }
}

fn requests() -> Vec<Request> {
    let key = RecordKey::new([1; 32]);
    vec![
        Request::Hello(hello()),
        Request::Ping,
        Request::FindNode(FindNode { target: NodeId::new([2; 32]), count: 20 }),
        Request::Store(record()),
        Request::Fetch(Fetch { key, kind: RecordKind::Bundle, count: 1, peers: 20 }),
        Request::Query(Query { key, words: vec!["chess".into(), "berlin".into()], count: 50 }),
        Request::Prove(Prove { record: RecordId::new([3; 32]), nonce: [4; 16] }),
        Request::DialBack(DialBack {
            subject: NodeKey::new([5; 32]),
            addresses: hello().addresses,
            relayed: true,
        }),
    ]
}

fn responses() -> Vec<Response> {
    let peer = starling_proto::addr::Peer::new(NodeKey::new([6; 32]), hello().addresses);
    vec![
        Response::Hello(hello()),
        Response::Pong,
        Response::Nodes(vec![peer.clone(); 3]),
        Response::Stored(StoreOutcome::Stored),
        Response::Records(Records { records: vec![record()], peers: vec![peer], left_out: 2 }),
        Response::Matches(Matches { records: vec![record()], left_out: 1 }),
        Response::Proof(Some([7; 32])),
        Response::Listed(vec![RecordId::new([8; 32])]),
        Response::Deleted(1),
    ]
}
