//! What certificates and lists may and may not do.

use proptest::prelude::*;
use starling_proto::identity::{
    DeviceCert, DeviceCertBody, DeviceList, DeviceListBody, ListedDevice, Revocation, Signer,
};
use starling_proto::ids::{AccountKey, DeviceListHash, Signature};
use starling_proto::time::{Span, UnixSeconds};

use super::*;
use crate::CryptoError;
use crate::fixture::{NOW, account, account_key, cert, cert_body, certify, device, first_list, phrase};
use crate::sign::SigningDomain;

fn later(days: u64) -> UnixSeconds {
    NOW.after(Span::from_days(days))
}

/// Devices 1 to `count`, each after the first certified by the first.
fn list_of(count: u8) -> VerifiedDeviceList {
    let first = device(1);
    let by_first = Authority::Device(&first);
    (2..=count).fold(first_list(), |list, seed| list.add(cert(seed, by_first), by_first, NOW).unwrap())
}

/// Signs `body` as it stands and has it verified.
fn forge(body: &DeviceListBody, authority: Authority<'_>) -> Result<VerifiedDeviceList, CryptoError> {
    let signed = body.encode();
    let signature = authority.sign(SigningDomain::DeviceList, &signed);
    let signer = authority.signer(&body.account)?;
    VerifiedDeviceList::verify(DeviceList::new(signed, signer, signature).unwrap(), &account_key())
}

/// The body that a device would sign next, unchanged but for the version.
fn next_body(list: &VerifiedDeviceList) -> DeviceListBody {
    DeviceListBody {
        version: list.list().body().version + 1,
        previous: Some(list.hash()),
        anchor: Some(Box::new(list.anchor().clone())),
        ..list.list().body().clone()
    }
}

#[test]
fn a_chain_leads_to_the_account_key() {
    let (first, second) = (device(1), device(2));
    let root = cert(1, Authority::Account(&account()));
    let middle = cert(2, Authority::Device(&first));
    let leaf = cert(3, Authority::Device(&second));
    let chain = [leaf.clone(), middle.clone(), root.clone()];
    let verified = verify_chain(&account_key(), &chain).unwrap();
    assert_eq!((verified.key(), verified.chain_length()), (device(3).public(), 3));
    assert_eq!(verify_chain(&account_key(), &chain[..2]), Err(CryptoError::NotACertifier));
    assert_eq!(verify_chain(&account_key(), &[]), Err(CryptoError::UnknownDevice));
    // A certificate that nothing in the chain needs is not carried along.
    assert_eq!(verify_chain(&account_key(), &[root.clone(), root.clone()]), Err(CryptoError::ChainTooLong));
    let third = device(3);
    let far = [cert(4, Authority::Device(&third)), leaf, middle, root];
    assert_eq!(verify_chain(&account_key(), &far), Err(CryptoError::ChainTooLong));
}

#[test]
fn only_certifiers_certify() {
    let plain = DeviceCertBody { can_certify: false, ..cert_body(1) };
    let root = certify(&plain, &device(1), Authority::Account(&account()));
    let leaf = cert(2, Authority::Device(&device(1)));
    assert_eq!(verify_chain(&account_key(), &[leaf, root]), Err(CryptoError::NotACertifier));
}

#[test]
fn ida_02_a_certificate_counts_for_its_account_and_device() {
    let root = cert(1, Authority::Account(&account()));
    let stranger = phrase(9).account();
    assert_eq!(verify_chain(&stranger.public(), std::slice::from_ref(&root)), Err(CryptoError::WrongAccount));
    assert_eq!(
        issue_cert(&cert_body(1), *root.device_signature(), Authority::Account(&stranger)),
        Err(CryptoError::WrongAccount)
    );
    // A device that did not sign cannot be certified, not even by the account key.
    let not_asked = issue_cert(&cert_body(2), *root.device_signature(), Authority::Account(&account()));
    assert_eq!(not_asked, Err(CryptoError::BadSignature));
    assert_eq!(accept_cert(&cert_body(2), &device(1)), Err(CryptoError::WrongKey));
}

#[test]
fn both_signatures_of_a_certificate_are_checked() {
    let good = cert(1, Authority::Account(&account()));
    let zero = Signature::new([0; 64]);
    let signed = good.signed().to_vec();
    let no_issuer = DeviceCert::new(signed.clone(), Signer::Account, zero, *good.device_signature()).unwrap();
    let no_device = DeviceCert::new(signed, Signer::Account, *good.issuer_signature(), zero).unwrap();
    for bad in [no_issuer, no_device] {
        assert_eq!(verify_chain(&account_key(), &[bad]), Err(CryptoError::BadSignature));
    }
}

