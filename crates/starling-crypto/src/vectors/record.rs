//! `record.json`: one record of each kind, and what is refused for what.

use serde_json::{Value, json};
use starling_proto::identity::{About, Bundle, DirectoryEntry, InboxEpoch, InboxKey, Keyword, Name};
use starling_proto::ids::{MailboxAddress, OlmKey, RecordKey};
use starling_proto::limits;
use starling_proto::record::{Record, RecordBody, RecordKind, Stamp};
use starling_proto::time::{Month, Span};

use super::check;
use crate::capability::issue_capability;
use crate::fixture::{NOW, account, account_key, cert, device, first_list, hex, unhex};
use crate::identity::Authority;
use crate::keys::{DepositorSecret, LocatorSigner, MailboxSecret, SigningSecret};
use crate::locator::locator_epoch;
use crate::record::{IndexKeys, sign_record, verify_record};
use crate::secret::Secret;
use crate::stamp::{StampChecker, StampPolicy, StampSearch, StampSubject};

/// Entries lie under the key of `ada`.
struct Ada;

impl IndexKeys for Ada {
    fn is_index_key(&self, _: &DirectoryEntry, key: &RecordKey) -> bool {
        *key == RecordKey::for_token("ada")
    }
}

fn policy() -> StampPolicy {
    StampPolicy::for_network(&"vectors".parse().unwrap(), 4).unwrap()
}

fn stamp(subject: StampSubject) -> Option<Stamp> {
    StampSearch::new(subject, Month::of(NOW), policy(), 0).step(10_000)
}

fn body(kind: RecordKind, key: RecordKey, secret: &impl SigningSecret, payload: Vec<u8>) -> RecordBody {
    let expires = NOW.after(Span::from_days(10));
    let publisher = secret.publisher();
    RecordBody { key, kind, publisher, sequence: 1, issued: NOW, expires, payload, tombstone: false }
}

/// The kinds that a device publishes and stamps.
fn device_records() -> [Record; 3] {
    let publisher = device(1);
    let bundle = Bundle {
        device: publisher.public(),
        fallback_key: OlmKey::new([2; 32]),
        inbox_key: InboxKey::new([3; limits::INBOX_KEY]),
        inbox_epoch: InboxEpoch::of(NOW),
        request_inbox: MailboxAddress::new([4; 32]),
    };
    let entry = DirectoryEntry {
        account: account_key(),
        name: Name::new("Ada").unwrap(),
        about: About::new("engines").unwrap(),
        keywords: vec![Keyword::new("maths").unwrap()],
        device_certs: vec![cert(1, Authority::Account(&account()))],
    };
    let payloads = [
        (RecordKind::Account, RecordKey::for_account(&account_key()), first_list().list().encode()),
        (RecordKind::Bundle, RecordKey::for_bundle(&publisher.public()), bundle.encode()),
        (RecordKind::Directory, RecordKey::for_token("ada"), entry.encode()),
    ];
    let stamp = stamp(StampSubject::Publisher(publisher.publisher()));
    payloads.map(|(kind, key, payload)| {
        sign_record(&body(kind, key, &publisher, payload), &publisher, stamp, None).unwrap()
    })
}

/// A locator, a deposit with leave, and one with a stamp.
fn other_records() -> [Record; 3] {
    let locator = LocatorSigner::from_seed(&Secret::copy_of(&[5; 32]));
    let key = RecordKey::for_locator(&locator.public(), locator_epoch(NOW));
    let located = sign_record(&body(RecordKind::Locator, key, &locator, vec![6]), &locator, None, None);
    let mailbox = MailboxSecret::from_seed(&Secret::copy_of(&[7; 32]));
    let depositor = DepositorSecret::from_seed(&Secret::copy_of(&[8; 32]));
    let key = RecordKey::for_mailbox(&mailbox.public());
    let deposit = body(RecordKind::Deposit, key, &depositor, vec![9]);
    let leave = issue_capability(&mailbox, depositor.public(), NOW.after(Span::from_days(1)), 64).unwrap();
    let mail = sign_record(&deposit, &depositor, None, Some(leave));
    let request = sign_record(&deposit, &depositor, None, None).unwrap();
    let request = request.with_stamp(stamp(StampSubject::Request(request.id())).unwrap());
    [located.unwrap(), mail.unwrap(), request]
}

/// Records that are refused, each wrong in one thing.
fn bad_records() -> Vec<Record> {
    let [account, ..] = device_records();
    let [locator, mail, _] = other_records();
    let with = |record: &Record, body: &RecordBody| {
        Record::new(body.encode(), *record.signature(), record.stamp(), record.capability().cloned()).unwrap()
    };
    let late = RecordBody { expires: NOW, ..account.body().clone() };
    let other_key = RecordBody { key: RecordKey::new([0; 32]), ..account.body().clone() };
    let garbage = RecordBody { payload: vec![0xff], ..account.body().clone() };
    let forged = RecordBody { sequence: 2, ..account.body().clone() };
    let unstamped = Record::new(account.signed().to_vec(), *account.signature(), None, None).unwrap();
    let no_leave = Record::new(mail.signed().to_vec(), *mail.signature(), None, None).unwrap();
    let empty = RecordBody { payload: Vec::new(), ..locator.body().clone() };
    let other_leave = issue_capability(
        &MailboxSecret::from_seed(&Secret::copy_of(&[77; 32])),
        mail.body().publisher,
        NOW.after(Span::from_days(1)),
        64,
    );
    let wrong_leave =
        Record::new(mail.signed().to_vec(), *mail.signature(), None, Some(other_leave.unwrap())).unwrap();
    vec![
        with(&account, &late),
        with(&account, &other_key),
        with(&account, &garbage),
        with(&account, &forged),
        unstamped,
        no_leave,
        with(&locator, &empty),
        wrong_leave,
    ]
}

fn judge(record: &Record) -> String {
    match verify_record(record, NOW, &mut StampChecker::new(policy()), &Ada) {
        Ok(()) => "accepted".to_owned(),
        Err(rejection) => format!("{rejection:?}"),
    }
}

fn vector(record: &Record) -> Value {
    json!({
        "kind": format!("{:?}", record.body().kind),
        "encoded": hex(&record.encode()),
        "id": hex(record.id().as_bytes()),
        "result": judge(record),
    })
}

fn made() -> Value {
    let records = device_records().into_iter().chain(other_records()).chain(bad_records());
    json!({
        "now": NOW.get(),
        "stamp_bits": policy().bits(),
        "index_key_of_the_entry": hex(RecordKey::for_token("ada").as_bytes()),
        "locator_epoch": locator_epoch(NOW),
        "records": records.map(|record| vector(&record)).collect::<Vec<_>>(),
    })
}

#[test]
fn record_vectors_stand() {
    check("record.json", &made());
}

#[test]
fn record_vectors_are_read_and_judged_alike() {
    let made = made();
    let records = made["records"].as_array().unwrap();
    for vector in records {
        let record = Record::decode(&unhex(vector["encoded"].as_str().unwrap())).unwrap();
        assert_eq!(judge(&record), vector["result"].as_str().unwrap());
    }
    let accepted = records.iter().filter(|vector| vector["result"] == "accepted").count();
    assert_eq!(accepted, 6, "each good record is accepted and no other");
}
