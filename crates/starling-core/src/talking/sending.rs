//! What we say: into the history and the outbox in one transaction, from there to each device when it is linked.

use alloc::vec;
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_overlay::io::CallError;
use starling_proto::addr::Peer;
use starling_proto::content::{Content, ContentKind, Presence, Said};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::message::{Deliver, Request, Response, Sealed};
use starling_proto::time::{Now, Span};

use super::acquaintance::Standing;
use super::links::Up;
use super::machine::Errand;
use super::mailing::Haste;
use super::outbox::Full;
use super::presence::KEEP_ALIVE;
use super::trace::{self, Step};
use super::{Context, Notice, Talking, history};
use crate::io::Way;
use crate::storage::{MessageKind, MessageRow, MessageState, OutboxRow, StorageError};
use crate::wish::Wish;

/// How long a batch may take: 24 KiB over a bad link, and a commit on a slow disk.
const DELIVER: Span = Span::from_secs(20);
/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Both must have agreed first.
    #[error("not an accepted contact")]
    NotAccepted,
    /// Every device of theirs has been revoked.
    #[error("this contact has no device left")]
    NoDevice,
    /// Too much waits already.
    #[error(transparent)]
    Full(#[from] Full),
}

impl<A: OlmAccount> Talking<A> {
    /// Says something to somebody: into the history, and into the outbox for each of their devices. Nothing has the id
    /// yet.
    ///
    /// # Errors
    /// The inner error says why nothing was written; the outer one is the storage's.
    pub fn send(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        id: MessageId,
        said: Said,
    ) -> Result<Result<MessageRow, SendError>, StorageError> {
        let person = self.circle.person(account);
        if person.is_none_or(|person| person.standing != Standing::Accepted) {
            return Ok(Err(SendError::NotAccepted));
        }
        let devices = self.devices_of(account);
        if devices.is_empty() {
            return Ok(Err(SendError::NoDevice));
        }
        if let Err(full) = self.outbox.room_for(devices.len()) {
            return Ok(Err(full.into()));
        }
        let us = (context.identity.device(), *account);
        let (row, content, changed) = history::write_own(context.store, context.now, id, us, said)?;
        self.ends_at(row.ends);
        if let Some(changed) = changed {
            self.notify(Notice::Changed(changed));
        }
        self.copy_to_own(context, *account, &content)?;
        for device in devices {
            self.add(context, (*account, device), &content)?;
            trace::note(context.store, context.now, row.id, Step::Queued, Some(device))?;
            if self.links.up(&device).is_none() {
                trace::note(context.store, context.now, row.id, Step::NotLinked, Some(device))?;
            }
        }
        self.settle(context)?;
        Ok(Ok(row))
    }

    /// Writes something else to one device, which waits like a text: a hand-over or a refusal, from the machine of
    /// contacts. Gives its id.
    ///
    /// # Errors
    /// The inner error says why nothing was written; the outer one is the storage's.
    pub fn queue(
        &mut self,
        context: &mut Context<'_>,
        (account, device): (AccountKey, DeviceKey),
        kind: ContentKind,
    ) -> Result<Result<MessageId, Full>, StorageError> {
        if let Err(full) = self.outbox.room_for(1) {
            return Ok(Err(full));
        }
        let id = self.say(context, (account, device), kind)?;
        self.settle(context)?;
        Ok(Ok(id))
    }

