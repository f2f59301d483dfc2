//! Records: signed by their publisher, checked by every holder and every reader.
//!
//! [`verify_record`] asks the cheap questions first, so that garbage costs a holder next to nothing: dates, then whether
//! the publisher may publish this kind under this key, then the stamp's claim, one signature, the stamp's work (one
//! Argon2id), and only then the certificates inside the payload.

use starling_proto::identity::{Bundle, DeviceList, DirectoryEntry};
use starling_proto::ids::{DeviceKey, LocatorKey, RecordKey};
use starling_proto::limits;
use starling_proto::record::{Capability, Record, RecordBody, RecordKind, Stamp};
use starling_proto::time::{Month, UnixSeconds};

use crate::CryptoError;
use crate::capability::verify_capability;
use crate::identity::{VerifiedDeviceList, verify_chain};
use crate::keys::SigningSecret;
use crate::locator::locator_epoch;
use crate::sign::{SigningDomain, verify};
use crate::stamp::{StampChecker, StampPolicy, StampSubject};

/// Why a record is not accepted: an ordinary outcome, since peers may hand us anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRejection {
    /// Issued in the future, or over already.
    #[error("the dates are out of range")]
    Dates,
    /// The publisher is not who this kind demands under this key.
    #[error("this publisher may not publish this kind under this key")]
    Publisher,
    /// The payload is not what the kind says.
    #[error("the payload is not of its kind")]
    Payload,
    /// A deposit without the owner's leave.
    #[error("the owner has given no leave for this deposit")]
    Capability,
    /// The stamp is missing, of another month or subject, or has too few zero bits.
    #[error("the stamp is missing or not good")]
    Stamp,
    /// The signature does not fit the publisher.
    #[error("the signature is not the publisher's")]
    Signature,
}

/// Says where a directory entry belongs. Words are folded in `starling-core`, which holds the tables of Unicode.
pub trait IndexKeys {
    /// Whether `key` is the index key of one of the entry's words.
    fn is_index_key(&self, entry: &DirectoryEntry, key: &RecordKey) -> bool;
}

/// Signs a record.
///
/// # Errors
/// [`CryptoError::WrongKey`] if `secret` is not the body's publisher, [`CryptoError::Decode`] for a body over its
/// bounds.
pub fn sign_record(
    body: &RecordBody,
    secret: &impl SigningSecret,
    stamp: Option<Stamp>,
    capability: Option<Capability>,
) -> Result<Record, CryptoError> {
    if body.publisher != secret.publisher() {
        return Err(CryptoError::WrongKey);
    }
    let signed = body.encode();
    let signature = secret.sign(SigningDomain::Record, &signed);
    Ok(Record::new(signed, signature, stamp, capability)?)
}

/// Checks a record whole.
///
/// # Errors
/// The first thing that is wrong, in the order of what it costs to find out.
pub fn verify_record(
    record: &Record,
    now: UnixSeconds,
    stamps: &mut StampChecker,
    index: &dyn IndexKeys,
) -> Result<(), RecordRejection> {
    let body = record.body();
    check_dates(body, now)?;
    let claim = Claim::read(record, now, index)?;
    let subject = claim.stamp_subject(record);
    let stamp = subject
        .map(|subject| claimed_stamp(record, stamps.policy()).map(|stamp| (stamp, subject)))
        .transpose()?;
    verify(SigningDomain::Record, body.publisher.as_bytes(), record.signed(), record.signature())
        .map_err(|_| RecordRejection::Signature)?;
    if let Some((stamp, subject)) = stamp {
        let month = Month::of(body.issued);
        stamps.check(&stamp, &subject, month).map_err(|_| RecordRejection::Stamp)?;
    }
    claim.verify(body)
}

/// When the record ends, as holders and readers count: its own date, no later than its kind's longest life after it
/// was issued.
#[must_use]
pub fn ends_at(body: &RecordBody) -> UnixSeconds {
    body.expires.min(body.issued.after(body.kind.longest_life()))
}

/// Either clock may be wrong by [`limits::CLOCK_SLACK`], in either direction.
fn check_dates(body: &RecordBody, now: UnixSeconds) -> Result<(), RecordRejection> {
    let from_the_future = body.issued > now.after(limits::CLOCK_SLACK);
    let over = now >= ends_at(body).after(limits::CLOCK_SLACK);
    if body.issued < body.expires && !over && !from_the_future { Ok(()) } else { Err(RecordRejection::Dates) }
}

/// The record's stamp, if what it says will do. Its month is held against the date of issue, not against today: a
/// holder that takes over a record in its third month must not find its stamp too old, and who dates a record back to
/// use an old stamp shortens its life by as much.
fn claimed_stamp(record: &Record, stamps: StampPolicy) -> Result<Stamp, RecordRejection> {
    let stamp = record.stamp().ok_or(RecordRejection::Stamp)?;
    let month = Month::of(record.body().issued);
    stamps.check_claim(&stamp, month).map_err(|_| RecordRejection::Stamp)?;
    Ok(stamp)
}

/// What a record's payload claims, read and compared with key and publisher, but not yet verified.
enum Claim<'a> {
    /// Nothing but what the publisher's own signature shows.
    OwnKey,
    /// A deletion of a kind whose payload says who may publish. Holders take it only in place of a record of the same
    /// key, kind and publisher, which was checked when it came.
    Deletion,
    Account(DeviceList),
    Directory(DirectoryEntry),
    Deposit(&'a Capability),
    /// A deposit by somebody without leave: a contact request.
    Request,
}

