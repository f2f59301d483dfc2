//! The steps of an approach, as their results come back.

use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_proto::identity::Bundle;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::limits;
use starling_proto::record::Record;
use starling_proto::time::Tick;

use super::approach::{self, Kept, Letter, PATIENCE};
use super::errands::Errand;
use super::{Context, Event, Meeting, Outcome, Output, keys, lists};
use crate::storage::{ContactState, StorageError};
use crate::talking::mailing::is_enough;
use crate::wish::Wish;

impl<A: OlmAccount> Meeting<A> {
    /// Asks an account, or asks it anew: what an earlier approach has under way counts no more.
    pub(super) fn begin_approach(&mut self, account: AccountKey, now: Tick) {
        self.errands.drop_approach(&account);
        self.approaches.begin(account, now);
    }

    pub(super) fn account_read(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let known = self.contacts.get(&account).cloned();
        let Some((mut contact, plan)) =
            known.and_then(|known| known.approach.clone().map(|plan| (known, plan)))
        else {
            self.approaches.end(&account);
            return Ok(());
        };
        let late = context.clock_confirmed && context.now.seconds() > plan.since.after(PATIENCE);
        if late || self.approaches.is_outlived(&account, context.now.tick) {
            self.approaches.end(&account);
            contact.approach = None;
            return self.contacts.put(context.store, contact);
        }
        let list = lists::newest(&account, contact.list.as_ref(), records);
        if let Some(list) = list.filter(|list| contact.list.as_ref() != Some(list)) {
            self.take_list(context, &mut contact, list);
            self.put(context, contact.clone())?;
        }
        let own = context.me.identity.device();
        let known_to_all = contact.state == ContactState::Accepted && contact.unreached(own).next().is_none();
        if known_to_all {
            self.approaches.end(&account);
            contact.approach = None;
            return self.contacts.put(context.store, contact);
        }
        // Who is a contact already is asked by those devices of theirs alone that do not know of it.
        let devices: Option<Vec<DeviceKey>> = match &contact.list {
            None => None,
            Some(_) if contact.state == ContactState::Accepted => Some(contact.unreached(own).collect()),
            Some(list) => Some(list.devices().map(|device| device.key()).collect()),
        };
        let errands = &mut self.errands;
        self.approaches.found(context, errands, (account, plan.invite.as_ref()), devices.as_deref());
        Ok(())
    }

    pub(super) fn bundle_read(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        device: DeviceKey,
        records: &[Record],
    ) -> Result<(), StorageError> {
        match self.approaches.bundle_read(context, (account, device), records) {
            Some(bundle) => self.write_request(context, account, &bundle),
            None => Ok(()),
        }
    }

    pub(super) fn stamped(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        device: DeviceKey,
        outcome: &Outcome,
    ) {
        match (outcome, self.approaches.worked(&account, &device)) {
            (Outcome::Stamped(stamp), Some(request)) => {
                self.deposit((account, device), request.with_stamp(*stamp));
            }
            _ => self.approaches.ended(context, &account, &device, Kept::No),
        }
    }

    fn deposit(&mut self, (account, device): (AccountKey, DeviceKey), record: Record) {
        self.errands.send(Errand::Deposit(account, device), |tag| Wish::Store { tag, record });
    }

    /// Writes the request to one device, and lets it be placed: at once if we were invited, else after the work for it.
    fn write_request(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        bundle: &Bundle,
    ) -> Result<(), StorageError> {
        let Some(mut contact) = self.contacts.get(&account).cloned() else { return Ok(()) };
        let Some(plan) = &mut contact.approach else { return Ok(()) };
        let one_time_key = match plan.asked.get(&bundle.device) {
            Some(key) => *key,
            None => {
                let made = keys::make_one_time_keys::<A>(context.store, 1, context.rng)?;
                let key = *made.first().ok_or(StorageError::Corrupt("olm account"))?;
                plan.asked.insert(bundle.device, key);
                key
            }
        };
        contact.can_find_us = true;
        let reply_inbox = self.secrets.request_inbox();
        let letter = Letter { note: &plan.note, one_time_key, reply_inbox, invite: plan.invite.as_ref() };
        let whom = (account, bundle.device);
        match approach::deposit(context, bundle, &letter) {
            Ok(record) if plan.invite.is_some() => self.deposit(whom, record),
            Ok(record) => self.approaches.work(&mut self.errands, whom, record),
            // The bundle's key is none: there may be another one later.
            Err(_) => self.approaches.ended(context, &account, &bundle.device, Kept::No),
        }
        self.contacts.put(context.store, contact)
    }

    pub(super) fn deposited(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        device: DeviceKey,
        outcome: &Outcome,
    ) {
        let me = context.me.identity.node().public();
        let (holders, kept) = match outcome {
            Outcome::Stored(placement) if placement.others(&me) > 0 => {
                let kept = match is_enough(placement, &me) {
                    false => Kept::No,
                    true if placement.wanted < limits::K => Kept::ByFew,
                    true => Kept::Yes,
                };
                (placement.count(), kept)
            }
            _ => (0, Kept::No),
        };
        // The few that keep it may go, and the many may have refused it for what has changed by the next time.
        self.approaches.ended(context, &account, &device, kept);
        if holders > 0 {
            self.errands.say(Output::Event(Event::Sent { account, holders }));
        }
    }
}
