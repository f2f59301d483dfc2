//! Our account's other devices: known, asked and told as a contact's are, in a row that no user sees; and what the user has
//! decided about people on one of them.

use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::CryptoError;
use starling_crypto::identity::VerifiedDeviceList;
use starling_crypto::session::OlmAccount;
use starling_proto::content::{Card, CardStanding, ContentKind, Own};
use starling_proto::identity::Name;
use starling_proto::ids::AccountKey;
use starling_proto::record::Record;
use starling_proto::time::UnixMillis;

use super::contact::Contact;
use super::{Context, Event, Meeting, Output, lists};
use crate::storage::{ContactState, StorageError};

/// What another device of the account reads in the request of this one.
const OWN: &str = "We are devices of one account.";

/// What the user has decided about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// How they stand.
    Standing,
    /// What they are called, and whether they were checked.
    Name,
}

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

    /// Our own account record was read, at so many holders.
    pub(super) fn own_list_read(&mut self, context: &Context<'_>, (records, holders): (&[Record], usize)) {
        self.own_list_known |= holders > 0;
        let (account, list) = (context.me.identity.account(), context.me.identity.list());
        // Whoever may revoke this device has signed that for itself: also a list that contradicts ours says it.
        let own = context.me.identity.device();
        let revoking =
            lists::of(&account, records).find(|list| list.device(&own) == Err(CryptoError::RevokedDevice));
        match revoking {
            Some(revoking) => self.errands.say(Output::OwnList(revoking)),
            None => {
                if let Some(newest) = lists::newest(&account, Some(list), records) {
                    self.own_list_found(context, newest);
                }
            }
        }
    }

    /// Whether some holder has been asked since the start what list our account has: before that nothing is signed that
    /// would take the place of a list which is not known here.
    #[must_use]
    pub const fn own_list_is_known(&self) -> bool {
        self.own_list_known
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

    /// The user has decided something about somebody at a date: our other devices learn of it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn decided(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        (what, at): (Decided, UnixMillis),
    ) -> Result<(), StorageError> {
        let mut known = self.contacts.get(account).cloned();
        let standing = match known.as_ref().map(|contact| contact.state) {
            Some(ContactState::Requested) => CardStanding::Requested,
            Some(ContactState::Accepted) => CardStanding::Accepted,
            Some(ContactState::Declined) => CardStanding::Declined,
            Some(ContactState::Blocked) => CardStanding::Blocked,
            // Each device is asked itself.
            Some(ContactState::Incoming) if what == Decided::Name => return Ok(()),
            Some(ContactState::Incoming) | None => CardStanding::Removed,
        };
        if let Some(contact) = &mut known {
            match what {
                Decided::Standing => contact.standing_at = at,
                Decided::Name => contact.named_at = at,
            }
            self.contacts.put(context.store, contact.clone())?;
        }
        let contact = known.unwrap_or_else(|| Contact::new(*account, ContactState::Incoming, at.seconds()));
        let card = Card {
            account: *account,
            standing,
            standing_at: if what == Decided::Standing { at } else { contact.standing_at },
            petname: contact.petname,
            verified: contact.verified,
            named_at: contact.named_at,
            name: Some(contact.name).filter(|name| Name::new(name.as_str()).is_ok()).unwrap_or_default(),
        };
        self.tell_own(context, &Own::Card(card));
        Ok(())
    }

    /// Does what the user has decided on another of our devices, as far as nothing was decided here since. `removed`: when
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
        let decided_here = known.as_ref().map(|contact| contact.standing_at).max(removed);
        let stands = decided_here.is_none_or(|here| here < card.standing_at);
        if self.contacts.is_own(&card.account) || known.is_none() && (!stands || self.contacts.is_full()) {
            return Ok(false);
        }
        let (is_new, removes) = (known.is_none(), card.standing == CardStanding::Removed);
        if stands && removes {
            if let Some(contact) = known {
                self.forget(context, &contact)?;
                self.work(context)?;
            }
            return Ok(true);
        }
        let new = || Contact::new(card.account, ContactState::Incoming, context.now.seconds());
        let mut contact = known.unwrap_or_else(new);
        if contact.name.is_empty() {
            contact.name.clone_from(&card.name);
        }
        if contact.named_at < card.named_at && !removes {
            let fits = |name: &String| self.contacts.check_petname(&card.account, name).is_ok();
            contact.petname = card.petname.clone().filter(fits);
            (contact.verified, contact.named_at) = (card.verified, card.named_at);
        }
        if !stands {
            self.contacts.put(context.store, contact)?;
            return Ok(false);
        }
        contact.standing_at = card.standing_at;
        match card.standing {
            CardStanding::Blocked => self.shut_out(context, contact, !is_new)?,
            CardStanding::Declined => self.decline_too(context, contact)?,
            CardStanding::Requested => self.ask_too(context, contact)?,
            CardStanding::Accepted | CardStanding::Removed => self.accept_too(context, contact)?,
        }
        self.work(context)?;
        Ok(false)
    }

    fn decline_too(&mut self, context: &mut Context<'_>, mut contact: Contact) -> Result<(), StorageError> {
        contact.state = ContactState::Declined;
        contact.declined_by_us = true;
        (contact.approach, contact.before_block) = (None, None);
        self.approaches.end(&contact.account);
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
