//! What others say to us, and what it makes of a contact.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use starling_crypto::capability::verify_capability;
use starling_crypto::identity::{ListChange, VerifiedDeviceList};
use starling_crypto::keys::{DepositorSecret, SigningSecret as _};
use starling_crypto::secret::Secret;
use starling_crypto::session::OlmAccount;
use starling_proto::content::{HandOver, MailboxGrant};
use starling_proto::identity::Name;
use starling_proto::ids::{AccountKey, DeviceKey, OlmKey};
use starling_proto::time::{Now, UnixSeconds};

use super::arrivals::{self, Arrival};
use super::contact::{Contact, KnownDevice, Plan};
use super::{Context, Event, Meeting, Output, lists};
use crate::storage::{ContactState, StorageError};

/// What a contact's new device is told by a request: it does not know of us.
const AGAIN: &str = "You are a contact of mine, and this device of yours is new to me.";

/// What somebody is told by a request whose own request we accepted: nothing else of ours reaches them.
const HERE: &str = "Your request is accepted, and this is where I am.";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Ignore,
    /// The user is asked.
    Show,
    /// Both want it already: the user has asked as well, or invited them.
    Accept,
    /// They have lost what they knew of us.
    TellAgain,
}

fn verdict(contact: Option<&Contact>, invited: bool) -> Verdict {
    let Some(contact) = contact else {
        return if invited { Verdict::Accept } else { Verdict::Show };
    };
    match contact.state {
        ContactState::Blocked => Verdict::Ignore,
        ContactState::Accepted => Verdict::TellAgain,
        ContactState::Requested => Verdict::Accept,
        ContactState::Incoming | ContactState::Declined if invited => Verdict::Accept,
        ContactState::Declined if contact.declined_by_us => Verdict::Ignore,
        ContactState::Incoming | ContactState::Declined => Verdict::Show,
    }
}

impl<A: OlmAccount> Meeting<A> {
    /// Takes a request whose account record has been found.
    pub(super) fn asked(
        &mut self,
        context: &mut Context<'_>,
        arrival: &Arrival,
        list: VerifiedDeviceList,
    ) -> Result<(), StorageError> {
        let verdict = self.judge(arrival);
        if self.contacts.is_own(&arrival.request.body().account) {
            self.own_list_found(context, list.clone());
        }
        let known = self.contacts.get(&arrival.request.body().account);
        let waits_already = known.is_some_and(|contact| contact.state == ContactState::Incoming);
        let needs_room = verdict == Verdict::Show && !waits_already;
        self.inbox.delete(context.now, &mut self.errands, &arrival.mailbox, &[arrival.record]);
        if verdict == Verdict::Ignore || needs_room && !self.contacts.has_room(arrival.work_bits) {
            return Ok(());
        }
        // Only what is shown or accepted is remembered: what counts for nothing now may count when it is repeated.
        let until = context.now.seconds().after(arrivals::REMEMBERED);
        if !context.store.note_seen(&arrivals::identity(&arrival.request), until)? {
            return Ok(());
        }
        if needs_room {
            self.contacts.make_room(context.store)?;
        }
        if self.secrets.is_invite(&arrival.mailbox) {
            self.secrets.use_invite(&arrival.mailbox);
            self.secrets.save(context.store)?;
            self.set_mailboxes(context.now);
        }
        let contact = self.filled(context, arrival, list);
        match verdict {
            Verdict::Show => self.show(context, contact, waits_already),
            Verdict::Accept => {
                let account = contact.account;
                self.agree(context, contact)?;
                self.errands.say(Output::Decided(account));
                Ok(())
            }
            _ => self.agree(context, contact),
        }
    }

    /// What becomes of a request: nothing, if it lies where an invite was answered that has been used up, or if its
    /// device has sent a newer one.
    fn judge(&self, arrival: &Arrival) -> Verdict {
        let body = arrival.request.body();
        let known = self.contacts.get(&body.account);
        if known.is_none() && self.contacts.is_own(&body.account) {
            // A device of ours that we do not know yet: it comes again once we have read of it.
            return Verdict::Ignore;
        }
        let device = known.and_then(|contact| contact.devices.get(&arrival.request.device().key()));
        let newest = device.is_none_or(|device| device.asked_at <= body.issued);
        if self.secrets.is_invite(&arrival.mailbox) {
            verdict(known, true)
        } else if newest && arrival.mailbox == self.secrets.request_inbox() {
            verdict(known, false)
        } else {
            Verdict::Ignore
        }
    }

