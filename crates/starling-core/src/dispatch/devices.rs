//! The account's devices: linked, revoked, and kept in step.

use starling_crypto::identity::{ListChange, VerifiedDeviceList};
use starling_crypto::session::OlmAccount;
use starling_proto::content::{Card, Kept, KeptKind, Own};
use starling_proto::identity::DeviceRequest;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::record::RecordKind;
use starling_proto::time::UnixMillis;

use super::{Context, Core};
use crate::directory;
use crate::identity::LinkError;
use crate::io::{CommandError, CommandOutput, Event, Output, WarningCode};
use crate::meeting::Decided;
use crate::profile::Profile;
use crate::settings::Settings;
use crate::storage::{Slot, StorageError};
use crate::view::{Device, Devices};

impl<A: OlmAccount> Core<A> {
    pub(super) fn devices(&self) -> CommandOutput {
        let (account, this) = (self.identity.account(), self.identity.device());
        let view = |device: starling_crypto::identity::VerifiedDevice| Device {
            device: device.key(),
            added: device.created(),
            this: device.key() == this,
            can_link: device.can_certify(),
            connected: self.talking.is_linked(&device.key()),
        };
        let devices = self.identity.list().devices().map(view).collect();
        CommandOutput::Devices(Devices { account, devices, revoked: self.shared.revoked })
    }

    pub(super) fn link_device(
        &mut self,
        context: &mut Context<'_>,
        request: &DeviceRequest,
    ) -> Result<Result<CommandOutput, CommandError>, StorageError> {
        match self.identity.link(context.store, request, context.now.seconds()) {
            Ok(true) => {
                self.want_entries(context.now);
                self.meet(context, |meeting, context| meeting.own_list_made(context))?;
            }
            Ok(false) => {}
            Err(LinkError::Storage(error)) => return Err(error),
            Err(error) => return Ok(Err(error.into())),
        }
        Ok(Ok(self.devices()))
    }

