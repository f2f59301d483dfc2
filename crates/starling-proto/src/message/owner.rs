//! What the owner of a mailbox asks of its holders.

use alloc::vec::Vec;

use prost::Message as _;

use crate::ids::{MailboxAddress, NodeKey, RecordId, Signature};
use crate::time::UnixSeconds;
use crate::{DecodeError, limits, wire};

/// What the owner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The ids of what lies there.
    List,
    /// These can go: they are on the owner's disk.
    Delete(Vec<RecordId>),
    /// Tell me on this connection when something comes.
    Subscribe,
    /// Give me these, as many as fit into one answer.
    Take(Vec<RecordId>),
}

/// What the owner signs: worth something to one holder, on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerOperation {
    /// What is asked.
    pub operation: Operation,
    /// The mailbox; its key signs.
    pub address: MailboxAddress,
    /// The holder that is asked.
    pub holder: NodeKey,
    /// Exported from the TLS session.
    pub channel_binding: [u8; limits::CHANNEL_BINDING],
    /// When, by the owner's clock.
    pub issued: UnixSeconds,
}

impl OwnerOperation {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (operation, record_ids) = match &self.operation {
            Operation::List => (1, Vec::new()),
            Operation::Delete(ids) => (2, ids_to_wire(ids)),
            Operation::Subscribe => (3, Vec::new()),
            Operation::Take(ids) => (4, ids_to_wire(ids)),
        };
        wire::OwnerOperation {
            operation,
            address: self.address.as_bytes().to_vec(),
            holder: self.holder.as_bytes().to_vec(),
            channel_binding: self.channel_binding.to_vec(),
            record_ids,
            issued_s: self.issued.get(),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body =
            wire::OwnerOperation::decode(bytes).map_err(|_| DecodeError::Malformed("owner operation"))?;
        let operation = match body.operation {
            1 => Operation::List,
            2 => Operation::Delete(ids_from_wire(&body.record_ids)?),
            3 => Operation::Subscribe,
            4 => Operation::Take(ids_from_wire(&body.record_ids)?),
            other => return Err(DecodeError::OutOfRange { what: "operation", got: u64::from(other) }),
        };
        let channel_binding =
            body.channel_binding.as_slice().try_into().map_err(|_| DecodeError::WrongLength {
                what: "channel binding",
                expected: limits::CHANNEL_BINDING,
                got: body.channel_binding.len(),
            })?;
        Ok(Self {
            operation,
            address: MailboxAddress::from_slice(&body.address)?,
            holder: NodeKey::from_slice(&body.holder)?,
            channel_binding,
            issued: UnixSeconds::new(body.issued_s),
        })
    }
}

/// An owner's request whose signature nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRequest {
    body: OwnerOperation,
    signed: Vec<u8>,
    signature: Signature,
}

impl OwnerRequest {
    /// Puts a request together from the signed bytes and their signature.
    ///
    /// # Errors
    /// [`DecodeError`] if `signed` is no owner operation.
    pub fn new(signed: Vec<u8>, signature: Signature) -> Result<Self, DecodeError> {
        Ok(Self { body: OwnerOperation::decode(&signed)?, signed, signature })
    }

    /// What was signed, as fields.
    #[must_use]
    pub const fn body(&self) -> &OwnerOperation {
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

    pub(super) fn to_wire(&self) -> wire::Owner {
        wire::Owner { body: self.signed.clone(), signature: self.signature.as_bytes().to_vec() }
    }

    pub(super) fn from_wire(owner: wire::Owner) -> Result<Self, DecodeError> {
        let signature = Signature::from_slice(&owner.signature)?;
        Self::new(owner.body, signature)
    }
}

pub(super) fn ids_to_wire(ids: &[RecordId]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.as_bytes().to_vec()).collect()
}

pub(super) fn ids_from_wire(ids: &[Vec<u8>]) -> Result<Vec<RecordId>, DecodeError> {
    limits::at_most("record ids", ids.len(), limits::RECORD_IDS)?;
    ids.iter().map(|id| RecordId::from_slice(id)).collect()
}
