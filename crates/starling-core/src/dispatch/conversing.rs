//! Commands about contacts and messages.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_crypto::session::OlmAccount;
use starling_overlay::io as overlay_io;
use starling_proto::addr::Peer;
use starling_proto::content::{Said, Text};
use starling_proto::ids::{AccountKey, MessageId};
use starling_proto::invite::Invite;
use starling_proto::limits;
use starling_proto::time::{Now, Span};

use super::{Context, Core, Errand};
use crate::directory;
use crate::io::{CommandError, CommandOutput, ContactChange, MessageChange, Newcomer};
use crate::meeting::{self, ContactError, Decided, Meeting};
use crate::storage::{CoreStore, MessageKind, MessageRow, MessageState, StorageError};
use crate::talking::view::Page;
use crate::talking::{SendError, Talking, history, trace};
use crate::view::{self, ContactState, Message, Reaction, SafetyNumber, Trace};

/// Messages of one page at most: an answer stays below a few MiB.
const PAGE: usize = 500;

/// What a command gives; the outer error is the storage's.
type Answer = Result<Result<CommandOutput, CommandError>, StorageError>;

/// Which messages: those before one, how many, those that hold a text.
type Wanted<'a> = (Option<MessageId>, usize, Option<&'a str>);

impl<A: OlmAccount> Core<A> {
    pub(super) fn contacts_view(&self, now: Now) -> Vec<view::Contact> {
        self.meeting.contacts().iter().map(|contact| self.contact_view(contact, now)).collect()
    }

    fn contact_view(&self, contact: &meeting::Contact, now: Now) -> view::Contact {
        let accepted = contact.state == ContactState::Accepted;
        view::Contact {
            account: contact.account,
            name: contact.name.clone(),
            petname: contact.petname.clone(),
            tag: directory::tag(&contact.account),
            state: contact.state,
            note: contact.note.clone(),
            verified: contact.verified,
            added: contact.added,
            presence: if accepted {
                self.talking.presence(&contact.account, now)
            } else {
                view::Presence::default()
            },
            last_seen: contact.last_seen,
            devices: contact.list.as_ref().map_or(0, |list| list.devices().count()),
        }
    }

    fn view_of(&self, account: &AccountKey, now: Now) -> Option<view::Contact> {
        self.meeting.contacts().get(account).map(|contact| self.contact_view(contact, now))
    }

    pub(super) fn add_contact(&mut self, context: &mut Context<'_>, whom: &Newcomer, note: &str) -> Answer {
        let added = match whom {
            Newcomer::Account(account) => self
                .deal(context, |meeting, context| meeting.add(context, *account, note).map(|()| *account))?,
            Newcomer::Invite(invite) => {
                self.deal(context, |meeting, context| meeting.add_invited(context, invite, note))?
            }
        };
        if let (Ok(_), Newcomer::Invite(invite)) = (&added, whom) {
            let peers = invite.peers().to_vec();
            self.errand(context, Errand::Join(None), overlay_io::Command::Join(peers))?;
        }
        if let Ok(account) = &added {
            self.decided(context, account, Decided::Standing)?;
        }
        Ok(added.and_then(|account| self.contact_output(&account, context.now)))
    }

    pub(super) fn change_contact(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
        change: &ContactChange,
    ) -> Answer {
        let before =
            self.meeting.contacts().find(who).ok().map(|contact| self.contact_view(contact, context.now));
        let changed = self.deal(context, |meeting, context| match change {
            ContactChange::Accept => meeting.accept(context, who),
            ContactChange::Decline => meeting.decline(context, who),
            ContactChange::Remove => meeting.remove(context, who),
            ContactChange::Rename(petname) => meeting.rename(context, who, petname.as_deref()),
            ContactChange::Block => meeting.block(context, who),
            ContactChange::Unblock => meeting.unblock(context, who),
            ContactChange::SetVerified(verified) => meeting.set_verified(context, who, *verified),
        })?;
        if let Ok(account) = &changed {
            let what = match change {
                ContactChange::Rename(_) | ContactChange::SetVerified(_) => Decided::Name,
                _ => Decided::Standing,
            };
            self.decided(context, account, what)?;
        }
        Ok(changed.and_then(|account| {
            // Who is forgotten is shown as they were.
            self.contact_output(&account, context.now)
                .or_else(|error| before.map(CommandOutput::Contact).ok_or(error))
        }))
    }

