//! Carries what one machine wants to the one that does it, and what came of it back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_crypto::stamp::StampSubject;
use starling_overlay::io as overlay_io;
use starling_overlay::io::{CallError, OpId, OpResult, Placement};
use starling_proto::addr::Peer;
use starling_proto::content::ContentKind;
use starling_proto::ids::RecordKey;
use starling_proto::message::{Request, Response, StoreOutcome};
use starling_proto::record::RecordKind;
use starling_proto::time::Span;

use super::{Context, Core, Errand, StampFor};
use crate::io::{CallId, CommandError, CommandOutput, Event, Output, WarningCode, Way};
use crate::meeting::{self, Decided, OWN_BINDING, Outcome};
use crate::storage::{MessageState, Slot, StorageError};
use crate::talking::Notice;
use crate::wish::{Tag, Wish};

/// A question to a peer, as a machine asks it.
struct Question {
    to: Peer,
    way: Way,
    request: Request,
    deadline: Span,
}

impl<A: OlmAccount> Core<A> {
    /// Carries wishes between the machines until all are at rest.
    pub(super) fn settle(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        loop {
            self.publish(context)?;
            if let Some(output) = self.overlay.poll_output() {
                self.take_from_overlay(context, output)?;
            } else if let Some(output) = self.meeting.poll_output() {
                self.take_from_meeting(context, output)?;
            } else if let Some(notice) = self.talking.poll_notice() {
                self.take_notice(context, notice)?;
            } else if let Some(wish) = self.talking.poll_wish() {
                self.grant(context, wish)?;
            } else {
                break;
            }
        }
        if let Some(bytes) = self.publisher.take_changed(context.now) {
            context.store.write_slot(Slot::Publications, &bytes)?;
        }
        Ok(())
    }

    /// The same while the disk is full: what the overlay wants, and nothing that is written.
    pub(super) fn settle_overlay(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        while let Some(output) = self.overlay.poll_output() {
            self.take_from_overlay(context, output)?;
        }
        Ok(())
    }

    fn publish(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now;
        // A locator names three addresses at most and is sealed under keys that we made: it always fits. If not, the
        // old one stays, and contacts hear from us when we come to them.
        if let Ok(Some(wanted)) = self.talking.locator_mut().take_wanted(&self.identity, now, context.rng) {
            self.publisher.want(RecordKind::Locator, wanted, now);
        }
        if !self.publisher.lacks_stamp(now) {
            self.stamp_retry = None;
        }
        let searching = self.stamp_jobs.values().any(|whom| *whom == StampFor::Publisher);
        let may_ask = !searching && self.stamp_retry.is_none_or(|at| at <= now.tick);
        if self.publisher.lacks_stamp(now) && may_ask {
            self.stamp_retry = None;
            self.search_stamp(
                context,
                StampSubject::Publisher(self.identity.publisher()),
                StampFor::Publisher,
            );
        }
        let stamp = self.publisher.stamp(now);
        for due in self.publisher.due(now) {
            let (kind, key) = (due.kind, due.key);
            let bundle = due.payload.clone().filter(|_| kind == RecordKind::Bundle);
            let signed = match kind {
                RecordKind::Locator => self.talking.locator().sign(due, now).ok(),
                _ => self.identity.sign(due, stamp, now).ok(),
            };
            match signed {
                Some(record) => {
                    let errand = Errand::Publish { kind, key, bundle };
                    let command = self.to_store(record);
                    self.errand(context, errand, command)?;
                }
                None => self.placed(context, (kind, key), None),
            }
        }
        for (place, sample) in self.publisher.samples(now, context.rng) {
            self.errand(context, Errand::Sample(place), overlay_io::Command::Sample(sample))?;
        }
        Ok(())
    }

