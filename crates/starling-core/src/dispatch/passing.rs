//! What others are to do in our place, as the user has chosen. What was chosen so and cannot be is not done otherwise.

use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_overlay::io::{Command, Favour, NotPassed};
use starling_proto::ids::RecordKey;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Now, Span};

use super::Core;
use crate::io::{Event, Output, WarningCode};

/// The user is told at most once in this time that nobody does something in our place: it is tried again by itself.
const TOLD: Span = Span::from_hours(1);

impl<A: OlmAccount> Core<A> {
    pub(super) fn to_store(&self, record: Record) -> Command {
        if self.settings.pass_on.places(record.body().kind) {
            self.to_pass(Favour::Store(record))
        } else {
            Command::Store(record)
        }
    }

    pub(super) fn to_fetch(&self, key: RecordKey, kind: RecordKind) -> Command {
        if self.settings.pass_on.fetches() {
            self.to_pass(Favour::Fetch { key, kind })
        } else {
            Command::Fetch { key, kind }
        }
    }

    pub(super) fn to_query(&self, key: RecordKey, words: Vec<String>) -> Command {
        if self.settings.pass_on.searches() {
            self.to_pass(Favour::Query { key, words })
        } else {
            Command::Query { key, words }
        }
    }

    /// Whoever tells us of our mailbox knows which is ours, and is not to learn which account is.
    fn to_pass(&self, favour: Favour) -> Command {
        Command::PassOn { favour, avoid: self.meeting.tellers().collect() }
    }

    pub(super) fn warn_not_passed(&mut self, now: Now, why: NotPassed) {
        if self.told_not_passed.is_some_and(|at| now.tick.since(at) < TOLD) {
            return;
        }
        self.told_not_passed = Some(now.tick);
        let cause = match why {
            NotPassed::Nobody => "no peer is known that could do it",
            NotPassed::Busy => "all peers that were asked have too much to do",
            NotPassed::Unproven => "a peer says that it has placed it, and no other confirms that",
            _ => "no peer that was asked has answered",
        };
        let message = alloc::format!(
            "Something that others are to place or to find in your place waits: {cause}. It is tried again with \
             others; starling settings shows what is done so."
        );
        self.outputs.push_back(Output::Event(Event::Warning { code: WarningCode::NotPassed, message }));
    }
}