    /// Marks messages of others as read and tells their authors, unless they are not to know.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub(super) fn mark_read(
        &mut self,
        context: &mut Context<'_>,
        rows: &mut [MessageRow],
    ) -> Result<(), StorageError> {
        let mut read: Vec<(AccountKey, DeviceKey, Vec<MessageId>)> = Vec::new();
        let mut all = Vec::new();
        for row in rows.iter_mut().filter(|row| !row.mine && row.state != MessageState::Read) {
            self.set_read(context, row)?;
            all.push(row.id);
            match read
                .iter_mut()
                .find(|(_, device, ids)| *device == row.author && ids.len() < limits::MESSAGE_IDS)
            {
                Some((_, _, ids)) => ids.push(row.id),
                None => read.push((row.conversation, row.author, vec![row.id])),
            }
        }
        self.tell_own_state(context, &all, MessageState::Read)?;
        if !self.tells_reading {
            read.clear();
        }
        for (account, device, read) in read {
            self.say(context, (account, device), ContentKind::Receipt { delivered: Vec::new(), read })?;
        }
        self.settle(context)
    }

    /// The user has seen a message: one that is to disappear begins to end.
    pub(super) fn set_read(
        &mut self,
        context: &mut Context<'_>,
        row: &mut MessageRow,
    ) -> Result<(), StorageError> {
        row.state = MessageState::Read;
        let Some(lives) = row.lives.filter(|_| row.kind == MessageKind::Text) else {
            return context.store.set_message_state(&row.id, row.state);
        };
        row.ends = Some(context.now.seconds().after(lives));
        self.ends_at(row.ends);
        context.store.write_message(row)
    }

    /// Puts something into the outbox that is no part of the conversation.
    pub(super) fn say(
        &mut self,
        context: &mut Context<'_>,
        to: (AccountKey, DeviceKey),
        kind: ContentKind,
    ) -> Result<MessageId, StorageError> {
        let id = history::random_id(context.rng);
        self.add(context, to, &Content { id, sent_at: context.now.wall, link: None, kind })?;
        Ok(id)
    }

    fn add(
        &mut self,
        context: &mut Context<'_>,
        to: (AccountKey, DeviceKey),
        content: &Content,
    ) -> Result<(), StorageError> {
        // Receipts that find no room are sent when the message comes again.
        if self.outbox.add(context.store, context.now, to, content)? {
            self.links.hurry(&to.1, context.now.tick);
            let confirmation = matches!(content.kind, ContentKind::Receipt { .. });
            let haste = if confirmation { Haste::Confirmation } else { Haste::Message };
            self.mail_soon(context, &to.1, haste);
        }
        Ok(())
    }

    /// Everybody who is linked hears once a minute that we are there.
    pub(super) fn greet(&mut self, now: Now) {
        let quiet = |up: &Up| up.greeted.is_none_or(|at| now.tick.since(at) >= KEEP_ALIVE);
        let due: Vec<DeviceKey> =
            self.links.all_up().filter(|(_, up)| quiet(up)).map(|(device, _)| device).collect();
        for device in due {
            if self.standing_of(&device) == Some(Standing::Accepted) {
                self.outbox.send_unconfirmed(&device, now.tick);
                self.greet_with(device, false);
                self.links.greeted(&device, Some(now.tick));
            }
        }
    }

    /// Tells somebody that we are typing to them, or have stopped. Believed for ten seconds.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn set_typing(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
        typing: bool,
    ) -> Result<(), StorageError> {
        let accepted =
            self.circle.person(account).is_some_and(|person| person.standing == Standing::Accepted);
        for device in self.devices_of(account) {
            if accepted && self.tells_typing && self.links.up(&device).is_some() {
                self.greet_with(device, typing);
            }
        }
        self.settle(context)
    }

    /// The newest presence takes the place of one that has not left; a goodbye stays.
    fn greet_with(&mut self, device: DeviceKey, typing: bool) {
        let presence = Presence { typing, ..self.presence.own().clone() };
        if self.passing.get(&device) != Some(&ContentKind::Goodbye) {
            self.passing.insert(device, ContentKind::Presence(presence));
        }
    }

    /// Sends the next batch to a device, if it is linked and none is under way.
    pub(super) fn send_to(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        let Some(up) = self.links.up(device).filter(|up| up.from <= context.now.tick) else { return Ok(()) };
        let has_something = self.outbox.has_unsent(device) || self.passing.contains_key(device);
        if self.outbox.is_flying(device) || !has_something {
            return Ok(());
        }
        let Some((_, peer)) = self.circle.device(device) else { return Ok(()) };
        if !self.sessions.is_open(context.store, peer)? && !self.open_session(context, peer)? {
            return Ok(());
        }
        // The first message of a link goes alone: if links break again and again, few numbers of the session are lost.
        let batch = self.outbox.batch(device, if up.trusted { limits::DELIVER_BATCH } else { 1 });
        let (numbers, mut contents): (Vec<u64>, Vec<Vec<u8>>) = batch.into_iter().unzip();
        if contents.len() < limits::DELIVER_BATCH
            && let Some(kind) = self.passing.remove(device)
        {
            let id = history::random_id(context.rng);
            contents.push(Content { id, sent_at: context.now.wall, link: None, kind }.encode());
        }
        let list = context.identity.list().hash();
        let sealed = self.sessions.seal(context.store, context.rng, (peer, list), contents)?;
        if let Some(messages) = sealed {
            self.depart(context, (device, up), numbers, messages)?;
        }
        Ok(())
    }

    fn depart(
        &mut self,
        context: &mut Context<'_>,
        (device, up): (&DeviceKey, Up),
        numbers: Vec<u64>,
        messages: Vec<Sealed>,
    ) -> Result<(), StorageError> {
        let sent: Vec<MessageId> = self.outbox.messages(device, &numbers).collect();
        for message in sent {
            trace::note(context.store, context.now, message, Step::Sent, Some(*device))?;
        }
        let errand = Errand::Deliver(*device, messages.len());
        let question = self.ask(errand, |tag| Wish::Call {
            tag,
            to: Peer::new(up.node, []),
            way: Way::Only(up.binding),
            request: Request::Deliver(Deliver { messages }),
            deadline: DELIVER,
        });
        if !numbers.is_empty() {
            self.mail_if_unanswered(context.now.tick, device);
        }
        self.outbox.departed(*device, question, numbers, context.now.tick);
        Ok(())
    }

    /// The answer to a batch.
    pub(super) fn landed(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        (question, count): (u64, usize),
        answer: &Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Ok(Response::Delivered(on_disk)) = answer else {
            if let Some(up) = self.links.up(device).filter(|_| self.outbox.flies(device, question)) {
                // A device that answers, but does not know us, leaves the connection as it is: forgotten here, it
                // would never be told of again.
                if matches!(answer, Err(CallError::Closed)) {
                    self.forget_connection(&up.node, &up.binding);
                }
                self.link_lost(context, device)?;
            }
            return Ok(());
        };
        let on_disk = usize::try_from(*on_disk).unwrap_or(usize::MAX);
        let Some(landed) =
            self.outbox.landed(context.store, device, (question, on_disk), context.now.tick)?
        else {
            return Ok(());
        };
        for message in landed.on_disk {
            trace::note(context.store, context.now, message, Step::OnTheirDisk, Some(*device))?;
        }
        for message in landed.refused {
            trace::note(context.store, context.now, message, Step::NotOpened, Some(*device))?;
        }
        match on_disk {
            0 => self.renew_session(context, device),
            _ if on_disk < count => Ok(()),
            _ => {
                self.links.trust(device);
                Ok(())
            }
        }
    }

    /// Thirty days are over, or nobody is to be written to any more: the last copy of a message takes it with it.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.seconds();
        let rows = self.outbox.take_ended(context.store, |row| row.expires <= now)?;
        for row in rows {
            self.given_up(context, row.message, row.device, Step::Expired)?;
        }
        Ok(())
    }

    /// A device is not one to be written to any more.
    pub(super) fn forget_device(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        self.outbox.link_lost(device);
        self.mailing.forget(device);
        self.passing.remove(device);
        self.renewed.remove(device);
        self.keyless.remove(device);
        self.asked.remove(device);
        self.presence.gone(device, context.now.tick);
        for row in self.outbox.take_ended(context.store, |row| row.device == *device)? {
            self.pass_down(context, &row)?;
            self.given_up(context, row.message, row.device, Step::Dropped)?;
        }
        Ok(())
    }

    /// What waits for a device of a contact waits for their new ones too. What waits for one that is gone is passed down: see
    /// [`Self::forget_device`].
    pub(super) fn share_waiting(
        &mut self,
        context: &mut Context<'_>,
        account: AccountKey,
        known: &[DeviceKey],
    ) -> Result<(), StorageError> {
        let (old, new): (Vec<_>, Vec<_>) =
            self.devices_of(&account).into_iter().partition(|device| known.contains(device));
        if new.is_empty() {
            return Ok(());
        }
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for device in &old {
            waiting
                .extend(self.outbox.texts(device).filter(|text| !waiting.contains(text)).collect::<Vec<_>>());
        }
        for content in waiting.iter().filter_map(|bytes| Content::decode(bytes).ok()) {
            for device in &new {
                self.add(context, (account, *device), &content)?;
                trace::note(context.store, context.now, content.id, Step::Queued, Some(*device))?;
            }
        }
        Ok(())
    }

    /// A text that nobody has yet goes to the devices that its recipient has now: somebody has lost theirs, and begun
    /// anew.
    fn pass_down(&mut self, context: &mut Context<'_>, row: &OutboxRow) -> Result<(), StorageError> {
        let Ok(content) = Content::decode(&row.content) else { return Ok(()) };
        let person = self.circle.person(&row.account);
        let accepted = person.is_some_and(|person| person.standing == Standing::Accepted);
        let status = context.store.message_status(&row.message)?;
        let open = status.filter(|status| status.mine && status.state < MessageState::Delivered);
        let is_said = matches!(content.kind, ContentKind::Said(_));
        let Some(status) = open.filter(|_| accepted && is_said && !self.outbox.waits_for(&row.message))
        else {
            return Ok(());
        };
        let heirs = self.devices_of(&row.account);
        if !heirs.is_empty() && status.state > MessageState::Queued {
            // What is kept for a device that is gone is kept for nobody.
            self.advance(context, row.message, row.account, MessageState::Queued)?;
        }
        for heir in heirs {
            self.add(context, (row.account, heir), &content)?;
            trace::note(context.store, context.now, row.message, Step::Queued, Some(heir))?;
        }
        Ok(())
    }

    fn given_up(
        &mut self,
        context: &mut Context<'_>,
        message: MessageId,
        device: DeviceKey,
        why: Step,
    ) -> Result<(), StorageError> {
        trace::note(context.store, context.now, message, why, Some(device))?;
        if self.outbox.waits_for(&message) {
            return Ok(());
        }
        let status = context.store.message_status(&message)?;
        match status.filter(|status| status.mine && status.state < MessageState::Delivered) {
            Some(status) => self.advance(context, message, status.conversation, MessageState::Failed),
            None => Ok(()),
        }
    }

    /// A message of ours has come further.
    pub(super) fn advance(
        &mut self,
        context: &mut Context<'_>,
        id: MessageId,
        conversation: AccountKey,
        state: MessageState,
    ) -> Result<(), StorageError> {
        context.store.set_message_state(&id, state)?;
        self.notify(Notice::State { id, conversation, state });
        Ok(())
    }
}
