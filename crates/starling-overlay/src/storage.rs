//! What the overlay keeps across a restart, behind a trait that the shell implements over its database.
//!
//! Calls happen inside one transaction that the shell opens before it hands over inputs and commits before it lets
//! outputs leave; an error makes the shell drop both and rebuild the machine from disk.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeKey, PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixSeconds;

use crate::group::AddressGroup;

/// What went wrong beneath. The shell maps its database's errors to these; nothing of a row's content is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No room: nothing was written, and later writes may succeed.
    #[error("the disk is full")]
    Full,
    /// A row that cannot be what was written.
    #[error("corrupt data in {0}")]
    Corrupt(&'static str),
    /// Any other failure of the database or the file system.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// What a holder knows of a record without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRecord {
    /// This version.
    pub id: RecordId,
    /// Where it belongs.
    pub key: RecordKey,
    /// What it is.
    pub kind: RecordKind,
    /// Who signed it.
    pub publisher: PublisherKey,
    /// The publisher's count.
    pub sequence: u64,
    /// Bytes of the encoded record.
    pub size: u32,
    /// When it came, by our clock.
    pub received: UnixSeconds,
    /// When it ends, by our clock: counted from receipt and clamped to the kind's longest life.
    pub expires: UnixSeconds,
    /// When the row may go: not before the end of any older version that it replaced, which could come back otherwise.
    pub keep_until: UnixSeconds,
    /// Whether it marks a deletion.
    pub tombstone: bool,
    /// Whether the publisher had the owner's leave: such deposits are never crowded out by strangers' records.
    pub welcome: bool,
    /// Zero bits that its stamp commits to; 0 where the kind needs none. The least work goes first.
    pub work: u8,
    /// Which group of addresses handed it to us.
    pub group: AddressGroup,
}

/// A deposit that its mailbox's owner has deleted: it is not taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedRecord {
    /// The mailbox. The same id under another key is another row: owners speak for their own mailbox only.
    pub key: RecordKey,
    /// The deposit.
    pub id: RecordId,
    /// When it was deleted, by our clock.
    pub deleted: UnixSeconds,
    /// When the row may go, by our clock: the deposit has ended everywhere.
    pub keep_until: UnixSeconds,
    /// Which group of addresses the owner spoke from.
    pub group: AddressGroup,
}

/// The records that this peer holds for others.
pub trait RecordStore {
    /// All that is held, in the order of the record id: read once, when the machine is built.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn held_records(&self) -> Result<Vec<HeldRecord>, StorageError>;

    /// The encoded record.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn read_record(&self, id: &RecordId) -> Result<Option<Arc<[u8]>>, StorageError>;

    /// Keeps a record; one of the same id is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_record(&mut self, held: &HeldRecord, encoded: &Arc<[u8]>) -> Result<(), StorageError>;

    /// Forgets a record; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_record(&mut self, id: &RecordId) -> Result<(), StorageError>;

    /// All deletions that are remembered, in the order of key and record id: read once, when the machine is built.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn deleted_records(&self) -> Result<Vec<DeletedRecord>, StorageError>;

    /// Remembers a deletion; one of the same key and id is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_deletion(&mut self, deleted: &DeletedRecord) -> Result<(), StorageError>;

    /// Forgets a deletion; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_deletion(&mut self, key: &RecordKey, id: &RecordId) -> Result<(), StorageError>;
}

/// The peers that were good last time: how a restart finds the network again.
pub trait PeerStore {
    /// The kept peers, the one that answered last first, those that answered in the same second by their keys.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn known_peers(&self) -> Result<Vec<Peer>, StorageError>;

    /// Notes that `peer` answered at `at`; what was known of it before is replaced.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn write_peer(&mut self, peer: &Peer, at: UnixSeconds) -> Result<(), StorageError>;

    /// Forgets a peer; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn remove_peer(&mut self, key: &NodeKey) -> Result<(), StorageError>;
}

/// Everything the overlay keeps.
pub trait OverlayStore: RecordStore + PeerStore {}

impl<T: RecordStore + PeerStore + ?Sized> OverlayStore for T {}