    fn take_from_overlay(
        &mut self,
        context: &mut Context<'_>,
        output: overlay_io::Output,
    ) -> Result<(), StorageError> {
        let output = match output {
            overlay_io::Output::Call { call, to, request, deadline, fresh } => {
                let way = if fresh { Way::Fresh } else { Way::Any };
                Output::Call { call: CallId::Overlay(call), to, request, way, deadline }
            }
            overlay_io::Output::Reply { inbound, response, stateless } => {
                // Whether a go-between keeps itself what it places is not in its answer: it looks.
                let is_kept = |response: &Response| {
                    matches!(response, Response::Stored(StoreOutcome::Stored) | Response::Passed(_))
                };
                if let Some(key) = self.deposits.remove(&inbound).filter(|_| is_kept(&response)) {
                    self.meeting.kept_here(&key, context.now);
                }
                Output::Reply { inbound, response, stateless }
            }
            overlay_io::Output::Greet { mode, addresses } => {
                self.talking.set_addresses(addresses.clone());
                Output::Greet { mode, addresses }
            }
            overlay_io::Output::Done { op, result } => return self.done(context, op, result),
            overlay_io::Output::Event(overlay_io::Event::PeerUp(key)) => Output::Event(Event::PeerUp(key)),
            overlay_io::Output::Event(overlay_io::Event::PeerDown(key)) => {
                Output::Event(Event::PeerDown(key))
            }
            overlay_io::Output::Event(overlay_io::Event::Acquainted) => {
                self.publisher.met_somebody(context.now.tick);
                return Ok(());
            }
            overlay_io::Output::Event(_) => return Ok(()),
        };
        self.outputs.push_back(output);
        Ok(())
    }

    fn done(&mut self, context: &mut Context<'_>, op: OpId, result: OpResult) -> Result<(), StorageError> {
        match (self.errands.remove(&op), result) {
            (Some(Errand::Join(who)), OpResult::Joined { peers }) => {
                if peers > 0 {
                    self.meet(context, |meeting, context| meeting.joined(context));
                    self.talk(context, |talking, context| talking.joined(context))?;
                }
                if let Some(id) = who {
                    self.outputs.extend((peers == 0).then(|| Output::Event(alone())));
                    let result = Ok(CommandOutput::Joined { peers });
                    self.outputs.push_back(Output::Result { id, result });
                }
            }
            (Some(Errand::Publish { kind, key, bundle }), OpResult::Stored(placement)) => {
                self.published(context, (kind, key), bundle, &placement)?;
            }
            (Some(Errand::Search(id)), OpResult::Matched { records, left_out, holders, .. }) => {
                self.matched(id, &records, left_out, &holders);
            }
            (Some(Errand::Sample(place)), OpResult::Sampled(shown)) => {
                self.publisher.sampled(place, &shown, context.now, context.rng);
            }
            (Some(Errand::Wish(Tag::Talk(number))), OpResult::Sampled(shown)) => {
                self.talk(context, |talking, context| talking.handle_sampled(context, number, &shown))?;
            }
            (Some(Errand::Wish(tag)), result) => self.granted(context, tag, outcome(result))?,
            (Some(Errand::Measure(id)), result) => self.note_measured(id, result),
            // The overlay has too much to do, or nobody would do it in our place; what was wanted is wanted again later, or
            // not at all.
            (Some(Errand::Publish { kind, key, .. }), result) => {
                if let OpResult::NotPassed(why) = result {
                    self.warn_not_passed(context.now, why);
                }
                self.placed(context, (kind, key), None);
            }
            (Some(Errand::Sample(place)), _) => {
                self.publisher.sampled(place, &[], context.now, context.rng);
            }
            (Some(Errand::Search(id)), OpResult::NotPassed(why)) => self.not_asked(id, why),
            (Some(Errand::Search(id)), _) => self.matched(id, &[], 0, &[]),
            (Some(Errand::Join(Some(id))), _) => self.refuse(id, CommandError::busy("operations")),
            (Some(Errand::Join(None)) | None, _) => {}
        }
        Ok(())
    }

    fn published(
        &mut self,
        context: &mut Context<'_>,
        (kind, key): (RecordKind, RecordKey),
        bundle: Option<Vec<u8>>,
        placement: &Placement,
    ) -> Result<(), StorageError> {
        self.placed(context, (kind, key), Some(placement));
        match bundle.filter(|_| placement.count() > 0) {
            Some(payload) => self.meet(context, |meeting, context| meeting.published(context, &payload)),
            None => Ok(()),
        }
    }

    fn placed(
        &mut self,
        context: &mut Context<'_>,
        place: (RecordKind, RecordKey),
        placement: Option<&Placement>,
    ) {
        let me = self.identity.node().public();
        self.publisher.placed(place, placement, &me, context.now, context.rng);
    }

