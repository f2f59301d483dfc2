//! Mail for those who are away: what has waited for a link for a while is sealed into envelopes and left at the mailbox
//! that the device has handed over, with as many of its closest peers as will have it.
//!
//! It stays in the outbox all the same, until the device's receipt: direct delivery is tried on, and what the device has
//! got already counts once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_crypto::CryptoError;
use starling_crypto::envelope::{Destination, seal};
use starling_crypto::keys::{DepositorSecret, SigningSecret as _};
use starling_crypto::record::sign_record;
use starling_crypto::secret::Secret;
use starling_crypto::session::OlmAccount;
use starling_overlay::io::Placement;
use starling_proto::content::{MailboxEpoch, MailboxGrant};
use starling_proto::identity::Bundle;
use starling_proto::ids::{DeviceKey, MessageId, NodeKey, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Deliver, StoreOutcome};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Now, Span, Tick};

use super::machine::Errand;
use super::trace::{self, Step};
use super::watched::{self, Watched};
use super::{Context, Talking, starting};
use crate::sampling::{self, FIRST, Watch};
use crate::storage::{Mailed, MessageState, OutboxRow, StorageError};
use crate::wish::Wish;

/// How long a message waits for a link: a contact that is there is reached in less.
const MESSAGE_WAITS: Span = Span::from_secs(15);
/// How long a batch on a link goes unanswered before its messages are left at the mailbox as well: the device answers
/// within a second, or its link is dead and nobody has noticed.
const UNANSWERED: Span = Span::from_secs(10);
/// How long a confirmation does: several go together, and when exactly they go says little of when mail was read.
const CONFIRMATION_WAITS: Span = Span::from_secs(120);
/// The first wait after nobody would keep it; doubles.
const FIRST_RETRY: Span = Span::from_secs(30);
/// The longest such wait.
const LONGEST_RETRY: Span = Span::from_hours(1);
/// How long a bundle is used before the device's newest is looked for again: its inbox key is a new one each week.
const BUNDLE_LIFE: Span = Span::from_hours(24);
/// Envelopes under way to one device.
const AT_ONCE: usize = 4;
/// Bundles that are remembered: as many devices are written to in an hour at most.
const BUNDLES: usize = 64;
/// When mail is left anew: a day before its holders let it go.
const AGAIN: Span = Span::from_days(13);
/// When mail is left anew that nobody asks for any more: its holders were forgotten in a restart.
const UNWATCHED: Span = Span::from_hours(24);

/// How soon something is to be left at a mailbox, if no link comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// Somebody waits for it.
    Message,
    /// Nobody does.
    Confirmation,
}

/// One device's mailbox, as far as we leave something there.
#[derive(Debug)]
struct Box {
    /// When we look at it again.
    due: Option<Tick>,
    wait: Span,
    /// What stood in the way last: told once, or it would take turns in the trace with what hinders the link.
    hindered: Option<Step>,
    /// What too few peers keep: placed again as it is, and when.
    short: Vec<Letter>,
    again: Option<Tick>,
    flights: BTreeMap<u64, Letter>,
}

/// What is in one envelope.
#[derive(Debug)]
struct Letter {
    record: Record,
    /// Rows of the outbox.
    rows: Vec<u64>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Mailing {
    boxes: BTreeMap<DeviceKey, Box>,
    bundles: BTreeMap<DeviceKey, (Bundle, Tick)>,
    pub(super) watched: Watched,
}

impl Box {
    const fn new() -> Self {
        Self {
            due: None,
            wait: FIRST_RETRY,
            hindered: None,
            short: Vec::new(),
            again: None,
            flights: BTreeMap::new(),
        }
    }

    /// When to look again, after a wait that doubles. `random` is any uniform number.
    fn later(&mut self, now: Tick, random: u32) -> Tick {
        let at = now.after(self.wait.jittered(random));
        self.wait = self.wait.times(2).min(LONGEST_RETRY);
        at
    }

