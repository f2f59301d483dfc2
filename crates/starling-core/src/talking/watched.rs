//! Letters whose holders are asked now and then whether they keep them, and what follows.
//!
//! A letter that too few keep is left anew, sealed afresh. That may be in vain: all whom a mailbox leads to may be
//! droppers, or the device may have taken the letter long ago and have gone before it could say so. So it is left anew
//! only when it has lain there for as long as its messages had waited before: each time after twice the time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use starling_crypto::session::OlmAccount;
use starling_overlay::sampling::Shown;
use starling_proto::ids::{DeviceKey, NodeKey};
use starling_proto::time::{Span, Tick, UnixSeconds};

use super::machine::Errand;
use super::mailing::Haste;
use super::trace::{self, Step};
use super::{Context, Notice, Talking};
use crate::sampling::{AT_ONCE, Next, Standing, Watch};
use crate::storage::{Mailed, MessageState, OutboxRow, StorageError};
use crate::wish::Wish;

/// Letters that are watched at once, the newest: 2,048 requests a day at most, and some 9 KiB of memory for each. What
/// lies in others is left anew after a day, many texts in one.
const LETTERS: usize = 256;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Watched {
    letters: BTreeMap<u64, Letter>,
    next: u64,
}

#[derive(Debug)]
struct Letter {
    device: DeviceKey,
    /// Rows of the outbox.
    rows: Vec<u64>,
    watch: Watch,
}

impl Watched {
    /// Watches a letter from now on, and none any more in which some of the same lay.
    pub(super) fn add(&mut self, device: DeviceKey, rows: Vec<u64>, watch: Watch) {
        let same =
            |letter: &Letter| letter.device == device && letter.rows.iter().any(|row| rows.contains(row));
        self.letters.retain(|_, letter| !same(letter));
        if self.letters.len() >= LETTERS {
            self.letters.pop_first();
        }
        self.letters.insert(self.next, Letter { device, rows, watch });
        self.next = self.next.saturating_add(1);
    }

    pub(super) fn forget(&mut self, device: &DeviceKey) {
        self.letters.retain(|_, letter| letter.device != *device);
    }

    /// The rows that lie in letters that are watched.
    pub(super) fn rows(&self) -> BTreeSet<u64> {
        self.letters.values().flat_map(|letter| letter.rows.iter().copied()).collect()
    }

    /// When a check is due next.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        let due = self.letters.values().filter_map(|letter| letter.watch.next_timeout()).min();
        due.filter(|_| self.has_room())
    }

    fn has_room(&self) -> bool {
        self.letters.values().filter(|letter| letter.watch.is_asked()).count() < AT_ONCE
    }

    fn due(&self, now: Tick) -> Option<u64> {
        let is_due = |letter: &Letter| letter.watch.next_timeout().is_some_and(|at| at <= now);
        let due = self.letters.iter().find(|(_, letter)| is_due(letter));
        due.filter(|_| self.has_room()).map(|(number, _)| *number)
    }
}

impl<A: OlmAccount> Talking<A> {
    /// Has the holders of letters asked that are due, as long as somebody waits for them.
    pub(super) fn sample_mail(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        while let Some(number) = self.mailing.watched.due(context.now.tick) {
            let Some(letter) = self.mailing.watched.letters.get_mut(&number) else { break };
            let waits = self.outbox.mailed(&letter.device, &letter.rows).next().is_some();
            let next = if waits { letter.watch.next(context.now.tick, context.rng) } else { Next::Over };
            match next {
                Next::Ask(sample) => {
                    self.ask(Errand::Sample(number), |tag| Wish::Sample { tag, sample });
                }
                Next::Nobody(standing) => self.stands(context, number, standing)?,
                Next::Over => {
                    self.mailing.watched.letters.remove(&number);
                }
            }
        }
        Ok(())
    }

    /// Some holders of a letter have been asked; `shown` holds nothing if none could be.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_sampled(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
        shown: &[(NodeKey, Shown)],
    ) -> Result<(), StorageError> {
        let Some(Errand::Sample(number)) = self.errands.remove(&question) else { return Ok(()) };
        let random = context.rng.next_u32();
        let letter = self.mailing.watched.letters.get_mut(&number);
        let standing = letter.and_then(|letter| letter.watch.judge(shown, context.now.tick, random));
        if let Some(standing) = standing {
            self.stands(context, number, standing)?;
        }
        self.settle(context)
    }

    /// So many keep a letter: that is said, and if they are too few it is left anew.
    fn stands(
        &mut self,
        context: &mut Context<'_>,
        number: u64,
        standing: Standing,
    ) -> Result<(), StorageError> {
        let Some(Letter { device, rows, .. }) = self.mailing.watched.letters.get(&number) else {
            return Ok(());
        };
        let (device, rows) = (*device, rows.clone());
        let now = context.now.seconds();
        let waits =
            self.outbox.mailed(&device, &rows).map(|(row, mailed)| must_lie_on(row, mailed, now)).min();
        let holders = u32::try_from(standing.holders).unwrap_or(u32::MAX);
        for id in self.outbox.set_holders(context.store, &device, (&rows, holders))? {
            let status = context.store.message_status(&id)?;
            if let Some(status) = status.filter(|status| status.mine && status.state == MessageState::Stored)
            {
                self.notify(Notice::State { id, conversation: status.conversation, state: status.state });
            }
        }
        if standing.is_enough {
            return Ok(());
        }
        if let Some(wait) = waits.filter(|wait| *wait > Span::ZERO) {
            if let Some(letter) = self.mailing.watched.letters.get_mut(&number) {
                letter.watch.hurry(context.now.tick.after(wait));
            }
            return Ok(());
        }
        let messages: Vec<_> = self.outbox.mailed(&device, &rows).map(|(row, _)| row.message).collect();
        for message in messages {
            let step = (Some(device), holders);
            trace::note_with(context.store, context.now, message, Step::Lost, step)?;
        }
        self.mailing.watched.letters.remove(&number);
        let lost = |row: &OutboxRow, _| row.device == device && rows.contains(&row.number);
        self.outbox.post_again(context.store, lost)?;
        self.mail_soon(context, &device, Haste::Message);
        Ok(())
    }
}

/// How long a row is still to lie at a mailbox until it has lain there for as long as it had waited before.
pub(super) fn must_lie_on(row: &OutboxRow, mailed: Mailed, now: UnixSeconds) -> Span {
    let (waited, lain) = (mailed.at.since(row.queued_at.seconds()), now.since(mailed.at));
    Span::from_ms(waited.as_ms().saturating_sub(lain.as_ms()))
}
