//! Our account's other devices: known, asked and told as a contact's are, in a row that no user sees; and what the user has
//! decided about people on one of them.

use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::identity::VerifiedDeviceList;
use starling_crypto::session::OlmAccount;
use starling_proto::content::{Card, CardStanding, ContentKind, Own};
use starling_proto::identity::Name;
use starling_proto::ids::AccountKey;
use starling_proto::limits;
use starling_proto::record::Record;
use starling_proto::time::UnixMillis;

use super::contact::Contact;
use super::{Context, Event, Meeting, Output, lists};
use crate::storage::{ContactState, StorageError};

/// What another device of the account reads in the request of this one.
const OWN: &str = "We are devices of one account.";

impl<A: OlmAccount> Meeting<A> {
    /// The account's device list may be another one: the row of the others follows it, and they are told.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn own_devices_changed(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let (account, own) = (context.me.identity.account(), context.me.identity.device());
        let list = context.me.identity.list();
        let known = self.contacts.get(&account);
        if list.devices().all(|device| device.key() == own) {
            if known.is_some() {
                self.contacts.remove(context.store, &account)?;
                self.approaches.end(&account);
                self.errands.say(Output::Forget(account));
            }
            return Ok(());
        }
        if known.is_some_and(|contact| contact.list.as_ref() == Some(list)) {
            return Ok(());
        }
        let new = || Contact::new(account, ContactState::Accepted, context.now.seconds());
        let mut contact = known.cloned().unwrap_or_else(new);
        contact.devices.retain(|device, _| list.device(device).is_ok());
        contact.list = Some(list.clone());
        if contact.unreached(own).next().is_some() {
            self.ask_anew(&mut contact, OWN, context.now);
        }
        self.tell_talking(&contact);
        // The hand-over has the list.
        self.tell_anew(context, contact)?;
        self.work(context)
    }

    /// The user has linked or revoked a device: contacts are told at once, and stop talking with one that was lost.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn own_list_made(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.own_devices_changed(context)?;
        let accepted = self.contacts.iter().filter(|contact| contact.state == ContactState::Accepted);
        let accepted: Vec<Contact> = accepted.cloned().collect();
        accepted.into_iter().try_for_each(|contact| self.tell_anew(context, contact))
    }

    /// Our own account record was read.
    pub(super) fn own_list_read(&mut self, context: &Context<'_>, records: &[Record]) {
        let (account, list) = (context.me.identity.account(), context.me.identity.list());
        if let Some(newest) = lists::newest(&account, Some(list), records) {
            self.own_list_found(context, newest);
        }
    }

    /// A list of our own account has come from somewhere.
    pub(super) fn own_list_found(&mut self, context: &Context<'_>, list: VerifiedDeviceList) {
        if lists::follows(context.me.identity.list(), &list) {
            self.errands.say(Output::OwnList(list));
        }
    }

    /// Tells our other devices something.
    pub fn tell_own(&mut self, context: &Context<'_>, own: &Own) {
        let (account, this) = (context.me.identity.account(), context.me.identity.device());
        if self.contacts.get(&account).is_none() {
            return;
        }
        let listed = context.me.identity.list().devices().map(|device| device.key());
        for device in listed.filter(|device| *device != this) {
            self.errands.say(Output::Say { account, device, kind: ContentKind::Own(own.clone()) });
        }
    }

    /// The user has decided something about somebody: our other devices learn of it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn decided(&mut self, context: &mut Context<'_>, account: &AccountKey) -> Result<(), StorageError> {
        let changed_at = context.now.wall;
        let known = self.contacts.get(account).cloned();
        let standing = match known.as_ref().map(|contact| contact.state) {
            None => CardStanding::Removed,
            Some(ContactState::Requested) => CardStanding::Requested,
            Some(ContactState::Accepted) => CardStanding::Accepted,
            Some(ContactState::Declined) => CardStanding::Declined,
            Some(ContactState::Blocked) => CardStanding::Blocked,
            // Each device is asked itself.
            Some(ContactState::Incoming) => return Ok(()),
        };
        let is_name = |name: &String| Name::new(name.as_str()).is_ok();
        let card = Card {
            account: *account,
            standing,
            petname: known.as_ref().and_then(|contact| contact.petname.clone()),
            verified: known.as_ref().is_some_and(|contact| contact.verified),
            name: known.as_ref().map(|contact| contact.name.clone()).filter(is_name).unwrap_or_default(),
            changed_at,
        };
        if let Some(contact) = known {
            self.contacts.put(context.store, Contact { changed_at, ..contact })?;
        }
        self.tell_own(context, &Own::Card(card));
        Ok(())
    }

    /// Does what the user has decided on another of our devices, unless something was decided here since. `removed`: when
    /// they were removed here. Says whether they are removed now.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn take_card(
        &mut self,
        context: &mut Context<'_>,
        card: &Card,
        removed: Option<UnixMillis>,
    ) -> Result<bool, StorageError> {
        let known = self.contacts.get(&card.account).cloned();
        let since = known.as_ref().map(|contact| contact.changed_at).max(removed);
        // A clock that is far ahead would have the last word for ever.
        let latest = context.now.wall.get().saturating_add(limits::CLOCK_SLACK.as_ms());
        let changed_at = card.changed_at.min(UnixMillis::new(latest));
        let is_old = since.is_some_and(|since| changed_at <= since);
        if is_old || self.contacts.is_own(&card.account) || known.is_none() && self.contacts.is_full() {
            return Ok(false);
        }
        let new = || Contact::new(card.account, ContactState::Incoming, context.now.seconds());
        let is_new = known.is_none();
        let mut contact = known.unwrap_or_else(new);
        contact.changed_at = changed_at;
        contact.verified = card.verified;
        let petname = card.petname.clone();
        let fits = |name: &String| self.contacts.check_petname(&card.account, name).is_ok();
        contact.petname = petname.filter(fits);
        if contact.name.is_empty() {
            contact.name.clone_from(&card.name);
        }
        match card.standing {
            CardStanding::Removed => {
                if !is_new {
                    self.forget(context, &contact)?;
                }
                return Ok(true);
            }
            CardStanding::Blocked => self.shut_out(context, contact, !is_new)?,
            CardStanding::Declined => self.put_declined(context, contact)?,
            CardStanding::Requested => self.ask_too(context, contact)?,
            CardStanding::Accepted => self.accept_too(context, contact)?,
        }
        self.work(context)?;
        Ok(false)
    }

    fn put_declined(&mut self, context: &mut Context<'_>, mut contact: Contact) -> Result<(), StorageError> {
        if contact.state != ContactState::Incoming {
            return self.put(context, contact);
        }
        contact.state = ContactState::Declined;
        contact.declined_by_us = true;
        // The device where it was decided tells them.
        contact.devices.values_mut().for_each(|device| device.told = true);
        self.put(context, contact)
    }

    /// Asks somebody whom another of our devices asks: each device has to be known to them.
    fn ask_too(&mut self, context: &mut Context<'_>, mut contact: Contact) -> Result<(), StorageError> {
        let is_open = matches!(contact.state, ContactState::Requested | ContactState::Accepted);
        if !is_open {
            contact.state = ContactState::Requested;
            contact.declined_by_us = false;
            contact.before_block = None;
            contact.forget_telling();
            self.ask_anew(&mut contact, "", context.now);
        }
        self.put(context, contact)
    }

    fn accept_too(&mut self, context: &mut Context<'_>, mut contact: Contact) -> Result<(), StorageError> {
        let (account, was) = (contact.account, contact.state);
        contact.state = ContactState::Accepted;
        contact.before_block = None;
        let own = context.me.identity.device();
        let unknown = contact.list.is_none();
        if contact.approach.is_none() && (unknown || contact.unreached(own).next().is_some()) {
            self.ask_anew(&mut contact, "", context.now);
        }
        if was != ContactState::Accepted {
            contact.forget_telling();
            self.errands.say(Output::Event(Event::Accepted(account)));
        }
        if unknown { self.put(context, contact) } else { self.agree(context, contact) }
    }
}
