//! One good record of each kind, and what each is refused for.

use proptest::prelude::*;
use starling_proto::identity::{About, InboxEpoch, InboxKey, Keyword, Name};
use starling_proto::ids::{MailboxAddress, OlmKey, PublisherKey};
use starling_proto::time::Span;

use super::*;
use crate::capability::issue_capability;
use crate::fixture::{NOW, account, account_key, cert, device, first_list, phrase};
use crate::identity::Authority;
use crate::keys::{AccountSecret, DepositorSecret, DeviceSecret, LocatorSigner, MailboxSecret};
use crate::secret::Secret;
use crate::stamp::{StampChecker, StampSearch};

/// Entries lie under the key of their name, as it is written.
struct ByName;

impl IndexKeys for ByName {
    fn is_index_key(&self, entry: &DirectoryEntry, key: &RecordKey) -> bool {
        *key == RecordKey::for_token(entry.name.as_str())
    }
}

fn policy() -> StampPolicy {
    StampPolicy::for_network(&"test".parse().unwrap(), 1).unwrap()
}

fn stamp_for(subject: StampSubject) -> Stamp {
    StampSearch::new(subject, Month::of(NOW), policy(), 0).step(10_000).unwrap()
}

fn publisher_stamp(secret: &impl SigningSecret) -> Option<Stamp> {
    Some(stamp_for(StampSubject::Publisher(secret.publisher())))
}

fn check(record: &Record) -> Result<(), RecordRejection> {
    verify_record(record, NOW, &mut StampChecker::new(policy()), &ByName)
}

fn body(kind: RecordKind, key: RecordKey, secret: &impl SigningSecret, payload: Vec<u8>) -> RecordBody {
    RecordBody {
        key,
        kind,
        publisher: secret.publisher(),
        sequence: 1,
        issued: NOW,
        expires: NOW.after(Span::from_days(10)),
        payload,
        tombstone: false,
    }
}

fn depositor() -> DepositorSecret {
    DepositorSecret::from_seed(&Secret::copy_of(&[20; 32]))
}

fn mailbox(seed: u8) -> MailboxSecret {
    MailboxSecret::from_seed(&Secret::copy_of(&[seed; 32]))
}

fn account_body(publisher: &impl SigningSecret) -> RecordBody {
    let payload = first_list().list().encode();
    body(RecordKind::Account, RecordKey::for_account(&account_key()), publisher, payload)
}

fn account_record(publisher: &impl SigningSecret) -> Record {
    sign_record(&account_body(publisher), publisher, publisher_stamp(publisher), None).unwrap()
}

fn bundle_body(publisher: &DeviceSecret) -> RecordBody {
    let bundle = Bundle {
        device: publisher.public(),
        fallback_key: OlmKey::new([2; 32]),
        inbox_key: InboxKey::new([3; limits::INBOX_KEY]),
        inbox_epoch: InboxEpoch::of(NOW),
        request_inbox: MailboxAddress::new([4; 32]),
    };
    body(RecordKind::Bundle, RecordKey::for_bundle(&publisher.public()), publisher, bundle.encode())
}

fn entry() -> DirectoryEntry {
    DirectoryEntry {
        account: account_key(),
        name: Name::new("ada").unwrap(),
        about: About::new("engines").unwrap(),
        keywords: vec![Keyword::new("maths").unwrap()],
        device_certs: vec![cert(1, Authority::Account(&account()))],
    }
}

fn directory_body(entry: &DirectoryEntry) -> RecordBody {
    body(RecordKind::Directory, RecordKey::for_token("ada"), &device(1), entry.encode())
}

fn locator_record(day: u32) -> Record {
    let locator = LocatorSigner::from_seed(&Secret::copy_of(&[30; 32]));
    let key = RecordKey::for_locator(&locator.public(), day);
    sign_record(&body(RecordKind::Locator, key, &locator, vec![1]), &locator, None, None).unwrap()
}

fn deposit_body() -> RecordBody {
    body(RecordKind::Deposit, RecordKey::for_mailbox(&mailbox(40).public()), &depositor(), vec![1])
}

fn leave(mailbox: &MailboxSecret, depositor: PublisherKey, expires: UnixSeconds) -> Option<Capability> {
    Some(issue_capability(mailbox, depositor, expires, 64).unwrap())
}

