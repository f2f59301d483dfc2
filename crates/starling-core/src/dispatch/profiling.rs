//! What the user says about themselves, and where it is published.

use starling_crypto::session::OlmAccount;
use starling_proto::content::KeptKind;
use starling_proto::record::RecordKind;
use starling_proto::time::Now;

use super::{Context, Core};
use crate::directory::{self, DirectoryError};
use crate::identity::IdentityError;
use crate::io::{CommandError, CommandOutput};
use crate::profile::Profile;
use crate::settings::{Changes, Settings};
use crate::storage::{Slot, StorageError};

impl<A: OlmAccount> Core<A> {
    pub(super) fn set_profile(
        &mut self,
        context: &mut Context<'_>,
        changed: Result<Profile, DirectoryError>,
    ) -> Result<Result<CommandOutput, CommandError>, StorageError> {
        let profile = match changed.and_then(|profile| {
            directory::entry(&profile, &self.identity)?;
            Ok(profile)
        }) {
            Ok(profile) => profile,
            Err(error) => return Ok(Err(error.into())),
        };
        context.store.write_slot(Slot::Profile, &profile.encode())?;
        self.profile = profile;
        self.want_entries(context.now);
        self.share(context, KeptKind::Profile)?;
        Ok(Ok(CommandOutput::Profile(self.profile.view())))
    }

    pub(super) fn set_settings(
        &mut self,
        context: &mut Context<'_>,
        changes: Changes,
    ) -> Result<Result<CommandOutput, CommandError>, StorageError> {
        let Ok(settings) = self.settings.with(changes) else { return Ok(Err(CommandError::long_line())) };
        self.put_settings(context, settings)?;
        self.share(context, KeptKind::Settings)?;
        Ok(Ok(CommandOutput::Settings(self.settings.clone())))
    }

    pub(super) fn put_settings(
        &mut self,
        context: &mut Context<'_>,
        settings: Settings,
    ) -> Result<(), StorageError> {
        context.store.write_slot(Slot::Settings, &settings.encode())?;
        self.talk(context, |talking, context| talking.set_settings(context, &settings))?;
        let before = core::mem::replace(&mut self.settings, settings);
        if before.pass_on != self.settings.pass_on {
            self.publisher.hurry(context.now.tick);
            self.told_not_passed = None;
        }
        Ok(())
    }

    /// Publishes a device list of later end while the last one still counts.
    pub(super) fn renew_list(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        // Of several devices one may have signed a list since that this one has not seen.
        let alone = self.identity.list().list().body().devices.len() == 1;
        let informed = alone || self.meeting.own_list_is_known();
        if self.may_not_renew || self.shared.revoked || !informed {
            return Ok(());
        }
        match self.identity.renew_list(context.store, context.now.seconds()) {
            Ok(true) => self.want_entries(context.now),
            Ok(false) => {}
            Err(IdentityError::Storage(error)) => return Err(error),
            // A device that may no longer sign: the list it has goes on being published.
            Err(_) => self.may_not_renew = true,
        }
        Ok(())
    }

    /// Tells the publisher what is to lie in the directory now.
    pub(super) fn want_entries(&mut self, now: Now) {
        if self.shared.revoked {
            return;
        }
        let wanted = directory::publications(&self.profile, &self.identity);
        self.publisher.want(RecordKind::Directory, wanted, now);
        self.publisher.want(RecordKind::Account, [directory::account_record(&self.identity)], now);
    }
}
