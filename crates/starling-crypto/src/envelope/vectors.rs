//! `envelope.json` and `contact.json` of `docs/protocol/vectors`: what another implementation must give for the same
//! inputs.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use starling_proto::addr::Peer;
use starling_proto::contact::{ContactRequest, ContactRequestBody, ReadKey};
use starling_proto::identity::{Envelope, InboxEpoch};
use starling_proto::ids::{
    AccountKey, DeviceKey, DeviceListHash, LocatorKey, MailboxAddress, NodeKey, OlmKey,
};
use starling_proto::invite::{Invite, InviteSecret};
use starling_proto::session::{Parties, Party, SessionPlaintext};
use starling_proto::version::NetworkName;

use super::{Destination, inbox_key, open, seal};
use crate::fixture::{self, hex};
use crate::identity::Authority;
use crate::keys::SigningSecret as _;
use crate::secret::Secret;
use crate::sign::SigningDomain;
use crate::vectors::check;

/// Gives the bytes of X-Wing's encapsulation (its `eseed`, 64 bytes) and ends there.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("X-Wing draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("X-Wing draws bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.drain(..bytes.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

fn vector(name: &str, number: u8, plaintext: &[u8]) -> Value {
    let seed = Secret::copy_of(&[number; 32]);
    let (device, mailbox) = (DeviceKey::new([number + 1; 32]), MailboxAddress::new([number + 2; 32]));
    let (epoch, eseed) = (InboxEpoch::new(2900 + u32::from(number)), vec![number + 3; 64]);
    let key = inbox_key(&seed);
    let to = Destination { device, mailbox, epoch, key: &key };
    let mut rng = Fixed(eseed.clone());
    let envelope = seal(to, plaintext.to_vec(), &mut rng).unwrap();
    assert!(rng.0.is_empty(), "exactly 64 bytes are drawn");
    let bytes = envelope.encode();
    let read = Envelope::decode(&bytes).unwrap();
    assert_eq!(open(&seed, &device, &mailbox, &read).as_deref(), Ok(plaintext));
    json!({
        "name": name,
        "seed": hex(seed.expose()),
        "inbox_key": hex(key.as_bytes()),
        "device": hex(device.as_bytes()),
        "mailbox": hex(mailbox.as_bytes()),
        "inbox_epoch": epoch.get(),
        "eseed": hex(&eseed),
        "plaintext": hex(plaintext),
        "envelope": hex(&bytes),
    })
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let vectors = json!({
        "suite": "HPKE base mode: KEM 0x647a (X-Wing), KDF 0x0001 (HKDF-SHA256), AEAD 0x0003 (ChaCha20-Poly1305)",
        "info": "\"starling/1/envelope\" || device",
        "aad": "mailbox || inbox_epoch as 4 bytes, big endian",
        "vectors": [
            vector("empty", 1, b""),
            vector("a few words", 5, b"The lighthouse is lit."),
            vector("one more byte than the first bucket takes", 9, &[0x80; 512]),
        ],
    });
    check("envelope.json", &vectors);
}

fn session_plaintext() -> Value {
    let party = |n| Party { account: AccountKey::new([n; 32]), device: DeviceKey::new([n + 1; 32]) };
    let parties = Parties { sender: party(1), recipient: party(3) };
    let device_list = DeviceListHash::new([5; 32]);
    let plaintext =
        SessionPlaintext { parties, device_list, sequence: 300, content: b"Good evening.".to_vec() };
    json!({
        "sender_account": hex(&[1; 32]), "sender_device": hex(&[2; 32]),
        "recipient_account": hex(&[3; 32]), "recipient_device": hex(&[4; 32]),
        "device_list_hash": hex(&[5; 32]), "sequence": 300, "content": hex(b"Good evening."),
        "padded": hex(&plaintext.encode().unwrap()),
    })
}

fn contact_request() -> Value {
    let body = ContactRequestBody {
        recipient: DeviceKey::new([20; 32]),
        account: fixture::account_key(),
        device_certs: vec![fixture::cert(1, Authority::Account(&fixture::account())).encode()],
        device_list: DeviceListHash::new([21; 32]),
        reply_inbox: MailboxAddress::new([22; 32]),
        locator: LocatorKey::new([23; 32]),
        read_key: ReadKey::new([24; 32]),
        name: "Ada".into(),
        note: "We met at the lighthouse.".into(),
        one_time_key: OlmKey::new([25; 32]),
        issued: fixture::NOW,
    };
    let signature = fixture::device(1).sign(SigningDomain::ContactRequest, &body.encode());
    let request = ContactRequest::new(body.encode(), signature).unwrap();
    json!({
        "device_seed": hex(&[1; 32]),
        "recipient_device": hex(&[20; 32]),
        "account": hex(body.account.as_bytes()),
        "device_certs": [hex(&body.device_certs[0])],
        "device_list_hash": hex(&[21; 32]), "reply_inbox": hex(&[22; 32]),
        "locator_key": hex(&[23; 32]), "read_key": hex(&[24; 32]),
        "name": body.name, "note": body.note,
        "one_time_key": hex(&[25; 32]), "issued_s": body.issued.get(),
        "request": hex(&request.encode()),
    })
}

fn invite(network: &str, peers: &[(u8, &str)]) -> Value {
    let mut invite = Invite::new(
        AccountKey::new([30; 32]),
        DeviceKey::new([31; 32]),
        OlmKey::new([32; 32]),
        InviteSecret::new([33; 16]),
        fixture::NOW,
        NetworkName::main(),
    );
    invite.network = network.parse().unwrap();
    let listed =
        peers.iter().map(|(key, address)| Peer::new(NodeKey::new([*key; 32]), [address.parse().unwrap()]));
    let text = invite.with_peers(listed).to_string();
    json!({
        "account": hex(&[30; 32]), "device": hex(&[31; 32]), "one_time_key": hex(&[32; 32]),
        "secret": hex(&[33; 16]), "expires_s": fixture::NOW.get(), "network": network,
        "peers": peers.iter().map(|(key, address)| json!([hex(&[*key; 32]), address])).collect::<Vec<_>>(),
        "text": text,
    })
}

#[test]
fn the_vectors_of_what_devices_say_first_hold() {
    let vectors = json!({
        "session_plaintext": session_plaintext(),
        "contact_request": contact_request(),
        "invites": [
            invite("main", &[]),
            invite("village-7", &[(34, "192.0.2.7:4040"), (35, "[2001:db8::7]:4040")]),
        ],
    });
    check("contact.json", &vectors);
}
