//! The machine itself: routes what comes back to its parts, and drains what they want.

use core::marker::PhantomData;

use alloc::boxed::Box;
use alloc::vec::Vec;

use starling_crypto::envelope::open_request;
use starling_crypto::session::OlmAccount;
use starling_overlay::io::{CallError, ChannelBinding};
use starling_proto::identity::Envelope;
use starling_proto::ids::{AccountKey, MailboxAddress, NodeKey, RecordKey};
use starling_proto::record::Record;
use starling_proto::time::{Now, Span, Tick};

use super::approach::Approaches;
use super::arrivals::{self, Arrival, Arrivals};
use super::errands::{Errand, Errands};
use super::inbox::{self, Inbox};
use super::keys::InboxSecrets;
use super::refresh::Refresh;
use super::telling::Retelling;
use super::{Contacts, Context, Outcome, Output, lists};
use crate::storage::{ContactState, StorageError};

/// How often keys and invites are looked through for what has come to its end.
const UPKEEP: Span = Span::from_hours(1);

/// See the [module](super).
#[derive(Debug)]
pub struct Meeting<A> {
    pub(super) contacts: Contacts,
    pub(super) approaches: Approaches,
    pub(super) arrivals: Arrivals,
    pub(super) inbox: Inbox,
    pub(super) secrets: InboxSecrets,
    pub(super) refresh: Refresh,
    pub(super) retelling: Retelling,
    pub(super) errands: Errands,
    upkeep: Tick,
    olm: PhantomData<fn() -> A>,
}