    fn next(&self) -> Option<Tick> {
        self.due.into_iter().chain(self.again).min()
    }
}

impl Mailing {
    /// When a device's mailbox is looked at next.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.boxes.values().filter_map(Box::next).chain(self.watched.next_timeout()).min()
    }

    /// A device is not written to any more.
    pub(super) fn forget(&mut self, device: &DeviceKey) {
        self.boxes.remove(device);
        self.bundles.remove(device);
        self.watched.forget(device);
    }

    fn due(&self, now: Tick) -> Option<DeviceKey> {
        let due = self.boxes.iter().find(|(_, mailbox)| mailbox.next().is_some_and(|at| at <= now));
        due.map(|(device, _)| *device)
    }

    fn mailbox(&mut self, device: &DeviceKey) -> &mut Box {
        self.boxes.entry(*device).or_insert_with(Box::new)
    }

    fn bundle(&self, device: &DeviceKey, now: Tick) -> Option<&Bundle> {
        let known = self.bundles.get(device).filter(|(_, at)| now.since(*at) < BUNDLE_LIFE);
        known.map(|(bundle, _)| bundle)
    }

    fn learn(&mut self, device: DeviceKey, bundle: Bundle, now: Tick) {
        if self.bundles.len() >= BUNDLES && !self.bundles.contains_key(&device) {
            let oldest = self.bundles.iter().min_by_key(|(_, (_, at))| *at).map(|(device, _)| *device);
            oldest.and_then(|device| self.bundles.remove(&device));
        }
        self.bundles.insert(device, (bundle, now));
    }
}

impl<A: OlmAccount> Talking<A> {
    /// Something waits for a device that may be away.
    pub(super) fn mail_soon(&mut self, context: &mut Context<'_>, device: &DeviceKey, haste: Haste) {
        if self.links.up(device).is_some() {
            return;
        }
        let wait = match haste {
            Haste::Message => MESSAGE_WAITS,
            Haste::Confirmation => CONFIRMATION_WAITS.jittered(context.rng.next_u32()),
        };
        let at = context.now.tick.after(wait);
        let mailbox = self.mailing.mailbox(device);
        // A wait after a failure is not cut short by every message that is written meanwhile.
        let failing = mailbox.wait > FIRST_RETRY;
        if mailbox.due.is_none_or(|due| at < due && !failing) {
            mailbox.due = Some(at);
        }
    }

    /// A batch has left on a link, which may be dead.
    pub(super) fn mail_if_unanswered(&mut self, now: Tick, device: &DeviceKey) {
        self.mailing.mailbox(device).due.get_or_insert(now.after(UNANSWERED));
    }

    /// A link stands, or a device has handed over where its mail can be left: what hindered before hinders no more.
    pub(super) fn mail_freely(&mut self, device: &DeviceKey) {
        if let Some(mailbox) = self.mailing.boxes.get_mut(device) {
            (mailbox.wait, mailbox.hindered) = (FIRST_RETRY, None);
        }
    }

    /// When what is left for a device may go to its mailbox: a link that answers makes that needless.
    fn may_be_posted(&self, device: &DeviceKey, now: Tick) -> Option<Tick> {
        match (self.links.up(device), self.outbox.flies_since(device)) {
            (None, _) => Some(now),
            (Some(_), Some(since)) => Some(since.after(UNANSWERED)),
            (Some(_), None) => None,
        }
    }

    /// Everything that waits, after a start.
    pub(super) fn mail_all(&mut self, context: &mut Context<'_>) {
        let waiting: Vec<DeviceKey> = self.outbox.to_post().collect();
        waiting.iter().for_each(|device| self.mail_soon(context, device, Haste::Message));
    }