/// A deposit without leave, with the work for it.
fn request(body: &RecordBody) -> Record {
    let record = sign_record(body, &depositor(), None, None).unwrap();
    record.with_stamp(stamp_for(StampSubject::Request(record.id())))
}

fn signed(body: &RecordBody, secret: &impl SigningSecret) -> Record {
    sign_record(body, secret, publisher_stamp(secret), None).unwrap()
}

#[test]
fn one_good_record_of_each_kind_passes() {
    let far = NOW.after(Span::from_days(1));
    let deposit =
        sign_record(&deposit_body(), &depositor(), None, leave(&mailbox(40), depositor().public(), far));
    let request = request(&deposit_body());
    let good = [
        account_record(&device(1)),
        account_record(&account()),
        signed(&bundle_body(&device(1)), &device(1)),
        signed(&directory_body(&entry()), &device(1)),
        locator_record(locator_epoch(NOW)),
        deposit.unwrap(),
        request,
    ];
    for record in good {
        assert_eq!(check(&record), Ok(()), "{:?}", record.body().kind);
        assert_eq!(check(&Record::decode(&record.encode()).unwrap()), Ok(()));
    }
}

#[test]
fn ida_02_a_record_of_one_key_presented_for_another_is_refused() {
    let good = account_record(&device(1));
    let other = RecordBody { publisher: device(2).publisher(), ..good.body().clone() };
    let stolen = Record::new(other.encode(), *good.signature(), good.stamp(), None).unwrap();
    assert_eq!(check(&stolen), Err(RecordRejection::Publisher));
    let moved =
        RecordBody { key: RecordKey::for_account(&phrase(9).account().public()), ..good.body().clone() };
    assert_eq!(check(&signed(&moved, &device(1))), Err(RecordRejection::Publisher));

    let bundle = bundle_body(&device(1));
    let under_other = RecordBody { key: RecordKey::for_bundle(&device(2).public()), ..bundle.clone() };
    assert_eq!(check(&signed(&under_other, &device(1))), Err(RecordRejection::Publisher));
    let for_other = RecordBody { payload: bundle_body(&device(2)).payload, ..bundle };
    assert_eq!(check(&signed(&for_other, &device(1))), Err(RecordRejection::Publisher));
}

#[test]
fn ida_01_the_signature_is_checked() {
    let good = account_record(&device(1));
    let changed = RecordBody { sequence: 2, ..good.body().clone() };
    let forged = Record::new(changed.encode(), *good.signature(), good.stamp(), None).unwrap();
    assert_eq!(check(&forged), Err(RecordRejection::Signature));
    assert_eq!(sign_record(good.body(), &device(2), None, None), Err(CryptoError::WrongKey));
}

#[test]
fn a_signature_of_another_domain_is_refused() {
    let body = account_body(&device(1));
    let signature = device(1).sign(SigningDomain::DeviceList, &body.encode());
    let record = Record::new(body.encode(), signature, publisher_stamp(&device(1)), None).unwrap();
    assert_eq!(check(&record), Err(RecordRejection::Signature));
}

#[test]
fn clk_03_dates_are_held_to_their_bounds() {
    let at = |issued: u64, expires: u64| {
        let dates = RecordBody {
            issued: UnixSeconds::new(issued),
            expires: UnixSeconds::new(expires),
            ..account_body(&device(1))
        };
        let month = Month::of(dates.issued);
        let subject = StampSubject::Publisher(dates.publisher);
        let stamp = StampSearch::new(subject, month, policy(), 0).step(10_000);
        check(&sign_record(&dates, &device(1), stamp, None).unwrap())
    };
    let now = NOW.get();
    let day = 24 * 3600;
    assert_eq!(at(now, u64::MAX), Ok(()));
    assert_eq!(at(now + day, now + day + 1), Ok(()));
    assert_eq!(at(now - 91 * day + 1, u64::MAX), Ok(()));
    assert_eq!(at(now - 2 * day, now - day + 1), Ok(()));
    for (issued, expires) in [
        (0, 0),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
        (u64::MAX, 0),
        (now, now),
        (now, now - 1),
        (now - 2 * day, now - day),
        (now + day + 1, u64::MAX),
        (now - 91 * day, u64::MAX),
    ] {
        assert_eq!(at(issued, expires), Err(RecordRejection::Dates), "{issued} to {expires}");
    }
}

