//! People and keys that tests and vectors share, all from fixed seeds.

use starling_proto::identity::{DeviceCert, DeviceCertBody};
use starling_proto::ids::{AccountKey, OlmKey};
use starling_proto::time::UnixSeconds;

use crate::identity::{Authority, VerifiedDeviceList, accept_cert, issue_cert};
use crate::keys::{AccountSecret, DeviceSecret};
use crate::phrase::RecoveryPhrase;
use crate::secret::Secret;

/// 2026-01-01.
pub(crate) const NOW: UnixSeconds = UnixSeconds::new(1_767_225_600);

pub(crate) fn phrase(seed: u8) -> RecoveryPhrase {
    RecoveryPhrase::from_entropy(&Secret::copy_of(&[seed; 32]))
}

pub(crate) fn account() -> AccountSecret {
    phrase(1).account()
}

pub(crate) fn account_key() -> AccountKey {
    account().public()
}

pub(crate) fn device(seed: u8) -> DeviceSecret {
    DeviceSecret::from_seed(&Secret::copy_of(&[seed; 32]))
}

pub(crate) fn cert_body(seed: u8) -> DeviceCertBody {
    DeviceCertBody {
        account: account_key(),
        device: device(seed).public(),
        olm_identity: OlmKey::new([seed; 32]),
        created: NOW,
        can_certify: true,
    }
}

/// The certificate of device `seed`.
pub(crate) fn cert(seed: u8, authority: Authority<'_>) -> DeviceCert {
    certify(&cert_body(seed), &device(seed), authority)
}

pub(crate) fn certify(body: &DeviceCertBody, device: &DeviceSecret, authority: Authority<'_>) -> DeviceCert {
    issue_cert(body, accept_cert(body, device).unwrap(), authority).unwrap()
}

/// The account's first list: device 1 alone.
pub(crate) fn first_list() -> VerifiedDeviceList {
    let account = account();
    VerifiedDeviceList::found(&account, vec![cert(1, Authority::Account(&account))], None, NOW).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |letter: u8| char::from(letter).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(crate) fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}
