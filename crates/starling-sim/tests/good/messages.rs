//! One good message of each variant.

use starling_proto::addr::Peer;
use starling_proto::contact::ReadKey;
use starling_proto::content::{
    Card, CardStanding, ChainLink, Content, ContentKind, HandOver, Head, Kept, KeptKind, MailboxEpoch,
    MailboxGrant, MessageText, Own, Presence, PresenceStatus, Reaction, Said, Text,
};
use starling_proto::identity::{DeviceCertBody, DeviceList, DeviceRequest, Name};
use starling_proto::ids::{
    AccountKey, DeviceKey, DeviceListHash, LocatorKey, MailboxAddress, MessageId, NodeId, NodeKey, OlmKey,
    PublisherKey, RecordId, RecordKey, SessionId, Signature,
};
use starling_proto::message::{
    Deliver, DeviceProof, DialBack, Fetch, FindNode, Hello, Matches, Mode, Operation, OwnerOperation,
    OwnerRequest, PassOn, Passed, Placed, Proof, Prove, Query, Records, Refusal, Request, Response, Sealed,
    StoreOutcome,
};
use starling_proto::record::{Capability, CapabilityBody, Record, RecordBody, RecordKind, Stamp};
use starling_proto::time::{Month, Span, UnixMillis, UnixSeconds};
use starling_proto::version::ProtocolVersion;

pub(super) fn leave() -> Capability {
    let body = CapabilityBody {
        address: MailboxAddress::new([1; 32]),
        depositor: PublisherKey::new([2; 32]),
        expires: UnixSeconds::new(3),
        quota_kib: 4,
    };
    Capability::new(body.encode(), Signature::new([5; 64])).unwrap()
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
    Record::new(body.encode(), Signature::new([9; 64]), Some(stamp), Some(leave())).unwrap()
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

fn owner(operation: Operation) -> Request {
    let body = OwnerOperation {
        operation,
        address: MailboxAddress::new([1; 32]),
        holder: NodeKey::new([2; 32]),
        channel_binding: [3; 32],
        issued: UnixSeconds::new(4),
    };
    Request::Owner(OwnerRequest::new(body.encode(), Signature::new([5; 64])).unwrap())
}

fn device_proof() -> DeviceProof {
    let device_list = DeviceListHash::new([3; 32]);
    DeviceProof { device_cert: vec![1; 40], signature: Signature::new([2; 64]), device_list }
}

/// `count` sealed messages; the first may open a session.
pub(super) fn deliver(count: u64) -> Deliver {
    let sealed = |sequence| Sealed {
        session: SessionId::new([1; 32]),
        sequence,
        prekey: sequence == 0,
        ciphertext: vec![2; 20],
    };
    Deliver { messages: (0..count).map(sealed).collect() }
}

pub(super) fn requests() -> Vec<Request> {
    let key = RecordKey::new([1; 32]);
    let ids = vec![RecordId::new([3; 32]), RecordId::new([4; 32])];
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
        owner(Operation::List),
        owner(Operation::Delete(ids.clone())),
        owner(Operation::Subscribe),
        owner(Operation::Take(ids)),
        Request::Notify(MailboxAddress::new([6; 32])),
        Request::DeviceProof(device_proof()),
        Request::Deliver(deliver(2)),
        Request::PassOn(PassOn::Store(record())),
        Request::PassOn(PassOn::Fetch(Fetch { key, kind: RecordKind::Account, count: 64, peers: 0 })),
        Request::PassOn(PassOn::Query(Query { key, words: vec!["chess".into()], count: 64 })),
        Request::PassOn(PassOn::Prove {
            key,
            prove: Prove { record: RecordId::new([3; 32]), nonce: [4; 16] },
        }),
    ]
}

