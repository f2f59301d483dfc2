//! What the user decides about people.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::safety::SafetyNumber;
use starling_crypto::session::OlmAccount;
use starling_proto::addr::Peer;
use starling_proto::content::ContentKind;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::invite::{Invite, InviteSecret};
use starling_proto::time::Span;

use super::approach::check_note;
use super::contact::{Contact, Plan, Ticket};
use super::{ContactError, Context, INVITES, LONGEST_INVITE_LIFE, Meeting, Output, keys};
use crate::storage::{ContactState, StorageError};

impl<A: OlmAccount> Meeting<A> {
    /// Asks an account to be a contact; accepts it if it has asked us. Asking again while the answer is awaited is no
    /// other request.
    ///
    /// # Errors
    /// [`ContactError`] if it cannot be asked.
    pub fn add(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        note: &str,
    ) -> Result<(), ContactError> {
        self.approach(context, account, note, None)
    }

    /// Answers an invite.
    ///
    /// # Errors
    /// [`ContactError`] if it is for another network, has expired, or its account cannot be asked.
    pub fn add_invited(
        &mut self,
        context: &mut Context<'_>,
        invite: &Invite,
        note: &str,
    ) -> Result<AccountKey, ContactError> {
        if invite.network != *context.me.network {
            return Err(ContactError::OtherNetwork(invite.network.as_str().to_owned()));
        }
        if invite.expires <= context.now.seconds() {
            return Err(ContactError::Expired);
        }
        let (device, secret) = (invite.device, invite.secret.clone());
        let ticket = Ticket { device, secret, one_time_key: invite.one_time_key };
        self.approach(context, invite.account, note, Some(ticket)).map(|()| invite.account)
    }

    fn approach(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        note: &str,
        invite: Option<Ticket>,
    ) -> Result<(), ContactError> {
        if account == context.me.identity.account() {
            return Err(ContactError::Oneself);
        }
        check_note(context, note)?;
        let known = self.contacts.get(&account).cloned();
        let contact = match known {
            None if self.contacts.is_full() => return Err(ContactError::TooMany("contacts")),
            None => Contact::new(account, ContactState::Requested, context.now.seconds()),
            Some(contact) => match contact.state {
                ContactState::Accepted => return Err(ContactError::Exists),
                ContactState::Blocked => return Err(ContactError::Blocked),
                ContactState::Incoming => return Ok(self.agree(context, contact)?),
                ContactState::Requested if invite.is_none() && contact.approach.is_some() => return Ok(()),
                ContactState::Requested | ContactState::Declined => contact,
            },
        };
        Ok(self.ask(context, contact, note.to_owned(), invite)?)
    }

    fn ask(
        &mut self,
        context: &mut Context<'_>,
        mut contact: Contact,
        note: String,
        invite: Option<Ticket>,
    ) -> Result<(), StorageError> {
        contact.state = ContactState::Requested;
        contact.declined_by_us = false;
        contact.forget_telling();
        let since = context.now.seconds();
        contact.approach = Some(Plan { note, invite, since, asked: BTreeMap::new() });
        self.begin_approach(contact.account, context.now.tick);
        self.put(context, contact)?;
        self.work(context)
    }

    /// Accepts a request.
    ///
    /// # Errors
    /// [`ContactError::NotAsked`], or that nobody is meant.
    pub fn accept(&mut self, context: &mut Context<'_>, who: &str) -> Result<AccountKey, ContactError> {
        let contact = self.incoming(who)?;
        let account = contact.account;
        self.agree(context, contact)?;
        Ok(account)
    }

    /// Declines a request: the asking device is told, as soon as it can be reached.
    ///
    /// # Errors
    /// [`ContactError::NotAsked`], or that nobody is meant.
    pub fn decline(&mut self, context: &mut Context<'_>, who: &str) -> Result<AccountKey, ContactError> {
        let mut contact = self.incoming(who)?;
        let account = contact.account;
        contact.state = ContactState::Declined;
        contact.declined_by_us = true;
        let devices: Vec<DeviceKey> = contact.devices.keys().copied().collect();
        contact.devices.values_mut().for_each(|device| device.told = true);
        self.put(context, contact)?;
        for device in devices {
            self.errands.say(Output::Say { account, device, kind: ContentKind::Decline });
        }
        Ok(account)
    }

    fn incoming(&self, who: &str) -> Result<Contact, ContactError> {
        let contact = self.contacts.find(who)?;
        if contact.state == ContactState::Incoming {
            Ok(contact.clone())
        } else {
            Err(ContactError::NotAsked)
        }
    }

    /// Wants nothing of an account any more, contact or not. One that could find us must not any more.
    ///
    /// # Errors
    /// [`ContactError`] if nobody is meant.
    pub fn block(&mut self, context: &mut Context<'_>, who: &str) -> Result<AccountKey, ContactError> {
        let account = self.contacts.resolve(who)?;
        if account == context.me.identity.account() {
            return Err(ContactError::Oneself);
        }
        let known = self.contacts.get(&account).cloned();
        let state = known.as_ref().map(|contact| contact.state);
        if state == Some(ContactState::Blocked) {
            return Ok(account);
        }
        if state.is_none() && self.contacts.is_full() {
            return Err(ContactError::TooMany("contacts"));
        }
        let new = || Contact::new(account, ContactState::Blocked, context.now.seconds());
        self.shut_out(context, known.unwrap_or_else(new), state.is_some())?;
        Ok(account)
    }

