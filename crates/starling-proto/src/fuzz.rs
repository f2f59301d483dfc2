//! Fuzz functions of this crate's decoders: ordinary functions, fed by tests with the kept corpus and by the fuzzer
//! with everything else. A function panics where the decoder breaks a promise.

use alloc::vec::Vec;

use crate::DecodeError;
use crate::content::Content;
use crate::frame::{FrameHeader, FrameKind};
use crate::identity::{
    Bundle, DeviceCert, DeviceList, DeviceRequest, DirectoryEntry, Envelope, LocatorSecret,
};
use crate::message::{Deliver, Request, Response};
use crate::record::{Capability, Record};

/// Feeds bytes to a decoder.
pub type FuzzFn = fn(&[u8]);

/// Each decoder by name. The order is the fuzzer's choosing byte: append only.
pub const TABLE: &[(&str, FuzzFn)] = &[
    ("frame", frame),
    ("request", request),
    ("response", response),
    ("record", record),
    ("ids", ids),
    ("device_cert", device_cert),
    ("device_list", device_list),
    ("bundle", bundle),
    ("envelope", envelope),
    ("directory_entry", directory_entry),
    ("locator", locator),
    ("session", session),
    ("contact", contact),
    ("invite", invite),
    ("deliver", deliver),
    ("content", content),
    ("device_request", device_request),
    ("pass_on", pass_on),
];

fn frame(bytes: &[u8]) {
    if let Ok(header) = FrameHeader::parse(bytes) {
        assert!(header.len <= header.kind.cap(), "a header above its cap was let through");
    }
}

/// The kind that the first byte chooses, and the rest.
fn split(bytes: &[u8]) -> Option<(FrameKind, &[u8])> {
    let (first, body) = bytes.split_first()?;
    FrameKind::from_byte(*first).ok().map(|kind| (kind, body))
}

fn request(bytes: &[u8]) {
    let Some((kind, body)) = split(bytes) else { return };
    if let Ok(request) = Request::decode(kind, body) {
        assert!(
            round_trips(request.to_frame(), |kind, body| Request::decode(kind, body) == Ok(request.clone()))
        );
    }
}

fn response(bytes: &[u8]) {
    let Some((kind, body)) = split(bytes) else { return };
    if let Ok(response) = Response::decode(kind, body) {
        assert!(round_trips(response.to_frame(), |kind, body| {
            Response::decode(kind, body) == Ok(response.clone())
        }));
    }
}

/// Whether a decoded message survives its own encoding; one that is now too long for a frame is let pass, since
/// peers spell the same message in different lengths.
fn round_trips(frame: Result<Vec<u8>, DecodeError>, same: impl Fn(FrameKind, &[u8]) -> bool) -> bool {
    let Ok(frame) = frame else { return true };
    let Ok(header) = FrameHeader::parse(&frame) else { return false };
    frame.get(FrameHeader::LEN..).is_some_and(|body| same(header.kind, body))
}

/// What is asked in another's place, or what became of it.
fn pass_on(bytes: &[u8]) {
    for kind in [FrameKind::PassOn, FrameKind::Passed] {
        let input = [&[kind.byte()], bytes].concat();
        if kind.is_request() { request(&input) } else { response(&input) }
    }
}

fn record(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        assert!(Record::decode(&record.encode()).as_ref() == Ok(&record), "a record changed in passing");
    }
    if let Ok(leave) = Capability::decode(bytes) {
        assert!(
            Capability::decode(&leave.encode()).as_ref() == Ok(&leave),
            "a capability changed in passing"
        );
    }
}

fn ids(bytes: &[u8]) {
    use crate::addr::JoinAddr;
    use crate::ids::{AccountKey, IdPrefix};
    use alloc::string::ToString as _;

    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<AccountKey>() {
        assert!(key.to_string().eq_ignore_ascii_case(text), "two spellings of one id");
    }
    let _ = IdPrefix::parse(text);
    if let Ok(addr) = text.parse::<JoinAddr>() {
        assert!(addr.to_string().parse() == Ok(addr), "a join address changed in passing");
    }
}

/// A fuzz function for a type with `decode` and `encode`.
macro_rules! round_trip {
    ($name:ident, $type:ty) => {
        fn $name(bytes: &[u8]) {
            if let Ok(value) = <$type>::decode(bytes) {
                assert!(
                    <$type>::decode(&value.encode()).as_ref() == Ok(&value),
                    concat!(stringify!($name), " changed in passing")
                );
            }
        }
    };
}

round_trip!(device_cert, DeviceCert);
round_trip!(device_list, DeviceList);
round_trip!(bundle, Bundle);
round_trip!(envelope, Envelope);
round_trip!(directory_entry, DirectoryEntry);
round_trip!(locator, LocatorSecret);
round_trip!(deliver, Deliver);
round_trip!(content, Content);

fn session(bytes: &[u8]) {
    use crate::padding::Buckets;
    use crate::session::SessionPlaintext;

    if let Ok(text) = Buckets::SESSION.unpad(bytes) {
        assert!(Buckets::SESSION.pad(text.to_vec()).is_ok(), "an unpadded text does not pad");
    }
    let Ok(padded) = Buckets::SESSION.pad(bytes.to_vec()) else { return };
    if let Ok(plaintext) = SessionPlaintext::decode(&padded) {
        assert!(
            plaintext.encode().and_then(|bytes| SessionPlaintext::decode(&bytes)) == Ok(plaintext),
            "a plaintext changed in passing"
        );
    }
}

fn contact(bytes: &[u8]) {
    use crate::contact::ContactRequest;

    if let Ok(request) = ContactRequest::decode(bytes) {
        assert!(ContactRequest::decode(&request.encode()) == Ok(request), "a request changed in passing");
    }
}

fn device_request(bytes: &[u8]) {
    if let Ok(request) = DeviceRequest::decode(bytes) {
        assert!(DeviceRequest::decode(&request.encode()) == Ok(request), "a request changed in passing");
    }
}

fn invite(bytes: &[u8]) {
    use crate::invite::Invite;
    use alloc::string::ToString as _;

    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(invite) = text.parse::<Invite>() {
        assert!(invite.to_string().parse() == Ok(invite), "an invite changed in passing");
    }
}
