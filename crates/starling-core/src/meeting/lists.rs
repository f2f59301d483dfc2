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
    of(account, records).fold(known.cloned(), |newest, list| match &newest {
        Some(seen) if !follows(seen, &list) => newest,
        _ => Some(list),
    })
}

/// The good lists of an account among records that were fetched.
pub(super) fn of<'a>(
    account: &'a AccountKey,
    records: &'a [Record],
) -> impl Iterator<Item = VerifiedDeviceList> + 'a {
    let key = RecordKey::for_account(account);
    let of_account = records
        .iter()
        .map(Record::body)
        .filter(move |body| body.kind == RecordKind::Account && body.key == key && !body.tombstone);
    of_account
        .filter_map(|body| DeviceList::decode(&body.payload).ok())
        .filter_map(|list| VerifiedDeviceList::verify(list, account).ok())
}

/// Whether a list replaces the one seen before.
pub(super) fn follows(seen: &VerifiedDeviceList, list: &VerifiedDeviceList) -> bool {
    matches!(seen.compare(list), Ok(ListChange::Extended { .. } | ListChange::Reset))
}
