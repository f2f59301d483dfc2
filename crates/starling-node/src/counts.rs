//! What a node has done since it started, in numbers: nothing here says who, what or where.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_core::io::Event;
use starling_core::view::MessageState;
use starling_proto::frame::FrameKind;
use starling_proto::message::{Refusal, Response};

/// What a node has done since it started. All counts only grow, and stay where a full disk makes the core begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Transactions that are on disk.
    pub commits: u64,
    /// Transactions that failed; nothing of them left, and the core was built anew after each.
    pub failed_commits: u64,
    /// What peers asked, by the kind of their request; a kind that nobody has asked is not there.
    pub requests: BTreeMap<FrameKind, Answers>,
    /// What became of messages.
    pub messages: MessageCounts,
}

/// What peers were told who asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// They have their answer.
    pub answered: u64,
    /// No: they had used up their share for now.
    pub rate_limited: u64,
    /// No, for any other cause.
    pub refused: u64,
}

/// How far messages have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// Messages of others that came.
    pub received: u64,
    /// Messages of ours that enough other peers said they keep.
    pub stored: u64,
    /// Messages of ours that a device of the contact has.
    pub delivered: u64,
    /// Messages of ours that were read.
    pub read: u64,
    /// Messages of ours that were given up.
    pub failed: u64,
}

impl Counts {
    /// What peers were told, whatever they asked.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.requests.values().fold(Answers::default(), |sum, kind| Answers {
            answered: sum.answered.saturating_add(kind.answered),
            rate_limited: sum.rate_limited.saturating_add(kind.rate_limited),
            refused: sum.refused.saturating_add(kind.refused),
        })
    }
}

/// Counts as it goes; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Mutex<Counts>>);

impl Counters {
    /// The counts at this moment.
    pub(crate) fn now(&self) -> Counts {
        self.lock().clone()
    }

    /// A transaction is on disk.
    pub(crate) fn committed(&self) {
        add(&mut self.lock().commits);
    }

    /// A transaction failed.
    pub(crate) fn commit_failed(&self) {
        add(&mut self.lock().failed_commits);
    }

    /// A peer's request has its answer.
    pub(crate) fn answered(&self, asked: FrameKind, response: &Response) {
        let mut counts = self.lock();
        let answers = counts.requests.entry(asked).or_default();
        add(match response {
            Response::Refused(Refusal::RateLimited) => &mut answers.rate_limited,
            Response::Refused(_) => &mut answers.refused,
            _ => &mut answers.answered,
        });
    }

    /// Something that the user is told.
    pub(crate) fn told(&self, event: &Event) {
        let mut counts = self.lock();
        let messages = &mut counts.messages;
        add(match event {
            Event::Message(message) if !message.mine => &mut messages.received,
            Event::MessageState { state: MessageState::Stored, .. } => &mut messages.stored,
            Event::MessageState { state: MessageState::Delivered, .. } => &mut messages.delivered,
            Event::MessageState { state: MessageState::Read, .. } => &mut messages.read,
            Event::MessageState { state: MessageState::Failed, .. } => &mut messages.failed,
            _ => return,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // No code that holds the lock can panic, so a poisoned lock holds whole counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::{AccountKey, MessageId};

    use super::*;

    #[test]
    fn answers_are_counted_by_what_was_asked() {
        let counters = Counters::default();
        for response in
            [Response::Pong, Response::Refused(Refusal::RateLimited), Response::Refused(Refusal::Busy)]
        {
            counters.answered(FrameKind::Ping, &response);
        }
        counters.answered(FrameKind::Query, &Response::Refused(Refusal::NotAllowed));
        let counts = counters.now();
        let ping = Answers { answered: 1, rate_limited: 1, refused: 1 };
        assert_eq!(counts.requests.get(&FrameKind::Ping), Some(&ping));
        assert_eq!(counts.requests.len(), 2, "what nobody asked is not there");
        assert_eq!(counts.answers(), Answers { refused: 2, ..ping });
    }

    #[test]
    fn messages_are_counted_by_how_far_they_came() {
        let counters = Counters::default();
        for state in MessageState::ALL {
            let (id, conversation) = (MessageId::new([1; 16]), AccountKey::new([2; 32]));
            counters.told(&Event::MessageState { id, conversation, state, holders: None });
        }
        let counted = MessageCounts { received: 0, stored: 1, delivered: 1, read: 1, failed: 1 };
        assert_eq!(counters.now().messages, counted);
    }
}