    /// The contact, with what the request says.
    fn filled(&mut self, context: &Context<'_>, arrival: &Arrival, list: VerifiedDeviceList) -> Contact {
        let body = arrival.request.body();
        let new = || Contact::new(body.account, ContactState::Incoming, context.now.seconds());
        let mut contact = self.contacts.get(&body.account).cloned().unwrap_or_else(new);
        if Name::new(body.name.as_str()).is_ok() {
            contact.name.clone_from(&body.name);
        }
        // A further device of theirs asks without words.
        if !body.note.is_empty() || contact.state != ContactState::Incoming {
            contact.note.clone_from(&body.note);
        }
        contact.work_bits = arrival.work_bits;
        self.take_list(context, &mut contact, list);
        if contact.state == ContactState::Declined {
            contact.forget_telling();
        }
        let known = contact.devices.entry(arrival.request.device().key()).or_default();
        if known.asked_at <= body.issued {
            *known = KnownDevice {
                found_at: Some((body.locator, body.read_key.clone())),
                one_time_keys: vec![body.one_time_key],
                told: false,
                asked_at: body.issued,
                mailboxes: core::mem::take(&mut known.mailboxes),
                told_epoch: None,
                unheard: false,
            };
        }
        contact
    }

    fn show(
        &mut self,
        context: &mut Context<'_>,
        mut contact: Contact,
        shown: bool,
    ) -> Result<(), StorageError> {
        contact.state = ContactState::Incoming;
        let (account, name, note) = (contact.account, contact.name.clone(), contact.note.clone());
        self.contacts.put(context.store, contact)?;
        if !shown {
            self.errands.say(Output::Event(Event::Requested { account, name, note }));
        }
        Ok(())
    }

    /// Both want it: the contact is accepted, and its devices are told where we are.
    pub(super) fn agree(
        &mut self,
        context: &mut Context<'_>,
        mut contact: Contact,
    ) -> Result<(), StorageError> {
        let account = contact.account;
        let news = contact.state != ContactState::Accepted;
        contact.state = ContactState::Accepted;
        contact.declined_by_us = false;
        if news || contact.unreached(context.me.identity.device()).next().is_none() {
            contact.approach = None;
            self.approaches.end(&account);
        }
        if !self.contacts.is_own(&account) {
            self.refresh.later(account, context.now.tick, context.rng);
        }
        let untold: Vec<DeviceKey> = contact.untold().copied().collect();
        contact.can_find_us |= !untold.is_empty();
        for device in contact.devices.values_mut().filter(|device| device.found_at.is_some()) {
            device.tell(context.now.seconds());
        }
        self.put(context, contact)?;
        for device in untold {
            self.tell(context, account, device)?;
        }
        if news {
            self.errands.say(Output::Event(Event::Accepted(account)));
        }
        Ok(())
    }

    /// Writes a contact down and tells the machine of talking.
    pub(super) fn put(&mut self, context: &mut Context<'_>, contact: Contact) -> Result<(), StorageError> {
        self.tell_talking(&contact);
        self.contacts.put(context.store, contact)
    }

    /// Tells the machine of talking how somebody stands.
    pub(super) fn tell_talking(&mut self, contact: &Contact) {
        self.errands.say(match contact.acquaintance() {
            Some(person) => Output::Acquaint(person),
            None => Output::Forget(contact.account),
        });
    }

