//! A holder on a bench: records made by hand, a verifier that looks at one byte, two clocks.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use starling_proto::ids::{MailboxAddress, NodeKey, PublisherKey, RecordId, RecordKey, Signature};
use starling_proto::limits as proto_limits;
use starling_proto::message::{Operation, OwnerOperation, OwnerRequest, Response, StoreOutcome};
use starling_proto::record::{Capability, CapabilityBody, Record, RecordBody, RecordKind, Stamp};
use starling_proto::time::{Month, Now, Span, Tick, UnixMillis, UnixSeconds};

use super::{Holder, HolderConfig, Offer, Stored, Tools};
use crate::group::AddressGroup;
use crate::io::Remote;
use crate::memory::MemoryStore;
use crate::storage::HeldRecord;
use crate::verify::{RecordRejection, Verify};

pub(super) const START: u64 = 1_000 * 24 * 3600;
pub(super) const DAY: u64 = 24 * 3600;
const GOOD: Signature = Signature::new([1; 64]);
const BAD: Signature = Signature::new([0; 64]);

/// Good is what is signed with ones. Counts what it is asked.
#[derive(Debug, Default)]
pub(crate) struct Double {
    pub(super) asked: core::cell::Cell<usize>,
}

impl Verify for Double {
    fn record(&self, record: &Record, _: UnixSeconds) -> Result<(), RecordRejection> {
        self.asked.set(self.asked.get() + 1);
        if *record.signature() == GOOD { Ok(()) } else { Err(RecordRejection::Signature) }
    }

    fn owner(&self, request: &OwnerRequest, _: &NodeKey, _: &[u8; proto_limits::CHANNEL_BINDING]) -> bool {
        *request.signature() == GOOD
    }

    fn matched_words(&self, record: &Record, words: &[String]) -> usize {
        let text = String::from_utf8_lossy(&record.body().payload).into_owned();
        words.iter().filter(|word| text.split(' ').any(|own| own.starts_with(word.as_str()))).count()
    }
}

/// Makes records; every field can be changed before [`Maker::make`].
#[derive(Debug, Clone)]
pub(super) struct Maker {
    pub(super) body: RecordBody,
    pub(super) bits: Option<u8>,
    pub(super) quota_kib: Option<u32>,
    pub(super) good: bool,
}

pub(super) fn number(of: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&of.to_be_bytes());
    bytes
}

pub(super) fn mailbox(of: u64) -> MailboxAddress {
    MailboxAddress::new(number(of))
}

impl Maker {
    fn new(key: RecordKey, kind: RecordKind, publisher: u64) -> Self {
        let publisher = PublisherKey::new(number(publisher));
        let (issued, expires) = (UnixSeconds::new(START), UnixSeconds::new(START + 10 * DAY));
        let payload = b"alice".to_vec();
        let body =
            RecordBody { key, kind, publisher, sequence: 1, issued, expires, payload, tombstone: false };
        Self { body, bits: Some(12), quota_kib: None, good: true }
    }

    /// An entry of `publisher` under the key of "alice".
    pub(super) fn directory(publisher: u64) -> Self {
        Self::new(RecordKey::for_token("alice"), RecordKind::Directory, publisher)
    }

    /// A locator: no stamp, a key of its own.
    pub(super) fn locator(publisher: u64) -> Self {
        Self { bits: None, ..Self::new(RecordKey::new(number(publisher)), RecordKind::Locator, publisher) }
    }

    /// A contact's deposit at a mailbox, with leave for 1 MiB.
    pub(super) fn mail(at: u64, text: u64) -> Self {
        let key = RecordKey::for_mailbox(&mailbox(at));
        let new = Self::new(key, RecordKind::Deposit, 1_000 + at);
        Self { bits: None, quota_kib: Some(1024), ..new }.text(&text.to_string())
    }

    /// A stranger's contact request.
    pub(super) fn request(at: u64, publisher: u64, bits: u8) -> Self {
        let key = RecordKey::for_mailbox(&mailbox(at));
        Self { bits: Some(bits), ..Self::new(key, RecordKind::Deposit, publisher) }
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.body.payload = text.as_bytes().to_vec();
        self
    }

    pub(super) fn sized(mut self, payload: usize) -> Self {
        self.body.payload = vec![b'a'; payload];
        self
    }

    pub(super) fn sequence(mut self, sequence: u64) -> Self {
        self.body.sequence = sequence;
        self
    }

    pub(super) fn dated(mut self, issued: u64, expires: u64) -> Self {
        self.body.issued = UnixSeconds::new(issued);
        self.body.expires = UnixSeconds::new(expires);
        self
    }

    pub(super) fn tombstone(mut self) -> Self {
        self.body.tombstone = true;
        self.body.payload.clear();
        self
    }

    pub(super) fn bad(self) -> Self {
        Self { good: false, ..self }
    }

