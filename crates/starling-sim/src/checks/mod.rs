//! What must hold whatever happens, found out without the code that is to see to it: from what users did and saw, and
//! from what lies on the disks.
//!
//! [`Ledger`] knows what everybody wrote and checks every event against it; [`standing`] looks at nodes as they stand;
//! [`sometimes`] counts the nasty paths that a run went down.

mod ledger;
pub mod sometimes;
pub mod standing;

use starling_proto::time::Tick;

pub use self::ledger::{Ledger, Wish};
use crate::network::NodeIndex;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Tick,
    /// Where.
    pub node: NodeIndex,
    /// What rule is broken.
    pub rule: Rule,
    /// The particulars.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, node, rule, what } = self;
        write!(f, "{rule:?} at node {}, {:.1} s: {what}", node.0, at.as_ms() as f64 / 1_000.0)
    }
}

/// A rule that always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// What is shown was written, by whom and to whom it says.
    NothingInvented,
    /// A message is shown once.
    ShownOnce,
    /// Messages of one author are shown in order, or the gap is noted.
    OrderOrGap,
    /// Who is blocked or no contact is not heard.
    NoStrangers,
    /// What is shown as delivered is on the recipient's disk.
    DeliveredIsThere,
    /// What was acknowledged to its writer is never lost.
    AcknowledgedIsKept,
    /// After the faults have ended everything arrives.
    AllArrives,
    /// After the faults have ended a writer sees that what arrived has arrived.
    StatesAreTrue,
    /// After the faults have ended nothing waits to be sent.
    OutboxesEmpty,
    /// After the faults have ended whatever somebody wants is done.
    UsersAreServed,
    /// After the faults have ended both sides of a contact agree.
    ContactsAgree,
    /// A holder keeps its quotas.
    HolderQuotas,
    /// A bucket keeps its caps on address groups.
    GroupCaps,
    /// After the faults have ended everybody knows somebody who serves.
    NobodyIsAlone,
    /// After the faults have ended those serve whom strangers can dial, and no others.
    ServersAreDialled,
    /// Queues are bounded, and every request is answered.
    Bounds,
    /// Whoever is listed is found, as they describe themselves.
    DirectoryRecall,
}
