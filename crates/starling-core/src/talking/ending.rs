//! Texts that disappear.

use starling_crypto::session::OlmAccount;
use starling_proto::time::UnixSeconds;

use super::{Context, Notice, Talking, history};
use crate::storage::{MessageKind, StorageError};

/// Texts that end in one go: a commit of a few hundred rows is a short one.
const AT_ONCE: usize = 256;

impl<A: OlmAccount> Talking<A> {
    /// A text ends then, if at all.
    pub(super) fn ends_at(&mut self, at: Option<UnixSeconds>) {
        self.next_end = self.next_end.into_iter().chain(at).min();
    }

    /// Forgets the words of those whose time is over. By our own clock, whether others confirm it or not: whoever is alone
    /// with their device must not keep for ever what was to disappear.
    pub(super) fn end_texts(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now.seconds();
        if self.next_end.is_none_or(|at| at > now) {
            return Ok(());
        }
        for text in context.store.ended(now, AT_ONCE)? {
            let ended = history::erase(context.store, text, MessageKind::Ended)?;
            self.notify(Notice::Changed(ended));
        }
        self.next_end = context.store.next_end()?;
        Ok(())
    }
}