pub(super) fn responses() -> Vec<Response> {
    let peer = Peer::new(NodeKey::new([6; 32]), hello().addresses);
    vec![
        Response::Hello(hello()),
        Response::Pong,
        Response::Nodes(vec![peer.clone(); 3]),
        Response::Stored(StoreOutcome::Stored),
        Response::Records(Records { records: vec![record()], peers: vec![peer], left_out: 2 }),
        Response::Matches(Matches { records: vec![record()], left_out: 1 }),
        Response::Proof(Proof::Held([7; 32])),
        Response::Listed(vec![RecordId::new([8; 32])]),
        Response::Deleted(1),
        Response::Proof(Proof::Missing),
        Response::Subscribed,
        Response::Notified,
        Response::DialBack(true),
        Response::DeviceProof(device_proof()),
        Response::Delivered(2),
        Response::Refused(Refusal::Busy),
        Response::Passed(Passed::Placed(Placed { wanted: 40, stored: 38, full: 1 })),
        Response::Passed(Passed::Records(Records {
            records: vec![record()],
            peers: Vec::new(),
            left_out: 2,
        })),
        Response::Passed(Passed::Matches(Matches { records: vec![record()], left_out: 1 })),
        Response::Passed(Passed::Proofs(vec![Proof::Held([7; 32]), Proof::Missing, Proof::Deleted])),
    ]
}

/// One of each kind; what is said has a place in a chain. `list` is an encoded device list.
pub(super) fn contents(list: &[u8]) -> Vec<Content> {
    let ids = vec![MessageId::new([8; 16])];
    let presence = Presence { status: PresenceStatus::Away, line: "tea".into(), typing: true };
    let kinds = [
        MessageText::new("hello").unwrap().into(),
        ContentKind::Said(Said::Text(Text {
            text: MessageText::new("soon gone").unwrap(),
            reply_to: Some(MessageId::new([8; 16])),
            lives: Some(Span::from_days(7)),
        })),
        ContentKind::Said(Said::Edit {
            of: MessageId::new([8; 16]),
            text: MessageText::new("better").unwrap(),
        }),
        ContentKind::Said(Said::Delete { of: MessageId::new([8; 16]) }),
        ContentKind::Said(Said::React {
            to: MessageId::new([8; 16]), reaction: Reaction::new("♥").unwrap()
        }),
        ContentKind::Receipt { delivered: ids.clone(), read: ids.clone() },
        ContentKind::HandOver(Box::new(hand_over(list))),
        ContentKind::Presence(presence),
        ContentKind::Goodbye,
        ContentKind::Resend { ids, sequences: vec![9, 300] },
        ContentKind::Decline,
    ];
    let own = [
        Own::Card(Card {
            account: AccountKey::new([9; 32]),
            standing: CardStanding::Accepted,
            standing_at: UnixMillis::new(10),
            petname: Some("Bob".into()),
            verified: true,
            named_at: UnixMillis::new(11),
            name: "Robert".into(),
        }),
        Own::Kept(Kept { what: KeptKind::Settings, value: vec![11; 12], changed_at: UnixMillis::new(13) }),
    ];
    let head = Head { device: DeviceKey::new([4; 32]), sequence: 5, hash: [6; 32] };
    let link = ChainLink { sequence: 3, previous: Some([7; 32]), heads: vec![head] };
    let content = |kind: ContentKind| Content {
        id: MessageId::new([1; 16]),
        sent_at: UnixMillis::new(2),
        link: matches!(kind, ContentKind::Said(_)).then(|| link.clone()),
        kind,
    };
    let mut all = kinds.map(content).to_vec();
    let copied = Box::new(all.first().unwrap().clone());
    let copy = Own::Copy { with: AccountKey::new([9; 32]), content: copied };
    all.extend(own.into_iter().chain([copy]).map(ContentKind::Own).map(content));
    all
}

pub(super) fn device_request() -> DeviceRequest {
    let body = DeviceCertBody {
        account: AccountKey::new([1; 32]),
        device: DeviceKey::new([2; 32]),
        olm_identity: OlmKey::new([3; 32]),
        created: UnixSeconds::new(4),
        can_certify: false,
    };
    DeviceRequest { body, accepted: Signature::new([5; 64]), secret: [6; 16] }
}

fn hand_over(list: &[u8]) -> HandOver {
    let grant = |epoch| MailboxGrant {
        epoch: MailboxEpoch::new(epoch),
        capability: leave(),
        depositor_seed: [4; 32],
    };
    HandOver {
        name: Name::new("Ada").unwrap(),
        device_list: DeviceList::decode(list).unwrap(),
        locator: LocatorKey::new([1; 32]),
        read_key: ReadKey::new([2; 32]),
        mailboxes: vec![grant(730), grant(731)],
        one_time_keys: vec![OlmKey::new([3; 32]); 3],
    }
}
