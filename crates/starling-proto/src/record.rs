//! What the overlay keeps: records, their stamps and the leave to deposit.
//!
//! A signature covers the body's bytes as they were received. A [`Record`] therefore keeps those bytes and hands them
//! on unchanged: fields that a later version adds survive the passage through an older peer.

use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use crate::ids::{MailboxAddress, PublisherKey, RecordId, RecordKey, Signature};
use crate::time::{Month, Span, UnixSeconds};
use crate::{DecodeError, limits, wire};

/// Kinds of records; each fixes who may publish under which key (docs/protocol/records.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordKind {
    /// The signed device list of an account.
    Account,
    /// What a stranger needs to write to a device.
    Bundle,
    /// A listed account's description of itself, under one index key.
    Directory,
    /// Where a contact's device can be reached now, readable by contacts only.
    Locator,
    /// A sealed envelope for a mailbox.
    Deposit,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Account, Self::Bundle, Self::Directory, Self::Locator, Self::Deposit];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Account => 1,
            Self::Bundle => 2,
            Self::Directory => 3,
            Self::Locator => 4,
            Self::Deposit => 5,
        }
    }

    /// Reads the number on the wire.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] for a kind of a later version: that record is skipped.
    pub fn from_number(number: u32) -> Result<Self, DecodeError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or(DecodeError::OutOfRange { what: "record kind", got: u64::from(number) })
    }

    /// The longest life a holder grants.
    #[must_use]
    pub const fn longest_life(self) -> Span {
        match self {
            Self::Account | Self::Bundle => limits::BUNDLE_LIFE,
            Self::Directory | Self::Locator => limits::RECORD_LIFE,
            Self::Deposit => limits::MAIL_LIFE,
        }
    }

    /// Whether strangers publish this kind, so that it must bear a stamp.
    #[must_use]
    pub const fn needs_stamp(self) -> bool {
        matches!(self, Self::Account | Self::Bundle | Self::Directory)
    }

    /// The largest payload, in bytes.
    #[must_use]
    pub const fn payload_limit(self) -> usize {
        match self {
            Self::Directory => limits::DIRECTORY_ENTRY,
            Self::Bundle => 2048,
            Self::Locator => 1024,
            Self::Account | Self::Deposit => limits::RECORD_PAYLOAD,
        }
    }
}

/// What a record's publisher signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBody {
    /// Where the record is kept.
    pub key: RecordKey,
    /// What it is.
    pub kind: RecordKind,
    /// Who signed it.
    pub publisher: PublisherKey,
    /// A higher sequence of the same key, kind and publisher replaces a lower.
    pub sequence: u64,
    /// When it was made, by the publisher's clock.
    pub issued: UnixSeconds,
    /// When it ends, by the publisher's clock; holders clamp it.
    pub expires: UnixSeconds,
    /// The content; empty in a tombstone.
    pub payload: Vec<u8>,
    /// Whether this deletes the record.
    pub tombstone: bool,
}

impl RecordBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::RecordBody {
            key: self.key.as_bytes().to_vec(),
            kind: self.kind.number(),
            publisher: self.publisher.as_bytes().to_vec(),
            sequence: self.sequence,
            issued_s: self.issued.get(),
            expires_s: self.expires.get(),
            payload: self.payload.clone(),
            tombstone: self.tombstone,
        }
        .encode_to_vec()
    }

    /// Reads a body and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("record body", bytes.len(), limits::RECORD_BODY)?;
        let body = wire::RecordBody::decode(bytes).map_err(|_| DecodeError::Malformed("record body"))?;
        let kind = RecordKind::from_number(body.kind)?;
        limits::bytes_at_most("record payload", body.payload.len(), kind.payload_limit())?;
        if body.tombstone && !body.payload.is_empty() {
            return Err(DecodeError::TooLong { what: "tombstone", limit: 0, got: body.payload.len() as u64 });
        }
        Ok(Self {
            key: RecordKey::from_slice(&body.key)?,
            kind,
            publisher: PublisherKey::from_slice(&body.publisher)?,
            sequence: body.sequence,
            issued: UnixSeconds::new(body.issued_s),
            expires: UnixSeconds::new(body.expires_s),
            payload: body.payload,
            tombstone: body.tombstone,
        })
    }
}

/// Proof of work, bound to a subject and a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The month it is for.
    pub month: Month,
    /// The zero bits that its maker committed to before searching.
    pub bits: u8,
    /// What makes the hash have them.
    pub nonce: u64,
}

