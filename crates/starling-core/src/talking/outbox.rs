//! What has not been confirmed: a row for each message and device, until that device's receipt or thirty days.
//!
//! One batch at a time is under way to a device. The answer to it says how much is on the device's disk, which ends
//! what needs no receipt; everything else stays until the receipt, and is sent again when a link comes back.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::content::{Content, ContentKind, Own};
use starling_proto::frame::FrameKind;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::padding::Buckets;
use starling_proto::time::{Now, Span, Tick};

use crate::storage::{Mailed, OutboxRow, StorageError, TalkStore};

/// How long a row is kept.
pub const LIFE: Span = Span::from_days(30);
/// Rows for all devices together: three months of a talkative person to somebody who is away, ten thousand texts that a
/// program writes at once, and at most 100 MiB.
pub const ROWS: usize = 12_288;
/// Copies that wait for one of our own devices, besides the rows for others: what it lacks then, it lacks.
const COPIES: usize = 4096;
/// Rows beyond [`ROWS`] for what decides whether people can talk at all: hand-overs and refusals.
const RESERVED: usize = 256;
/// Receipts and requests to send again that wait for one device. More are dropped: a message that comes again is confirmed
/// again. So nobody fills the outbox by sending much and taking nothing.
const CONFIRMATIONS: usize = 64;
/// How long something that is on a device's disk waits for its receipt before it is sent again on the same link.
const UNCONFIRMED: Span = Span::from_secs(60);
/// How long a hand-over waits for a link or a mailbox before another way to the device is wanted.
const INTRODUCTION: Span = Span::from_secs(60);
/// What a session message weighs beyond its padded text: prekey header, session id, numbers and tags, rounded up.
const OVERHEAD: usize = 256;
/// What a session plaintext holds beside its content (docs/protocol/sessions.md).
const NAMES: usize = 184;

/// There are [`ROWS`] rows already, confirmations apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is full: at most {ROWS} messages wait")]
pub struct Full;

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndsWith {
    /// The device's receipt.
    Receipt,
    /// The device's word that the batch is on its disk: receipts themselves, and requests to send again.
    Delivery,
}

#[derive(Debug)]
struct Waiting {
    row: OutboxRow,
    ends: EndsWith,
    is_said: bool,
    /// Whether it is a copy for a device of ours.
    is_copy: bool,
    /// Whether it says where we are.
    introduces: bool,
    /// Whether the device has it on its disk, by its answer on the link that stands.
    on_disk: Option<Tick>,
    /// Whether it is being placed at the device's mailbox.
    posting: bool,
}

impl Waiting {
    /// Whether it is to be put into the device's mailbox.
    const fn to_post(&self) -> bool {
        self.on_disk.is_none() && !self.posting && self.row.mailed.is_none()
    }
}

/// A batch that is under way.
#[derive(Debug)]
struct Flight {
    call: u64,
    left: Tick,
    numbers: Vec<u64>,
}

/// What an answer to a batch said of each message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Landed {
    /// On the device's disk.
    pub on_disk: Vec<MessageId>,
    /// Not.
    pub refused: Vec<MessageId>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Outbox {
    rows: BTreeMap<(DeviceKey, u64), Waiting>,
    /// How many of them end with a receipt.
    contents: usize,
    next: u64,
    flights: BTreeMap<DeviceKey, Flight>,
}

