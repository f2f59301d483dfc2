//! Fuzz functions of what this crate reads and checks: ordinary functions, fed by tests and by the fuzzer. A function
//! panics where a promise is broken.

use starling_proto::identity::{DeviceList, DirectoryEntry, Envelope};
use starling_proto::ids::{DeviceKey, MailboxAddress, RecordKey};
use starling_proto::record::Record;
use starling_proto::time::UnixSeconds;

use crate::identity::{VerifiedDeviceList, verify_chain};
use crate::kdf::WrappedKey;
use crate::phrase::RecoveryPhrase;
use crate::record::{IndexKeys, verify_record};
use crate::secret::Secret;
use crate::session::{OlmAccount as _, Vodozemac};
use crate::stamp::{StampChecker, StampPolicy};

/// Feeds bytes to a reader.
pub type FuzzFn = fn(&[u8]);

/// Each reader by name. The order is the fuzzer's choosing byte: append only.
pub const TABLE: &[(&str, FuzzFn)] = &[
    ("wrapped_key", wrapped_key),
    ("recovery_phrase", recovery_phrase),
    ("verified_list", verified_list),
    ("verified_chain", verified_chain),
    ("verified_record", verified_record),
    ("prekey_message", prekey_message),
    ("opened_envelope", envelope),
];

fn wrapped_key(bytes: &[u8]) {
    if let Ok(key) = WrappedKey::decode(bytes) {
        assert!(key.encode() == bytes, "a wrapped key changed in passing");
    }
}

fn recovery_phrase(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(phrase) = RecoveryPhrase::parse(text) {
        let again = RecoveryPhrase::parse(&phrase.to_text()).map(|phrase| phrase.account().public());
        assert!(again == Ok(phrase.account().public()), "a phrase changed in passing");
    }
}

fn verified_list(bytes: &[u8]) {
    let Ok(list) = DeviceList::decode(bytes) else { return };
    let account = list.body().account;
    if let Ok(verified) = VerifiedDeviceList::verify(list, &account) {
        assert!(verified.devices().all(|device| verified.device(&device.key()) == Ok(device)));
    }
}

fn verified_chain(bytes: &[u8]) {
    if let Ok(entry) = DirectoryEntry::decode(bytes)
        && let Ok(device) = verify_chain(&entry.account, &entry.device_certs)
    {
        assert!(device.account() == entry.account, "a device of another account");
    }
}

fn verified_record(bytes: &[u8]) {
    /// Every key is a good one.
    struct AnyKey;

    impl IndexKeys for AnyKey {
        fn is_index_key(&self, _: &DirectoryEntry, _: &RecordKey) -> bool {
            true
        }
    }

    let Ok(record) = Record::decode(bytes) else { return };
    let now = UnixSeconds::new(1_767_225_600);
    let first = verify_record(&record, now, &mut StampChecker::new(StampPolicy::main()), &AnyKey);
    let again = Record::decode(&record.encode())
        .map(|record| verify_record(&record, now, &mut StampChecker::new(StampPolicy::main()), &AnyKey));
    assert!(again == Ok(first), "a record was judged otherwise after passing on");
}

fn prekey_message(bytes: &[u8]) {
    let first = Vodozemac::inspect(bytes);
    assert!(first == Vodozemac::inspect(bytes), "a prekey message was read in two ways");
}

fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::decode(bytes) else { return };
    let (device, mailbox) = (DeviceKey::new([2; 32]), MailboxAddress::new([3; 32]));
    let opened = crate::envelope::open(&Secret::copy_of(&[1; 32]), &device, &mailbox, &envelope);
    // The first vector of docs/protocol/vectors/envelope.json is the only one that opens.
    assert!(opened.is_err() || opened.is_ok_and(|text| text.is_empty()), "a forged envelope opened");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture;

    #[test]
    fn good_bytes_pass_every_reader() {
        let list = fixture::first_list().list().encode();
        let phrase = fixture::phrase(1).to_text();
        for (_, read) in TABLE {
            read(&list);
            read(phrase.as_bytes());
            read(&[]);
        }
    }

    proptest! {
        #[test]
        fn wir_01_any_bytes_pass_every_reader(bytes: Vec<u8>) {
            for (_, read) in TABLE {
                read(&bytes);
            }
        }
    }
}