    /// Leaves at mailboxes what is due.
    pub(super) fn post(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        while let Some(device) = self.mailing.due(context.now.tick) {
            let now = context.now.tick;
            let may = self.may_be_posted(&device, now);
            let mailbox = self.mailing.mailbox(&device);
            let is_past = |at: Option<Tick>| at.is_some_and(|at| at <= now);
            let (due, again) = (is_past(mailbox.due), is_past(mailbox.again));
            if due {
                mailbox.due = may.filter(|at| now < *at);
            }
            if again {
                let rests = may.unwrap_or(now.after(LONGEST_RETRY));
                mailbox.again = (now < rests).then_some(rests);
            }
            if again && is_past(may) {
                self.place_again(context.now, &device);
            }
            if due && is_past(may) {
                self.post_to(context, &device)?;
            }
        }
        Ok(())
    }

    /// Offers once more what too few peers keep, if somebody waits for it still. What would end soon is sealed anew: no
    /// holder takes what has ended.
    fn place_again(&mut self, now: Now, device: &DeviceKey) {
        for letter in core::mem::take(&mut self.mailing.mailbox(device).short) {
            if self.outbox.messages(device, &letter.rows).next().is_none() {
                continue;
            }
            if letter.record.body().issued <= now.seconds().before(AGAIN) {
                self.outbox.set_posting(device, &letter.rows, false);
                self.mailing.mailbox(device).due = Some(now.tick);
            } else {
                self.place(*device, letter);
            }
        }
    }

    fn post_to(&mut self, context: &mut Context<'_>, device: &DeviceKey) -> Result<(), StorageError> {
        while self.outbox.has_unposted(device) && self.mailing.mailbox(device).flights.len() < AT_ONCE {
            if !self.write_letter(context, device)? {
                break;
            }
        }
        Ok(())
    }

    /// Seals the next of what waits. Says whether a letter has left.
    fn write_letter(&mut self, context: &mut Context<'_>, device: &DeviceKey) -> Result<bool, StorageError> {
        let now = context.now;
        let Some((person, peer)) = self.circle.device(device) else { return Ok(false) };
        let epoch = MailboxEpoch::of(now.seconds());
        let grants = person.reach.get(device).map(|reach| reach.mailboxes.as_slice()).unwrap_or_default();
        let Some(grant) = grants.iter().find(|grant| grant.epoch == epoch).cloned() else {
            return self.not_posted(context, device, Step::NoMailbox);
        };
        let Some(bundle) = self.mailing.bundle(device, now.tick).cloned() else {
            self.ask_for_bundle(*device);
            return Ok(false);
        };
        if !self.sessions.is_open(context.store, peer)? && !self.open_session(context, peer)? {
            return self.not_posted(context, device, Step::NoSession);
        }
        let letter = self.outbox.letter(device);
        let (rows, contents): (Vec<u64>, Vec<Vec<u8>>) = letter.into_iter().unzip();
        let list = context.identity.list().hash();
        let sealed = self.sessions.seal(context.store, context.rng, (peer, list), contents)?;
        let deposit = sealed.map(|messages| deposit(context, &bundle, &grant, &Deliver { messages }));
        let Some(Ok(record)) = deposit else {
            // The bundle's key is none, or the session's: the newest bundle may be better.
            self.mailing.bundles.remove(device);
            return self.not_posted(context, device, Step::NoSession);
        };
        self.place(*device, Letter { record, rows });
        Ok(true)
    }

    fn place(&mut self, device: DeviceKey, letter: Letter) {
        self.outbox.set_posting(&device, &letter.rows, true);
        let record = letter.record.clone();
        let question = self.ask(Errand::Post(device), |tag| Wish::Store { tag, record });
        self.mailing.mailbox(&device).flights.insert(question, letter);
    }

    /// Something stands in the way: it is tried again later.
    fn not_posted(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        why: Step,
    ) -> Result<bool, StorageError> {
        let random = context.rng.next_u32();
        let mailbox = self.mailing.mailbox(device);
        if mailbox.due.is_none_or(|due| due <= context.now.tick) {
            // Letters that fail together are one failure.
            mailbox.due = Some(mailbox.later(context.now.tick, random));
        }
        self.hindered_by(context, device, why).map(|()| false)
    }

