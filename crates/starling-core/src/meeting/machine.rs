//! The machine itself: routes what comes back to its parts, and drains what they want.

use core::marker::PhantomData;

use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_overlay::io::{CallError, ChannelBinding};
use starling_proto::ids::{AccountKey, MailboxAddress, NodeKey, RecordKey};
use starling_proto::record::Record;
use starling_proto::time::{Now, Span, Tick};

use super::approach::Approaches;
use super::arrivals::Arrivals;
use super::errands::{Errand, Errands};
use super::inbox::Inbox;
use super::keys::InboxSecrets;
use super::refresh::{APART, OWN_APART, Refresh};
use super::telling::Retelling;
use super::{Contact, Contacts, Context, Outcome, Output, lists};
use crate::storage::{ContactState, StorageError};
use crate::talking::acquaintance::Acquaintance;

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
    /// Whether our own account record has been read since the start.
    pub(super) own_list_known: bool,
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
            contacts: Contacts::load(context.store, context.me.identity.account())?,
            approaches: Approaches::default(),
            arrivals: Arrivals::default(),
            inbox: Inbox::new(context.me.identity.node().public()),
            secrets: InboxSecrets::load::<A>(context.store, clock, context.rng)?,
            refresh: Refresh::default(),
            retelling: Retelling::new(context.now.tick),
            errands: Errands::default(),
            // Loading writes nothing: what has come to its end meanwhile is looked for by the first tick.
            upkeep: context.now.tick,
            own_list_known: false,
            olm: PhantomData,
        };
        let now = context.now.tick;
        meeting.refresh.soon(context.me.identity.account(), now, context.rng);
        for contact in meeting.contacts.everybody() {
            match contact.state {
                ContactState::Accepted => meeting.refresh.soon(contact.account, now, context.rng),
                ContactState::Requested => {}
                _ => continue,
            }
            if contact.approach.is_some() {
                meeting.approaches.begin(contact.account, now);
            }
        }
        meeting.set_mailboxes(context.now);
        meeting.publish(context);
        Ok(meeting)
    }

    /// Those that are talked with. [`Output::Acquaint`] says what changes about them.
    pub fn acquaintances(&self) -> impl Iterator<Item = Acquaintance> {
        self.contacts.everybody().filter_map(Contact::acquaintance)
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
            self.set_mailboxes(now);
            self.own_devices_changed(context)?;
            if context.clock_confirmed {
                self.top_up(context)?;
            }
        }
        self.arrivals.tick(now.tick, &mut self.errands);
        self.refresh.tick(now.tick, context.rng, &mut self.errands);
        self.retell(context)?;
        self.work(context)
    }

    /// Begins what is due of approaches and readings.
    pub(super) fn work(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.approaches.tick(context.now.tick, &mut self.errands);
        self.inbox.tick(context.now, &mut self.errands);
        while let Some((mailbox, finished)) = self.inbox.poll_finished() {
            self.mailbox_read(context, mailbox, &finished)?;
        }
        Ok(())
    }

    /// The inbox reads what is to be read at this time.
    pub(super) fn set_mailboxes(&mut self, now: Now) {
        self.inbox.set(self.secrets.mailboxes(now.seconds()), now.tick);
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

    /// We are in the network: what has come meanwhile is read at once.
    pub fn joined(&mut self, context: &Context<'_>) {
        self.inbox.joined(context.now.tick);
        self.refresh.at_once(&context.me.identity.account(), context.now.tick, OWN_APART);
    }

    /// This peer says that something has come: believed only of holders that were asked to tell us of this mailbox.
    /// `false` if it was not.
    pub fn notified_by(&mut self, address: &MailboxAddress, from: &NodeKey, now: Now) -> bool {
        self.inbox.notified_by(address, from, now.tick)
    }

    /// The peers that tell us what comes to our mailboxes: they know that these are ours.
    pub fn tellers(&self) -> impl Iterator<Item = NodeKey> {
        self.inbox.tellers()
    }

    /// Our own holder keeps a new deposit at this key.
    pub fn kept_here(&mut self, key: &RecordKey, now: Now) {
        self.inbox.kept_here(key, now.tick);
    }

    /// A contact's account record is to be read again.
    pub fn list_changed(&mut self, context: &mut Context<'_>, account: &AccountKey) {
        let apart = if self.contacts.is_own(account) { OWN_APART } else { APART };
        self.refresh.at_once(account, context.now.tick, apart);
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
            Errand::Stamp(account, device) => self.stamped(context, account, device, &outcome),
            Errand::Deposit(account, device) => self.deposited(context, account, device, &outcome),
            Errand::Requester(account) => self.requester_read(context, account, fetched(outcome))?,
            Errand::Refresh(account) => {
                self.refresh.ended(&account);
                self.refreshed(context, account, fetched(outcome))?;
            }
            Errand::Holders(_) | Errand::Connect(..) | Errand::Own(..) | Errand::Keep(..) => {
                self.holder_done(context, errand, outcome);
            }
        }
        self.work(context)
    }

    fn holder_done(&mut self, context: &Context<'_>, errand: Errand, outcome: Outcome) {
        let errands = &mut self.errands;
        match (errand, outcome) {
            (Errand::Holders(mailbox), Outcome::Found(peers)) => {
                self.inbox.holders(context.now, errands, &mailbox, peers);
            }
            (Errand::Holders(mailbox), _) => self.inbox.holders(context.now, errands, &mailbox, Vec::new()),
            (Errand::Connect(holder, mailbox, operation), Outcome::Answered(Ok(_))) => {
                self.inbox.connected(context.now, errands, (holder, mailbox, operation));
            }
            (Errand::Own(holder, mailbox, operation, binding), Outcome::Answered(Ok(response))) => {
                self.inbox.owned(context.now, errands, (holder, mailbox, operation), (binding, response));
            }
            (Errand::Own(holder, mailbox, operation, binding), Outcome::Answered(Err(CallError::Closed))) => {
                self.inbox.connection_gone(context.now, errands, &(holder, mailbox, operation), &binding);
            }
            (Errand::Keep(teller, binding), Outcome::Answered(Err(CallError::Closed))) => {
                self.inbox.closed(&teller, &binding, context.now.tick);
            }
            (Errand::Connect(holder, mailbox, operation) | Errand::Own(holder, mailbox, operation, _), _) => {
                self.inbox.failed(context.now, errands, &(holder, mailbox, operation));
            }
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
                self.inbox.delete(context.now, &mut self.errands, &gone.mailbox, &[gone.record]);
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
        (records, holders): (Vec<Record>, usize),
    ) -> Result<(), StorageError> {
        if self.contacts.is_own(&account) {
            self.own_list_read(context, (&records, holders));
            return Ok(());
        }
        let Some(mut contact) = self.contacts.get(&account).cloned() else { return Ok(()) };
        let known = contact.list.clone();
        match lists::newest(&account, known.as_ref(), &records) {
            Some(list) if known.as_ref() != Some(&list) => {
                self.take_list(context, &mut contact, list);
                self.put(context, contact)
            }
            _ => Ok(()),
        }
    }
}

/// Nothing where the fetch could not be done.
fn fetched(outcome: Outcome) -> (Vec<Record>, usize) {
    match outcome {
        Outcome::Fetched { records, holders } => (records, holders),
        _ => (Vec::new(), 0),
    }
}
