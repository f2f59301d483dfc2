//! The same promises for every type of this module: it round-trips, a cut one is another or none, and its bytes stand.

use proptest::prelude::*;

use super::*;
use crate::addr::Peer;
use crate::ids::{AccountKey, DeviceKey, DeviceListHash, MailboxAddress, NodeKey, OlmKey, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits};

fn cert(device: u8, issuer: Signer) -> DeviceCert {
    let body = DeviceCertBody {
        account: AccountKey::new([1; 32]),
        device: DeviceKey::new([device; 32]),
        olm_identity: OlmKey::new([3; 32]),
        created: UnixSeconds::new(4),
        can_certify: true,
    };
    DeviceCert::new(body.encode(), issuer, Signature::new([5; 64]), Signature::new([6; 64])).unwrap()
}

fn listed(device: u8, revocation: Option<Revocation>) -> ListedDevice {
    ListedDevice { cert: cert(device, Signer::Account), revocation }
}

fn list_body() -> DeviceListBody {
    let revocation = Revocation { revoker: Signer::Account, signature: Signature::new([7; 64]) };
    DeviceListBody {
        account: AccountKey::new([1; 32]),
        version: 8,
        previous: Some(DeviceListHash::new([9; 32])),
        devices: vec![listed(2, None), listed(10, Some(revocation))],
        not_after: UnixSeconds::new(11),
        anchor: None,
    }
}

fn list() -> DeviceList {
    DeviceList::new(list_body().encode(), Signer::Account, Signature::new([12; 64])).unwrap()
}

fn anchored() -> DeviceList {
    let body = DeviceListBody { anchor: Some(Box::new(list())), ..list_body() };
    DeviceList::new(body.encode(), Signer::Device(DeviceKey::new([2; 32])), Signature::new([13; 64])).unwrap()
}

fn bundle() -> Bundle {
    Bundle {
        device: DeviceKey::new([1; 32]),
        fallback_key: OlmKey::new([2; 32]),
        inbox_key: InboxKey::new([3; limits::INBOX_KEY]),
        inbox_epoch: InboxEpoch::new(4),
        request_inbox: MailboxAddress::new([5; 32]),
    }
}

fn envelope() -> Envelope {
    Envelope {
        inbox_epoch: InboxEpoch::new(1),
        encapsulated_key: Box::new([2; limits::ENCAPSULATED_KEY]),
        ciphertext: vec![3; 4],
    }
}

fn entry() -> DirectoryEntry {
    DirectoryEntry {
        account: AccountKey::new([1; 32]),
        name: Name::new("Ada").unwrap(),
        about: About::new("engines\nanalytical").unwrap(),
        keywords: vec![Keyword::new("maths").unwrap()],
        device_certs: vec![cert(2, Signer::Account)],
    }
}

fn locator() -> LocatorSecret {
    let peer = Peer::new(NodeKey::new([2; 32]), ["127.0.0.1:4".parse().unwrap()]);
    let body = LocatorBody { device: DeviceKey::new([1; 32]), peer, issued: UnixSeconds::new(3) };
    LocatorSecret::new(body.encode(), Signature::new([5; 64])).unwrap()
}

/// Lower-case hex with runs of eight or more equal bytes written as `xx*n`, so that a 1 KiB key stays readable.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() >= 8 {
            text.push_str(&format!(" {:02x}*{} ", run[0], run.len()));
        } else {
            run.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        }
    }
    text.trim().to_owned()
}

/// The promises, for one type: `$sample` is a good value of it.
macro_rules! promises {
    ($module:ident, $type:ident, $sample:expr, $bytes:literal) => {
        mod $module {
            use super::*;

            #[test]
            fn bytes_are_stable() {
                insta::assert_snapshot!(hex(&$sample.encode()), @$bytes);
            }

            #[test]
            fn round_trips() {
                assert_eq!($type::decode(&$sample.encode()), Ok($sample));
            }

            #[test]
            fn wir_03_every_truncation_is_refused_or_another() {
                let bytes = $sample.encode();
                for cut in 0..bytes.len() {
                    assert_ne!($type::decode(&bytes[..cut]), Ok($sample), "cut at {cut}");
                }
            }

            #[test]
            fn wir_03_every_flipped_bit_is_refused_or_another() {
                let bytes = $sample.encode();
                for bit in 0..bytes.len() * 8 {
                    let mut flipped = bytes.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    assert_ne!($type::decode(&flipped), Ok($sample), "bit {bit}");
                }
            }

            #[test]
            fn wir_08_an_unknown_field_is_ignored() {
                let mut bytes = $sample.encode();
                // Field 200, varint 1: something that a later version added.
                bytes.extend_from_slice(&[0xc0, 0x0c, 0x01]);
                assert_eq!($type::decode(&bytes), Ok($sample));
            }

            proptest! {
                #[test]
                fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
                    if let Ok(value) = $type::decode(&bytes) {
                        prop_assert_eq!($type::decode(&value.encode()), Ok(value));
                    }
                }
            }
        }
    };
}