impl Outbox {
    /// Takes up what was written before.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn load(store: &dyn TalkStore) -> Result<Self, StorageError> {
        let mut outbox = Self::default();
        for row in store.outbox()? {
            outbox.next = outbox.next.max(row.number.saturating_add(1));
            outbox.insert(row);
        }
        Ok(outbox)
    }

    /// Writes a row, or adds to one: receipts that wait leave together. `Ok(false)`: there is no room for one of its kind;
    /// nothing was written.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn add(
        &mut self,
        store: &mut dyn TalkStore,
        now: Now,
        (account, device): (AccountKey, DeviceKey),
        content: &Content,
    ) -> Result<bool, StorageError> {
        if self.join(store, &device, content)? {
            return Ok(true);
        }
        if !self.has_room(&device, &content.kind) {
            return Ok(false);
        }
        let row = OutboxRow {
            number: self.next,
            account,
            device,
            message: content.id,
            content: content.encode(),
            queued_at: now.wall,
            expires: now.seconds().after(LIFE),
            mailed: None,
        };
        self.next = self.next.saturating_add(1);
        store.write_outbox(&row)?;
        self.insert(row);
        Ok(true)
    }

    /// Adds a receipt to the newest that has not left. Whoever has just answered a proof may not speak yet, and takes
    /// hundreds of texts one by one meanwhile: a row for the receipt of each would be more than are kept.
    fn join(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        content: &Content,
    ) -> Result<bool, StorageError> {
        let ContentKind::Receipt { delivered, read } = &content.kind else { return Ok(false) };
        let under_way = self.flights.get(device).map_or(&[][..], |flight| &flight.numbers);
        let waits = |waiting: &&mut Waiting| {
            waiting.ends == EndsWith::Delivery && !waiting.posting && !under_way.contains(&waiting.row.number)
        };
        let newest = self.rows.range_mut((*device, 0)..=(*device, u64::MAX)).map(|(_, waiting)| waiting);
        let Some(waiting) = newest.rev().find(waits) else { return Ok(false) };
        let Ok(mut joined) = Content::decode(&waiting.row.content) else { return Ok(false) };
        let ContentKind::Receipt { delivered: all_delivered, read: all_read } = &mut joined.kind else {
            return Ok(false);
        };
        for (all, more) in [(&mut *all_delivered, delivered), (&mut *all_read, read)] {
            let new: Vec<MessageId> = more.iter().filter(|id| !all.contains(id)).copied().collect();
            all.extend(new);
        }
        if all_delivered.len() > limits::MESSAGE_IDS || all_read.len() > limits::MESSAGE_IDS {
            return Ok(false);
        }
        waiting.row.content = joined.encode();
        store.write_outbox(&waiting.row)?;
        Ok(true)
    }

    /// Whether `more` texts still fit.
    ///
    /// # Errors
    /// [`Full`].
    pub fn room_for(&self, more: usize) -> Result<(), Full> {
        if self.contents.saturating_add(more) <= ROWS { Ok(()) } else { Err(Full) }
    }

    fn has_room(&self, device: &DeviceKey, kind: &ContentKind) -> bool {
        match ends_with(kind) {
            EndsWith::Delivery => {
                let confirmations =
                    self.of_device(device).filter(|waiting| waiting.ends == EndsWith::Delivery);
                confirmations.count() < CONFIRMATIONS
            }
            EndsWith::Receipt if matches!(kind, ContentKind::Said(_)) => self.contents < ROWS,
            // A device of ours that is never switched on again must not keep us from talking.
            EndsWith::Receipt if is_copy(kind) => {
                self.of_device(device).filter(|waiting| waiting.is_copy).count() < COPIES
            }
            EndsWith::Receipt => self.contents < ROWS.saturating_add(RESERVED),
        }
    }

    /// How many rows wait for anybody.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a batch is under way to a device.
    #[must_use]
    pub fn is_flying(&self, device: &DeviceKey) -> bool {
        self.flights.contains_key(device)
    }

    /// Whether this batch is under way to a device.
    #[must_use]
    pub fn flies(&self, device: &DeviceKey, call: u64) -> bool {
        self.flights.get(device).is_some_and(|flight| flight.call == call)
    }

    /// Whether something is still to be handed to a device.
    #[must_use]
    pub fn has_unsent(&self, device: &DeviceKey) -> bool {
        self.of_device(device).any(|waiting| waiting.on_disk.is_none())
    }

    /// Whether a hand-over has waited for a device in vain: neither a link nor a mailbox took it.
    #[must_use]
    pub fn introduction_waits(&self, device: &DeviceKey, now: Now) -> bool {
        let waiting =
            self.of_device(device).filter(|waiting| waiting.introduces && waiting.row.mailed.is_none());
        waiting
            .map(|waiting| waiting.row.queued_at.seconds())
            .any(|at| now.seconds().since(at) >= INTRODUCTION)
    }

    /// The messages that wait for a device.
    pub fn waiting(&self, device: &DeviceKey) -> impl Iterator<Item = MessageId> {
        self.of_device(device).map(|waiting| waiting.row.message)
    }

    /// What is said in conversations and waits for a device, encoded, in order.
    pub fn texts(&self, device: &DeviceKey) -> impl Iterator<Item = Vec<u8>> {
        let texts = self.of_device(device).filter(|waiting| waiting.is_said && !waiting.is_copy);
        texts.map(|waiting| waiting.row.content.clone())
    }

    /// The next rows for a device: at most `most`, and as many as fit one frame. Numbers and contents. Confirmations first:
    /// behind thousands of texts they would come to more than are kept, and be lost. Then what decides whether texts are
    /// taken at all, hand-overs and refusals; then texts, in order.
    #[must_use]
    pub fn batch(&self, device: &DeviceKey, most: usize) -> Vec<(u64, Vec<u8>)> {
        let unsent = || self.of_device(device).filter(|waiting| waiting.on_disk.is_none());
        let confirmations = unsent().filter(|waiting| waiting.ends == EndsWith::Delivery);
        let others = unsent().filter(|waiting| waiting.ends == EndsWith::Receipt && !waiting.is_said);
        let texts = unsent().filter(|waiting| waiting.is_said);
        fitting(confirmations.chain(others).chain(texts), most, FrameKind::Deliver.cap())
    }

    /// The next rows for a device's mailbox, texts last and in order: as many as fit one envelope. Numbers and contents.
    #[must_use]
    pub fn letter(&self, device: &DeviceKey) -> Vec<(u64, Vec<u8>)> {
        let unposted = || self.of_device(device).filter(|waiting| waiting.to_post());
        let others = unposted().filter(|waiting| !waiting.is_said);
        let unposted = others.chain(unposted().filter(|waiting| waiting.is_said));
        fitting(unposted, limits::DELIVER_BATCH, Buckets::ENVELOPE.longest())
    }

    /// Devices for which something is to be put into their mailboxes.
    pub fn to_post(&self) -> impl Iterator<Item = DeviceKey> {
        let mut last = None;
        let unposted = self.rows.iter().filter(|(_, waiting)| waiting.to_post());
        unposted.map(|((device, _), _)| *device).filter(move |device| last.replace(*device) != Some(*device))
    }

    /// Whether something is to be put into a device's mailbox.
    #[must_use]
    pub fn has_unposted(&self, device: &DeviceKey) -> bool {
        self.of_device(device).any(Waiting::to_post)
    }

    /// These are being placed at the device's mailbox, or no longer.
    pub fn set_posting(&mut self, device: &DeviceKey, numbers: &[u64], posting: bool) {
        for number in numbers {
            if let Some(waiting) = self.rows.get_mut(&(*device, *number)) {
                waiting.posting = posting;
            }
        }
    }

    /// These lie at the device's mailbox. What needs no receipt ends with it. Gives the messages that still wait.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn posted(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        numbers: &[u64],
        mailed: Mailed,
    ) -> Result<Vec<MessageId>, StorageError> {
        let mut messages = Vec::new();
        for number in numbers {
            let Some(waiting) = self.rows.get_mut(&(*device, *number)) else { continue };
            waiting.posting = false;
            if waiting.ends == EndsWith::Delivery {
                self.remove(store, *device, *number)?;
                continue;
            }
            waiting.row.mailed = Some(mailed);
            messages.push(waiting.row.message);
            store.set_mailed(*number, waiting.row.mailed)?;
        }
        Ok(messages)
    }

    /// What lies at a mailbox and is `wanted` there anew is to be put there again.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn post_again(
        &mut self,
        store: &mut dyn TalkStore,
        wanted: impl Fn(&OutboxRow, Mailed) -> bool,
    ) -> Result<(), StorageError> {
        for waiting in self.rows.values_mut() {
            if waiting.row.mailed.is_some_and(|mailed| wanted(&waiting.row, mailed)) {
                waiting.row.mailed = None;
                store.set_mailed(waiting.row.number, None)?;
            }
        }
        Ok(())
    }

    /// Those of these that lie at the device's mailbox.
    pub fn mailed<'a>(
        &'a self,
        device: &DeviceKey,
        numbers: &'a [u64],
    ) -> impl Iterator<Item = (&'a OutboxRow, Mailed)> + 'a {
        let device = *device;
        let rows = numbers.iter().filter_map(move |number| self.rows.get(&(device, *number)));
        rows.filter_map(|waiting| waiting.row.mailed.map(|mailed| (&waiting.row, mailed)))
    }

    /// So many peers keep these. Gives the messages of which that is news.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn set_holders(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        (numbers, holders): (&[u64], u32),
    ) -> Result<Vec<MessageId>, StorageError> {
        let mut messages = Vec::new();
        for number in numbers {
            let Some(waiting) = self.rows.get_mut(&(*device, *number)) else { continue };
            let Some(mailed) = waiting.row.mailed.as_mut().filter(|mailed| mailed.holders != holders) else {
                continue;
            };
            mailed.holders = holders;
            messages.push(waiting.row.message);
            store.set_mailed(*number, waiting.row.mailed)?;
        }
        Ok(messages)
    }

    /// How many peers keep a message, of the copy that most keep.
    #[must_use]
    pub fn holders(&self, message: &MessageId) -> Option<u32> {
        let copies = self.rows.values().filter(|waiting| waiting.row.message == *message);
        copies.filter_map(|waiting| waiting.row.mailed).map(|mailed| mailed.holders).max()
    }

    /// The messages of a batch.
    pub fn messages<'a>(
        &'a self,
        device: &DeviceKey,
        numbers: &'a [u64],
    ) -> impl Iterator<Item = MessageId> + 'a {
        let device = *device;
        numbers.iter().filter_map(move |number| self.rows.get(&(device, *number)).map(|w| w.row.message))
    }

    /// A batch has left.
    pub fn departed(&mut self, device: DeviceKey, call: u64, numbers: Vec<u64>, now: Tick) {
        self.flights.insert(device, Flight { call, numbers, left: now });
    }

    /// When the batch that is under way to a device left.
    #[must_use]
    pub fn flies_since(&self, device: &DeviceKey) -> Option<Tick> {
        self.flights.get(device).map(|flight| flight.left)
    }

    /// The answer to a batch: the first `count` messages are on the device's disk. `None` for a batch that was given up.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn landed(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        (call, count): (u64, usize),
        now: Tick,
    ) -> Result<Option<Landed>, StorageError> {
        let Some(flight) = self.flights.get(device).filter(|flight| flight.call == call) else {
            return Ok(None);
        };
        let numbers = flight.numbers.clone();
        self.flights.remove(device);
        let mut landed = Landed::default();
        for (at, number) in numbers.into_iter().enumerate() {
            let Some(waiting) = self.rows.get_mut(&(*device, number)) else { continue };
            let message = waiting.row.message;
            if at >= count {
                landed.refused.push(message);
                continue;
            }
            waiting.on_disk = Some(now);
            landed.on_disk.push(message);
            if waiting.ends == EndsWith::Delivery {
                self.remove(store, *device, number)?;
            }
        }
        Ok(Some(landed))
    }

    /// What has been on a device's disk for a while and is not confirmed is to be sent again: its receipt was lost, or not
    /// written for want of room. What comes again is confirmed again.
    pub fn send_unconfirmed(&mut self, device: &DeviceKey, now: Tick) {
        for (_, waiting) in self.rows.range_mut((*device, 0)..=(*device, u64::MAX)) {
            waiting.on_disk = waiting.on_disk.filter(|since| now.since(*since) < UNCONFIRMED);
        }
    }

    /// The link with a device is gone: everything for it is to be sent again. Gives what was under way.
    pub fn link_lost(&mut self, device: &DeviceKey) -> Vec<MessageId> {
        let flight = self.flights.remove(device);
        for (_, waiting) in self.rows.range_mut((*device, 0)..=(*device, u64::MAX)) {
            waiting.on_disk = None;
        }
        let numbers = flight.map(|flight| flight.numbers).unwrap_or_default();
        self.messages(device, &numbers).collect()
    }

    /// These are to be sent again, if they still wait: the device says that it has not got them.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn send_again(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        wanted: impl Fn(&Content) -> bool,
    ) -> Result<(), StorageError> {
        for (_, waiting) in self.rows.range_mut((*device, 0)..=(*device, u64::MAX)) {
            let sent = waiting.on_disk.is_some() || waiting.row.mailed.is_some();
            if sent && Content::decode(&waiting.row.content).is_ok_and(|content| wanted(&content)) {
                waiting.on_disk = None;
                if waiting.row.mailed.take().is_some() {
                    store.set_mailed(waiting.row.number, None)?;
                }
            }
        }
        Ok(())
    }

    /// The message of which this is a copy for a device of ours.
    #[must_use]
    pub fn copied(&self, device: &DeviceKey, copy: &MessageId) -> Option<MessageId> {
        let waiting = self.of_device(device).find(|waiting| waiting.row.message == *copy)?;
        match Content::decode(&waiting.row.content).ok()?.kind {
            ContentKind::Own(Own::Copy { content, .. }) => Some(content.id),
            _ => None,
        }
    }

    /// The device's receipt for a message. Says whether a row waited for it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn confirmed(
        &mut self,
        store: &mut dyn TalkStore,
        device: &DeviceKey,
        message: &MessageId,
    ) -> Result<bool, StorageError> {
        let of = |waiting: &&Waiting| waiting.row.message == *message && waiting.ends == EndsWith::Receipt;
        let Some(number) = self.of_device(device).find(of).map(|waiting| waiting.row.number) else {
            return Ok(false);
        };
        self.remove(store, *device, number)?;
        Ok(true)
    }

    /// Takes out what has expired, and what is for devices that are not written to any more.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn take_ended(
        &mut self,
        store: &mut dyn TalkStore,
        ended: impl Fn(&OutboxRow) -> bool,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        let rows =
            self.rows.values().filter(|waiting| ended(&waiting.row)).map(|waiting| waiting.row.clone());
        let rows: Vec<OutboxRow> = rows.collect();
        for row in &rows {
            self.remove(store, row.device, row.number)?;
        }
        Ok(rows)
    }

    /// Whether another device's copy of a message still waits.
    #[must_use]
    pub fn waits_for(&self, message: &MessageId) -> bool {
        self.rows.values().any(|waiting| waiting.row.message == *message)
    }

    fn insert(&mut self, row: OutboxRow) {
        let kind = Content::decode(&row.content).map(|content| content.kind);
        let ends = kind.as_ref().map_or(EndsWith::Receipt, ends_with);
        let is_copy = kind.as_ref().is_ok_and(is_copy);
        self.contents = self.contents.saturating_add(usize::from(ends == EndsWith::Receipt && !is_copy));
        let is_said = matches!(kind, Ok(ContentKind::Said(_) | ContentKind::Own(Own::Copy { .. })));
        let introduces = matches!(kind, Ok(ContentKind::HandOver(_)));
        let waiting = Waiting { row, ends, is_said, is_copy, introduces, on_disk: None, posting: false };
        self.rows.insert((waiting.row.device, waiting.row.number), waiting);
    }

    fn remove(
        &mut self,
        store: &mut dyn TalkStore,
        device: DeviceKey,
        number: u64,
    ) -> Result<(), StorageError> {
        let gone = self.rows.remove(&(device, number));
        let was_content = gone.is_some_and(|waiting| waiting.ends == EndsWith::Receipt && !waiting.is_copy);
        self.contents = self.contents.saturating_sub(usize::from(was_content));
        store.remove_outbox(number)
    }

    fn of_device(&self, device: &DeviceKey) -> impl Iterator<Item = &Waiting> {
        self.rows.range((*device, 0)..=(*device, u64::MAX)).map(|(_, waiting)| waiting)
    }
}