#[test]
fn clk_03_the_end_is_clamped() {
    let mut body = deposit_body();
    body.expires = UnixSeconds::new(u64::MAX);
    assert_eq!(ends_at(&body), NOW.after(limits::MAIL_LIFE));
    body.issued = UnixSeconds::new(u64::MAX);
    assert_eq!(ends_at(&body).get(), u64::MAX);
}

#[test]
fn an_account_record_is_published_by_one_of_its_devices() {
    let stranger = phrase(9).account();
    assert_eq!(check(&account_record(&device(2))), Err(RecordRejection::Publisher));
    assert_eq!(check(&account_record(&stranger)), Err(RecordRejection::Publisher));
    let first = device(1);
    let by_first = Authority::Device(&first);
    let two = first_list().add(cert(2, by_first), by_first, NOW).unwrap();
    let publish = |list: &VerifiedDeviceList, by: &DeviceSecret| {
        check(&signed(&RecordBody { payload: list.list().encode(), ..account_body(by) }, by))
    };
    let revoked = two.revoke(&device(2).public(), by_first, NOW).unwrap();
    assert_eq!(publish(&revoked, &device(1)), Ok(()));
    assert_eq!(publish(&revoked, &device(2)), Err(RecordRejection::Publisher));
    // A device that signs itself off publishes that.
    let second = device(2);
    let off = two.revoke(&second.public(), Authority::Device(&second), NOW).unwrap();
    assert_eq!(publish(&off, &device(2)), Ok(()));
}

#[test]
fn an_account_records_list_is_verified() {
    let list = first_list();
    let zero = starling_proto::ids::Signature::new([0; 64]);
    let forged = DeviceList::new(list.list().signed().to_vec(), list.list().signer(), zero).unwrap();
    let record = RecordBody { payload: forged.encode(), ..account_body(&device(1)) };
    assert_eq!(check(&signed(&record, &device(1))), Err(RecordRejection::Payload));
    let garbage = RecordBody { payload: vec![0xff; 100], ..account_body(&device(1)) };
    assert_eq!(check(&signed(&garbage, &device(1))), Err(RecordRejection::Payload));
}

#[test]
fn a_directory_entry_is_tied_to_account_and_words() {
    let stranger = phrase(9).account().public();
    let posed = DirectoryEntry { account: stranger, ..entry() };
    assert_eq!(check(&signed(&directory_body(&posed), &device(1))), Err(RecordRejection::Payload));
    let elsewhere = RecordBody { key: RecordKey::for_token("bob"), ..directory_body(&entry()) };
    assert_eq!(check(&signed(&elsewhere, &device(1))), Err(RecordRejection::Publisher));
    let by_other = RecordBody { publisher: device(2).publisher(), ..directory_body(&entry()) };
    assert_eq!(check(&signed(&by_other, &device(2))), Err(RecordRejection::Publisher));
    let first = device(1);
    let chain = vec![cert(2, Authority::Device(&first)), cert(1, Authority::Account(&account()))];
    let second = DirectoryEntry { device_certs: chain, ..entry() };
    let body = RecordBody { publisher: device(2).publisher(), ..directory_body(&second) };
    assert_eq!(check(&signed(&body, &device(2))), Ok(()));
}

#[test]
fn a_locator_lies_under_the_present_day() {
    let today = locator_epoch(NOW);
    for (day, good) in [(today - 2, false), (today - 1, true), (today + 1, true), (today + 2, false)] {
        assert_eq!(check(&locator_record(day)).is_ok(), good, "{day}");
    }
}

#[test]
fn a_deposit_needs_leave_for_this_mailbox_and_depositor() {
    let tomorrow = NOW.after(Span::from_days(1));
    let deposit = |leave| check(&sign_record(&deposit_body(), &depositor(), None, leave).unwrap());
    let ours = depositor().public();
    assert_eq!(deposit(leave(&mailbox(40), ours, tomorrow)), Ok(()));
    let refused = Err(RecordRejection::Capability);
    assert_eq!(deposit(leave(&mailbox(41), ours, tomorrow)), refused, "another mailbox");
    assert_eq!(
        deposit(leave(&mailbox(40), PublisherKey::new([1; 32]), tomorrow)),
        refused,
        "another depositor"
    );
    assert_eq!(deposit(leave(&mailbox(40), ours, NOW)), refused, "over");
    let forged = leave(&mailbox(40), ours, tomorrow).unwrap();
    let other = leave(&mailbox(41), ours, tomorrow).unwrap();
    let forged = Capability::new(forged.signed().to_vec(), *other.signature()).unwrap();
    assert_eq!(deposit(Some(forged)), refused, "another owner's signature");
    assert_eq!(deposit(None), Err(RecordRejection::Stamp), "neither leave nor stamp");
}