promises!(
    device_cert,
    DeviceCert,
    cert(2, Signer::Account),
    "0a6a0a20 01*32 1220 02*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64"
);
promises!(
    device_list,
    DeviceList,
    list(),
    "0adc050a20 01*32 10081a20 09*32 2295020a92020a6a0a20 01*32 1220 02*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 22f9020a92020a6a0a20 01*32 1220 0a*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 1220 01*32 1a40 07*64 280b1220 01*32 1a40 0c*64"
);
promises!(
    anchored_list,
    DeviceList,
    anchored(),
    "0aa20c0a20 01*32 10081a20 09*32 2295020a92020a6a0a20 01*32 1220 02*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 22f9020a92020a6a0a20 01*32 1220 0a*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 1220 01*32 1a40 07*64 280b32c3060adc050a20 01*32 10081a20 09*32 2295020a92020a6a0a20 01*32 1220 02*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 22f9020a92020a6a0a20 01*32 1220 0a*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64 1220 01*32 1a40 07*64 280b1220 01*32 1a40 0c*64 1220 02*32 1a40 0d*64"
);
promises!(bundle_payload, Bundle, bundle(), "0a20 01*32 1220 02*32 1ac009 03*1216 20042a20 05*32");
promises!(sealed_envelope, Envelope, envelope(), "080110011ae008 02*1120 220403030303");
promises!(
    directory_entry,
    DirectoryEntry,
    entry(),
    "0a20 01*32 12034164611a12656e67696e65730a616e616c79746963616c22056d617468732a92020a6a0a20 01*32 1220 02*32 1a20 03*32 200428011220 01*32 1a40 05*64 2240 06*64"
);
promises!(
    locator_secret,
    LocatorSecret,
    locator(),
    "0a500a20 01*32 1220 02*32 1a080a047f000001100420031240 05*64"
);

#[test]
fn unknown_fields_survive_under_a_signature() {
    let mut signed = list_body().encode();
    signed.extend_from_slice(&[0xc0, 0x0c, 0x01]);
    let list = DeviceList::new(signed.clone(), Signer::Account, Signature::new([0; 64])).unwrap();
    assert_eq!(DeviceList::decode(&list.encode()).unwrap().signed(), signed);
}

#[test]
fn the_hash_is_blake3_of_the_signed_body() {
    assert_eq!(list().hash().as_bytes(), blake3::hash(list().signed()).as_bytes());
}

#[test]
fn the_account_key_is_told_from_a_device() {
    let by_device = cert(2, Signer::Device(DeviceKey::new([44; 32])));
    assert_eq!(DeviceCert::decode(&by_device.encode()).unwrap().issuer(), by_device.issuer());
    let by_account = cert(2, Signer::Device(DeviceKey::new([1; 32])));
    assert_eq!(DeviceCert::decode(&by_account.encode()).unwrap().issuer(), Signer::Account);
}

/// What `body` is refused for.
fn refusal(body: &DeviceListBody) -> DecodeError {
    DeviceList::new(body.encode(), Signer::Account, Signature::new([0; 64])).unwrap_err()
}

#[test]
fn a_list_is_held_to_its_counts() {
    assert_eq!(
        refusal(&DeviceListBody { devices: Vec::new(), ..list_body() }),
        DecodeError::Missing("device")
    );
    let seven = (0..7).map(|n| listed(n, None)).collect();
    assert_eq!(
        refusal(&DeviceListBody { devices: seven, ..list_body() }),
        DecodeError::TooMany { what: "active devices", limit: 6, got: 7 }
    );
    let revocation = Revocation { revoker: Signer::Account, signature: Signature::new([7; 64]) };
    let many = (0..25).map(|n| listed(n, Some(revocation))).collect();
    assert_eq!(
        refusal(&DeviceListBody { devices: many, ..list_body() }),
        DecodeError::TooMany { what: "listed devices", limit: 24, got: 25 }
    );
    let twice = vec![listed(2, None), listed(2, None)];
    assert_eq!(
        refusal(&DeviceListBody { devices: twice, ..list_body() }),
        DecodeError::Malformed("device list")
    );
}

