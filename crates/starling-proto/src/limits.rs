//! Every bound that peers share, each with its reason. What happens at a bound stands where it is applied.

use crate::DecodeError;
use crate::time::Span;

/// Peers in a bucket, and holders of a record (Kademlia's k). 20 is the value of the original paper: in an hour of
/// ordinary churn all twenty fail together less often than once in a million.
pub const K: usize = 20;
/// Width of a wide lookup: the region from which the second twenty holders are drawn. Measured: 80-wide store and
/// fetch keep 99.7 % against 40 ground identities among 20 to 50 % colluders for 84 requests.
pub const WIDE: usize = 80;
/// Addresses of one peer: IPv4 and IPv6, inside and outside.
pub const PEER_ADDRESSES: usize = 4;
/// Peers in one answer: a wide lookup's need and no more.
pub const ANSWER_PEERS: usize = 80;
/// Bytes of a record's body, the bound of what a stranger can make a holder keep at once.
pub const RECORD_BODY: usize = 20 * 1024;
/// Bytes of a record's payload: the body less its fixed fields.
pub const RECORD_PAYLOAD: usize = RECORD_BODY - 256;
/// Bytes of an encoded record: body, signature, stamp and capability.
pub const RECORD: usize = RECORD_BODY + 512;
/// Bytes of a capability, encoded.
pub const CAPABILITY: usize = 256;
/// Records in one answer. More are asked for in another request, so that an answer stays below a frame.
pub const ANSWER_RECORDS: usize = 64;
/// Record ids in one list or delete request.
pub const RECORD_IDS: usize = 256;
/// Bytes of a directory entry's payload.
pub const DIRECTORY_ENTRY: usize = 1024;
/// Words of an entry that are indexed, and words of a query: a line of self-description, not an essay.
pub const WORDS: usize = 24;
/// Bytes of one word in a query. The longest words of natural languages stay below.
pub const WORD: usize = 64;
/// Bytes of a name.
pub const NAME: usize = 128;
/// Bytes of an about text.
pub const ABOUT: usize = 512;
/// Devices of one account that are not revoked: delivery costs one copy for each.
pub const DEVICES: usize = 6;
/// Devices on a list, revoked ones included.
pub const LISTED_DEVICES: usize = 24;
/// Bytes of an encoded device certificate.
pub const DEVICE_CERT: usize = 512;
/// Certificates between a device and its account key, its own included: a device linked by a linked device is the last
/// that can be linked without the recovery phrase. Three fit into a directory entry and leave room for the words.
pub const CERT_CHAIN: usize = 3;
/// Bytes of an encoded device list: the payload of an account record.
pub const DEVICE_LIST: usize = RECORD_PAYLOAD;
/// Bytes of a locator before it is sealed: the payload of its record less nonce and tag.
pub const LOCATOR: usize = 1024 - 40;
/// Bytes of an X-Wing public key (draft-connolly-cfrg-xwing-kem).
pub const INBOX_KEY: usize = 1216;
/// Bytes of an X-Wing encapsulated key (draft-connolly-cfrg-xwing-kem).
pub const ENCAPSULATED_KEY: usize = 1120;
/// Bytes of a reaction: an emoji of several people with skin tones has 41.
pub const REACTION: usize = 64;
/// How long a text may take to disappear at most: a year.
pub const LONGEST_LIFE: Span = Span::from_days(365);
/// Bytes of a text message. Longer travels as a file.
pub const TEXT: usize = 8 * 1024;
/// Sealed messages in one deliver frame.
pub const DELIVER_BATCH: usize = 64;
/// Bytes of one sealed message: the largest padding bucket, the session's overhead, and the prekey header.
pub const SEALED: usize = 16 * 1024 + 512;
/// Bytes of content in one session message: the largest padding bucket less the names of both sides.
pub const SESSION_CONTENT: usize = 16 * 1024 - 256;
/// Sessions kept with one device: crossed starts make two, a restart a third; the fourth is room for one mishap.
pub const SESSIONS: usize = 4;
/// Messages of a session that may be missing before later ones are held back: Olm keeps as many skipped keys.
pub const SKIPPED: usize = 40;
/// Bytes of a contact request's note.
pub const CONTACT_NOTE: usize = 256;
/// Bytes of a contact request, encoded: with the padding mark exactly 1 KiB.
pub const CONTACT_REQUEST: usize = 1023;
/// Device certificates in a contact request: the device's, and the one of the device that certified it.
pub const REQUEST_CERTS: usize = 2;
/// Peers that an invite names.
pub const INVITE_PEERS: usize = 4;
/// Addresses of each of them: with four the fullest invite would be longer than a Bech32m text may be.
pub const INVITE_ADDRESSES: usize = 3;
/// Bytes of the TLS exporter's output that binds a signature to a connection.
pub const CHANNEL_BINDING: usize = 32;
/// Bytes of a nonce in `prove`.
pub const NONCE: usize = 16;
/// What holders have said of a record, in one answer of a peer that asked them for another: as many as are closest.
pub const PASSED_PROOFS: usize = K;
/// Characters of a network's name.
pub const NETWORK_NAME: usize = 32;
/// The longest life of a record of a kind that its publisher refreshes.
pub const RECORD_LIFE: Span = Span::from_days(30);
/// The longest life of a bundle: a sender uses the newest bundle it knows for 90 days.
pub const BUNDLE_LIFE: Span = Span::from_days(90);
/// The longest life of stored mail.
pub const MAIL_LIFE: Span = Span::from_days(14);
/// How far in the future a record may say it was issued: clocks are wrong by minutes, rarely by more than a day.
pub const CLOCK_SLACK: Span = Span::from_hours(24);

/// Chain ends of other devices that one message names.
pub const HEADS: usize = 8;
/// Message ids in one receipt or one request to send again.
pub const MESSAGE_IDS: usize = 256;
/// Mailbox grants in one hand-over: 25 epochs of four weeks are almost two years.
pub const MAILBOX_GRANTS: usize = 25;
/// One-time keys that one device reserves for another.
pub const RESERVED_KEYS: usize = 3;
/// Bytes of a status line.
pub const STATUS_LINE: usize = 128;
/// What the devices of an account have in common, encoded, in bytes.
pub const KEPT: usize = 4096;

/// Checks a count against its bound.
///
/// # Errors
/// [`DecodeError::TooMany`] above it.
pub const fn at_most(what: &'static str, got: usize, limit: usize) -> Result<(), DecodeError> {
    if got > limit { Err(DecodeError::TooMany { what, limit, got }) } else { Ok(()) }
}

/// Checks a length in bytes against its bound.
///
/// # Errors
/// [`DecodeError::TooLong`] above it.
pub const fn bytes_at_most(what: &'static str, got: usize, limit: usize) -> Result<(), DecodeError> {
    if got > limit {
        Err(DecodeError::TooLong { what, limit: limit as u64, got: got as u64 })
    } else {
        Ok(())
    }
}
