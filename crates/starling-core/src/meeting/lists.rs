//! Device lists, out of account records.

use starling_crypto::identity::{ListChange, VerifiedDeviceList};
use starling_proto::identity::DeviceList;
use starling_proto::ids::{AccountKey, RecordKey};
use starling_proto::record::{Record, RecordKind};

/// The newest of an account's lists: among records that were fetched, and the one that is known.
///
/// What conflicts with the list known is left out: whoever hides a change or serves an older list is not followed.
pub(super) fn newest(
    account: &AccountKey,
    known: Option<&VerifiedDeviceList>,
    records: &[Record],
) -> Option<VerifiedDeviceList> {
    let key = RecordKey::for_account(account);
    let of_account = records
        .iter()
        .map(Record::body)
        .filter(|body| body.kind == RecordKind::Account && body.key == key && !body.tombstone);
    of_account
        .filter_map(|body| DeviceList::decode(&body.payload).ok())
        .filter_map(|list| VerifiedDeviceList::verify(list, account).ok())
        .fold(known.cloned(), |newest, list| match &newest {
            Some(seen) if !follows(seen, &list) => newest,
            _ => Some(list),
        })
}

/// Whether a list replaces the one seen before.
pub(super) fn follows(seen: &VerifiedDeviceList, list: &VerifiedDeviceList) -> bool {
    matches!(seen.compare(list), Ok(ListChange::Extended { .. } | ListChange::Reset))
}