#[test]
fn a_stamp_is_bound_to_publisher_or_request() {
    let with = |body: &RecordBody, secret: &DeviceSecret, stamp| {
        check(&sign_record(body, secret, stamp, None).unwrap())
    };
    let body = account_body(&device(1));
    assert_eq!(with(&body, &device(1), None), Err(RecordRejection::Stamp));
    // One stamp serves all records of a publisher in a month.
    let stamp = publisher_stamp(&device(1));
    assert_eq!(with(&body, &device(1), stamp), Ok(()));
    assert_eq!(with(&bundle_body(&device(1)), &device(1), stamp), Ok(()));
    let old = stamp.map(|stamp| Stamp { month: Month::new(stamp.month.get() - 2), ..stamp });
    assert_eq!(with(&body, &device(1), old), Err(RecordRejection::Stamp));
    let easy = stamp.map(|stamp| Stamp { bits: 0, ..stamp });
    assert_eq!(with(&body, &device(1), easy), Err(RecordRejection::Stamp));
    let untried = stamp.map(|stamp| Stamp { bits: 200, ..stamp });
    assert_eq!(with(&body, &device(1), untried), Err(RecordRejection::Stamp));

    // Each request has one of its own.
    let first = request(&deposit_body());
    assert_eq!(check(&first), Ok(()));
    let second = RecordBody { payload: vec![1, 2, 3], ..deposit_body() };
    let unpaid = sign_record(&second, &depositor(), first.stamp(), None).unwrap();
    assert_eq!(check(&unpaid), Err(RecordRejection::Stamp));
}

#[test]
fn a_record_moved_in_its_third_month_is_still_good() {
    let record = sign_record(
        &RecordBody { expires: UnixSeconds::new(u64::MAX), ..bundle_body(&device(1)) },
        &device(1),
        publisher_stamp(&device(1)),
        None,
    )
    .unwrap();
    assert_eq!(
        verify_record(&record, NOW.after(Span::from_days(89)), &mut StampChecker::new(policy()), &ByName),
        Ok(())
    );
}

#[test]
fn a_deletion_is_signed_and_stamped_like_what_it_deletes() {
    let gone = |body: RecordBody| RecordBody { payload: Vec::new(), tombstone: true, ..body };
    let first = device(1);
    for body in [account_body(&first), bundle_body(&first), directory_body(&entry())] {
        assert_eq!(check(&signed(&gone(body.clone()), &first)), Ok(()));
        let unstamped = sign_record(&gone(body), &first, None, None).unwrap();
        assert_eq!(check(&unstamped), Err(RecordRejection::Stamp));
    }
    // Mail is deleted by the mailbox's owner, in a request of its own.
    let tomorrow = NOW.after(Span::from_days(1));
    let leave = leave(&mailbox(40), depositor().public(), tomorrow);
    let deposit = sign_record(&gone(deposit_body()), &depositor(), None, leave).unwrap();
    assert_eq!(check(&deposit), Err(RecordRejection::Payload));
}

#[test]
fn nothing_is_deposited_empty() {
    let empty = RecordBody { payload: Vec::new(), ..deposit_body() };
    let record = sign_record(&empty, &depositor(), None, None).unwrap();
    assert_eq!(check(&record), Err(RecordRejection::Payload));
}

#[test]
fn ida_02_an_account_cannot_be_taken_by_its_publisher_key() {
    // A stranger makes an account of its own and publishes it under the victim's key.
    let stranger: AccountSecret = phrase(9).account();
    let body = RecordBody { publisher: stranger.publisher(), ..account_body(&stranger) };
    assert_eq!(check(&signed(&body, &stranger)), Err(RecordRejection::Publisher));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ida_01_one_flipped_bit_of_a_record_is_noticed(at: proptest::sample::Index) {
        let good = account_record(&device(1));
        let mut bytes = good.encode();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(record) = Record::decode(&bytes)
            // A flip in the nonce may hit another good one: the easiest policy asks for one bit.
            && record.stamp() == good.stamp()
        {
            prop_assert!(check(&record).is_err());
        }
    }
}