    fn hindered_by(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        why: Step,
    ) -> Result<(), StorageError> {
        if self.mailing.mailbox(device).hindered.replace(why) != Some(why) {
            self.explain(context, device, why)?;
        }
        Ok(())
    }

    fn ask_for_bundle(&mut self, device: DeviceKey) {
        let asked = |errand: &Errand| matches!(errand, Errand::InboxKey(of) if *of == device);
        if !self.errands.values().any(asked) {
            let key = RecordKey::for_bundle(&device);
            self.ask(Errand::InboxKey(device), |tag| Wish::Fetch { tag, key, kind: RecordKind::Bundle });
        }
    }

    /// A bundle was fetched for its inbox key, or not found.
    pub(super) fn inbox_key_came(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let now = context.now.tick;
        let known = self.mailing.bundles.remove(device).map(|(bundle, _)| bundle);
        // One that is old is better than none: its key is kept for longer than the longest mail.
        match starting::newest_bundle(records, device).or(known) {
            Some(bundle) => {
                self.mailing.learn(*device, bundle, now);
                self.mailing.mailbox(device).due = Some(now);
                Ok(())
            }
            None => self.not_posted(context, device, Step::NoSession).map(|_| ()),
        }
    }

    /// A letter has been placed, or could not be.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_stored(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
        placement: Option<&Placement>,
    ) -> Result<(), StorageError> {
        let Some(Errand::Post(device)) = self.errands.remove(&question) else { return Ok(()) };
        let letter =
            self.mailing.boxes.get_mut(&device).and_then(|mailbox| mailbox.flights.remove(&question));
        if let Some(letter) = letter {
            self.posted(context, device, letter, placement)?;
        }
        self.settle(context)
    }

    /// Nobody would place a letter in our place, or nobody confirms that it is placed. The same one is tried again: it may
    /// lie where it is to lie, and another, sealed anew, would lie beside it.
    pub(super) fn handle_unposted(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
    ) -> Result<(), StorageError> {
        let Some(Errand::Post(device)) = self.errands.remove(&question) else { return Ok(()) };
        let mailbox = self.mailing.boxes.get_mut(&device);
        if let Some(letter) = mailbox.and_then(|mailbox| mailbox.flights.remove(&question)) {
            self.offer_again(context, &device, letter);
            self.hindered_by(context, &device, Step::NotPassed)?;
        }
        self.settle(context)
    }

    fn posted(
        &mut self,
        context: &mut Context<'_>,
        device: DeviceKey,
        letter: Letter,
        placement: Option<&Placement>,
    ) -> Result<(), StorageError> {
        let holders = placement.map_or(0, Placement::count);
        if holders == 0 {
            let full = |(_, said): &(_, StoreOutcome)| *said == StoreOutcome::QuotaFull;
            let full = placement.is_some_and(|placement| placement.refused.iter().any(full));
            self.outbox.set_posting(&device, &letter.rows, false);
            let why = if full { Step::MailboxFull } else { Step::NotStored };
            return self.not_posted(context, &device, why).map(|_| ());
        }
        let me = context.identity.node().public();
        if placement.is_some_and(|placement| placement.others(&me) == 0) {
            // Nobody has it who does not go when we go. It waits where it is, or there would be a copy for each try.
            self.offer_again(context, &device, letter);
            return self.hindered_by(context, &device, Step::NotStored);
        }
        self.mailing.mailbox(&device).hindered = None;
        let holders_said = u32::try_from(holders).unwrap_or(u32::MAX);
        let mailed = Mailed { at: context.now.seconds(), holders: holders_said };
        let messages = self.outbox.posted(context.store, &device, &letter.rows, mailed)?;
        let enough = placement.is_some_and(|placement| is_enough(placement, &me));
        // What too few keep is offered again soon, whatever they do with it.
        // Of what was passed on nobody knows the holders: it is left anew after a day, as after a restart.
        let watched = |placement: &&Placement| placement.samples.holders() > 0;
        let placement = placement.filter(watched).filter(|_| enough && !messages.is_empty());
        if let Some(placement) = placement {
            let watch = Watch::new(placement, &me, (context.now.tick, FIRST), context.rng.next_u32());
            self.mailing.watched.add(device, letter.rows.clone(), watch);
        }
        for message in &messages {
            trace::note_with(
                context.store,
                context.now,
                *message,
                Step::Stored,
                (Some(device), holders_said),
            )?;
            if enough {
                self.is_stored(context, message)?;
            }
        }
        let more = self.outbox.has_unposted(&device);
        if !enough && !messages.is_empty() {
            self.offer_again(context, &device, letter);
            let mailbox = self.mailing.mailbox(&device);
            if more && mailbox.due.is_none() {
                mailbox.due = mailbox.again;
            }
        } else if enough {
            let mailbox = self.mailing.mailbox(&device);
            mailbox.wait = FIRST_RETRY;
            if more {
                mailbox.due = Some(context.now.tick);
            }
        }
        Ok(())
    }

    /// What too few keep is placed again, as it is.
    fn offer_again(&mut self, context: &mut Context<'_>, device: &DeviceKey, letter: Letter) {
        let random = context.rng.next_u32();
        let mailbox = self.mailing.mailbox(device);
        mailbox.short.push(letter);
        if mailbox.again.is_none() {
            mailbox.again = Some(mailbox.later(context.now.tick, random));
        }
    }

    fn is_stored(&mut self, context: &mut Context<'_>, message: &MessageId) -> Result<(), StorageError> {
        let status = context.store.message_status(message)?;
        match status.filter(|status| status.mine && status.state < MessageState::Stored) {
            Some(status) => self.advance(context, *message, status.conversation, MessageState::Stored),
            None => Ok(()),
        }
    }

    /// Leaves anew what its holders will soon let go, and what lies with holders that nobody remembers. Only by a clock
    /// that others confirm.
    pub(super) fn renew_mail(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.seconds();
        let (ends, unknown, watched) =
            (now.before(AGAIN), now.before(UNWATCHED), self.mailing.watched.rows());
        let unwatched = |row: &OutboxRow, mailed: Mailed| {
            let lain = mailed.at <= unknown && watched::must_lie_on(row, mailed, now) == Span::ZERO;
            lain && !watched.contains(&row.number)
        };
        let wanted = |row: &OutboxRow, mailed: Mailed| mailed.at <= ends || unwatched(row, mailed);
        self.outbox.post_again(context.store, wanted)?;
        self.mail_all(context);
        Ok(())
    }
}

