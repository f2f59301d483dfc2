//! What a scenario does to the world: faults of links and machines, cuts, crashes, full disks, wrong clocks, damage.

use std::net::SocketAddr;

use rand_core::Rng as _;
use starling_core::io::{CommandError, CommandId, ErrorCode, Input};
use starling_proto::message::{Refusal, Request, Response};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::queue::Happening;
use super::{Network, NodeIndex, Waiting};
use crate::checks::sometimes::{Reached, Sometimes};
use crate::faults::partition::Partition;
use crate::faults::{LinkFaults, NodeFaults};
use crate::node::Fate;

/// Peers notice after this long that a machine has gone without a word.
const NOTICED: Span = Span::from_secs(5);
/// Most writes that still fit when a disk begins to be full: the batch in which it runs out is torn.
const LAST_WRITES: u64 = 8;

impl Network {
    /// From now on links are like this.
    pub const fn set_link_faults(&mut self, faults: LinkFaults) {
        self.links.faults = faults;
    }

    /// From now on machines are like this.
    pub const fn set_node_faults(&mut self, faults: NodeFaults) {
        self.node_faults = faults;
    }

    /// The network falls apart like this, or is whole again. Connections across end when nothing has come through for
    /// long enough.
    pub fn part(&mut self, partition: Option<Partition>) {
        self.cuts.partition = partition;
    }

    /// How the network is parted.
    #[must_use]
    pub const fn partition(&self) -> Option<&Partition> {
        self.cuts.partition.as_ref()
    }

    /// From now on nothing of `from` reaches `to`.
    pub fn cut(&mut self, from: NodeIndex, to: NodeIndex) {
        self.cuts.one_way.insert((from, to));
    }

    /// Takes all one-way cuts back.
    pub fn uncut(&mut self) {
        self.cuts.one_way.clear();
    }

    /// A node that says of every deposit that it keeps it, and keeps none.
    pub fn make_dropper(&mut self, index: NodeIndex) {
        self.droppers.insert(index);
    }

    /// A node that says of what it is to do in others' place that it has done it, and does nothing.
    pub fn make_idler(&mut self, index: NodeIndex) {
        self.idlers.insert(index);
    }

    /// A node that keeps from now on what it says it keeps.
    pub fn reform(&mut self, index: NodeIndex) {
        self.droppers.remove(&index);
    }

    pub(super) fn drops(&self, index: NodeIndex, request: &Request) -> bool {
        let deposit = |record: &Record| record.body().kind == RecordKind::Deposit;
        self.droppers.contains(&index) && matches!(request, Request::Store(record) if deposit(record))
    }

    /// Nasty paths that were gone down so far.
    #[must_use]
    pub const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Sets a node's wall clock ahead of the world's by so many milliseconds, or behind it.
    pub fn set_clock(&mut self, index: NodeIndex, ahead_ms: i64) {
        if self.at(index).set_skew(ahead_ms) {
            self.reached.note(Sometimes::ClockJumped);
        }
    }

    /// A node's disk runs full within its next writes, and there is room again after `span`.
    pub fn fill_disk(&mut self, index: NodeIndex, span: Span) {
        let writes = self.fault_dice.next_u64() % LAST_WRITES;
        self.at(index).fill_disk(writes);
        self.schedule(span, Happening::Room(index));
    }

    /// Flips a bit of a record that a node holds for others.
    pub fn damage_record(&mut self, index: NodeIndex) {
        let dice = self.fault_dice.next_u64();
        if self.at(index).damage_record(dice) {
            self.reached.note(Sometimes::RecordDamaged);
        }
    }

    /// Takes a node off the network without a word; its disk stays.
    pub fn kill(&mut self, index: NodeIndex) {
        self.at(index).stop();
        self.forget_waiting(index);
        for peer in self.at(index).connections.clear() {
            if self.at(peer).connections.remove(index).is_some() {
                self.schedule(NOTICED, Happening::Down { at: peer, peer: index });
            }
        }
    }

    /// Brings a node back with the disk it had, at `address` or where it was.
    pub fn restart(&mut self, index: NodeIndex, address: Option<SocketAddr>) {
        let now = self.now();
        let seed = self.dice.next_u64();
        self.at(index).start(address, now, seed);
        self.after_batch(index);
    }

    /// A machine that failed starts again, unless somebody else has started it.
    pub(super) fn restart_crashed(&mut self, index: NodeIndex) {
        if !self.node(index).is_up() {
            self.restart(index, None);
        }
    }

    /// What becomes of the machine in the next batch.
    pub(super) fn fate(&mut self) -> Fate {
        let NodeFaults { crash_before_commit, crash_after_commit, .. } = self.node_faults;
        if crash_before_commit.happens(&mut self.fault_dice) {
            Fate::CrashBeforeCommit
        } else if crash_after_commit.happens(&mut self.fault_dice) {
            Fate::CrashAfterCommit
        } else {
            Fate::Normal
        }
    }

    pub(super) fn crash(&mut self, index: NodeIndex, fate: Fate) {
        self.reached.note(match fate {
            Fate::CrashBeforeCommit => Sometimes::CrashBeforeCommit,
            _ => Sometimes::CrashAfterCommit,
        });
        self.kill(index);
        let most = self.node_faults.downtime.as_ms().saturating_add(1);
        let down = self.fault_dice.next_u64().checked_rem(most).unwrap_or(0);
        self.schedule(Span::from_ms(down), Happening::Restart(index));
    }

    /// A batch found no room: whoever waited for the core that is gone is told, and the next is told who is connected.
    pub(super) fn after_rollback(&mut self, index: NodeIndex, command: Option<CommandId>) {
        self.reached.note(Sometimes::RolledBack);
        if let Some(id) = command {
            let (message, hint) =
                ("the disk is full, so nothing was changed".into(), "free some space".into());
            let error = CommandError { code: ErrorCode::Storage, message, hint };
            self.results.insert(id, Err(error));
        }
        for (inbound, waiting) in self.take_inbound(index) {
            self.inbound.insert((index, inbound), waiting);
            self.reply(index, inbound, Response::Refused(Refusal::Busy));
        }
        self.forget_waiting(index);
        let life = self.node(index).life;
        let connections: Vec<_> =
            self.node(index).connections.iter().map(|(peer, connection)| (peer, *connection)).collect();
        for (peer, connection) in connections {
            let (remote, hello) = (self.remote(peer, index, connection.binding), self.hello(peer, index));
            let input = Box::new(Input::PeerUp { remote, hello, dialled: connection.dialled });
            let wait = connection.stands.since(self.now);
            self.schedule(wait, Happening::Owed { to: index, life, input });
        }
        self.after_batch(index);
    }

    pub(super) fn make_room(&mut self, index: NodeIndex) {
        self.at(index).make_room();
        self.hand_over(index, Input::Timer);
    }

    fn take_inbound(
        &mut self,
        index: NodeIndex,
    ) -> std::collections::BTreeMap<starling_overlay::io::InboundId, Waiting> {
        let ids: Vec<_> = self.inbound.keys().filter(|(of, _)| *of == index).copied().collect();
        ids.into_iter().filter_map(|id| self.inbound.remove(&id).map(|waiting| (id.1, waiting))).collect()
    }

    /// The core that waited for answers and owed some is gone.
    pub(super) fn forget_waiting(&mut self, index: NodeIndex) {
        self.take_inbound(index);
        self.calls.retain(|(of, _), _| *of != index);
    }
}
