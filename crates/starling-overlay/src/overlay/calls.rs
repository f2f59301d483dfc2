//! Requests of ours that have not ended, and what each is for.

use alloc::collections::BTreeMap;

use starling_proto::ids::{NodeKey, RecordId};

use super::tasks::TaskId;
use crate::io::{CallId, InboundId};

/// Liveness pings under way at once.
const PINGS: usize = 32;

/// Why a peer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A step of a lookup.
    Lookup(TaskId),
    /// A record is placed.
    Store(TaskId),
    /// A holder is queried.
    Query(TaskId),
    /// Does a holder keep what we gave it?
    Sample(TaskId),
    /// Does a holder keep what somebody else has asked us about?
    Show(TaskId),
    /// It shall do something in our place.
    Pass(TaskId),
    /// Is it still there?
    Ping,
    /// Our mode has changed.
    Greet,
    /// It shall have us dialled.
    AskDialBack,
    /// It shall dial whoever waits for this reply.
    PassDialBack(InboundId),
    /// We dial it because it, or another peer, asked.
    DialFor,
    /// Does it hold a record that it should?
    Check(RecordId),
    /// A record is handed on.
    Repair,
    /// An owner is told of a deposit.
    Notify,
}

/// On which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// One that stands, or a new one.
    Any,
    /// A new one.
    Fresh,
}

/// A request that has not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) to: NodeKey,
    pub(super) purpose: Purpose,
    /// Whether silence says something about the peer.
    pub(super) telling: bool,
}

/// The open requests.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next: u64,
    open: BTreeMap<CallId, Open>,
}

impl Calls {
    pub(super) fn open(&mut self, open: Open) -> CallId {
        let call = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        self.open.insert(call, open);
        call
    }

    pub(super) fn close(&mut self, call: CallId) -> Option<Open> {
        self.open.remove(&call)
    }

    /// Whether one more ping, to `key`, makes sense.
    pub(super) fn may_ping(&self, key: &NodeKey) -> bool {
        let pings = || self.open.values().filter(|open| open.purpose == Purpose::Ping);
        pings().all(|open| open.to != *key) && pings().count() < PINGS
    }

    /// Whether a request to `key` is under way.
    pub(super) fn are_to(&self, key: &NodeKey) -> bool {
        self.open.values().any(|open| open.to == *key)
    }

    pub(super) fn repairs(&self) -> usize {
        let repair = |purpose: &Purpose| matches!(purpose, Purpose::Check(_) | Purpose::Repair);
        self.open.values().filter(|open| repair(&open.purpose)).count()
    }
}
