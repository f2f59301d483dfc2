//! Asking: from an account key to a request that lies in the inbox of each of its devices.
//!
//! Account record, device list, bundles, work, deposit; each step may fail and all of them are repeated, ever more
//! slowly, until the request lies somewhere, then weekly, since deposits end. A request that is sent again carries the
//! same one-time key, by which the other side knows it.

use alloc::collections::BTreeMap;
use alloc::string::String;

use rand_core::CryptoRng;
use starling_crypto::CryptoError;
use starling_crypto::envelope::{Destination, seal_request};
use starling_crypto::keys::{DepositorSecret, SigningSecret as _};
use starling_crypto::record::sign_record;
use starling_crypto::secret::Secret;
use starling_crypto::stamp::StampSubject;
use starling_proto::contact::{ContactRequest, ContactRequestBody};
use starling_proto::identity::{Bundle, DeviceCert, Envelope};
use starling_proto::ids::{AccountKey, DeviceKey, MailboxAddress, OlmKey, RecordKey, Signature};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Span, Tick};
use starling_proto::{DecodeError, limits};

use super::contact::Ticket;
use super::errands::{Errand, Errands};
use super::{ContactError, Context, Myself, invite};
use crate::wish::Wish;

/// The first wait after a request could not be placed: whoever has just come is listed within a second or two.
const FIRST_RETRY: Span = Span::from_secs(1);
/// The longest.
const LONGEST_RETRY: Span = Span::from_hours(1);
/// How long an approach rests once every device has its request: half of a deposit's life.
const REPEAT: Span = Span::from_days(7);
/// How long a device that has its request is left alone: less than the shortest rest.
const LEFT_ALONE: Span = Span::from_days(5);
/// The first rest where there are fewer holders than records have where there is no want of them: the network is cut
/// in two, or is growing, and they are not where everybody looks. Doubles up to [`REPEAT`].
const FIRST_REST: Span = Span::from_secs(60);
/// How long a request is repeated.
pub(super) const PATIENCE: Span = Span::from_days(30);
/// Approaches that read, work and deposit at once; more wait.
const AT_ONCE: usize = 8;

/// One approach.
#[derive(Debug)]
struct Approach {
    began: Tick,
    due: Tick,
    retry: Span,
    /// The next rest where holders are few.
    rest: Span,
    /// Devices being asked in this round; `None` between rounds.
    round: Option<BTreeMap<DeviceKey, Ask>>,
    /// Until when each device that has its request is left alone.
    placed: BTreeMap<DeviceKey, Tick>,
    /// Whether holders were few in this round.
    few: bool,
}

/// What became of a request to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It lies nowhere, or with too few of those who should keep it.
    No,
    /// With most of those there are, who are few.
    ByFew,
    /// With most of as many as records have.
    Yes,
}

/// How far one device is.
#[derive(Debug)]
enum Ask {
    ReadingBundle,
    /// What is to be placed once it has its stamp.
    Working(Record),
    Placing,
    Ended,
}

/// What is to be said to one device.
pub(super) struct Letter<'a> {
    pub(super) note: &'a str,
    pub(super) one_time_key: OlmKey,
    pub(super) reply_inbox: MailboxAddress,
    pub(super) invite: Option<&'a Ticket>,
}

/// Everybody whom we ask.
#[derive(Debug, Default)]
pub(super) struct Approaches {
    running: BTreeMap<AccountKey, Approach>,
}

impl Approaches {
    /// Asks, or asks anew.
    pub(super) fn begin(&mut self, account: AccountKey, at: Tick) {
        let (round, placed) = (None, BTreeMap::new());
        let approach =
            Approach { began: at, due: at, retry: FIRST_RETRY, rest: FIRST_REST, round, placed, few: false };
        self.running.insert(account, approach);
    }

    /// Asks no longer.
    pub(super) fn end(&mut self, account: &AccountKey) {
        self.running.remove(account);
    }

    /// Whether an approach has run for as long as a request is repeated, whatever the wall clock says.
    pub(super) fn is_outlived(&self, account: &AccountKey, now: Tick) -> bool {
        self.running.get(account).is_some_and(|approach| now > approach.began.after(PATIENCE))
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        let resting = self.running.values().filter(|approach| approach.round.is_none());
        if self.busy() >= AT_ONCE { None } else { resting.map(|approach| approach.due).min() }
    }

    fn busy(&self) -> usize {
        self.running.values().filter(|approach| approach.round.is_some()).count()
    }

