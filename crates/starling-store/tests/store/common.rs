//! What the tests share: a home in a temporary directory, and rows to put into it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use starling_core::storage::{
    ContactRow, ContactState, MessageKind, MessageRow, MessageState, OutboxRow, TraceRow,
};
use starling_overlay::group::AddressGroup;
use starling_overlay::storage::HeldRecord;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, PublisherKey, RecordId, RecordKey};
use starling_proto::record::RecordKind;
use starling_proto::time::{UnixMillis, UnixSeconds};
use starling_store::{DataKey, Database, Home, HomeLock, Protection, StoreError};

/// A home without a passphrase; its directory goes with it.
pub(crate) struct TestHome {
    pub(crate) lock: HomeLock,
    dir: tempfile::TempDir,
}

impl TestHome {
    /// A home, and its database.
    pub(crate) fn new() -> (Self, Database) {
        let home = Self::empty();
        let made = Home::set_up(&home.lock, &Protection::None, &mut rng(), |_| Ok::<_, StoreError>(()));
        (home, made.unwrap())
    }

    /// A home without an account.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { lock: Home::create(dir.path()).unwrap().lock().unwrap(), dir }
    }

    /// A home with these files.
    pub(crate) fn with_files(files: &[(&str, &[u8])]) -> Self {
        let home = Self::empty();
        for (name, bytes) in files {
            fs::write(home.file(name), bytes).unwrap();
        }
        home
    }

    /// A second home with the same files, as a power cut would leave them: what is in use is copied as it stands.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::empty();
        for name in ["data.key", "starling.db", "starling.db-wal"] {
            if self.file(name).exists() {
                fs::copy(self.file(name), copy.file(name)).unwrap();
            }
        }
        copy
    }

    pub(crate) fn home(&self) -> &Home {
        self.lock.home()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts other bytes in a file's place.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) {
        fs::remove_file(self.file(name)).unwrap();
        fs::write(self.file(name), bytes).unwrap();
    }

    pub(crate) fn key(&self) -> DataKey {
        self.home().unlock(None).unwrap()
    }

    pub(crate) fn open(&self) -> Result<Database, StoreError> {
        Database::open(&self.lock, &self.key())
    }
}

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

/// A record of `size` bytes, different for each `number`.
pub(crate) fn record(number: u32, size: usize) -> (HeldRecord, Arc<[u8]>) {
    let id = |salt: u8| {
        let mut bytes = [salt; 32];
        bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_le_bytes());
        bytes
    };
    let held = HeldRecord {
        id: RecordId::new(id(1)),
        key: RecordKey::new(id(2)),
        kind: RecordKind::Deposit,
        publisher: PublisherKey::new(id(3)),
        sequence: u64::from(number),
        size: size as u32,
        received: UnixSeconds::new(1),
        expires: UnixSeconds::new(2),
        keep_until: UnixSeconds::new(3),
        tombstone: false,
        welcome: true,
        work: 0,
        group: AddressGroup::V4([8, 8, 8]),
    };
    let content: Vec<u8> =
        (0..size).map(|at| (at as u32).wrapping_mul(31).wrapping_add(number) as u8).collect();
    (held, content.into())
}

/// A contact whose number is its account and its petname.
pub(crate) fn contact(number: u8, body: usize) -> ContactRow {
    ContactRow {
        account: AccountKey::new([number; 32]),
        state: ContactState::ALL[usize::from(number) % ContactState::ALL.len()],
        petname: Some(format!("contact {number}")),
        name: "Ada".into(),
        verified: !number.is_multiple_of(2),
        added: UnixSeconds::new(u64::MAX),
        last_seen: None,
        body: vec![number; body],
    }
}

/// The message at place and position `number` of `author`'s chain in the conversation with account 1.
pub(crate) fn message(author: u8, number: u64, text: &str) -> MessageRow {
    let mut id = [author; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    MessageRow {
        id: MessageId::new(id),
        conversation: AccountKey::new([1; 32]),
        author: DeviceKey::new([author; 32]),
        mine: author == 1,
        sequence: number,
        hash: [number as u8; 32],
        position: number,
        sent_at: UnixMillis::new(u64::MAX),
        received_at: UnixMillis::new(number),
        state: MessageState::ALL[number as usize % MessageState::ALL.len()],
        kind: MessageKind::Text,
        about: None,
        edited_at: None,
        lives: None,
        ends: None,
        text: text.into(),
    }
}

pub(crate) fn outbox_row(number: u64, content: usize) -> OutboxRow {
    OutboxRow {
        number,
        account: AccountKey::new([1; 32]),
        device: DeviceKey::new([2; 32]),
        message: MessageId::new([3; 16]),
        content: vec![number as u8; content],
        queued_at: UnixMillis::new(4),
        expires: UnixSeconds::new(u64::MAX),
        mailed: None,
    }
}

/// A step of the first message of `message`'s chain.
pub(crate) fn step(message: u8, step: u32) -> TraceRow {
    TraceRow {
        message: self::message(message, 1, "").id,
        at: UnixMillis::new(u64::MAX),
        step,
        device: step.is_multiple_of(2).then_some(DeviceKey::new([7; 32])),
        peers: u32::MAX,
    }
}

/// Changes one bit of a file, in place: some file systems flush a file that is cut and written anew, which is slow.
pub(crate) fn flip(path: &Path, bit: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}