impl<'a> Claim<'a> {
    fn read(record: &'a Record, now: UnixSeconds, index: &dyn IndexKeys) -> Result<Self, RecordRejection> {
        let body = record.body();
        match body.kind {
            RecordKind::Account => read_account(body),
            RecordKind::Bundle => read_bundle(body),
            RecordKind::Directory => read_directory(body, index),
            RecordKind::Locator => read_locator(body, now),
            RecordKind::Deposit => read_deposit(record),
            _ => Err(RecordRejection::Payload),
        }
    }

    /// What the record's stamp must be bound to; `None` for those that need none.
    fn stamp_subject(&self, record: &Record) -> Option<StampSubject> {
        let body = record.body();
        match self {
            Self::Request => Some(StampSubject::Request(record.id())),
            _ => body.kind.needs_stamp().then_some(StampSubject::Publisher(body.publisher)),
        }
    }

    /// The signatures inside payload and capability.
    fn verify(self, body: &RecordBody) -> Result<(), RecordRejection> {
        match self {
            Self::OwnKey | Self::Deletion | Self::Request => Ok(()),
            Self::Account(list) => {
                let account = list.body().account;
                VerifiedDeviceList::verify(list, &account).map_err(|_| RecordRejection::Payload)?;
                Ok(())
            }
            Self::Directory(entry) => {
                let device = verify_chain(&entry.account, &entry.device_certs)
                    .map_err(|_| RecordRejection::Payload)?;
                same_key(device.key().as_bytes(), body)
            }
            Self::Deposit(capability) => {
                verify_capability(capability).map_err(|_| RecordRejection::Capability)?;
                Ok(())
            }
        }
    }
}

/// An account record is published by an active device of its list, by the list's signer (a device that signs itself
/// off is active no more), or by the account key.
fn read_account<'a>(body: &RecordBody) -> Result<Claim<'a>, RecordRejection> {
    if body.tombstone {
        return Ok(Claim::Deletion);
    }
    let list = DeviceList::decode(&body.payload).map_err(|_| RecordRejection::Payload)?;
    let account = &list.body().account;
    if body.key != RecordKey::for_account(account) {
        return Err(RecordRejection::Publisher);
    }
    let publisher = body.publisher.as_bytes();
    let publishes = publisher == account.as_bytes()
        || list.signer().key(account) == publisher
        || list.body().active().any(|device| device.key().as_bytes() == publisher);
    if publishes { Ok(Claim::Account(list)) } else { Err(RecordRejection::Publisher) }
}

fn read_bundle<'a>(body: &RecordBody) -> Result<Claim<'a>, RecordRejection> {
    let device = DeviceKey::new(*body.publisher.as_bytes());
    if body.key != RecordKey::for_bundle(&device) {
        return Err(RecordRejection::Publisher);
    }
    if !body.tombstone {
        let bundle = Bundle::decode(&body.payload).map_err(|_| RecordRejection::Payload)?;
        same_key(bundle.device.as_bytes(), body)?;
    }
    Ok(Claim::OwnKey)
}

fn read_directory<'a>(body: &RecordBody, index: &dyn IndexKeys) -> Result<Claim<'a>, RecordRejection> {
    if body.tombstone {
        return Ok(Claim::Deletion);
    }
    let entry = DirectoryEntry::decode(&body.payload).map_err(|_| RecordRejection::Payload)?;
    let device = entry.device_certs.first().ok_or(RecordRejection::Payload)?;
    same_key(device.body().device.as_bytes(), body)?;
    if index.is_index_key(&entry, &body.key) {
        Ok(Claim::Directory(entry))
    } else {
        Err(RecordRejection::Publisher)
    }
}

/// A locator lies under the key of the present day or its neighbours; what is in it only contacts can read.
fn read_locator<'a>(body: &RecordBody, now: UnixSeconds) -> Result<Claim<'a>, RecordRejection> {
    let locator = LocatorKey::new(*body.publisher.as_bytes());
    let today = locator_epoch(now);
    let mut days = [today.saturating_sub(1), today, today.saturating_add(1)].into_iter();
    if !days.any(|day| body.key == RecordKey::for_locator(&locator, day)) {
        return Err(RecordRejection::Publisher);
    }
    if !body.tombstone {
        has_payload(body)?;
    }
    Ok(Claim::OwnKey)
}

/// A deposit bears leave for its publisher and its mailbox, or is a contact request and bears a stamp. Only the
/// mailbox's owner deletes. Leave is held against the date of issue, as stamps are: mail that is moved on the last day
/// must not be lost.
fn read_deposit(record: &Record) -> Result<Claim<'_>, RecordRejection> {
    let body = record.body();
    has_payload(body)?;
    let Some(capability) = record.capability() else { return Ok(Claim::Request) };
    let leave = capability.body();
    let fits = leave.depositor == body.publisher
        && body.key == RecordKey::for_mailbox(&leave.address)
        && body.issued < leave.expires;
    if fits { Ok(Claim::Deposit(capability)) } else { Err(RecordRejection::Capability) }
}

fn has_payload(body: &RecordBody) -> Result<(), RecordRejection> {
    if !body.payload.is_empty() { Ok(()) } else { Err(RecordRejection::Payload) }
}

/// Whether the key that the payload names is the publisher's.
fn same_key(key: &[u8; 32], body: &RecordBody) -> Result<(), RecordRejection> {
    if key == body.publisher.as_bytes() { Ok(()) } else { Err(RecordRejection::Publisher) }
}

#[cfg(test)]
mod tests;
