//! What the faces may look at.

use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::time::Now;

use super::presence::PresenceView;
use super::trace::{self, TraceStep};
use super::{Context, Talking};
use crate::storage::{MessageRow, StorageError, TalkStore};

/// Which messages of a conversation to show.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// With whom.
    pub conversation: AccountKey,
    /// Those before this one; `None` for the latest.
    pub before: Option<MessageId>,
    /// How many.
    pub limit: usize,
    /// Only those that hold this text.
    pub text: Option<&'a str>,
}

impl<A: OlmAccount> Talking<A> {
    /// The messages of a page, oldest first. Those of others that were not read before are read now, and their authors
    /// are told.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn messages(
        &mut self,
        context: &mut Context<'_>,
        page: Page<'_>,
    ) -> Result<Vec<MessageRow>, StorageError> {
        let mut rows = Self::page(context.store, page)?;
        self.mark_read(context, &mut rows)?;
        Ok(rows)
    }

    /// The same, without marking anything.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn page(store: &dyn TalkStore, page: Page<'_>) -> Result<Vec<MessageRow>, StorageError> {
        let before = match page.before {
            None => None,
            Some(id) => match store.message(&id)? {
                Some(row) if row.conversation == page.conversation => Some(row.position),
                _ => return Ok(Vec::new()),
            },
        };
        store.messages(&page.conversation, before, page.limit, page.text)
    }

    /// Why has it not arrived? The steps of one message, oldest first.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn trace(store: &dyn TalkStore, id: &MessageId) -> Result<Vec<TraceStep>, StorageError> {
        trace::steps(store, id)
    }

    /// How somebody appears.
    #[must_use]
    pub fn presence(&self, account: &AccountKey, now: Now) -> PresenceView {
        self.presence.view(account, now.tick)
    }

    /// Whether a device is connected and has proven itself.
    #[must_use]
    pub fn is_linked(&self, device: &DeviceKey) -> bool {
        self.links.up(device).is_some()
    }

    /// How many peers keep a message that waits for a device.
    #[must_use]
    pub fn holders(&self, message: &MessageId) -> Option<u32> {
        self.outbox.holders(message)
    }

    /// How many messages, receipts and requests wait to be sent or confirmed.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }
}