impl Stamp {
    pub(crate) fn to_wire(self) -> wire::Stamp {
        wire::Stamp { month: self.month.get(), bits: u32::from(self.bits), nonce: self.nonce }
    }

    pub(crate) fn from_wire(stamp: &wire::Stamp) -> Result<Self, DecodeError> {
        let bits = u8::try_from(stamp.bits)
            .map_err(|_| DecodeError::OutOfRange { what: "stamp bits", got: u64::from(stamp.bits) })?;
        Ok(Self { month: Month::new(stamp.month), bits, nonce: stamp.nonce })
    }
}

/// A well-formed record whose signature nobody has checked yet. Clones share one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    body: RecordBody,
    signed: Vec<u8>,
    signature: Signature,
    stamp: Option<Stamp>,
    capability: Option<Capability>,
}

impl Record {
    /// Puts a record together from the signed bytes and what goes with them.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no record body.
    pub fn new(
        signed: Vec<u8>,
        signature: Signature,
        stamp: Option<Stamp>,
        capability: Option<Capability>,
    ) -> Result<Self, DecodeError> {
        Ok(Self(Arc::new(Inner { body: RecordBody::decode(&signed)?, signed, signature, stamp, capability })))
    }

    /// The same record with a stamp, which stands outside what is signed.
    #[must_use]
    pub fn with_stamp(&self, stamp: Stamp) -> Self {
        let Inner { body, signed, signature, capability, .. } = &*self.0;
        Self(Arc::new(Inner {
            body: body.clone(),
            signed: signed.clone(),
            signature: *signature,
            stamp: Some(stamp),
            capability: capability.clone(),
        }))
    }

    /// What was signed, as fields.
    #[must_use]
    pub fn body(&self) -> &RecordBody {
        &self.0.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.0.signed
    }

    /// The signature, unchecked.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.0.signature
    }

    /// The proof of work, unchecked.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.stamp
    }

    /// The owner's leave to deposit, unchecked.
    #[must_use]
    pub fn capability(&self) -> Option<&Capability> {
        self.0.capability.as_ref()
    }

    /// The id of this version: BLAKE3 of the signed bytes.
    #[must_use]
    pub fn id(&self) -> RecordId {
        RecordId::new(*blake3::hash(&self.0.signed).as_bytes())
    }

    /// What `prove` answers: keyed BLAKE3 over the encoded record, which only somebody who has it can compute.
    #[must_use]
    pub fn proof(&self, nonce: &[u8; limits::NONCE]) -> [u8; 32] {
        let key = blake3::derive_key("starling/1/prove", nonce);
        *blake3::keyed_hash(&key, &self.encode()).as_bytes()
    }

    /// The bytes that travel and are kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Record {
            body: self.0.signed.clone(),
            signature: self.0.signature.as_bytes().to_vec(),
            stamp: self.0.stamp.map(Stamp::to_wire),
            capability: self.0.capability.as_ref().map_or_else(Vec::new, Capability::encode),
        }
        .encode_to_vec()
    }

    /// Reads a record and checks its lengths; the signature is left to the verifier.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("record", bytes.len(), limits::RECORD)?;
        let record = wire::Record::decode(bytes).map_err(|_| DecodeError::Malformed("record"))?;
        let stamp = record.stamp.as_ref().map(Stamp::from_wire).transpose()?;
        let capability =
            (!record.capability.is_empty()).then(|| Capability::decode(&record.capability)).transpose()?;
        Self::new(record.body, Signature::from_slice(&record.signature)?, stamp, capability)
    }
}

/// The owner's leave for one depositor to deposit at one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    body: CapabilityBody,
    signed: Vec<u8>,
    signature: Signature,
}

/// What a mailbox owner signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityBody {
    /// The mailbox; its key must be the one that signed.
    pub address: MailboxAddress,
    /// Who may deposit.
    pub depositor: PublisherKey,
    /// Until when.
    pub expires: UnixSeconds,
    /// How much may lie there at once, in KiB.
    pub quota_kib: u32,
}

impl CapabilityBody {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::CapabilityBody {
            address: self.address.as_bytes().to_vec(),
            depositor: self.depositor.as_bytes().to_vec(),
            expires_s: self.expires.get(),
            quota_kib: self.quota_kib,
        }
        .encode_to_vec()
    }
}

