//! Telling devices where we are, again where it found no room, and anew where it has changed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_proto::content::{Content, ContentKind, HandOver};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::time::{Span, Tick, UnixMillis};

use super::contact::{Contact, KnownDevice, Plan};
use super::mailboxes::Mailboxes;
use super::{Context, Meeting, Output, keys};
use crate::storage::{ContactState, StorageError};

/// One-time keys that each device keeps for a contact's device.
const RESERVED: usize = 2;
/// Before what found no room is said again.
const FIRST_RETRY: Span = Span::from_secs(60);
/// The longest such wait: one-time keys are made for each try.
const LONGEST_RETRY: Span = Span::from_hours(1);
/// Devices that are told again at once.
const AT_ONCE: usize = 32;

/// When what found no room is said again.
#[derive(Debug)]
pub(super) struct Retelling {
    due: Option<Tick>,
    wait: Span,
    failed: bool,
}

impl Retelling {
    /// After a start: something may have been left.
    pub(super) const fn new(now: Tick) -> Self {
        Self { due: Some(now.after(FIRST_RETRY)), wait: FIRST_RETRY, failed: false }
    }

    /// When it is due.
    pub(super) const fn next_timeout(&self) -> Option<Tick> {
        self.due
    }

    fn failed(&mut self, now: Tick) {
        self.failed = true;
        self.due.get_or_insert(now.after(self.wait));
    }

    /// A round begins, in which something is said or there is nothing left.
    fn begin(&mut self, now: Tick, something: bool) {
        let longer = self.wait.times(2).min(LONGEST_RETRY);
        self.wait = if core::mem::take(&mut self.failed) { longer } else { FIRST_RETRY };
        self.due = something.then(|| now.after(self.wait));
    }
}

impl<A: OlmAccount> Meeting<A> {
    /// Tells a device where and how we can be reached.
    pub(super) fn tell(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        device: DeviceKey,
    ) -> Result<(), StorageError> {
        let me = context.me;
        self.secrets.save(context.store)?;
        let grants = self.secrets.boxes.grants((&account, &device), context.now.seconds());
        let hand_over = HandOver {
            name: me.name.clone(),
            device_list: me.identity.list().list().clone(),
            locator: me.locator,
            read_key: me.read_key.clone(),
            // What was just signed can be read: there is no error that could be one.
            mailboxes: grants.unwrap_or_default(),
            one_time_keys: keys::make_one_time_keys::<A>(context.store, RESERVED, context.rng)?,
        };
        let kind = ContentKind::HandOver(Box::new(fitting(hand_over)));
        self.errands.say(Output::Say { account, device, kind });
        Ok(())
    }

    /// What was to be said to a device found no room: it is said again, after a minute, then ever more slowly.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn untold(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(account).cloned() else { return Ok(()) };
        let Some(known) = contact.devices.get_mut(device) else { return Ok(()) };
        known.told = false;
        self.retelling.failed(context.now.tick);
        self.contacts.put(context.store, contact)
    }

    /// Says again what found no room, if it is time.
    pub(super) fn retell(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.tick;
        if self.retelling.next_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        let untold = self.contacts.everybody().flat_map(|contact| {
            let declined = contact.state == ContactState::Declined;
            contact.untold().map(move |device| (contact.account, *device, declined))
        });
        let untold: Vec<(AccountKey, DeviceKey, bool)> = untold.take(AT_ONCE).collect();
        self.retelling.begin(now, !untold.is_empty());
        for (account, device, declined) in untold {
            let Some(mut contact) = self.contacts.get(&account).cloned() else { continue };
            contact.devices.entry(device).or_default().tell(context.now.seconds());
            self.contacts.put(context.store, contact)?;
            if declined {
                self.errands.say(Output::Say { account, device, kind: ContentKind::Decline });
            } else {
                self.tell(context, account, device)?;
            }
        }
        Ok(())
    }

    /// Contacts that will soon know no mailbox of ours any more are told anew. Only by a clock that others confirm.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub(super) fn top_up(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.seconds();
        let low = |device: &KnownDevice| {
            device.told && device.told_epoch.is_none_or(|told| Mailboxes::is_low(told, now))
        };
        let accepted = self.contacts.everybody().filter(|contact| contact.state == ContactState::Accepted);
        let running_out = accepted.filter(|contact| contact.devices.values().any(low));
        let running_out: Vec<Contact> = running_out.cloned().collect();
        for mut contact in running_out {
            contact.devices.values_mut().filter(|device| low(device)).for_each(|device| device.told = false);
            self.contacts.put(context.store, contact)?;
            self.retelling.due.get_or_insert(context.now.tick);
        }
        Ok(())
    }

    /// Our locator has been replaced, and with it our mailboxes: every accepted contact's device is told the new one, and whoever was asked is asked
    /// anew, since the request names the old one.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn locator_replaced(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.secrets.replace_mailboxes(context.now.seconds(), context.rng);
        self.secrets.save(context.store)?;
        self.set_mailboxes(context.now);
        let accounts: Vec<AccountKey> = self.contacts.everybody().map(|contact| contact.account).collect();
        accounts.into_iter().try_for_each(|account| self.moved(context, account))?;
        self.work(context)
    }

    /// Tells each of a contact's devices anew that was told before, and writes the contact down.
    pub(super) fn tell_anew(
        &mut self,
        context: &mut Context<'_>,
        mut contact: Contact,
    ) -> Result<(), StorageError> {
        let account = contact.account;
        let mut told = Vec::new();
        for (device, known) in contact.devices.iter_mut().filter(|(_, known)| known.told) {
            known.tell(context.now.seconds());
            told.push(*device);
        }
        self.contacts.put(context.store, contact)?;
        told.into_iter().try_for_each(|device| self.tell(context, account, device))
    }

    fn moved(&mut self, context: &mut Context<'_>, account: AccountKey) -> Result<(), StorageError> {
        let Some(contact) = self.contacts.get(&account) else { return Ok(()) };
        if contact.state == ContactState::Accepted {
            let mut contact = contact.clone();
            if contact.approach.as_mut().is_some_and(Plan::renew) {
                self.begin_approach(account, context.now.tick);
            }
            return self.tell_anew(context, contact);
        }
        let mut contact = contact.clone();
        let could_find_us = core::mem::take(&mut contact.can_find_us);
        let renewed = contact.approach.as_mut().is_some_and(Plan::renew);
        if renewed && contact.state == ContactState::Requested {
            self.begin_approach(account, context.now.tick);
        }
        if could_find_us || renewed { self.contacts.put(context.store, contact) } else { Ok(()) }
    }
}

/// As many mailboxes as fit beside the device list, the nearest in time first: what is left out is told later.
fn fitting(mut hand_over: HandOver) -> HandOver {
    let too_long = |hand_over: &HandOver| {
        let content = Content {
            id: MessageId::new([0; 16]),
            sent_at: UnixMillis::new(u64::MAX),
            link: None,
            kind: ContentKind::HandOver(Box::new(hand_over.clone())),
        };
        content.encode().len() > limits::SESSION_CONTENT
    };
    while too_long(&hand_over) && hand_over.mailboxes.pop().is_some() {}
    hand_over
}