    /// Nothing passes any more; `knew` says whether there was anything to go back to.
    pub(super) fn shut_out(
        &mut self,
        context: &mut Context<'_>,
        mut contact: Contact,
        knew: bool,
    ) -> Result<(), StorageError> {
        if contact.state != ContactState::Blocked {
            contact.before_block = knew.then_some(contact.state);
        }
        contact.state = ContactState::Blocked;
        let could_find_us = core::mem::take(&mut contact.can_find_us);
        self.approaches.end(&contact.account);
        self.refresh.forget(&contact.account);
        self.put(context, contact)?;
        if could_find_us {
            self.errands.say(Output::ReplaceLocator);
        }
        Ok(())
    }

    /// Takes a block back: what was before is again. An accepted contact is told where we are now.
    ///
    /// # Errors
    /// [`ContactError::NotBlocked`], or that nobody is meant.
    pub fn unblock(&mut self, context: &mut Context<'_>, who: &str) -> Result<AccountKey, ContactError> {
        let mut contact = self.contacts.find(who)?.clone();
        let account = contact.account;
        if contact.state != ContactState::Blocked {
            return Err(ContactError::NotBlocked);
        }
        let Some(before) = contact.before_block.take() else {
            self.contacts.remove(context.store, &account)?;
            return Ok(account);
        };
        contact.state = before;
        match before {
            ContactState::Accepted => {
                contact.forget_telling();
                self.agree(context, contact)?;
            }
            _ => {
                if contact.approach.is_some() {
                    self.begin_approach(account, context.now.tick);
                }
                self.put(context, contact)?;
            }
        }
        self.work(context)?;
        Ok(account)
    }

    /// Forgets a contact or a request. One that could find us must not any more: nothing will remember that it could.
    ///
    /// # Errors
    /// [`ContactError`] if nobody is meant.
    pub fn remove(&mut self, context: &mut Context<'_>, who: &str) -> Result<AccountKey, ContactError> {
        let contact = self.contacts.find(who)?.clone();
        self.forget(context, &contact)?;
        Ok(contact.account)
    }

    pub(super) fn forget(
        &mut self,
        context: &mut Context<'_>,
        contact: &Contact,
    ) -> Result<(), StorageError> {
        let account = contact.account;
        self.contacts.remove(context.store, &account)?;
        self.approaches.end(&account);
        self.refresh.forget(&account);
        self.errands.say(Output::Forget(account));
        if contact.can_find_us {
            self.errands.say(Output::ReplaceLocator);
        }
        Ok(())
    }

    /// Gives a contact a petname, or takes it back.
    ///
    /// # Errors
    /// [`ContactError::BadPetname`], [`ContactError::PetnameTaken`], or that nobody is meant.
    pub fn rename(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
        petname: Option<&str>,
    ) -> Result<AccountKey, ContactError> {
        let mut contact = self.contacts.find(who)?.clone();
        let account = contact.account;
        if let Some(petname) = petname {
            self.contacts.check_petname(&account, petname)?;
        }
        contact.petname = petname.map(str::to_owned);
        self.contacts.put(context.store, contact)?;
        Ok(account)
    }

    /// The 60 digits to compare with a contact.
    ///
    /// # Errors
    /// [`ContactError`] if nobody is meant.
    pub fn safety_number(&self, context: &Context<'_>, who: &str) -> Result<SafetyNumber, ContactError> {
        let contact = self.contacts.find(who)?;
        Ok(SafetyNumber::of(&context.me.identity.account(), &contact.account))
    }

    /// Notes whether the digits were the same on both sides.
    ///
    /// # Errors
    /// [`ContactError`] if nobody is meant.
    pub fn set_verified(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
        verified: bool,
    ) -> Result<AccountKey, ContactError> {
        let mut contact = self.contacts.find(who)?.clone();
        let account = contact.account;
        contact.verified = verified;
        self.contacts.put(context.store, contact)?;
        Ok(account)
    }

    /// Makes an invite, for one person: whoever answers it first is a contact. `peers` are ways into the network.
    ///
    /// # Errors
    /// [`ContactError::TooMany`].
    pub fn invite(
        &mut self,
        context: &mut Context<'_>,
        life: Span,
        peers: Vec<Peer>,
    ) -> Result<Invite, ContactError> {
        if self.secrets.invites() >= INVITES {
            return Err(ContactError::TooMany("invites"));
        }
        let mut secret = [0; InviteSecret::LEN];
        context.rng.fill_bytes(&mut secret);
        let secret = InviteSecret::new(secret);
        let expires = context.now.seconds().after(life.min(LONGEST_INVITE_LIFE));
        let made = keys::make_one_time_keys::<A>(context.store, 1, context.rng)?;
        let one_time_key = *made.first().ok_or(StorageError::Corrupt("olm account"))?;
        self.secrets.add_invite(secret.clone(), expires);
        self.secrets.save(context.store)?;
        self.set_mailboxes(context.now);
        self.work(context)?;
        let (account, device) = (context.me.identity.account(), context.me.identity.device());
        let network = context.me.network.clone();
        Ok(Invite::new(account, device, one_time_key, secret, expires, network).with_peers(peers))
    }
}