#[test]
fn a_list_grows_and_is_believed_by_itself() {
    let list = list_of(3);
    let read = DeviceList::decode(&list.list().encode()).unwrap();
    assert_eq!(VerifiedDeviceList::verify(read, &account_key()), Ok(list.clone()));
    assert_eq!(list.devices().count(), 3);
    assert_eq!(list.devices().map(|device| device.chain_length()).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!(first_list().compare(&list), Ok(ListChange::Extended { missed: true }));
    assert_eq!(list_of(2).compare(&list), Ok(ListChange::Extended { missed: false }));
    assert_eq!(list.compare(&list), Ok(ListChange::Same));
}

#[test]
fn versions_follow_the_clock_and_never_stand_still() {
    let first = device(1);
    assert_eq!(first_list().list().body().version, NOW.get());
    let renewed = first_list().renew(Authority::Device(&first), NOW.before(Span::from_days(900))).unwrap();
    assert_eq!(renewed.list().body().version, NOW.get() + 1);
    let renewed = renewed.renew(Authority::Device(&first), later(1)).unwrap();
    assert_eq!(renewed.list().body().version, later(1).get());
}

#[test]
fn a_new_device_is_named() {
    let (before, after) = (list_of(2), list_of(3));
    let added: Vec<_> = before.added_in(&after).map(|device| device.key()).collect();
    assert_eq!(added, [device(3).public()]);
    assert_eq!(after.added_in(&before).count(), 0);
}

#[test]
fn an_overdue_list_is_good_and_overdue() {
    let list = first_list();
    assert!(!list.is_overdue(NOW.after(LIST_LIFE)));
    assert!(list.is_overdue(NOW.after(LIST_LIFE).after(Span::from_secs(1))));
    assert!(VerifiedDeviceList::verify(list.list().clone(), &account_key()).is_ok());
}

#[test]
fn ida_02_a_list_counts_for_its_account() {
    let stranger = phrase(9).account().public();
    let list = first_list();
    let refused = VerifiedDeviceList::verify(list.list().clone(), &stranger);
    assert_eq!(refused, Err(CryptoError::WrongAccount));
}

#[test]
fn seven_active_devices_are_too_many() {
    let first = device(1);
    let by_first = Authority::Device(&first);
    let six = list_of(6);
    assert_eq!(six.add(cert(7, by_first), by_first, NOW), Err(CryptoError::BadChange));
    let five = six.revoke(&device(6).public(), by_first, NOW).unwrap();
    let again = five.add(cert(7, by_first), by_first, NOW).unwrap();
    assert_eq!(again.devices().count(), 6);
    assert_eq!(again.list().body().devices.len(), 7);
}

#[test]
fn a_revoked_device_stays_listed_and_is_not_one_any_more() {
    let first = device(1);
    let list = list_of(3).revoke(&device(2).public(), Authority::Device(&first), NOW).unwrap();
    assert_eq!(list.device(&device(2).public()), Err(CryptoError::RevokedDevice));
    assert_eq!(list.device(&device(8).public()), Err(CryptoError::UnknownDevice));
    assert_eq!(list.list().body().devices.len(), 3);
    // Not twice, and not under the same key again.
    let by_first = Authority::Device(&first);
    assert_eq!(list.revoke(&device(2).public(), by_first, NOW), Err(CryptoError::BadChange));
    assert_eq!(list.add(cert(2, by_first), by_first, NOW), Err(CryptoError::BadChange));
}

#[test]
fn seniors_revoke_juniors_and_everybody_themselves() {
    let list = list_of(3);
    let revoke = |revoked: u8, by: u8| {
        list.revoke(&device(revoked).public(), Authority::Device(&device(by)), NOW).map(|_| ())
    };
    for (revoked, by) in [(2, 1), (3, 1), (3, 2), (1, 1), (2, 2), (3, 3)] {
        assert_eq!(revoke(revoked, by), Ok(()), "{revoked} by {by}");
    }
    for (revoked, by) in [(1, 2), (1, 3), (2, 3)] {
        assert_eq!(revoke(revoked, by), Err(CryptoError::NotARevoker), "{revoked} by {by}");
    }
    assert!(list.revoke(&device(1).public(), Authority::Account(&account()), NOW).is_ok());
    assert_eq!(
        first_list().revoke(&device(1).public(), Authority::Device(&device(1)), NOW),
        Err(CryptoError::BadChange),
        "the last device"
    );
}

#[test]
fn a_revocation_cannot_be_invented() {
    let revocation = Revocation { revoker: Signer::Account, signature: Signature::new([0; 64]) };
    let mut body = next_body(&list_of(2));
    body.devices[1].revocation = Some(revocation);
    assert_eq!(forge(&body, Authority::Device(&device(1))), Err(CryptoError::BadSignature));
}

#[test]
fn a_device_revoked_before_signs_no_list() {
    let seen = list_of(3).revoke(&device(3).public(), Authority::Device(&device(1)), NOW).unwrap();
    // It brings itself back.
    let back = DeviceListBody {
        devices: list_of(3).list().body().devices.clone(),
        version: u64::MAX,
        ..next_body(&seen)
    };
    let back = forge(&back, Authority::Device(&device(3))).unwrap();
    assert_eq!(seen.compare(&back), Err(ListConflict::RevokedSigner));
    // It leaves the revocation alone.
    let body = next_body(&seen);
    assert_eq!(forge(&body, Authority::Device(&device(3))), Err(CryptoError::NotASigner));
    // It swaps the revocation for one of its own, with which it might sign its last list.
    let own = list_of(3).revoke(&device(3).public(), Authority::Device(&device(3)), later(1)).unwrap();
    assert_eq!(seen.compare(&own), Err(ListConflict::RevokedSigner));
}

#[test]
fn a_device_that_signs_itself_off_signs_one_last_list() {
    let seen = list_of(2);
    let last = seen.revoke(&device(2).public(), Authority::Device(&device(2)), NOW).unwrap();
    assert_eq!(seen.compare(&last), Ok(ListChange::Extended { missed: false }));
    assert_eq!(last.renew(Authority::Device(&device(2)), NOW), Err(CryptoError::BadChange));
}

#[test]
fn a_revoked_device_certifies_no_more() {
    let first = device(1);
    let second = device(2);
    let seen = list_of(2).revoke(&second.public(), Authority::Device(&first), NOW).unwrap();
    let late = cert(3, Authority::Device(&second));
    assert_eq!(seen.add(late, Authority::Device(&first), NOW), Err(CryptoError::BadChange));
    // What it certified before stays good.
    let before =
        list_of(2).add(cert(3, Authority::Device(&second)), Authority::Device(&second), NOW).unwrap();
    let after = before.revoke(&second.public(), Authority::Device(&first), NOW).unwrap();
    assert!(after.device(&device(3).public()).is_ok());
}

#[test]
fn rpl_02_an_older_list_is_a_rollback() {
    assert_eq!(list_of(3).compare(&list_of(2)), Err(ListConflict::Rollback));
}

#[test]
fn another_list_of_the_same_version_is_a_fork() {
    let seen = list_of(2);
    let twin =
        list_of(1).add(cert(9, Authority::Device(&device(1))), Authority::Device(&device(1)), NOW).unwrap();
    assert_eq!(twin.list().body().version, seen.list().body().version);
    assert_eq!(seen.compare(&twin), Err(ListConflict::Fork));
}

#[test]
fn another_accounts_list_is_a_conflict() {
    let stranger = phrase(9).account();
    let body = DeviceCertBody { account: stranger.public(), ..cert_body(5) };
    let cert = certify(&body, &device(5), Authority::Account(&stranger));
    let theirs = VerifiedDeviceList::found(&stranger, vec![cert], None, later(1)).unwrap();
    assert_eq!(first_list().compare(&theirs), Err(ListConflict::OtherAccount));
}

#[test]
fn no_device_drops_or_moves_another() {
    let seen = list_of(3);
    let mut dropped = next_body(&seen);
    dropped.devices.remove(1);
    let dropped = forge(&dropped, Authority::Device(&device(3))).unwrap();
    assert_eq!(seen.compare(&dropped), Err(ListConflict::Rewritten));
    let mut moved = next_body(&seen);
    moved.devices.swap(1, 2);
    let moved = forge(&moved, Authority::Device(&device(3))).unwrap();
    assert_eq!(seen.compare(&moved), Err(ListConflict::Rewritten));
    // The first device is in the anchor, so a list without it is not even good by itself.
    let mut beheaded = next_body(&seen);
    beheaded.devices.remove(0);
    assert_eq!(forge(&beheaded, Authority::Device(&device(3))), Err(CryptoError::BadAnchor));
}

#[test]
fn a_device_cannot_do_without_the_account_keys_word() {
    let seen = list_of(2);
    let none = DeviceListBody { anchor: None, ..next_body(&seen) };
    assert_eq!(forge(&none, Authority::Device(&device(1))), Err(CryptoError::BadAnchor));
    // A list that another device signed is no anchor.
    let body = DeviceListBody { anchor: None, ..seen.list().body().clone() };
    let signed = body.encode();
    let signature = Authority::Device(&device(1)).sign(SigningDomain::DeviceList, &signed);
    let by_device = DeviceList::new(signed, Signer::Device(device(1).public()), signature).unwrap();
    let wrong = DeviceListBody { anchor: Some(Box::new(by_device)), ..next_body(&seen) };
    assert_eq!(forge(&wrong, Authority::Device(&device(1))), Err(CryptoError::BadAnchor));
    // Nor is one whose signature is somebody else's.
    let first = first_list();
    let unsigned =
        DeviceList::new(first.list().signed().to_vec(), Signer::Account, Signature::new([0; 64])).unwrap();
    let wrong = DeviceListBody { anchor: Some(Box::new(unsigned)), ..next_body(&seen) };
    assert_eq!(forge(&wrong, Authority::Device(&device(1))), Err(CryptoError::BadSignature));
}

#[test]
fn a_recovery_is_a_reset_and_outranks_any_version() {
    let thief = list_of(2);
    let stolen = DeviceListBody { version: u64::MAX, ..next_body(&thief) };
    let stolen = forge(&stolen, Authority::Device(&device(2))).unwrap();
    assert_eq!(thief.compare(&stolen), Ok(ListChange::Extended { missed: false }));
    assert_eq!(stolen.renew(Authority::Device(&device(1)), NOW), Err(CryptoError::VersionExhausted));

    let fresh = cert(7, Authority::Account(&account()));
    let recovered = VerifiedDeviceList::found(&account(), vec![fresh], None, later(1)).unwrap();
    for seen in [&thief, &stolen, &first_list()] {
        assert_eq!(seen.compare(&recovered), Ok(ListChange::Reset));
        assert_eq!(recovered.compare(seen), Err(ListConflict::Rollback));
    }
}

#[test]
fn a_reader_who_missed_a_recovery_can_follow() {
    let seen = list_of(3);
    let fresh = cert(7, Authority::Account(&account()));
    let recovered = VerifiedDeviceList::found(&account(), vec![fresh], Some(&seen), later(1)).unwrap();
    let seventh = device(7);
    let next = recovered.renew(Authority::Device(&seventh), later(2)).unwrap();
    assert_eq!(seen.compare(&next), Ok(ListChange::Reset));
    // Who was on the list before the recovery cannot continue what came after.
    let mut body = next_body(&next);
    body.devices.push(ListedDevice { cert: cert(2, Authority::Device(&device(1))), revocation: None });
    assert_eq!(forge(&body, Authority::Device(&device(2))), Err(CryptoError::NotACertifier));
    let old = seen.renew(Authority::Device(&device(2)), later(9)).unwrap();
    assert_eq!(next.compare(&old), Err(ListConflict::Rollback));
}

#[test]
fn the_account_key_can_go_on_without_a_reset() {
    let seen = list_of(3);
    let next = seen.revoke(&device(1).public(), Authority::Account(&account()), later(1)).unwrap();
    assert_eq!(seen.compare(&next), Ok(ListChange::Extended { missed: false }));
    assert_eq!(next.list().body().anchor, None);
}

#[test]
fn only_listed_devices_sign() {
    let body = next_body(&list_of(2));
    assert_eq!(forge(&body, Authority::Device(&device(8))), Err(CryptoError::NotASigner));
}

#[test]
fn a_wrong_signature_or_hash_is_noticed() {
    let list = list_of(2);
    let changed =
        DeviceListBody { previous: Some(DeviceListHash::new([0; 32])), ..list.list().body().clone() };
    let forged = DeviceList::new(changed.encode(), list.list().signer(), *list.list().signature()).unwrap();
    assert_eq!(VerifiedDeviceList::verify(forged, &account_key()), Err(CryptoError::BadSignature));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ida_01_one_flipped_bit_of_a_list_is_noticed(at: proptest::sample::Index) {
        let mut bytes = list_of(2).list().encode();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(list) = DeviceList::decode(&bytes) {
            prop_assert!(VerifiedDeviceList::verify(list, &account_key()).is_err());
        }
    }

    /// Whatever a device that is not the account key signs, it cannot get rid of a device listed before it.
    #[test]
    fn juniors_never_displace_seniors(order in Just(vec![0usize, 1, 2]).prop_shuffle(), keep in 1usize..4, by in 2u8..4) {
        let seen = list_of(3);
        let all = &seen.list().body().devices;
        let devices = order.iter().take(keep).map(|at| all[*at].clone()).collect();
        let body = DeviceListBody { devices, ..next_body(&seen) };
        if let Ok(list) = forge(&body, Authority::Device(&device(by)))
            && seen.compare(&list).is_ok()
        {
            prop_assert_eq!(&list.list().body().devices, all);
        }
    }
}

#[test]
fn an_account_of_zeros_signs_nothing() {
    // IDA-01: the key of zeros is of small order; a list under it must not pass whatever its signature says.
    let zero = AccountKey::new([0; 32]);
    let body = DeviceListBody { account: zero, ..first_list().list().body().clone() };
    let mut signature = [0; 64];
    signature[0] = 1;
    let list = DeviceList::new(body.encode(), Signer::Account, Signature::new(signature)).unwrap();
    assert_eq!(VerifiedDeviceList::verify(list, &zero), Err(CryptoError::BadKey));
}