    /// A device says where it can be reached. The first of somebody whom we asked accepts us; from anybody else than
    /// them and accepted contacts it counts for nothing. The machine of talking took it for an answer: it is told
    /// how they stand, whatever comes of it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn hand_over(
        &mut self,
        context: &mut Context<'_>,
        (account, device): (AccountKey, DeviceKey),
        hand_over: HandOver,
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(&account).cloned() else {
            self.errands.say(Output::Forget(account));
            return Ok(());
        };
        if !matches!(contact.state, ContactState::Requested | ContactState::Accepted) {
            return self.put(context, contact);
        }
        if let Ok(list) = VerifiedDeviceList::verify(hand_over.device_list, &account) {
            self.take_list(context, &mut contact, list);
        }
        if contact.list.as_ref().is_none_or(|list| list.device(&device).is_err()) {
            return self.put(context, contact);
        }
        contact.name = hand_over.name.as_str().into();
        let mut one_time_keys = hand_over.one_time_keys;
        let ticket = contact.approach.as_ref().and_then(|plan| plan.invite.as_ref());
        one_time_keys
            .extend(ticket.filter(|ticket| ticket.device == device).map(|ticket| ticket.one_time_key));
        let known = contact.devices.entry(device).or_default();
        known.found_at = Some((hand_over.locator, hand_over.read_key));
        known.unheard = false;
        known.one_time_keys = one_time_keys;
        known.mailboxes = hand_over.mailboxes.into_iter().filter(is_good).collect();
        self.agree(context, contact)
    }

    /// Takes a newer device list of a contact; tells the user if devices are new, and asks those to which we know no
    /// way: whoever has lost all that they had, and has only their account back, learns so who their contacts were.
    pub(super) fn take_list(
        &mut self,
        context: &Context<'_>,
        contact: &mut Contact,
        list: VerifiedDeviceList,
    ) {
        if self.contacts.is_own(&contact.account) {
            self.own_list_found(context, list);
            return;
        }
        let Some(known) = &contact.list else {
            contact.list = Some(list);
            return;
        };
        if !lists::follows(known, &list) {
            return;
        }
        let own = context.me.identity.device();
        let reset = known.compare(&list) == Ok(ListChange::Reset);
        let added = known.added_in(&list).count();
        if contact.state == ContactState::Accepted && (reset || added > 0) {
            let account = contact.account;
            self.errands.say(Output::Event(Event::DevicesChanged { account, added, reset }));
        }
        contact.devices.retain(|device, _| list.device(device).is_ok());
        contact.list = Some(list);
        if contact.state == ContactState::Accepted && added > 0 && contact.unreached(own).next().is_some() {
            self.ask_anew(contact, AGAIN, context.now);
        }
    }

    pub(super) fn ask_anew(&mut self, contact: &mut Contact, note: &str, now: Now) {
        let (note, since) = (String::from(note), now.seconds());
        contact.approach = Some(Plan { note, invite: None, since, asked: BTreeMap::new() });
        self.begin_approach(contact.account, now.tick);
    }

    /// A contact's device that cannot be dialled has not heard where we are, and has no mailbox that we know. It reads its
    /// request inbox: a request of ours says where we are, so that it comes to us.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn unheard(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        device: DeviceKey,
    ) -> Result<(), StorageError> {
        let accepted = self.contacts.get(&account).filter(|contact| contact.state == ContactState::Accepted);
        let Some(mut contact) = accepted.cloned() else { return Ok(()) };
        let Some(known) = contact.devices.get_mut(&device).filter(|known| !known.unheard) else {
            return Ok(());
        };
        known.unheard = true;
        if contact.approach.is_none() {
            self.ask_anew(&mut contact, HERE, context.now);
        }
        self.contacts.put(context.store, contact)
    }

    /// They do not want to be a contact. Counts only as an answer.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn declined(&mut self, context: &mut Context<'_>, account: AccountKey) -> Result<(), StorageError> {
        let asked = self.contacts.get(&account).filter(|contact| contact.state == ContactState::Requested);
        let Some(mut contact) = asked.cloned() else { return Ok(()) };
        contact.state = ContactState::Declined;
        contact.approach = None;
        contact.devices = BTreeMap::new();
        self.approaches.end(&account);
        self.put(context, contact)?;
        self.errands.say(Output::Event(Event::Declined(account)));
        Ok(())
    }

    /// A one-time key of a contact's device was used and must not be used again, not even after a restart.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn key_used(
        &mut self,
        context: &mut Context<'_>,
        (account, device): (AccountKey, DeviceKey),
        key: OlmKey,
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(&account).cloned() else { return Ok(()) };
        let Some(known) = contact.devices.get_mut(&device) else { return Ok(()) };
        known.one_time_keys.retain(|kept| *kept != key);
        self.contacts.put(context.store, contact)
    }

    /// One of a contact's devices was connected.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn seen(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        at: UnixSeconds,
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(&account).cloned() else { return Ok(()) };
        contact.last_seen = contact.last_seen.max(Some(at));
        // What it was to be told has gone with the link, or will with the next.
        contact.devices.values_mut().for_each(|device| device.unheard = false);
        self.contacts.put(context.store, contact)
    }
}

/// Whether a leave is signed by its mailbox and made out to the key that came with it.
fn is_good(grant: &MailboxGrant) -> bool {
    let depositor = DepositorSecret::from_seed(&Secret::copy_of(&grant.depositor_seed));
    grant.capability.body().depositor == depositor.publisher() && verify_capability(&grant.capability).is_ok()
}