    pub(super) fn typing(&mut self, context: &mut Context<'_>, who: &str, typing: bool) -> Answer {
        let account = match self.meeting.contacts().find(who) {
            Ok(contact) => contact.account,
            Err(error) => return Ok(Err(error.into())),
        };
        self.talk(context, |talking, context| talking.set_typing(context, &account, typing))?;
        Ok(self.contact_output(&account, context.now))
    }

    pub(super) fn safety_number(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
    ) -> Result<CommandOutput, CommandError> {
        let digits = self.meet(context, |meeting, context| meeting.safety_number(context, who))?;
        let contact = self.contact_view(self.meeting.contacts().find(who)?, context.now);
        Ok(CommandOutput::SafetyNumber(SafetyNumber { contact, digits }))
    }

    /// An invite names us first, then peers that we know: one of them is there when we are away.
    pub(super) fn invite(
        &mut self,
        context: &mut Context<'_>,
        life: Span,
        addresses: Vec<SocketAddr>,
    ) -> Answer {
        let mut known = self.talking.locator().addresses().to_vec();
        known.extend(addresses.into_iter().filter(|address| !known.contains(address)).collect::<Vec<_>>());
        let us = (!known.is_empty()).then(|| Peer::new(self.identity.node().public(), known));
        let others = self.overlay.known_peers().take(limits::INVITE_PEERS);
        let peers: Vec<Peer> = us.into_iter().chain(others).collect();
        let made: Result<Invite, CommandError> =
            self.deal(context, |meeting, context| meeting.invite(context, life, peers))?;
        Ok(made.map(|invite| CommandOutput::Invite(Box::new(invite))))
    }

    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
        text: Text,
        request: Option<&str>,
    ) -> Answer {
        let (account, state) = match self.meeting.contacts().find(who) {
            Ok(contact) => (contact.account, contact.state),
            Err(error) => return Ok(Err(error.into())),
        };
        let id = match request {
            Some(request) => self.identity.message_id(request),
            None => history::random_id(context.rng),
        };
        if let Some(known) = context.store.message(&id)? {
            // It may have been edited or deleted since.
            let unchanged = known.kind == MessageKind::Text && known.edited_at.is_none();
            let same_text = !unchanged || known.text == text.text.as_str();
            if known.mine && known.conversation == account && same_text {
                return self.sent(context, known);
            }
            return Ok(Err(CommandError::used_request()));
        }
        if let Some(answered) = &text.reply_to
            && context
                .store
                .message(answered)?
                .is_none_or(|row| row.conversation != account || row.kind.is_change())
        {
            return Ok(Err(CommandError::no_such_message()));
        }
        self.say(context, (account, state), id, Said::Text(text))
    }

    /// Says something about a text.
    pub(super) fn change(
        &mut self,
        context: &mut Context<'_>,
        of: &MessageId,
        change: MessageChange,
    ) -> Answer {
        let Some(row) = context.store.message(of)?.filter(|row| !row.kind.is_change()) else {
            return Ok(Err(CommandError::no_such_message()));
        };
        // One whose deletion may not have reached the other side, or which ended here alone, is deleted again.
        if row.kind != MessageKind::Text && change != MessageChange::Delete {
            return Ok(Err(CommandError::deleted_message()));
        }
        let is_of_author = !matches!(change, MessageChange::React(_));
        if is_of_author && !row.mine {
            return Ok(Err(CommandError::others_message()));
        }
        let said = match change {
            MessageChange::Edit(text) => Said::Edit { of: *of, text },
            MessageChange::Delete => Said::Delete { of: *of },
            MessageChange::React(reaction) => Said::React { to: *of, reaction },
        };
        let state = self.meeting.contacts().get(&row.conversation).map(|contact| contact.state);
        let Some(state) = state else {
            return Ok(Err(ContactError::Unknown(row.conversation.to_string()).into()));
        };
        let id = history::random_id(context.rng);
        self.say(context, (row.conversation, state), id, said)
    }

    fn say(
        &mut self,
        context: &mut Context<'_>,
        (account, state): (AccountKey, ContactState),
        id: MessageId,
        said: Said,
    ) -> Answer {
        if state != ContactState::Accepted {
            return Ok(Err(CommandError::not_accepted(state)));
        }
        match self.talk(context, |talking, context| talking.send(context, &account, id, said))? {
            Ok(row) => self.sent(context, row),
            Err(SendError::NotAccepted) => Ok(Err(CommandError::not_accepted(state))),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn sent(&self, context: &Context<'_>, row: MessageRow) -> Answer {
        Ok(Ok(CommandOutput::Sent(self.message_view(context.store, row)?)))
    }

    pub(super) fn messages(
        &mut self,
        context: &mut Context<'_>,
        who: &str,
        (before, limit, text): Wanted<'_>,
    ) -> Answer {
        let conversation = match self.meeting.contacts().resolve(who) {
            Ok(account) => account,
            Err(error) => return Ok(Err(error.into())),
        };
        if let Some(before) = &before
            && context.store.message(before)?.is_none_or(|row| row.conversation != conversation)
        {
            return Ok(Err(CommandError::no_such_message()));
        }
        let page = Page { conversation, before, limit: limit.min(PAGE), text };
        let rows = if self.disk_full {
            // Read, and not marked as read.
            Talking::<A>::page(context.store, page)?
        } else {
            self.talk(context, |talking, context| talking.messages(context, page))?
        };
        // Also where the timer was late, or may not write.
        let now = context.now.seconds();
        let rows = rows.into_iter().filter(|row| row.ends.is_none_or(|ends| now < ends));
        let views: Result<Vec<Message>, StorageError> =
            rows.map(|row| self.message_view(context.store, row)).collect();
        Ok(Ok(CommandOutput::Messages(views?)))
    }

    pub(super) fn trace(&self, context: &Context<'_>, id: &MessageId) -> Answer {
        let Some(row) = context.store.message(id)? else {
            return Ok(Err(CommandError::no_such_message()));
        };
        let steps = trace::steps(context.store, id)?;
        let message = self.message_view(context.store, row)?;
        Ok(Ok(CommandOutput::Trace(Trace { message, steps })))
    }

    pub(super) fn message_view(
        &self,
        store: &dyn CoreStore,
        row: MessageRow,
    ) -> Result<Message, StorageError> {
        let waits = row.mine && row.state <= MessageState::Stored;
        let us = self.identity.account();
        let reactions = history::reactions(store, &row)?;
        let reaction =
            |(mine, reaction)| Reaction { from: if mine { us } else { row.conversation }, reaction };
        Ok(Message {
            holders: waits.then(|| self.talking.holders(&row.id)).flatten(),
            id: row.id,
            conversation: row.conversation,
            from: if row.mine { us } else { row.conversation },
            mine: row.mine,
            text: row.text,
            sent_at: row.sent_at,
            received_at: row.received_at,
            state: row.state,
            reply_to: row.about.filter(|_| !row.kind.is_change()),
            edited_at: row.edited_at,
            deleted: matches!(row.kind, MessageKind::Deleted | MessageKind::Ended),
            lives: row.lives,
            ends: row.ends,
            reactions: reactions.into_iter().map(reaction).collect(),
        })
    }

    fn contact_output(&self, account: &AccountKey, now: Now) -> Result<CommandOutput, CommandError> {
        let missing = || ContactError::Unknown(account.to_string()).into();
        self.view_of(account, now).map(CommandOutput::Contact).ok_or_else(missing)
    }

    /// Lets the machine of contacts do something; the storage's error comes first, the others are the user's.
    fn deal<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Meeting<A>, &mut meeting::Context<'_>) -> Result<T, ContactError>,
    ) -> Result<Result<T, CommandError>, StorageError> {
        match self.meet(context, act) {
            Ok(done) => Ok(Ok(done)),
            Err(ContactError::Storage(error)) => Err(error),
            Err(error) => Ok(Err(error.into())),
        }
    }
}