/// Whether so many holders are what is called stored: most of those who should be, and not we alone.
pub(crate) fn is_enough(placement: &Placement, me: &NodeKey) -> bool {
    sampling::is_enough(placement.others(me), placement.count(), placement.wanted)
}

/// Seals a batch for the device of a bundle and signs it with the leave to deposit it.
fn deposit(
    context: &mut Context<'_>,
    bundle: &Bundle,
    grant: &MailboxGrant,
    deliver: &Deliver,
) -> Result<Record, CryptoError> {
    let now = context.now.seconds();
    let mailbox = grant.capability.body().address;
    let (epoch, key) = (bundle.inbox_epoch, &bundle.inbox_key);
    let to = Destination { device: bundle.device, mailbox, epoch, key };
    let envelope = seal(to, deliver.encode(), context.rng)?;
    let depositor = DepositorSecret::from_seed(&Secret::copy_of(&grant.depositor_seed));
    let body = RecordBody {
        key: RecordKey::for_mailbox(&mailbox),
        kind: RecordKind::Deposit,
        publisher: depositor.publisher(),
        sequence: now.get(),
        issued: now,
        expires: now.after(limits::MAIL_LIFE),
        payload: envelope.encode(),
        tombstone: false,
    };
    sign_record(&body, &depositor, None, Some(grant.capability.clone()))
}