impl<A: OlmAccount> Meeting<A> {
    /// Takes up what was written before.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn load(context: &mut Context<'_>) -> Result<Self, StorageError> {
        let clock = context.clock();
        let mut meeting = Self {
            contacts: Contacts::load(context.store)?,
            approaches: Approaches::default(),
            arrivals: Arrivals::default(),
            inbox: Inbox::default(),
            secrets: InboxSecrets::load::<A>(context.store, clock, context.rng)?,
            refresh: Refresh::default(),
            retelling: Retelling::new(context.now.tick),
            errands: Errands::default(),
            // Loading writes nothing: what has come to its end meanwhile is looked for by the first tick.
            upkeep: context.now.tick,
            olm: PhantomData,
        };
        let now = context.now.tick;
        for contact in meeting.contacts.iter() {
            if let Some(person) = contact.acquaintance() {
                meeting.errands.say(Output::Acquaint(person));
            }
            match contact.state {
                ContactState::Requested if contact.approach.is_some() => {
                    meeting.approaches.begin(contact.account, now);
                }
                ContactState::Accepted => meeting.refresh.soon(contact.account, now, context.rng),
                _ => {}
            }
        }
        meeting.inbox.set(meeting.secrets.mailboxes(), now);
        meeting.publish(context);
        Ok(meeting)
    }

    /// Everybody we know.
    #[must_use]
    pub const fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// The next thing to be done; ask until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.errands.poll()
    }

    /// When [`Self::tick`] is wanted; changes with every call.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        let parts = [
            self.approaches.next_timeout(),
            self.arrivals.next_timeout(),
            self.inbox.next_timeout(),
            self.refresh.next_timeout(),
            self.retelling.next_timeout(),
            Some(self.upkeep),
        ];
        parts.into_iter().flatten().min()
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn tick(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now;
        if self.upkeep <= now.tick {
            self.upkeep = now.tick.after(UPKEEP);
            let clock = context.clock();
            if self.secrets.tick::<A>(context.store, clock, context.rng)? {
                self.publish(context);
            }
        }
        self.inbox.set(self.secrets.mailboxes(), now.tick);
        self.arrivals.tick(now.tick, &mut self.errands);
        self.refresh.tick(now.tick, context.rng, &mut self.errands);
        self.retell(context)?;
        self.work(context)
    }

    /// Begins what is due of approaches and readings.
    #[expect(clippy::unnecessary_wraps, reason = "as all calls that may write")]
    pub(super) fn work(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.approaches.tick(context.now.tick, &mut self.errands);
        self.inbox.tick(context.now.tick, &mut self.errands);
        Ok(())
    }

    fn publish(&mut self, context: &Context<'_>) {
        let bundle = self.secrets.bundle(context.me.identity.device());
        self.errands.say(Output::Publish(bundle));
    }

    /// A bundle with this payload is on its holders.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn published(&mut self, context: &mut Context<'_>, payload: &[u8]) -> Result<(), StorageError> {
        if self.secrets.bundle(context.me.identity.device()).payload != payload {
            return Ok(());
        }
        let epoch = self.secrets.keys.current().0;
        self.secrets.published(epoch, context.clock(), context.rng);
        self.secrets.save(context.store)
    }

    /// A connection stands.
    pub fn peer_up(&mut self, peer: NodeKey, binding: ChannelBinding) {
        self.inbox.peer_up(peer, binding);
    }

    /// The last connection with a peer ended.
    pub fn peer_down(&mut self, peer: &NodeKey, now: Now) {
        self.inbox.peer_down(peer, now.tick);
    }

    /// This peer says that something has come: believed only of holders that were asked to tell us of this mailbox.
    /// `false` if it was not.
    pub fn notified_by(&mut self, address: &MailboxAddress, from: &NodeKey, now: Now) -> bool {
        let believed = self.inbox.notified_by(address, from, now.tick);
        self.inbox.tick(now.tick, &mut self.errands);
        believed
    }

    /// Our own holder keeps a new deposit at this key.
    pub fn kept_here(&mut self, key: &RecordKey, now: Now) {
        self.inbox.kept_here(key, now.tick);
        self.inbox.tick(now.tick, &mut self.errands);
    }

    /// A contact's account record is to be read again.
    pub fn list_changed(&mut self, context: &mut Context<'_>, account: &AccountKey) {
        self.refresh.at_once(account, context.now.tick);
        self.refresh.tick(context.now.tick, context.rng, &mut self.errands);
    }

    /// Something that was wanted has ended; `number` is the tag's.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn done(
        &mut self,
        context: &mut Context<'_>,
        number: u64,
        outcome: Outcome,
    ) -> Result<(), StorageError> {
        let Some(errand) = self.errands.take(number) else { return Ok(()) };
        match errand {
            Errand::Account(account) => self.account_read(context, account, &fetched(outcome).0)?,
            Errand::Bundle(account, device) => {
                self.bundle_read(context, account, device, &fetched(outcome).0)?;
            }
            Errand::Stamp(account, device) => self.stamped(context, account, device, &outcome)?,
            Errand::Deposit(account, device) => self.deposited(context, account, device, &outcome),
            Errand::Requester(account) => self.requester_read(context, account, fetched(outcome))?,
            Errand::Refresh(account) => {
                self.refresh.ended(&account);
                self.refreshed(context, account, &fetched(outcome).0)?;
            }
            Errand::Read(mailbox) => {
                let (records, holders) = fetched(outcome);
                self.mailbox_read(context, mailbox, &records, holders)?;
            }
            Errand::Holders(_) | Errand::Connect(..) | Errand::Own(..) | Errand::Keep => {
                self.holder_done(context, errand, outcome);
            }
        }
        self.work(context)
    }

    fn holder_done(&mut self, context: &Context<'_>, errand: Errand, outcome: Outcome) {
        let errands = &mut self.errands;
        match (errand, outcome) {
            (Errand::Holders(mailbox), Outcome::Found(peers)) => {
                self.inbox.holders(context, errands, &mailbox, peers);
            }
            (Errand::Connect(holder, mailbox, operation), Outcome::Answered(Ok(_))) => {
                self.inbox.connected(context, errands, (holder, mailbox, operation));
            }
            (Errand::Own(holder, mailbox, _), Outcome::Answered(Ok(response))) => {
                self.inbox.owned(holder, &mailbox, &response);
            }
            (Errand::Own(holder, ..), Outcome::Answered(Err(CallError::Closed))) => {
                self.inbox.closed(&holder);
            }
            // What was not deleted comes up at the next reading, and another holder is asked to tell us.
            _ => {}
        }
    }

    fn requester_read(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        (records, holders): (Vec<Record>, usize),
    ) -> Result<(), StorageError> {
        let known = self.contacts.get(&account).and_then(|contact| contact.list.as_ref());
        let list = lists::newest(&account, known, &records);
        // A list without the device may be an old one, of a holder that was away.
        let Some(list) = list.filter(|list| self.arrivals.is_active(&account, list)) else {
            let (answered, now) = (holders > 0, context.now.tick);
            if let Some(gone) = self.arrivals.not_found(&account, answered, now, context.rng) {
                self.inbox.delete(context, &mut self.errands, &gone.mailbox, &[gone.record]);
            }
            return Ok(());
        };
        match self.arrivals.take(&account) {
            Some(arrival) => self.asked(context, &arrival, list),
            None => Ok(()),
        }
    }

    fn refreshed(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(&account).cloned() else { return Ok(()) };
        let known = contact.list.clone();
        match lists::newest(&account, known.as_ref(), records) {
            Some(list) if known.as_ref() != Some(&list) => {
                self.take_list(&mut contact, list);
                self.put(context, contact)
            }
            _ => Ok(()),
        }
    }

    /// Opens what lay at a mailbox: what can be opened goes on to be checked, the rest can go.
    fn mailbox_read(
        &mut self,
        context: &mut Context<'_>,
        mailbox: MailboxAddress,
        records: &[Record],
        holders: usize,
    ) -> Result<(), StorageError> {
        let random = context.rng.next_u32();
        let complete = self.inbox.read(&mailbox, holders, context.now.tick, random);
        let (mut arrivals, mut worthless) = (Vec::new(), Vec::new());
        for record in inbox::deposits(&mailbox, records) {
            match self.open(context, &mailbox, record) {
                Opened::Request(arrival) => arrivals.push(*arrival),
                Opened::Untimely if !context.clock_confirmed => {}
                Opened::Untimely | Opened::Worthless => worthless.push(record.id()),
            }
        }
        let request_inbox = self.secrets.request_inbox();
        self.arrivals.take_in(arrivals, &request_inbox, context.now.tick, &mut self.errands);
        if !worthless.is_empty() {
            self.inbox.delete(context, &mut self.errands, &mailbox, &worthless);
        }
        if complete {
            self.secrets.fetched(context.clock(), context.rng);
            self.secrets.save(context.store)?;
        }
        Ok(())
    }

    fn open(&self, context: &Context<'_>, mailbox: &MailboxAddress, record: &Record) -> Opened {
        let me = context.me.identity;
        let opened = Envelope::decode(&record.body().payload)
            .ok()
            .and_then(|envelope| open_request(&self.secrets.keys, &me.device(), mailbox, &envelope).ok());
        let Some(request) = opened.filter(|request| request.body().account != me.account()) else {
            return Opened::Worthless;
        };
        if !arrivals::is_timely(&request, context.now.seconds()) {
            return Opened::Untimely;
        }
        let bits = record.stamp().map_or(0, |stamp| stamp.bits);
        Opened::Request(Box::new(Arrival::new(request, bits, *mailbox, record.id())))
    }
}

/// What a deposit turned out to be.
enum Opened {
    /// A request, to be checked.
    Request(Box<Arrival>),
    /// A request whose date will not do: or our clock is wrong.
    Untimely,
    /// None that is for us.
    Worthless,
}

/// Nothing where the fetch could not be done.
fn fetched(outcome: Outcome) -> (Vec<Record>, usize) {
    match outcome {
        Outcome::Fetched { records, holders } => (records, holders),
        _ => (Vec::new(), 0),
    }
}