    fn take_from_meeting(
        &mut self,
        context: &mut Context<'_>,
        output: meeting::Output,
    ) -> Result<(), StorageError> {
        match output {
            meeting::Output::Wish(wish) => self.grant(context, wish)?,
            // Nobody is to write to a device that is none of the account's.
            meeting::Output::Publish(_) if self.shared.revoked => {}
            meeting::Output::Publish(bundle) => {
                self.publisher.want(RecordKind::Bundle, [bundle], context.now);
            }
            meeting::Output::Acquaint(person) => {
                self.talk(context, |talking, context| talking.set_person(context, person))?;
            }
            meeting::Output::Forget(account) => {
                self.talk(context, |talking, context| talking.remove_person(context, &account))?;
            }
            meeting::Output::Say { account, device, kind } => {
                let to = (account, device);
                let is_own = matches!(kind, ContentKind::Own(_));
                let said = self.talk(context, |talking, context| talking.queue(context, to, kind))?;
                if said.is_err() && is_own {
                    // A device of ours that has not been there for thousands of messages.
                    self.outputs.push_back(Output::Event(outbox_full()));
                } else if said.is_err() {
                    self.meet(context, |meeting, context| meeting.untold(context, &account, &device))?;
                    self.outputs.push_back(Output::Event(outbox_full()));
                }
            }
            meeting::Output::Mail(mail) => {
                let mailbox = mail.mailbox;
                let taken = self.talk(context, |talking, context| talking.receive_mail(context, mail))?;
                self.meet(context, |meeting, context| {
                    meeting.mail_taken(context, &mailbox, &taken.done, taken.held);
                });
            }
            meeting::Output::Decided(account) => self.decided(context, &account, Decided::Standing)?,
            meeting::Output::OwnList(list) => self.take_own_list(context, list)?,
            meeting::Output::ReplaceLocator => self.replace_locator(context)?,
            meeting::Output::Event(meeting::Event::Sent { account, .. })
                if account == self.identity.account() => {}
            meeting::Output::Event(event) => {
                let event = self.shown(event);
                self.outputs.push_back(Output::Event(event));
            }
        }
        Ok(())
    }

    /// Whoever has the old keys finds the old record until it ends, and no newer one.
    pub(super) fn replace_locator(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.publisher.abandon(RecordKind::Locator);
        self.talk(context, |talking, context| talking.replace_locator(context))?;
        self.meet(context, |meeting, context| meeting.locator_replaced(context))
    }

    fn take_notice(&mut self, context: &mut Context<'_>, notice: Notice) -> Result<(), StorageError> {
        let event = match notice {
            Notice::HandOver { account, device, hand_over } => {
                return self.meet(context, |meeting, context| {
                    meeting.hand_over(context, (account, device), *hand_over)
                });
            }
            Notice::Decline { account } => {
                return self.meet(context, |meeting, context| meeting.declined(context, account));
            }
            Notice::KeyUsed { account, device, key } => {
                return self
                    .meet(context, |meeting, context| meeting.key_used(context, (account, device), key));
            }
            Notice::Seen { account, at } => {
                return self.meet(context, |meeting, context| meeting.seen(context, account, at));
            }
            Notice::ListChanged { account } => {
                self.meet(context, |meeting, context| meeting.list_changed(context, &account));
                return Ok(());
            }
            Notice::Unheard { account, device } => {
                return self.meet(context, |meeting, context| meeting.unheard(context, account, device));
            }
            Notice::Own(own) => return self.take_own(context, *own),
            Notice::Message(row) => Event::Message(Box::new(self.message_view(context.store, row)?)),
            Notice::Changed(row) => Event::Changed(Box::new(self.message_view(context.store, row)?)),
            Notice::State { id, conversation, state } => {
                let holders = (state == MessageState::Stored).then(|| self.talking.holders(&id)).flatten();
                Event::MessageState { id, conversation, state, holders }
            }
            Notice::Presence { account, view } => Event::Presence { account, presence: view },
        };
        self.outputs.push_back(Output::Event(event));
        Ok(())
    }

    /// Does what a machine wishes, or has it done.
    fn grant(&mut self, context: &mut Context<'_>, wish: Wish) -> Result<(), StorageError> {
        match wish {
            Wish::Fetch { tag, key, kind } => {
                let command = self.to_fetch(key, kind);
                self.errand(context, Errand::Wish(tag), command)
            }
            Wish::Store { tag, record } => {
                let command = self.to_store(record);
                self.errand(context, Errand::Wish(tag), command)
            }
            Wish::Sample { tag, sample } => {
                self.errand(context, Errand::Wish(tag), overlay_io::Command::Sample(sample))
            }
            Wish::Lookup { tag, target, width } => {
                self.errand(context, Errand::Wish(tag), overlay_io::Command::Lookup { target, width })
            }
            Wish::Call { tag, to, way, request, deadline } => {
                self.ask(context, tag, Question { to, way, request, deadline })
            }
            Wish::Stamp { tag, subject } => {
                self.search_stamp(context, subject, StampFor::Wish(tag));
                Ok(())
            }
            Wish::Event(event) => {
                self.outputs.push_back(Output::Event(event));
                Ok(())
            }
        }
    }