const fn is_copy(kind: &ContentKind) -> bool {
    matches!(kind, ContentKind::Own(Own::Copy { .. }))
}

const fn ends_with(kind: &ContentKind) -> EndsWith {
    match kind {
        ContentKind::Receipt { .. } | ContentKind::Resend { .. } => EndsWith::Delivery,
        _ => EndsWith::Receipt,
    }
}

/// The first of these, at most `most`, that together fit into `bytes`; one at least.
fn fitting<'a>(rows: impl Iterator<Item = &'a Waiting>, most: usize, bytes: usize) -> Vec<(u64, Vec<u8>)> {
    let mut batch = Vec::new();
    let mut weighs = OVERHEAD;
    for waiting in rows {
        weighs = weighs.saturating_add(weight(&waiting.row.content));
        if batch.len() >= most.min(limits::DELIVER_BATCH) || (weighs > bytes && !batch.is_empty()) {
            break;
        }
        batch.push((waiting.row.number, waiting.row.content.clone()));
    }
    batch
}

/// What content weighs in a frame.
fn weight(content: &[u8]) -> usize {
    let text = content.len().saturating_add(NAMES);
    let bucket = Buckets::SESSION.lengths().iter().copied().find(|bucket| *bucket > text);
    bucket.unwrap_or(limits::SEALED).saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use starling_proto::content::MessageText;
    use starling_proto::time::{UnixMillis, UnixSeconds};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::storage::OutboxStore as _;
    use crate::talking::fixture::{hand_over, identity};

    const ADA: AccountKey = AccountKey::new([1; 32]);
    const PHONE: DeviceKey = DeviceKey::new([2; 32]);
    const DESK: DeviceKey = DeviceKey::new([3; 32]);

    fn text(n: u8, length: usize) -> Content {
        let kind = MessageText::new("x".repeat(length)).unwrap().into();
        Content { id: MessageId::new([n; 16]), sent_at: UnixMillis::new(0), link: None, kind }
    }

    fn receipt(n: u8) -> Content {
        let kind = ContentKind::Receipt { delivered: vec![MessageId::new([n; 16])], read: Vec::new() };
        Content { kind, ..text(n, 1) }
    }

    fn filled(contents: &[Content]) -> (Outbox, MemoryStore) {
        let (mut outbox, mut store) = (Outbox::default(), MemoryStore::default());
        for content in contents {
            assert!(outbox.add(&mut store, Now::default(), (ADA, PHONE), content).unwrap());
        }
        (outbox, store)
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        outbox.batch(&PHONE, 64).into_iter().map(|(number, _)| number).collect()
    }

    /// A text that a device gets before the hand-over by which it takes texts at all is passed over.
    #[test]
    fn what_decides_whether_texts_are_taken_leaves_before_them() {
        let decline = Content { kind: ContentKind::Decline, ..text(2, 1) };
        let (outbox, _) = filled(&[text(1, 9), decline, text(3, 9), receipt(4)]);
        assert_eq!(numbers(&outbox), [3, 1, 0, 2]);
        let posted: Vec<u64> = outbox.letter(&PHONE).into_iter().map(|(number, _)| number).collect();
        assert_eq!(posted, [1, 3, 0, 2], "and so they do by mail");
    }

    #[test]
    fn a_text_ends_with_its_receipt_and_a_receipt_with_its_delivery() {
        let (mut outbox, mut store) = filled(&[text(1, 9), receipt(2), text(3, 9)]);
        outbox.departed(PHONE, 7, numbers(&outbox), Tick::ZERO);
        let landed = outbox.landed(&mut store, &PHONE, (7, 2), Tick::ZERO).unwrap().unwrap();
        assert_eq!(
            landed.on_disk,
            [MessageId::new([2; 16]), MessageId::new([1; 16])],
            "the receipt leaves first"
        );
        assert_eq!(landed.refused, [MessageId::new([3; 16])]);
        assert_eq!(numbers(&outbox), [2], "what was refused goes again");
        assert_eq!(store.outbox().unwrap().len(), 2);
        assert!(outbox.confirmed(&mut store, &PHONE, &MessageId::new([1; 16])).unwrap());
        assert!(!outbox.confirmed(&mut store, &PHONE, &MessageId::new([1; 16])).unwrap());
        assert!(
            !outbox.confirmed(&mut store, &DESK, &MessageId::new([3; 16])).unwrap(),
            "another device's word"
        );
        assert_eq!(store.outbox().unwrap().len(), 1);
    }

    #[test]
    fn a_lost_link_sends_everything_again() {
        let (mut outbox, mut store) = filled(&[text(1, 9), text(2, 9)]);
        outbox.departed(PHONE, 7, vec![0], Tick::ZERO);
        outbox.landed(&mut store, &PHONE, (7, 1), Tick::ZERO).unwrap().unwrap();
        outbox.departed(PHONE, 8, vec![1], Tick::ZERO);
        assert_eq!(outbox.link_lost(&PHONE), [MessageId::new([2; 16])]);
        assert_eq!(numbers(&outbox), [0, 1]);
        assert_eq!(
            outbox.landed(&mut store, &PHONE, (8, 1), Tick::ZERO).unwrap(),
            None,
            "an answer that comes too late"
        );
        assert_eq!(numbers(&Outbox::load(&store).unwrap()), [0, 1], "and so after a restart");
    }

    #[test]
    fn a_batch_fits_its_frame() {
        let (outbox, _) = filled(&(0..100).map(|n| text(n, 20)).collect::<Vec<_>>());
        assert_eq!(outbox.batch(&PHONE, 1).len(), 1);
        assert!((32..=64).contains(&outbox.batch(&PHONE, 64).len()));
        let (outbox, _) = filled(&[text(1, limits::TEXT), text(2, limits::TEXT), text(3, 1)]);
        assert_eq!(numbers(&outbox).len(), 1, "two padded to 16 KiB do not fit");
    }

    #[test]
    fn what_has_expired_is_taken_out() {
        let (mut outbox, mut store) = filled(&[text(1, 9)]);
        let end = UnixMillis::new(LIFE.as_ms()).seconds();
        assert!(outbox.take_ended(&mut store, |row| row.expires < end).unwrap().is_empty());
        assert_eq!(outbox.take_ended(&mut store, |row| row.expires <= end).unwrap().len(), 1);
        assert!(outbox.is_empty() && store.outbox().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_confirmed_is_sent_again_on_the_same_link() {
        let (mut outbox, mut store) = filled(&[text(1, 9), text(2, 9)]);
        outbox.departed(PHONE, 7, numbers(&outbox), Tick::ZERO);
        outbox.landed(&mut store, &PHONE, (7, 2), Tick::ZERO).unwrap();
        outbox.send_unconfirmed(&PHONE, Tick::from_ms(59_999));
        assert!(!outbox.has_unsent(&PHONE));
        outbox.send_unconfirmed(&PHONE, Tick::from_ms(60_000));
        assert!(outbox.has_unsent(&PHONE));
    }

    #[test]
    fn a_hand_over_that_neither_a_link_nor_a_mailbox_took_is_told_after_a_minute() {
        let second = |seconds: u64| Now { wall: UnixMillis::new(seconds * 1000), ..Now::default() };
        let (outbox, _) = filled(&[text(1, 9)]);
        assert!(!outbox.introduction_waits(&PHONE, second(1000)), "a text says nothing of where we are");
        let hand_over = Content {
            kind: ContentKind::HandOver(Box::new(hand_over(&identity(&mut MemoryStore::default(), 1)))),
            ..text(2, 1)
        };
        let (mut outbox, mut store) = filled(&[hand_over]);
        let waits = |outbox: &Outbox| [59, 60].map(|at| outbox.introduction_waits(&PHONE, second(at)));
        assert_eq!(waits(&outbox), [false, true]);
        let mailed = Mailed { at: UnixSeconds::new(60), holders: 20 };
        outbox.posted(&mut store, &PHONE, &[0], mailed).unwrap();
        assert_eq!(waits(&outbox), [false, false]);
    }

    #[test]
    fn receipts_that_wait_leave_together() {
        let (mut outbox, mut store) = filled(&(1..=200).map(receipt).collect::<Vec<_>>());
        assert!(outbox.add(&mut store, Now::default(), (ADA, PHONE), &receipt(1)).unwrap());
        let confirms = |content: &[u8]| match Content::decode(content).unwrap().kind {
            ContentKind::Receipt { delivered, .. } => delivered,
            other => panic!("{other:?}"),
        };
        let [(first, content)] = &outbox.batch(&PHONE, 64)[..] else { panic!("one row") };
        assert_eq!(confirms(content), (1..=200).map(|n| MessageId::new([n; 16])).collect::<Vec<_>>());
        assert_eq!(store.outbox().unwrap()[0].content, *content, "as it is on disk");

        outbox.departed(PHONE, 7, vec![*first], Tick::ZERO);
        assert!(outbox.add(&mut store, Now::default(), (ADA, PHONE), &receipt(201)).unwrap());
        outbox.landed(&mut store, &PHONE, (7, 1), Tick::ZERO).unwrap();
        let [(_, content)] = &outbox.batch(&PHONE, 64)[..] else { panic!("one row") };
        assert_eq!(confirms(content), [MessageId::new([201; 16])], "what was under way was not added to");

        let kind =
            |n| ContentKind::Receipt { delivered: vec![MessageId::new([n; 16]); 256], read: Vec::new() };
        let whole = Content { kind: kind(9), ..text(9, 1) };
        assert!(outbox.add(&mut store, Now::default(), (ADA, PHONE), &whole).unwrap());
        assert_eq!(outbox.batch(&PHONE, 64).len(), 2, "a receipt has its bounds");
    }

    #[test]
    fn whoever_takes_nothing_does_not_fill_it() {
        let (mut outbox, mut store) = (Outbox::default(), MemoryStore::default());
        let receipt = |n: u8| Content {
            kind: ContentKind::Resend { ids: Vec::new(), sequences: Vec::new() },
            ..text(n, 1)
        };
        let kept =
            (0..200).filter(|n| outbox.add(&mut store, Now::default(), (ADA, PHONE), &receipt(*n)).unwrap());
        assert_eq!(kept.count(), CONFIRMATIONS, "the rest is confirmed when it comes again");
        assert_eq!(outbox.room_for(ROWS), Ok(()), "what we write ourselves has its own room");
        for n in 0..ROWS {
            let sent = outbox.add(&mut store, Now::default(), (ADA, DESK), &text(n as u8, 1));
            assert_eq!(sent, Ok(true));
        }
        assert_eq!(outbox.add(&mut store, Now::default(), (ADA, DESK), &text(0, 1)), Ok(false));
        let refusal = Content { kind: ContentKind::Decline, ..text(1, 1) };
        assert_eq!(
            outbox.add(&mut store, Now::default(), (ADA, DESK), &refusal),
            Ok(true),
            "there is a reserve"
        );
        assert!(outbox.add(&mut store, Now::default(), (ADA, DESK), &receipt(1)).unwrap());
        assert_eq!(Outbox::load(&store).unwrap().contents, outbox.contents);
    }
}
