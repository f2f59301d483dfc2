//! What others say: opened, taken once, answered by a receipt that leaves after the commit.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use starling_crypto::session::{OlmAccount, OpenedMessage};
use starling_overlay::io::Remote;
use starling_proto::content::{Content, ContentKind, Presence};
use starling_proto::ids::{DeviceKey, DeviceListHash, MessageId, RecordId};
use starling_proto::limits;
use starling_proto::message::{Deliver, Refusal, Response, Sealed};
use starling_proto::session::Party;
use starling_proto::time::Span;

use super::acquaintance::Standing;
use super::history::{self, Taken};
use super::mailing::Haste;
use super::trace::{self, Step};
use super::{Context, Notice, Talking};
use crate::meeting::Mail;
use crate::storage::{MessageKind, MessageState, StorageError};

/// How long the id of a hand-over or a refusal is remembered: longer than any key that could open it (a fallback key
/// lives 88 days).
const REMEMBERED: Span = Span::from_days(180);

/// What became of mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTaken {
    /// Deposits that can go.
    pub done: Vec<RecordId>,
    /// Whether others hold what must wait for messages before it.
    pub held: bool,
}

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
        let on_disk = u32::try_from(heard.on_disk).unwrap_or(u32::MAX);
        self.take_in(context, author, list, heard.opened.messages)?;
        Ok(Response::Delivered(on_disk))
    }

    /// What a device left for us at a mailbox, all of it together: its sessions prove who wrote it. Gives the deposits that
    /// can go, and whether others wait for what may still lie beside them.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn receive_mail(&mut self, context: &mut Context<'_>, mail: Mail) -> Result<MailTaken, StorageError> {
        let all = || mail.batches.iter().map(|(id, _)| *id).collect();
        let Some((person, peer)) = self.circle.device(&mail.device) else {
            // Revoked, or removed meanwhile.
            return Ok(MailTaken { done: all(), held: false });
        };
        let (author, list) = (Party { account: peer.account(), device: peer.key() }, person.list.hash());
        let place = |sealed: &Sealed| (sealed.session, sealed.sequence);
        let places: Vec<(RecordId, Vec<_>)> = mail
            .batches
            .iter()
            .map(|(id, deliver)| (*id, deliver.messages.iter().map(place).collect()))
            .collect();
        let batch = mail.batches.into_iter().flat_map(|(_, deliver)| deliver.messages).collect();
        let heard = self.sessions.open_mail(context.store, peer, batch, mail.complete)?;
        let held: BTreeSet<_> = heard.held.iter().map(place).collect();
        let lost = heard.refused.iter().any(|refused| refused.error.is_lost());
        self.take_in(context, author, list, heard.messages)?;
        if lost {
            self.ask_for_all(context, author)?;
        }
        self.settle(context)?;
        let is_done = |places: &Vec<_>| places.iter().all(|place| !held.contains(place));
        let done = places.into_iter().filter(|(_, places)| is_done(places)).map(|(id, _)| id).collect();
        Ok(MailTaken { done, held: !held.is_empty() })
    }

    /// A device sealed something that we cannot open: it is to send all that waits for us again, in a session that we
    /// start; at most once an hour.
    fn ask_for_all(&mut self, context: &mut Context<'_>, author: Party) -> Result<(), StorageError> {
        if self.is_renewed(&author.device, context.now.tick) {
            return Ok(());
        }
        self.renew_session(context, &author.device)?;
        let resend = ContentKind::Resend { ids: Vec::new(), sequences: Vec::new() };
        self.say(context, (author.account, author.device), resend).map(|_| ())
    }

    /// Takes what was opened, and confirms it.
    fn take_in(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        list: DeviceListHash,
        opened: Vec<OpenedMessage>,
    ) -> Result<(), StorageError> {
        if opened.iter().any(|message| message.device_list != list) {
            self.notify(Notice::ListChanged { account: author.account });
        }
        let mut received = Vec::new();
        for message in opened {
            // A kind of a later version is passed over: it is on our disk as far as the session goes.
            if let Ok(content) = Content::decode(&message.content)
                && self.take(context, author, &content)?
            {
                received.push(content.id);
            }
        }
        self.acknowledge(context, author, &received)
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
        if author.account == context.identity.account() {
            return self.take_own(context, author, content);
        }
        let standing = self.standing_of(&author.device);
        if !standing.is_some_and(|standing| standing.admits(&content.kind)) {
            return Ok(false);
        }
        match &content.kind {
            ContentKind::Said(_) => return self.take_said(context, author, content),
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
                self.send_again(context, &author.device, ids, sequences)?;
            }
            _ => {}
        }
        Ok(false)
    }

    pub(super) fn send_again(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        ids: &[MessageId],
        sequences: &[u64],
    ) -> Result<(), StorageError> {
        let wanted = |content: &Content| wants(content, ids, sequences);
        self.outbox.send_again(context.store, device, wanted)?;
        self.mail_soon(context, device, Haste::Message);
        Ok(())
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

    fn take_said(
        &mut self,
        context: &mut Context<'_>,
        author: Party,
        content: &Content,
    ) -> Result<bool, StorageError> {
        let (row, changed, missing, behind, off_chain) =
            match history::take(context.store, context.now, author, content)? {
                Taken::New { row, changed, missing, behind, off_chain } => {
                    (row, changed, missing, behind, off_chain)
                }
                Taken::Known => return Ok(true),
                Taken::Refused => return Ok(false),
            };
        let step = match (off_chain, missing.is_empty()) {
            (true, _) => Step::ReceivedOffChain,
            (false, true) => Step::Received,
            (false, false) => Step::ReceivedAfterGap,
        };
        trace::note(context.store, context.now, row.id, step, Some(author.device))?;
        if row.kind == MessageKind::Text {
            self.notify(Notice::Message(*row));
        }
        if let Some(changed) = changed {
            self.notify(Notice::Changed(*changed));
        }
        self.ask_for_missing(context, author, missing, behind)?;
        Ok(true)
    }

    /// Asks the author for what is missing of its chain, and the authors of other chains that the message names; each
    /// once while its link stands.
    pub(super) fn ask_for_missing(
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
    pub(super) fn take_answer(
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
            let mut come_further = Vec::new();
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
                    come_further.push(*id);
                }
            }
            self.tell_own_state(context, &come_further, state)?;
        }
        Ok(())
    }
}

/// Whether a request to send again means this content; one that names nothing means everything.
fn wants(content: &Content, ids: &[MessageId], sequences: &[u64]) -> bool {
    let all = ids.is_empty() && sequences.is_empty();
    let of_chain = content.link.as_ref().is_some_and(|link| sequences.contains(&link.sequence));
    all || ids.contains(&content.id) || of_chain
}

/// Ids are the sender's choice: two senders may choose the same.
fn seen_id(device: &DeviceKey, id: &MessageId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("starling/1/seen/content");
    hasher.update(device.as_bytes()).update(id.as_bytes());
    *hasher.finalize().as_bytes()
}
