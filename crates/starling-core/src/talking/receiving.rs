//! What others say: opened, taken once, answered by a receipt that leaves after the commit.

use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_overlay::io::Remote;
use starling_proto::content::{Content, ContentKind, MessageText, Presence};
use starling_proto::ids::{DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::message::{Deliver, Refusal, Response};
use starling_proto::session::Party;
use starling_proto::time::Span;

use super::acquaintance::Standing;
use super::history::{self, Taken};
use super::trace::{self, Step};
use super::{Context, Notice, Talking};
use crate::storage::{MessageState, StorageError};

/// How long the id of a hand-over or a refusal is remembered: longer than any key that could open it (a fallback key
/// lives 88 days).
const REMEMBERED: Span = Span::from_days(180);

impl<A: OlmAccount> Talking<A> {
    /// A batch from a device. It must have proven itself on this connection, and be somebody's that we talk with.
    pub(super) fn receive(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        deliver: Deliver,
    ) -> Result<Response, StorageError> {
        let device = self.links.device_on(&remote.key, &remote.binding);
        let found = device.and_then(|device| self.circle.device(&device));
        let Some((person, peer)) = found else { return Ok(Response::Refused(Refusal::NotAllowed)) };
        let (author, list) = (Party { account: peer.account(), device: peer.key() }, person.list.hash());
        let heard = self.sessions.open(context.store, peer, deliver.messages)?;
        if heard.opened.messages.iter().any(|message| message.device_list != list) {
            self.notify(Notice::ListChanged { account: author.account });
        }
        let mut received = Vec::new();
        for message in heard.opened.messages {
            // A kind of a later version is passed over: it is on our disk as far as the session goes.
            if let Ok(content) = Content::decode(&message.content)
                && self.take(context, author, &content)?
            {
                received.push(content.id);
            }
        }
        self.acknowledge(context, author, &received)?;
        Ok(Response::Delivered(u32::try_from(heard.on_disk).unwrap_or(u32::MAX)))
    }

    fn acknowledge(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        received: &[MessageId],
    ) -> Result<(), StorageError> {
        for ids in received.chunks(limits::MESSAGE_IDS) {
            let receipt = ContentKind::Receipt { delivered: ids.to_vec(), read: Vec::new() };
            self.say(context, (author.account, author.device), receipt)?;
        }
        Ok(())
    }

    /// Takes one thing said. Says whether it is to be confirmed by a receipt.
    fn take(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        content: &Content,
    ) -> Result<bool, StorageError> {
        let standing = self.standing_of(&author.device);
        if !standing.is_some_and(|standing| standing.admits(&content.kind)) {
            return Ok(false);
        }
        match &content.kind {
            ContentKind::Text(text) => return self.take_text(context, author, content, text),
            // Known already: it is confirmed again, and not remembered each time.
            ContentKind::Decline if standing == Some(Standing::Declined) => return Ok(true),
            ContentKind::HandOver(_) | ContentKind::Decline => {
                return self.take_answer(context, author, content);
            }
            ContentKind::Receipt { delivered, read } => {
                self.take_receipt(context, author, delivered, read)?;
            }
            ContentKind::Presence(presence) => self.take_presence(context, author, presence),
            ContentKind::Goodbye => self.left(context, author),
            ContentKind::Resend { ids, sequences } => {
                self.outbox.send_again(&author.device, |content| wants(content, ids, sequences));
            }
            _ => {}
        }
        Ok(false)
    }

    fn take_presence(&mut self, context: &Context<'_>, author: Party, presence: &Presence) {
        if self.presence.heard(author.account, author.device, presence.clone(), context.now.tick) {
            self.notice_presence(author.account, context.now);
        }
    }

    fn left(&mut self, context: &Context<'_>, author: Party) {
        if self.presence.gone(&author.device, context.now.tick) {
            self.notice_presence(author.account, context.now);
        }
    }

    fn take_text(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        content: &Content,
        text: &MessageText,
    ) -> Result<bool, StorageError> {
        let (row, missing, behind, off_chain) =
            match history::take(context.store, context.now, author, content, text)? {
                Taken::New { row, missing, behind, off_chain } => (row, missing, behind, off_chain),
                Taken::Known => return Ok(true),
                Taken::Refused => return Ok(false),
            };
        let step = match (off_chain, missing.is_empty()) {
            (true, _) => Step::ReceivedOffChain,
            (false, true) => Step::Received,
            (false, false) => Step::ReceivedAfterGap,
        };
        trace::note(context.store, context.now, row.id, step, Some(author.device))?;
        self.notify(Notice::Message(*row));
        self.ask_for_missing(context, author, missing, behind)?;
        Ok(true)
    }

    /// Asks the author for what is missing of its chain, and the authors of other chains that the message names; each
    /// once while its link stands.
    fn ask_for_missing(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        missing: Vec<u64>,
        mut gaps: Vec<(DeviceKey, Vec<u64>)>,
    ) -> Result<(), StorageError> {
        let own = context.identity.device();
        gaps.retain(|(device, _)| *device != own && *device != author.device);
        if !missing.is_empty() {
            gaps.push((author.device, missing));
        }
        for (device, sequences) in gaps {
            let of_author = self.circle.device(&device).is_some_and(|(_, of)| of.account() == author.account);
            if of_author && self.asked.insert(device) {
                let resend = ContentKind::Resend { ids: Vec::new(), sequences };
                self.say(context, (author.account, device), resend)?;
            }
        }
        Ok(())
    }

    /// A hand-over or a refusal: once to the machine of contacts, whatever is sent again.
    fn take_answer(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        content: &Content,
    ) -> Result<bool, StorageError> {
        let until = context.now.seconds().after(REMEMBERED);
        if !context.store.note_seen(&seen_id(&author.device, &content.id), until)? {
            return Ok(true);
        }
        match &content.kind {
            ContentKind::HandOver(hand_over) => {
                // What follows in the same batch is said to a contact already.
                self.circle.set_standing(&author.account, Standing::Accepted);
                let (account, device) = (author.account, author.device);
                self.notify(Notice::HandOver { account, device, hand_over: hand_over.clone() });
            }
            _ => self.notify(Notice::Decline { account: author.account }),
        }
        Ok(true)
    }

    /// Receipts count for messages that were sent to this device, and for those of its conversation.
    fn take_receipt(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        delivered: &[MessageId],
        read: &[MessageId],
    ) -> Result<(), StorageError> {
        let steps =
            [(delivered, Step::Delivered, MessageState::Delivered), (read, Step::Read, MessageState::Read)];
        for (ids, step, state) in steps {
            for id in ids {
                let waited = self.outbox.confirmed(context.store, &author.device, id)?;
                let status = context.store.message_status(id)?;
                let ours = status.filter(|status| status.mine && status.conversation == author.account);
                if waited || ours.is_some() {
                    trace::note(context.store, context.now, *id, step, Some(author.device))?;
                }
                // A receipt that comes after we gave up is still the truth.
                let further = |now: MessageState| now < state || now == MessageState::Failed;
                if ours.is_some_and(|status| further(status.state)) {
                    self.advance(context, *id, author.account, state)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a request to send again means this content.
fn wants(content: &Content, ids: &[MessageId], sequences: &[u64]) -> bool {
    let of_chain = content.link.as_ref().is_some_and(|link| sequences.contains(&link.sequence));
    ids.contains(&content.id) || of_chain
}

/// Ids are the sender's choice: two senders may choose the same.
fn seen_id(device: &DeviceKey, id: &MessageId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("starling/1/seen/content");
    hasher.update(device.as_bytes()).update(id.as_bytes());
    *hasher.finalize().as_bytes()
}
