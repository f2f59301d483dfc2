//! What the user wants: each command is answered once, at once or when the overlay has.

use alloc::string::String;

use starling_crypto::session::OlmAccount;
use starling_overlay::io as overlay_io;
use starling_overlay::io::NotPassed;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::record::{Record, RecordKind};

use super::{Context, Core, Errand};
use crate::directory;
use crate::io::{Command, CommandError, CommandId, CommandOutput, Output};
use crate::search::{Entry, Query, Search};
use crate::storage::StorageError;
use crate::view::{ContactCounts, ContactState, Status, WhoAmI};

/// Searches under way at once: a person types one, a script some; more wait for nobody.
const SEARCHES: usize = 32;

impl<A: OlmAccount> Core<A> {
    pub(super) fn command(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<(), StorageError> {
        if self.disk_full && writes(&command) {
            self.refuse(id, CommandError::disk_full());
            return Ok(());
        }
        if self.shared.revoked && writes(&command) {
            self.refuse(id, CommandError::revoked());
            return Ok(());
        }
        let result = match command {
            Command::Join(peers) => {
                let peers = peers.into_iter().map(Peer::from).collect();
                let join = overlay_io::Command::Join(peers);
                return self.errand(context, Errand::Join(Some(id)), join);
            }
            Command::Search { words, limit } => return self.search(context, id, &words, limit),
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::WhoAmI => Ok(CommandOutput::WhoAmI(self.who_am_i())),
            Command::ShowProfile => Ok(CommandOutput::Profile(self.profile.view())),
            Command::SetProfile { name, about, keywords } => {
                let changed = directory::changed(&self.profile, name, about, keywords);
                self.set_profile(context, changed)?
            }
            Command::SetListed(listed) => {
                let changed = directory::listed(&self.profile, listed);
                self.set_profile(context, changed)?
            }
            Command::ShowSettings => Ok(CommandOutput::Settings(self.settings.clone())),
            Command::SetSettings(changes) => self.set_settings(context, changes)?,
            Command::Typing { who, typing } => self.typing(context, &who, typing)?,
            Command::Contacts => Ok(CommandOutput::Contacts(self.contacts_view(context.now))),
            Command::AddContact { whom, note } => self.add_contact(context, &whom, &note)?,
            Command::Contact { who, change } => self.change_contact(context, &who, &change)?,
            Command::SafetyNumber { who } => self.safety_number(context, &who),
            Command::Invite { life, addresses } => self.invite(context, life, addresses)?,
            Command::Send { who, text, request } => self.send(context, &who, text, request.as_deref())?,
            Command::Change { id, change } => self.change(context, &id, change)?,
            Command::Messages { who, before, limit, text } => {
                self.messages(context, &who, (before, limit, text.as_deref()))?
            }
            Command::Trace(message) => self.trace(context, &message)?,
            Command::Devices => Ok(self.devices()),
            Command::LinkDevice(request) => self.link_device(context, &request)?,
            Command::RevokeDevice(device) => self.revoke_device(context, &device)?,
            Command::SignOff if self.disk_full => Ok(CommandOutput::SignedOff),
            Command::SignOff => {
                self.talk(context, |talking, context| talking.sign_off(context))?;
                Ok(CommandOutput::SignedOff)
            }
        };
        // What the machines want of the shell for this command goes before its result.
        if !self.disk_full {
            self.settle(context)?;
        }
        self.outputs.push_back(Output::Result { id, result });
        Ok(())
    }

    pub(super) fn refuse(&mut self, id: CommandId, error: CommandError) {
        self.outputs.push_back(Output::Result { id, result: Err(error) });
    }

    fn search(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        typed: &[String],
        limit: usize,
    ) -> Result<(), StorageError> {
        let query = match Query::parse(typed) {
            Ok(query) if self.searches.len() < SEARCHES => query,
            Ok(_) => {
                self.refuse(id, CommandError::busy("searches"));
                return Ok(());
            }
            Err(error) => {
                self.refuse(id, error.into());
                return Ok(());
            }
        };
        let (keys, words) = (query.keys(), query.folded());
        self.searches.insert(id, Search::new(query, limit));
        for key in keys {
            let command = self.to_query(key, words.clone());
            self.errand(context, Errand::Search(id), command)?;
        }
        Ok(())
    }

    pub(super) fn matched(&mut self, id: CommandId, records: &[Record], left_out: u32, holders: &[NodeKey]) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let contacts = self.meeting.contacts();
        // Of a contact we know the devices: one that was removed does not describe them any more.
        let of_known_device = |entry: &Entry| {
            let list = contacts.get(&entry.account).and_then(|contact| contact.list.as_ref());
            list.is_none_or(|list| {
                list.devices().any(|device| device.key().as_bytes() == entry.publisher.as_bytes())
            })
        };
        let entries = records.iter().filter_map(directory::read_entry).filter(of_known_device);
        if search.answered(entries, left_out, holders) {
            self.end_search(id);
        }
    }

    /// Nobody would ask for a word in our place.
    pub(super) fn not_asked(&mut self, id: CommandId, why: NotPassed) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        if search.not_asked(why) {
            self.end_search(id);
        }
    }

    fn end_search(&mut self, id: CommandId) {
        let Some(search) = self.searches.remove(&id) else { return };
        let contacts = self.meeting.contacts();
        let results = search.results(&contacts.accepted_names(), &self.identity.account());
        let short = search.query().short_word().map(String::from);
        let result = match (search.is_unasked(), short) {
            (Some(why), _) if results.results.is_empty() => Err(CommandError::not_passed(why)),
            (_, Some(word)) if results.results.is_empty() => Err(CommandError::short_word(&word)),
            _ => Ok(CommandOutput::Search(results)),
        };
        self.outputs.push_back(Output::Result { id, result });
    }

    fn status(&self) -> Status {
        let standing = |state: ContactState| {
            self.meeting.contacts().iter().filter(|contact| contact.state == state).count()
        };
        Status {
            overlay: self.overlay.status(),
            entries: self.publisher.progress(RecordKind::Directory),
            contacts: ContactCounts {
                accepted: standing(ContactState::Accepted),
                incoming: standing(ContactState::Incoming),
                requested: standing(ContactState::Requested),
            },
            queued: self.talking.queued(),
        }
    }

    fn who_am_i(&self) -> WhoAmI {
        let account = self.identity.account();
        WhoAmI {
            account,
            device: self.identity.device(),
            node: self.identity.node().public(),
            name: self.profile.name.as_str().into(),
            tag: directory::tag(&account),
        }
    }
}

/// Whether a command cannot be carried out without writing.
const fn writes(command: &Command) -> bool {
    matches!(
        command,
        Command::SetProfile { .. }
            | Command::SetListed(_)
            | Command::SetSettings(_)
            | Command::Typing { .. }
            | Command::AddContact { .. }
            | Command::Contact { .. }
            | Command::Invite { .. }
            | Command::Send { .. }
            | Command::Change { .. }
            | Command::LinkDevice(_)
            | Command::RevokeDevice(_)
    )
}