    pub(super) fn make(&self) -> Record {
        let stamp = self.bits.map(|bits| Stamp { month: Month::new(33), bits, nonce: 1 });
        let leave = self.quota_kib.map(|quota_kib| {
            let body = CapabilityBody {
                address: mailbox(0),
                depositor: self.body.publisher,
                expires: UnixSeconds::new(START + 99 * DAY),
                quota_kib,
            };
            Capability::new(body.encode(), GOOD).unwrap()
        });
        let signature = if self.good { GOOD } else { BAD };
        Record::new(self.body.encode(), signature, stamp, leave).unwrap()
    }
}

/// The row of a record that came from group 1 at the beginning.
pub(super) fn held(record: &Record) -> HeldRecord {
    let offer = Offer { record: record.clone(), near: true, from: group(1) };
    let now = Now { tick: Tick::ZERO, wall: UnixMillis::new(START * 1000) };
    super::row_of(&offer, record.encode().len(), now).unwrap()
}

pub(super) fn group(of: u16) -> AddressGroup {
    let [a, b] = of.to_be_bytes();
    AddressGroup::V4([8, a, b])
}

/// A holder and its surroundings.
pub(super) struct Desk {
    pub(super) holder: Holder,
    pub(super) store: MemoryStore,
    pub(super) verify: Double,
    pub(super) rng: ChaCha8Rng,
    pub(super) now: Now,
    pub(super) config: HolderConfig,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with_disk(super::limits::DISK)
    }

    pub(super) fn with_disk(disk: u64) -> Self {
        let config = HolderConfig { node: NodeKey::new([7; 32]), disk };
        let store = MemoryStore::default();
        let now = Now { tick: Tick::ZERO, wall: UnixMillis::new(START * 1000) };
        let holder = Holder::load(config, &store, now).unwrap();
        let rng = ChaCha8Rng::seed_from_u64(42);
        Self { holder, store, verify: Double::default(), rng, now, config }
    }

    pub(super) fn tools(&mut self) -> (&mut Holder, Tools<'_>) {
        let tools = Tools { store: &mut self.store, verify: &self.verify, rng: &mut self.rng };
        (&mut self.holder, tools)
    }

    pub(super) fn offer(&mut self, record: Record, from: AddressGroup) -> Stored {
        let now = self.now;
        let (holder, mut tools) = self.tools();
        holder.store(now, &mut tools, &Offer { record, near: true, from }).unwrap()
    }

    /// Offers a record from group 1.
    pub(super) fn put(&mut self, maker: &Maker) -> StoreOutcome {
        self.put_from(maker, 1)
    }

    pub(super) fn put_from(&mut self, maker: &Maker, from: u16) -> StoreOutcome {
        self.offer(maker.make(), group(from)).outcome
    }

    /// Both clocks go on.
    pub(super) fn pass(&mut self, secs: u64) {
        self.now.tick = self.now.tick.after(Span::from_secs(secs));
        self.set_wall(self.now.seconds().get() + secs);
    }

    pub(super) fn set_wall(&mut self, secs: u64) {
        self.now.wall = UnixMillis::new(secs * 1000);
    }

    pub(super) fn sweep(&mut self, trusted: bool) -> usize {
        self.holder.sweep(self.now, &mut self.store, trusted).unwrap().removed
    }

    /// Builds the machine anew from what is on disk, as after a crash.
    pub(super) fn restart(&mut self) {
        self.now.tick = Tick::ZERO;
        self.holder = Holder::load(self.config, &self.store, self.now).unwrap();
    }

    /// The same, with as much disk as the user says now.
    pub(super) fn restart_with_disk(&mut self, disk: u64) {
        self.config.disk = disk;
        self.restart();
    }

    pub(super) fn has(&self, maker: &Maker) -> bool {
        self.holder.index.get(&maker.make().id()).is_some()
    }

    pub(super) fn ids(&self) -> Vec<RecordId> {
        self.holder.index.rows().map(|entry| entry.held.id).collect()
    }

    pub(super) fn remote(&self, node: u8) -> Remote {
        Remote {
            key: NodeKey::new([node; 32]),
            address: "8.9.9.9:1".parse().unwrap(),
            binding: [3; proto_limits::CHANNEL_BINDING],
        }
    }

    pub(super) fn owner_operation(&self, at: u64, operation: Operation) -> OwnerOperation {
        OwnerOperation {
            operation,
            address: mailbox(at),
            holder: self.config.node,
            channel_binding: [3; proto_limits::CHANNEL_BINDING],
            issued: self.now.seconds(),
        }
    }

    /// The owner of a mailbox asks, over the connection of `node`.
    pub(super) fn owner(&mut self, node: u8, at: u64, operation: Operation) -> Response {
        let operation = self.owner_operation(at, operation);
        self.signed(node, &operation, true)
    }

    pub(super) fn signed(&mut self, node: u8, operation: &OwnerOperation, good: bool) -> Response {
        let signature = if good { GOOD } else { BAD };
        let request = OwnerRequest::new(operation.encode(), signature).unwrap();
        let (now, remote) = (self.now, self.remote(node));
        let (holder, mut tools) = self.tools();
        holder.owner(now, &mut tools, &remote, &request).unwrap()
    }
}