    /// Begins the rounds that are due.
    pub(super) fn tick(&mut self, now: Tick, errands: &mut Errands) {
        let mut room = AT_ONCE.saturating_sub(self.busy());
        for (account, approach) in &mut self.running {
            if room == 0 {
                break;
            }
            if approach.round.is_none() && approach.due <= now {
                room = room.saturating_sub(1);
                approach.round = Some(BTreeMap::new());
                let (key, kind) = (RecordKey::for_account(account), RecordKind::Account);
                errands.send(Errand::Account(*account), |tag| Wish::Fetch { tag, key, kind });
            }
        }
    }

    /// Goes on to the devices; `devices` is `None` if the account could not be found.
    pub(super) fn found(
        &mut self,
        context: &mut Context<'_>,
        errands: &mut Errands,
        (account, invite): (AccountKey, Option<&Ticket>),
        devices: Option<&[DeviceKey]>,
    ) {
        let Some(approach) = self.running.get_mut(&account) else { return };
        let Some(round) = approach.round.as_mut() else { return };
        let now = context.now.tick;
        let wanted = |device: &DeviceKey| invite.is_none_or(|ticket| ticket.device == *device);
        let Some(devices) = devices else {
            approach.rest(false, now, context.rng);
            return;
        };
        for &device in devices {
            let left_alone = approach.placed.get(&device).is_some_and(|until| now < *until);
            if wanted(&device) && !left_alone {
                round.insert(device, Ask::ReadingBundle);
                let (key, kind) = (RecordKey::for_bundle(&device), RecordKind::Bundle);
                errands.send(Errand::Bundle(account, device), |tag| Wish::Fetch { tag, key, kind });
            }
        }
        approach.close_round(now, context.rng);
    }

    /// Gives the bundle to which the request is to be sealed.
    pub(super) fn bundle_read(
        &mut self,
        context: &mut Context<'_>,
        (account, device): (AccountKey, DeviceKey),
        records: &[Record],
    ) -> Option<Bundle> {
        let approach = self.running.get_mut(&account)?;
        let ask = approach.ask(&device)?;
        let Some(bundle) = newest_bundle(&device, records) else {
            approach.ended(&device, Kept::No, context);
            return None;
        };
        *ask = Ask::Placing;
        Some(bundle)
    }

    /// Lets the work for a request be done.
    pub(super) fn work(
        &mut self,
        errands: &mut Errands,
        (account, device): (AccountKey, DeviceKey),
        request: Record,
    ) {
        if let Some(ask) = self.running.get_mut(&account).and_then(|approach| approach.ask(&device)) {
            let subject = StampSubject::Request(request.id());
            *ask = Ask::Working(request);
            errands.send(Errand::Stamp(account, device), |tag| Wish::Stamp { tag, subject });
        }
    }

    /// Gives the request for which work has been done.
    pub(super) fn worked(&mut self, account: &AccountKey, device: &DeviceKey) -> Option<Record> {
        let ask = self.running.get_mut(account)?.ask(device)?;
        match core::mem::replace(ask, Ask::Placing) {
            Ask::Working(request) => Some(request),
            other => {
                *ask = other;
                None
            }
        }
    }

    /// Notes whether one device has its request.
    pub(super) fn ended(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        device: &DeviceKey,
        kept: Kept,
    ) {
        if let Some(approach) = self.running.get_mut(account) {
            approach.ended(device, kept, context);
        }
    }
}

impl Approach {
    fn ask(&mut self, device: &DeviceKey) -> Option<&mut Ask> {
        self.round.as_mut()?.get_mut(device)
    }

    fn ended(&mut self, device: &DeviceKey, kept: Kept, context: &mut Context<'_>) {
        let now = context.now.tick;
        if let Some(ask) = self.ask(device) {
            *ask = Ask::Ended;
        }
        match kept {
            Kept::No => {}
            Kept::ByFew => {
                self.few = true;
                self.placed.insert(*device, now.after(self.rest.halved()));
            }
            Kept::Yes => drop(self.placed.insert(*device, now.after(LEFT_ALONE))),
        }
        self.close_round(now, context.rng);
    }

    /// Ends the round when every device has ended: at rest for a week, or for a while if some device has no request.
    fn close_round(&mut self, now: Tick, rng: &mut dyn CryptoRng) {
        let Some(round) = &self.round else { return };
        if !round.values().all(|ask| matches!(ask, Ask::Ended)) {
            return;
        }
        let has = |device: &DeviceKey| self.placed.get(device).is_some_and(|until| now < *until);
        let all_have = round.keys().all(has) && !self.placed.is_empty();
        self.rest(all_have, now, rng);
    }