impl Capability {
    /// Puts a capability together from the signed bytes and their signature.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no capability body.
    pub fn new(signed: Vec<u8>, signature: Signature) -> Result<Self, DecodeError> {
        let body =
            wire::CapabilityBody::decode(&*signed).map_err(|_| DecodeError::Malformed("capability body"))?;
        let body = CapabilityBody {
            address: MailboxAddress::from_slice(&body.address)?,
            depositor: PublisherKey::from_slice(&body.depositor)?,
            expires: UnixSeconds::new(body.expires_s),
            quota_kib: body.quota_kib,
        };
        Ok(Self { body, signed, signature })
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &CapabilityBody {
        &self.body
    }

    /// What was signed, as bytes.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The signature, unchecked.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Capability { body: self.signed.clone(), signature: self.signature.as_bytes().to_vec() }
            .encode_to_vec()
    }

    /// Reads a capability and checks its lengths.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        limits::bytes_at_most("capability", bytes.len(), limits::CAPABILITY)?;
        let outer = wire::Capability::decode(bytes).map_err(|_| DecodeError::Malformed("capability"))?;
        Self::new(outer.body, Signature::from_slice(&outer.signature)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body() -> RecordBody {
        RecordBody {
            key: RecordKey::new([1; 32]),
            kind: RecordKind::Directory,
            publisher: PublisherKey::new([2; 32]),
            sequence: 3,
            issued: UnixSeconds::new(4),
            expires: UnixSeconds::new(5),
            payload: vec![6; 7],
            tombstone: false,
        }
    }

    fn record() -> Record {
        let stamp = Stamp { month: Month::new(8), bits: 9, nonce: 10 };
        let leave = CapabilityBody {
            address: MailboxAddress::new([11; 32]),
            depositor: PublisherKey::new([12; 32]),
            expires: UnixSeconds::new(13),
            quota_kib: 14,
        };
        let leave = Capability::new(leave.encode(), Signature::new([15; 64])).unwrap();
        Record::new(body().encode(), Signature::new([16; 64]), Some(stamp), Some(leave)).unwrap()
    }

    #[test]
    fn round_trips() {
        assert_eq!(Record::decode(&record().encode()), Ok(record()));
    }

    #[test]
    fn unknown_fields_survive_under_the_signature() {
        let mut signed = body().encode();
        // Field 200, varint 1: something that a later version added.
        signed.extend_from_slice(&[0xc0, 0x0c, 0x01]);
        let record = Record::new(signed.clone(), Signature::new([0; 64]), None, None).unwrap();
        assert_eq!(Record::decode(&record.encode()).unwrap().signed(), signed);
    }

    #[test]
    fn a_tombstone_carries_nothing() {
        let full = RecordBody { tombstone: true, ..body() };
        assert!(RecordBody::decode(&full.encode()).is_err());
        let empty = RecordBody { tombstone: true, payload: Vec::new(), ..body() };
        assert_eq!(RecordBody::decode(&empty.encode()), Ok(empty));
    }

    #[test]
    fn a_payload_is_held_to_its_kind() {
        let long = RecordBody { payload: vec![0; limits::DIRECTORY_ENTRY + 1], ..body() };
        assert!(matches!(RecordBody::decode(&long.encode()), Err(DecodeError::TooLong { .. })));
        let mail =
            RecordBody { kind: RecordKind::Deposit, payload: vec![0; limits::RECORD_PAYLOAD], ..body() };
        let encoded = Record::new(
            mail.encode(),
            Signature::new([1; 64]),
            record().stamp(),
            record().capability().cloned(),
        )
        .unwrap()
        .encode();
        assert!(encoded.len() <= limits::RECORD && Record::decode(&encoded).is_ok());
    }

    #[test]
    fn a_proof_depends_on_nonce_and_record() {
        let other = Record::new(body().encode(), Signature::new([17; 64]), None, None).unwrap();
        assert_ne!(record().proof(&[1; 16]), record().proof(&[2; 16]));
        assert_ne!(record().proof(&[1; 16]), other.proof(&[1; 16]));
    }

    proptest! {
        #[test]
        fn wir_03_truncation_is_refused_or_another_record(cut in 0usize..200) {
            let bytes = record().encode();
            prop_assume!(cut < bytes.len());
            prop_assert_ne!(Record::decode(&bytes[..cut]), Ok(record()));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }
}
