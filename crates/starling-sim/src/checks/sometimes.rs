//! Nasty paths that a run may have gone down: a set of seeds must have gone down each of those that it says.

use std::collections::BTreeMap;

/// A nasty path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sometimes {
    /// A machine failed before a commit.
    CrashBeforeCommit,
    /// A machine failed between a commit and its outputs.
    CrashAfterCommit,
    /// A core was built anew because there was no room.
    RolledBack,
    /// A packet was lost and sent again.
    SentAgain,
    /// A connection ended because nothing came through.
    FellSilent,
    /// A request arrived twice.
    AskedTwice,
    /// Something could not be dialled for a cut.
    DialCut,
    /// A router let a dial not through.
    DialFiltered,
    /// A dial came in by a way that its router had left open, where a stranger's would not have.
    WayLeftOpen,
    /// A dial was refused, since the other side had no seat.
    DialRefused,
    /// An idle connection was closed to make room for a dial.
    RoomMade,
    /// A node was restarted with another wall clock.
    ClockJumped,
    /// A bit of a held record was flipped.
    RecordDamaged,
    /// A holder refused a record.
    StoreRefused,
    /// A request was refused.
    RequestRefused,
    /// A machine failed with a message on disk before it could say so: its author sends it again.
    MessageCameTwice,
    /// A message could not be opened and was sent again in a new session.
    SessionRenewed,
    /// A connection ended while a message was under way.
    MessageInterrupted,
    /// A message came before one that its author wrote earlier.
    GapShown,
    /// A message was left at holders for somebody who was away.
    LeftAtHolders,
    /// Something was delivered only after all faults had ended.
    DeliveredAfterHealing,
    /// A user asked again for something whose outcome the crash had swallowed.
    UserAskedAgain,
}

/// How often each was gone down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached(BTreeMap<Sometimes, u64>);

impl Reached {
    /// Once more.
    pub fn note(&mut self, path: Sometimes) {
        self.add(path, 1);
    }

    /// So many times more.
    pub fn add(&mut self, path: Sometimes, count: u64) {
        if count > 0 {
            *self.0.entry(path).or_default() += count;
        }
    }

    /// How often.
    #[must_use]
    pub fn of(&self, path: Sometimes) -> u64 {
        self.0.get(&path).copied().unwrap_or(0)
    }

    /// All of another's too.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(path, count)| self.add(*path, *count));
    }

    /// Each path that was gone down, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Sometimes, u64)> {
        self.0.iter().map(|(path, count)| (*path, *count))
    }
}
