//! What the devices of our own account say to each other: copies of what each has said, how far it has come, what was read.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_proto::content::{Content, ContentKind, Own};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::session::Party;

use super::history::{self, Taken};
use super::trace::{self, Step};
use super::{Context, Notice, Talking};
use crate::storage::{MessageKind, MessageState, StorageError};

impl<A: OlmAccount> Talking<A> {
    /// Our account's other devices.
    fn own_devices(&self, context: &Context<'_>) -> Vec<DeviceKey> {
        self.devices_of(&context.identity.account())
    }

    /// Our other devices get a copy of what was said to somebody.
    pub(super) fn copy_to_own(
        &mut self,
        context: &mut Context<'_>,
        with: AccountKey,
        content: &Content,
    ) -> Result<(), StorageError> {
        let account = context.identity.account();
        for device in self.own_devices(context) {
            let copy = Own::Copy { with, content: Box::new(content.clone()) };
            self.say(context, (account, device), ContentKind::Own(copy))?;
        }
        Ok(())
    }

    /// Our other devices learn that messages have come further: ours on a contact's disk or read there, or a contact's read
    /// by our user.
    pub(super) fn tell_own_state(
        &mut self,
        context: &mut Context<'_>,
        ids: &[MessageId],
        state: MessageState,
    ) -> Result<(), StorageError> {
        let account = context.identity.account();
        for device in self.own_devices(context) {
            for ids in ids.chunks(limits::MESSAGE_IDS) {
                self.say(context, (account, device), receipt(ids.to_vec(), state))?;
            }
        }
        Ok(())
    }

    /// Takes what another device of ours says. Says whether it is to be confirmed by a receipt.
    pub(super) fn take_own(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        content: &Content,
    ) -> Result<bool, StorageError> {
        match &content.kind {
            ContentKind::Own(Own::Copy { with, content }) => {
                self.take_copy(context, author.device, (*with, content))
            }
            ContentKind::Own(own) => {
                self.notify(Notice::Own(Box::new(own.clone())));
                Ok(true)
            }
            ContentKind::Receipt { delivered, read } => {
                self.take_own_receipt(context, author, delivered, MessageState::Delivered)?;
                self.take_own_receipt(context, author, read, MessageState::Read)?;
                Ok(false)
            }
            ContentKind::HandOver(_) => self.take_answer(context, author, content),
            ContentKind::Resend { ids, sequences } => {
                self.send_again(context, &author.device, ids, sequences)?;
                Ok(false)
            }
            // Nothing is said to oneself, and nobody is there for oneself.
            _ => Ok(false),
        }
    }

    fn take_copy(
        &mut self,
        context: &mut Context<'_>,
        device: DeviceKey,
        (with, content): (AccountKey, &Content),
    ) -> Result<bool, StorageError> {
        let author = Party { account: with, device };
        let (row, changed, behind) =
            match history::take_copy(context.store, context.now, (with, device), content)? {
                Taken::New { row, changed, behind, .. } => (row, changed, behind),
                // Under its id there is something else, which somebody else has put there: to send it again is in vain.
                Taken::Known | Taken::Refused => return Ok(true),
            };
        self.ends_at(row.ends);
        trace::note(context.store, context.now, row.id, Step::SentElsewhere, Some(device))?;
        if row.kind == MessageKind::Text {
            self.notify(Notice::Message(*row));
        }
        if let Some(changed) = changed {
            self.notify(Notice::Changed(*changed));
        }
        // What is missing of the device's own chain waits in its outbox, and comes.
        self.ask_for_missing(context, author, Vec::new(), behind)?;
        Ok(true)
    }

    /// Receipts of another device of ours are for the copies that it got, and pass on what it has learnt of messages.
    fn take_own_receipt(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        ids: &[MessageId],
        state: MessageState,
    ) -> Result<(), StorageError> {
        let mut read_here = Vec::new();
        for id in ids {
            let copied = self.outbox.copied(&author.device, id);
            self.outbox.confirmed(context.store, &author.device, id)?;
            if let Some(message) = copied {
                self.pass_on_state(context, author, message)?;
                continue;
            }
            let Some(status) = context.store.message_status(id)? else { continue };
            let further = status.state < state || status.state == MessageState::Failed;
            if status.mine && further {
                let step = if state == MessageState::Read { Step::Read } else { Step::Delivered };
                // Whose receipt it was that device knows.
                trace::note(context.store, context.now, *id, step, None)?;
                self.advance(context, *id, status.conversation, state)?;
            } else if !status.mine && state == MessageState::Read && further {
                read_here.extend(context.store.message(id)?);
            }
        }
        for row in &mut read_here {
            self.set_read(context, row)?;
        }
        Ok(())
    }

    /// What was learnt of a message before its copy was there is told again: nobody could use it.
    fn pass_on_state(
        &mut self,
        context: &mut Context<'_>,
        to: Party,
        message: MessageId,
    ) -> Result<(), StorageError> {
        let status = context.store.message_status(&message)?;
        match status.map(|status| status.state) {
            Some(state @ (MessageState::Delivered | MessageState::Read)) => {
                self.say(context, (to.account, to.device), receipt(vec![message], state)).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

fn receipt(ids: Vec<MessageId>, state: MessageState) -> ContentKind {
    match state {
        MessageState::Read => ContentKind::Receipt { delivered: Vec::new(), read: ids },
        _ => ContentKind::Receipt { delivered: ids, read: Vec::new() },
    }
}