#[test]
fn the_largest_list_fits_with_the_largest_anchor() {
    let revocation =
        Revocation { revoker: Signer::Device(DeviceKey::new([99; 32])), signature: Signature::new([7; 64]) };
    let full = |device: u8| ListedDevice {
        cert: {
            let body = DeviceCertBody {
                created: UnixSeconds::new(u64::MAX),
                ..cert(device, Signer::Account).body().clone()
            };
            DeviceCert::new(body.encode(), Signer::Account, Signature::new([5; 64]), Signature::new([6; 64]))
                .unwrap()
        },
        revocation: (device >= 6).then_some(revocation),
    };
    let body = DeviceListBody { devices: (0..24).map(full).collect(), version: u64::MAX, ..list_body() };
    let anchor = DeviceList::new(body.encode(), Signer::Account, Signature::new([0; 64])).unwrap();
    let body = DeviceListBody { anchor: Some(Box::new(anchor)), ..body };
    let list = DeviceList::new(body.encode(), Signer::Account, Signature::new([0; 64])).unwrap();
    assert_eq!(DeviceList::decode(&list.encode()), Ok(list));
}

#[test]
fn an_anchor_has_no_anchor() {
    let nested = DeviceListBody { anchor: Some(Box::new(anchored())), ..list_body() };
    assert_eq!(refusal(&nested), DecodeError::Malformed("anchor"));
}

#[test]
fn half_a_revocation_is_refused() {
    let mut bytes =
        crate::wire::ListedDevice { cert: cert(2, Signer::Account).encode(), ..Default::default() };
    bytes.revoker = vec![1; 32];
    let body =
        crate::wire::DeviceListBody { account: vec![1; 32], devices: vec![bytes], ..Default::default() };
    let signed = prost::Message::encode_to_vec(&body);
    let refused = DeviceList::new(signed, Signer::Account, Signature::new([0; 64]));
    assert!(matches!(refused, Err(DecodeError::WrongLength { what: "Signature", .. })));
}

#[test]
fn uix_02_control_characters_are_refused() {
    for bad in ["", " \u{a0} ", "a\0b", "a\nb", "a\u{1b}[2Jb", "a\u{9b}b", "a\u{7f}"] {
        assert_eq!(Name::new(bad), Err(DecodeError::BadText("name")), "{bad:?}");
    }
    for bad in ["a\rb", "\u{85}", "a\u{1b}]0;b"] {
        assert_eq!(About::new(bad), Err(DecodeError::BadText("about")), "{bad:?}");
    }
    for bad in ["", "two words", "tab\t", "\u{2003}"] {
        assert_eq!(Keyword::new(bad), Err(DecodeError::BadText("keyword")), "{bad:?}");
    }
    assert!(About::new("").is_ok());
}

#[test]
fn wir_07_texts_are_capped_in_bytes() {
    let marks = "\u{301}".repeat(500_000);
    assert!(matches!(Name::new(marks.clone()), Err(DecodeError::TooLong { what: "name", .. })));
    assert!(matches!(About::new(marks.clone()), Err(DecodeError::TooLong { what: "about", .. })));
    assert!(matches!(Keyword::new(marks), Err(DecodeError::TooLong { what: "keyword", .. })));
}

#[test]
fn wir_07_invalid_utf_8_is_refused() {
    let mut bytes = entry().encode();
    let at = bytes.windows(3).position(|three| three == b"Ada").unwrap();
    bytes[at] = 0xff;
    assert_eq!(DirectoryEntry::decode(&bytes), Err(DecodeError::Malformed("directory entry")));
}

#[test]
fn an_entry_carries_one_to_three_certificates() {
    let none = DirectoryEntry { device_certs: Vec::new(), ..entry() };
    assert_eq!(DirectoryEntry::decode(&none.encode()), Err(DecodeError::Missing("device certificate")));
    let three = DirectoryEntry { device_certs: vec![cert(2, Signer::Account); 3], ..entry() };
    assert_eq!(DirectoryEntry::decode(&three.encode()), Ok(three));
}

#[test]
fn no_text_of_a_person_reaches_a_log() {
    insta::assert_snapshot!(
        format!("{:?} {:?} {:?} {:?}", entry().name, entry().about, entry().keywords, bundle().inbox_key),
        @"Name(3 bytes) About(18 bytes) [Keyword(5 bytes)] InboxKey(03030303)"
    );
}

#[test]
fn an_envelope_of_a_later_version_is_refused() {
    let wire = crate::wire::Envelope { version: 2, ..Default::default() };
    let refused = Envelope::decode(&prost::Message::encode_to_vec(&wire));
    assert_eq!(refused, Err(DecodeError::OutOfRange { what: "envelope version", got: 2 }));
}