    pub(super) fn revoke_device(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<Result<CommandOutput, CommandError>, StorageError> {
        match self.identity.revoke(context.store, device, context.now.seconds()) {
            Ok(()) => self.list_changed(context, true)?,
            Err(LinkError::Storage(error)) => return Err(error),
            Err(error) => return Ok(Err(error.into())),
        }
        Ok(Ok(self.devices()))
    }

    /// A newer list of our own account has been found.
    pub(super) fn take_own_list(
        &mut self,
        context: &mut Context<'_>,
        list: VerifiedDeviceList,
    ) -> Result<(), StorageError> {
        let known = self.identity.list();
        let reset = known.compare(&list) == Ok(ListChange::Reset);
        let (account, added) = (self.identity.account(), known.added_in(&list).count());
        let fewer = known.devices().any(|device| list.device(&device.key()).is_err());
        if self.identity.adopt(context.store, list)? {
            if reset || added > 0 {
                self.outputs.push_back(Output::Event(Event::DevicesChanged { account, added, reset }));
            }
            return self.list_changed(context, fewer);
        }
        if !self.shared.revoked {
            self.shared.revoked = true;
            context.store.write_slot(Slot::Shared, &self.shared.encode())?;
            self.withdraw(context);
        }
        if !core::mem::replace(&mut self.told_revoked, true) {
            self.outputs.push_back(Output::Event(revoked()));
        }
        Ok(())
    }

    /// Whoever was revoked is to find this device no more: with `fewer` devices its locator and its mailboxes are
    /// replaced, and all others are told, with the list.
    fn list_changed(&mut self, context: &mut Context<'_>, fewer: bool) -> Result<(), StorageError> {
        self.want_entries(context.now);
        self.meet(context, |meeting, context| meeting.own_devices_changed(context))?;
        if fewer { self.replace_locator(context) } else { Ok(()) }
    }

    /// Whoever is no device of the account any more says nothing in its name.
    fn withdraw(&mut self, context: &Context<'_>) {
        for kind in [RecordKind::Directory, RecordKind::Account, RecordKind::Bundle] {
            self.publisher.want(kind, [], context.now);
        }
    }

    /// The user has changed what the devices have in common, or decided something about somebody.
    pub(super) fn share(&mut self, context: &mut Context<'_>, what: KeptKind) -> Result<(), StorageError> {
        let changed_at = self.shared.date(context.now.wall);
        let value = match what {
            KeptKind::Profile => {
                self.shared.profile = changed_at;
                self.profile.encode()
            }
            KeptKind::Settings => {
                self.shared.settings = changed_at;
                self.settings.encode()
            }
        };
        context.store.write_slot(Slot::Shared, &self.shared.encode())?;
        let kept = Own::Kept(Kept { what, value, changed_at });
        self.meet(context, |meeting, context| meeting.tell_own(context, &kept));
        Ok(())
    }

    pub(super) fn decided(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        what: Decided,
    ) -> Result<(), StorageError> {
        let at = self.shared.date(context.now.wall);
        self.note_whether_removed(context, account, at)?;
        self.meet(context, |meeting, context| meeting.decided(context, account, (what, at)))
    }

    fn note_whether_removed(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        at: UnixMillis,
    ) -> Result<(), StorageError> {
        match self.meeting.contacts().get(account) {
            Some(_) => self.shared.known(account),
            None => self.shared.remove(*account, at),
        }
        context.store.write_slot(Slot::Shared, &self.shared.encode())
    }

    /// Another device of ours says what the user has decided or changed there.
    pub(super) fn take_own(&mut self, context: &mut Context<'_>, own: Own) -> Result<(), StorageError> {
        match own {
            Own::Card(card) => self.take_card(context, card),
            Own::Kept(kept) => self.take_kept(context, &kept),
            Own::Copy { .. } => Ok(()),
        }
    }

    fn take_card(&mut self, context: &mut Context<'_>, mut card: Card) -> Result<(), StorageError> {
        let now = context.now.wall;
        card.standing_at = self.shared.seen(card.standing_at, now);
        card.named_at = self.shared.seen(card.named_at, now);
        let (account, at) = (card.account, card.standing_at);
        let removed = self.shared.removed(&account);
        let is_removed = self.meet(context, |meeting, context| meeting.take_card(context, &card, removed))?;
        if is_removed || self.meeting.contacts().get(&account).is_some() {
            return self.note_whether_removed(context, &account, at);
        }
        Ok(())
    }

    fn take_kept(&mut self, context: &mut Context<'_>, kept: &Kept) -> Result<(), StorageError> {
        let changed_at = self.shared.seen(kept.changed_at, context.now.wall);
        match kept.what {
            KeptKind::Profile if changed_at > self.shared.profile => {
                let profile = Profile::decode(&kept.value);
                let fits = |profile: &Profile| directory::entry(profile, &self.identity).is_ok();
                let Some(profile) = profile.filter(fits) else { return Ok(()) };
                self.shared.profile = changed_at;
                context.store.write_slot(Slot::Profile, &profile.encode())?;
                self.profile = profile;
                self.want_entries(context.now);
            }
            KeptKind::Settings if changed_at > self.shared.settings => {
                let Some(mut settings) = Settings::decode(&kept.value) else { return Ok(()) };
                // Whoever has chosen on this device to be hidden is not shown because of what another had not heard yet.
                settings.pass_on = settings.pass_on.max(self.settings.pass_on);
                self.shared.settings = changed_at;
                self.put_settings(context, settings)?;
            }
            KeptKind::Profile | KeptKind::Settings => return Ok(()),
        }
        context.store.write_slot(Slot::Shared, &self.shared.encode())
    }
}

fn revoked() -> Event {
    Event::Warning {
        code: WarningCode::Revoked,
        message: "This device is none of your account's any more: another device has revoked it, or the \
                  account was restored elsewhere. Contacts do not answer it. To use it again, begin in a new \
                  home and link it: starling device request."
            .into(),
    }
}
