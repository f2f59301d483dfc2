use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use starling_proto::contact::ReadKey;
use starling_proto::ids::{AccountKey, DeviceListHash, LocatorKey, OlmKey};
use starling_proto::padding::Buckets;
use starling_proto::{DecodeError, limits};

use super::*;
use crate::envelope::WallClock;
use crate::fixture;
use crate::identity::Authority;

const MAILBOX: MailboxAddress = MailboxAddress::new([21; 32]);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

fn keys() -> InboxKeys {
    InboxKeys::new(WallClock { now: fixture::NOW, confirmed: true }, &mut rng())
}

/// A request of device 1 to device 9.
fn body() -> ContactRequestBody {
    let cert = fixture::cert(1, Authority::Account(&fixture::account()));
    ContactRequestBody {
        recipient: fixture::device(9).public(),
        account: fixture::account_key(),
        device_certs: vec![cert.encode()],
        device_list: DeviceListHash::new([22; 32]),
        reply_inbox: MailboxAddress::new([23; 32]),
        locator: LocatorKey::new([24; 32]),
        read_key: ReadKey::new([25; 32]),
        name: "Ada".into(),
        note: "We met at the lighthouse.".into(),
        one_time_key: OlmKey::new([26; 32]),
        issued: fixture::NOW,
    }
}

fn sealed(body: &ContactRequestBody, device: &DeviceSecret) -> Result<Envelope, CryptoError> {
    let (epoch, key) = keys().current();
    let to = Destination { device: fixture::device(9).public(), mailbox: MAILBOX, epoch, key: &key };
    seal_request(body, device, to, &mut rng())
}

/// Seals bytes that nobody checked, as an attacker does.
fn sealed_raw(request: &ContactRequest) -> Envelope {
    let (epoch, key) = keys().current();
    let to = Destination { device: fixture::device(9).public(), mailbox: MAILBOX, epoch, key: &key };
    seal(to, Buckets::SESSION.pad(request.encode()).unwrap(), &mut rng()).unwrap()
}

fn open_by(device: u8, envelope: &Envelope) -> Result<VerifiedRequest, CryptoError> {
    open_request(&keys(), &fixture::device(device).public(), &MAILBOX, envelope)
}

#[test]
fn a_request_arrives_as_it_was_written() {
    let request = open_by(9, &sealed(&body(), &fixture::device(1)).unwrap()).unwrap();
    assert_eq!(request.body(), &body());
    assert_eq!(request.device().key(), fixture::device(1).public());
}

#[test]
fn every_request_has_the_same_length() {
    let short = ContactRequestBody { name: String::new(), note: String::new(), ..body() };
    let long = ContactRequestBody { name: "n".repeat(limits::NAME), note: "o".repeat(256), ..body() };
    for body in [short, body(), long] {
        let envelope = sealed(&body, &fixture::device(1)).unwrap();
        assert_eq!(envelope.ciphertext.len(), 1280 + 16);
        assert_eq!(envelope.encode().len(), 2427);
    }
}

#[test]
fn a_device_that_another_certified_sends_both_certificates() {
    let (account, first) = (fixture::account(), fixture::device(1));
    let chain = [fixture::cert(2, Authority::Device(&first)), fixture::cert(1, Authority::Account(&account))];
    let mut body = body();
    body.device_certs = chain.iter().map(DeviceCert::encode).collect();
    let envelope = sealed(&body, &fixture::device(2)).unwrap();
    assert_eq!(open_by(9, &envelope).unwrap().device().key(), fixture::device(2).public());
    // What docs/protocol/envelopes.md says is left for name and note.
    let longest = ContactRequestBody { name: String::new(), note: "x".repeat(140), ..body.clone() };
    assert!(sealed(&longest, &fixture::device(2)).is_ok());
    let too_long = ContactRequestBody { note: "x".repeat(150), ..longest };
    assert!(matches!(sealed(&too_long, &fixture::device(2)), Err(CryptoError::Decode(_))));
    body.device_certs.pop();
    assert!(sealed(&body, &fixture::device(2)).is_err());
}

#[test]
fn ida_05_a_request_sent_on_to_another_device_is_refused() {
    let to_9 = sealed(&body(), &fixture::device(1)).unwrap();
    let read = keys().open(&fixture::device(9).public(), &MAILBOX, &to_9).unwrap();
    // Device 9 seals what it was sent to device 8's inbox key, which is the same here.
    let (epoch, key) = keys().current();
    let to = Destination { device: fixture::device(8).public(), mailbox: MAILBOX, epoch, key: &key };
    let sent_on = seal(to, read, &mut rng()).unwrap();
    assert_eq!(open_by(8, &sent_on), Err(CryptoError::WrongRecipient));
    assert_eq!(open_by(9, &sent_on), Err(CryptoError::CannotOpen));
}

#[test]
fn ida_02_a_request_in_another_name_is_refused() {
    // Signed by a device that the certificate does not name.
    let signed = body().encode();
    let signature = fixture::device(5).sign(SigningDomain::ContactRequest, &signed);
    let forged = ContactRequest::new(signed.clone(), signature).unwrap();
    assert_eq!(open_by(9, &sealed_raw(&forged)), Err(CryptoError::BadSignature));
    assert_eq!(sealed(&body(), &fixture::device(5)), Err(CryptoError::BadSignature));
    // Signed for another purpose.
    let signature = fixture::device(1).sign(SigningDomain::Record, &signed);
    let forged = ContactRequest::new(signed, signature).unwrap();
    assert_eq!(open_by(9, &sealed_raw(&forged)), Err(CryptoError::BadSignature));
    // An account that has not certified the device.
    let other = ContactRequestBody { account: AccountKey::new([30; 32]), ..body() };
    let signature = fixture::device(1).sign(SigningDomain::ContactRequest, &other.encode());
    let forged = ContactRequest::new(other.encode(), signature).unwrap();
    assert_eq!(open_by(9, &sealed_raw(&forged)), Err(CryptoError::WrongAccount));
}

#[test]
fn every_changed_byte_of_a_request_is_refused() {
    let good = ContactRequest::new(
        body().encode(),
        fixture::device(1).sign(SigningDomain::ContactRequest, &body().encode()),
    )
    .unwrap()
    .encode();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let refused = ContactRequest::decode(&bytes)
            .map_err(CryptoError::from)
            .and_then(|request| open_by(9, &sealed_raw(&request)));
        assert!(refused.is_err(), "byte {at}");
    }
}

#[test]
fn what_is_no_request_or_for_nobody_here_is_refused() {
    let elsewhere = ContactRequestBody { recipient: fixture::device(8).public(), ..body() };
    assert_eq!(sealed(&elsewhere, &fixture::device(1)), Err(CryptoError::WrongRecipient));
    let long = ContactRequestBody { note: "x".repeat(257), ..body() };
    let refused = sealed(&long, &fixture::device(1));
    assert!(matches!(refused, Err(CryptoError::Decode(DecodeError::TooLong { .. }))));
    let (epoch, key) = keys().current();
    let to = Destination { device: fixture::device(9).public(), mailbox: MAILBOX, epoch, key: &key };
    for text in [vec![], vec![7; 40], vec![7; Buckets::ENVELOPE.longest()]] {
        let envelope = seal(to, text, &mut rng()).unwrap();
        assert!(matches!(open_by(9, &envelope), Err(CryptoError::Decode(_))));
    }
}