    fn ask(&mut self, context: &mut Context<'_>, tag: Tag, question: Question) -> Result<(), StorageError> {
        let Question { to, way, request, deadline } = question;
        if to.key() == self.identity.node().public() {
            let answer = match (&request, way) {
                (Request::Owner(owner), Way::Only(binding)) if binding == OWN_BINDING => {
                    let Context { now, rng, store } = context;
                    let asked = (binding, owner);
                    Ok(self.overlay.ask_own_holder(*now, *rng, *store, &*self.verifier, asked)?)
                }
                _ => Err(CallError::Unreachable),
            };
            return self.granted(context, tag, Outcome::Answered(answer));
        }
        let call = match tag {
            Tag::Meet(number) => CallId::Meet(number),
            Tag::Talk(number) => CallId::Talk(number),
        };
        self.outputs.push_back(Output::Call { call, to, request, way, deadline });
        Ok(())
    }

    /// Tells a machine what came of its wish.
    pub(super) fn granted(
        &mut self,
        context: &mut Context<'_>,
        tag: Tag,
        outcome: Outcome,
    ) -> Result<(), StorageError> {
        match (tag, self.checked(context, outcome)) {
            (Tag::Meet(number), outcome) => {
                if let Outcome::NotPassed(why) = &outcome {
                    self.warn_not_passed(context.now, *why);
                }
                self.meet(context, |meeting, context| meeting.done(context, number, outcome))
            }
            (Tag::Talk(number), Outcome::Answered(answer)) => {
                self.talk(context, |talking, context| talking.handle_answer(context, number, answer))
            }
            (Tag::Talk(number), Outcome::Fetched { records, .. }) => {
                self.talk(context, |talking, context| talking.handle_fetched(context, number, &records))
            }
            (Tag::Talk(number), Outcome::Stored(placement)) => self
                .talk(context, |talking, context| talking.handle_stored(context, number, Some(&placement))),
            (Tag::Talk(number), Outcome::NotPassed(why)) => {
                self.warn_not_passed(context.now, why);
                self.talk(context, |talking, context| talking.handle_not_passed(context, number))
            }
            // It fetches, asks and leaves mail: what could not be done found nothing, and placed nothing.
            (Tag::Talk(number), _) => {
                self.talk(context, |talking, context| talking.handle_failed(context, number))
            }
        }
    }

    /// Records in an answer are checked as those of a fetch are.
    fn checked(&self, context: &Context<'_>, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Answered(Ok(Response::Records(mut found))) => {
                let now = context.now.seconds();
                found.records.retain(|record| self.verifier.record(record, now).is_ok());
                Outcome::Answered(Ok(Response::Records(found)))
            }
            outcome => outcome,
        }
    }

    fn shown(&self, event: meeting::Event) -> Event {
        match event {
            meeting::Event::Requested { account, name, note } => {
                Event::ContactRequest { account, name, note }
            }
            meeting::Event::Accepted(account) => {
                let contact = self.meeting.contacts().get(&account);
                let name = contact.map_or_else(Default::default, |contact| contact.display_name().into());
                Event::ContactAccepted { account, name }
            }
            meeting::Event::Declined(account) => Event::ContactDeclined { account },
            meeting::Event::Sent { account, holders } => Event::RequestStored { account, holders },
            meeting::Event::DevicesChanged { account, added, reset } => {
                Event::DevicesChanged { account, added, reset }
            }
        }
    }
}

fn outcome(result: OpResult) -> Outcome {
    match result {
        OpResult::Found { peers, .. } => Outcome::Found(peers),
        OpResult::Stored(placement) => Outcome::Stored(placement),
        OpResult::Fetched { records, holders, .. } => Outcome::Fetched { records, holders },
        OpResult::NotPassed(why) => Outcome::NotPassed(why),
        OpResult::Joined { .. } | OpResult::Matched { .. } | OpResult::Sampled(_) | OpResult::Overloaded => {
            Outcome::Failed
        }
    }
}

fn alone() -> Event {
    Event::Warning {
        code: WarningCode::Alone,
        message:
            "No peer answered. This node goes on trying; check the address, or that the other node runs."
                .into(),
    }
}

fn outbox_full() -> Event {
    Event::Warning {
        code: WarningCode::OutboxFull,
        message:
            "Too much waits to be sent: a contact could not be told yet that you accept or decline, or another \
                  device of yours what you did here. Contacts are told again."
                .into(),
    }
}