    fn rest(&mut self, all_have: bool, now: Tick, rng: &mut dyn CryptoRng) {
        let few = core::mem::take(&mut self.few);
        let wait = match (all_have, few) {
            (true, false) => REPEAT,
            (true, true) => self.rest,
            (false, _) => self.retry,
        };
        if all_have && few {
            self.rest = self.rest.times(2).min(REPEAT);
        }
        self.retry = if all_have { FIRST_RETRY } else { self.retry.times(2).min(LONGEST_RETRY) };
        self.due = now.after(wait.jittered(rng.next_u32()));
        self.round = None;
    }
}

fn newest_bundle(device: &DeviceKey, records: &[Record]) -> Option<Bundle> {
    let key = RecordKey::for_bundle(device);
    let bundles = records
        .iter()
        .map(Record::body)
        .filter(|body| body.kind == RecordKind::Bundle && body.key == key && !body.tombstone);
    let newest = bundles.max_by_key(|body| body.sequence)?;
    Bundle::decode(&newest.payload).ok().filter(|bundle| bundle.device == *device)
}

/// Writes, seals and signs a request as a deposit: with leave from the invite, or to be stamped.
///
/// # Errors
/// [`CryptoError`] if the bundle's key is none, or the request is too long even without our name.
pub(super) fn deposit(
    context: &mut Context<'_>,
    bundle: &Bundle,
    letter: &Letter<'_>,
) -> Result<Record, CryptoError> {
    let now = context.now.seconds();
    let (mailbox, depositor, leave) = match letter.invite {
        None => (bundle.request_inbox, DepositorSecret::from_seed(&Secret::random(context.rng)), None),
        Some(ticket) => {
            let (depositor, leave) = invite::leave(&ticket.secret, now.after(limits::MAIL_LIFE))?;
            (leave.body().address, depositor, Some(leave))
        }
    };
    let envelope = seal(context, bundle, mailbox, letter)?;
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
    sign_record(&body, &depositor, None, leave)
}

fn seal(
    context: &mut Context<'_>,
    bundle: &Bundle,
    mailbox: MailboxAddress,
    letter: &Letter<'_>,
) -> Result<Envelope, CryptoError> {
    let device = context.me.identity.device_secret();
    let (epoch, key) = (bundle.inbox_epoch, &bundle.inbox_key);
    let to = Destination { device: bundle.device, mailbox, epoch, key };
    let body = request(&context.me, bundle.device, letter, context.now.seconds());
    match seal_request(&body, device, to, context.rng) {
        // The name has grown since the note was checked.
        Err(CryptoError::Decode(DecodeError::TooLong { .. })) => {
            let nameless = ContactRequestBody { name: String::new(), ..body };
            seal_request(&nameless, device, to, context.rng)
        }
        sealed => sealed,
    }
}

fn request(
    me: &Myself<'_>,
    recipient: DeviceKey,
    letter: &Letter<'_>,
    issued: starling_proto::time::UnixSeconds,
) -> ContactRequestBody {
    ContactRequestBody {
        recipient,
        account: me.identity.account(),
        device_certs: me.identity.cert_chain().iter().map(DeviceCert::encode).collect(),
        device_list: me.identity.list().hash(),
        reply_inbox: letter.reply_inbox,
        locator: me.locator,
        read_key: me.read_key.clone(),
        name: me.name.as_str().into(),
        note: letter.note.into(),
        one_time_key: letter.one_time_key,
        issued,
    }
}

/// Whether a request of ours with this note fits.
///
/// # Errors
/// [`ContactError::NoteTooLong`] or [`ContactError::ChainTooLong`].
pub(super) fn check_note(context: &Context<'_>, note: &str) -> Result<(), ContactError> {
    if context.me.identity.cert_chain().len() > limits::REQUEST_CERTS {
        return Err(ContactError::ChainTooLong);
    }
    let letter = Letter {
        note,
        one_time_key: OlmKey::new([0; 32]),
        reply_inbox: MailboxAddress::new([0; 32]),
        invite: None,
    };
    let body = request(&context.me, DeviceKey::new([0; 32]), &letter, context.now.seconds());
    match ContactRequest::new(body.encode(), Signature::new([0; 64])) {
        Ok(_) => Ok(()),
        Err(DecodeError::TooLong { limit, got, .. }) => {
            let over = usize::try_from(got.saturating_sub(limit)).unwrap_or(usize::MAX);
            Err(ContactError::NoteTooLong { over })
        }
        Err(_) => Err(ContactError::ChainTooLong),
    }
}

#[cfg(test)]
mod tests;
