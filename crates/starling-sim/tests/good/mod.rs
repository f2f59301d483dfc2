//! Good inputs for every decoder: each variant of each message, and the vectors of `docs/protocol/`.

mod messages;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::Value;
use starling_crypto::kdf::{KdfParams, Passphrase, WrappedKey};
use starling_crypto::secret::Secret;
use starling_crypto::session::{OlmAccount as _, OlmSession as _, Vodozemac};
use starling_proto::addr::Peer;
use starling_proto::frame::{FrameHeader, FrameKind};
use starling_proto::identity::{LocatorBody, LocatorSecret};
use starling_proto::ids::{AccountKey, DeviceKey, NodeKey, Signature};
use starling_proto::padding::Buckets;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::UnixSeconds;

use messages::{contents, deliver, device_request, leave, requests, responses};

/// Inputs by the name of their decoder.
pub(crate) fn inputs() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let requests: Vec<_> = requests().iter().map(|request| request.to_frame().unwrap()).collect();
    let responses: Vec<_> = responses().iter().map(|response| response.to_frame().unwrap()).collect();
    let identity = vectors(include_str!("../../../../docs/protocol/vectors/identity.json"));
    let lists: Vec<_> = each(&identity["lists"]).map(|list| unhex(&list["encoded"])).collect();
    let contact = vectors(include_str!("../../../../docs/protocol/vectors/contact.json"));
    let envelopes = vectors(include_str!("../../../../docs/protocol/vectors/envelope.json"));
    let envelopes: Vec<_> = each(&envelopes["vectors"]).map(|row| unhex(&row["envelope"])).collect();
    let records = records();
    let directory = payloads(&records, RecordKind::Directory);
    vec![
        ("frame", [requests.clone(), responses.clone()].concat()),
        ("request", requests.iter().map(|frame| without_length(frame)).collect()),
        ("response", responses.iter().map(|frame| without_length(frame)).collect()),
        ("record", [records.clone(), vec![leave().encode()]].concat()),
        ("ids", ids()),
        ("device_cert", each(&identity["chain"]["encoded"]).map(unhex).collect()),
        ("device_list", lists.clone()),
        ("bundle", payloads(&records, RecordKind::Bundle)),
        ("envelope", envelopes.clone()),
        ("directory_entry", directory.clone()),
        ("locator", vec![locator(1), locator(2)]),
        ("session", session(&contact)),
        ("contact", vec![unhex(&contact["contact_request"]["request"])]),
        ("invite", each(&contact["invites"]).map(|invite| text(&invite["text"])).collect()),
        ("deliver", vec![deliver(1).encode(), deliver(3).encode()]),
        ("content", contents(&lists[0]).iter().map(|content| content.encode()).collect()),
        ("device_request", vec![device_request().encode()]),
        ("pass_on", passed_on(requests.iter().chain(&responses))),
        ("wrapped_key", vec![wrapped_key(8, 1), wrapped_key(64, 4)]),
        ("recovery_phrase", vec![text(&identity["phrase"]["words"])]),
        ("verified_list", lists),
        ("verified_chain", directory),
        ("verified_record", records),
        ("prekey_message", prekey_messages()),
        ("opened_envelope", envelopes),
    ]
}

/// The bodies of what is asked in another's place, and of what became of it.
fn passed_on<'a>(frames: impl Iterator<Item = &'a Vec<u8>>) -> Vec<Vec<u8>> {
    let kinds = [FrameKind::PassOn.byte(), FrameKind::Passed.byte()];
    let passed = frames.filter(|frame| kinds.contains(&frame[0]));
    passed.map(|frame| frame[FrameHeader::LEN..].to_vec()).collect()
}

fn vectors(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().unwrap().iter()
}

fn text(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().as_bytes().to_vec()
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The kind's byte, then the body: as the fuzz functions take a message.
fn without_length(frame: &[u8]) -> Vec<u8> {
    [&frame[..1], &frame[FrameHeader::LEN..]].concat()
}

/// Accepted ones of each kind, and one for each reason to refuse.
fn records() -> Vec<Vec<u8>> {
    let json = vectors(include_str!("../../../../docs/protocol/vectors/record.json"));
    each(&json["records"]).map(|record| unhex(&record["encoded"])).collect()
}

/// The payloads of one kind.
fn payloads(records: &[Vec<u8>], kind: RecordKind) -> Vec<Vec<u8>> {
    let records = records.iter().map(|bytes| Record::decode(bytes).unwrap());
    records.filter(|record| record.body().kind == kind).map(|record| record.body().payload.clone()).collect()
}

fn ids() -> Vec<Vec<u8>> {
    let (account, node) = (AccountKey::new([1; 32]).to_string(), NodeKey::new([2; 32]).to_string());
    let texts = [
        account.to_uppercase(),
        account.get(..24).unwrap().to_owned(),
        account,
        format!("{node}@127.0.0.1:4040"),
        format!("{node}@[2001:db8::1]:4040"),
    ];
    texts.map(String::into_bytes).to_vec()
}

fn locator(addresses: u16) -> Vec<u8> {
    let addresses = (1..=addresses).map(|port| ([192, 0, 2, 1], port).into());
    let peer = Peer::new(NodeKey::new([2; 32]), addresses);
    let body = LocatorBody { device: DeviceKey::new([1; 32]), peer, issued: UnixSeconds::new(3) };
    LocatorSecret::new(body.encode(), Signature::new([5; 64])).unwrap().encode()
}

/// Padded, as a session decrypts it, and without its padding.
fn session(contact: &Value) -> Vec<Vec<u8>> {
    let padded = unhex(&contact["session_plaintext"]["padded"]);
    let plain = Buckets::SESSION.unpad(&padded).unwrap().to_vec();
    vec![plain, padded]
}

/// With little memory: what is read is the same.
fn wrapped_key(memory_kib: u32, lanes: u32) -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let params = KdfParams::new(memory_kib, 1, lanes).unwrap();
    let passphrase = Passphrase::new("open".to_owned());
    WrappedKey::wrap(&Secret::copy_of(&[2; 32]), &passphrase, params, &mut rng).unwrap().encode()
}

/// On a fallback key and on a one-time key. vodozemac draws on its own, so these differ each time they are written.
fn prekey_messages() -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let (sender, mut recipient) = (Vodozemac::generate(&mut rng), Vodozemac::generate(&mut rng));
    recipient.rotate_fallback(&mut rng);
    let mut keys = recipient.generate_one_time_keys(1, &mut rng);
    keys.extend(recipient.fallback_keys().current);
    let mut first_message = |key| {
        let mut session = sender.start(recipient.identity_key(), key, &mut rng).unwrap();
        session.encrypt(b"hello", &mut rng).unwrap().bytes
    };
    keys.into_iter().map(&mut first_message).collect()
}
