//! What the overlay asks of whoever knows about signatures.

use alloc::string::String;

use starling_proto::limits;
use starling_proto::message::OwnerRequest;
use starling_proto::record::Record;
use starling_proto::time::UnixSeconds;

/// Why a record was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRejection {
    /// The signature does not fit the publisher.
    #[error("the signature is not the publisher's")]
    Signature,
    /// The publisher is not who this kind demands under this key.
    #[error("this publisher may not publish this kind under this key")]
    Publisher,
    /// The payload is not what the kind says.
    #[error("the payload is not of its kind")]
    Payload,
    /// Issued in the future, or over already.
    #[error("the dates are out of range")]
    Dates,
    /// The stamp is missing, of another month or subject, or has too few zero bits.
    #[error("the stamp is missing or not good")]
    Stamp,
    /// A deposit without the owner's leave.
    #[error("the owner has given no leave for this deposit")]
    Capability,
}

/// Checks what peers claim. Implemented over `starling-crypto`, and by a cheap double for large simulations.
pub trait Verify {
    /// Checks a record whole: dates, publisher, key, payload, signature, stamp, in the order of their cost.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn record(&self, record: &Record, now: UnixSeconds) -> Result<(), RecordRejection>;

    /// Whether an owner's request is signed by the mailbox key, for this holder and this connection.
    fn owner(
        &self,
        request: &OwnerRequest,
        holder: &starling_proto::ids::NodeKey,
        binding: &[u8; limits::CHANNEL_BINDING],
    ) -> bool;

    /// How many of the folded `words` the payload of a directory entry matches by beginning; 0 for no match.
    fn matched_words(&self, record: &Record, words: &[String]) -> usize;
}
