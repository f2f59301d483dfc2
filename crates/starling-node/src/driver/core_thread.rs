//! The loop: drain, handle, commit once, let go.

mod recovery;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use starling_core::io::{Input, JobResult, Output};
use starling_core::storage::StorageError;
use starling_overlay::io::{CallError, Remote};
use starling_proto::ids::NodeKey;
use starling_proto::message::Hello;

use super::inbox::{Inbox, Waited};
use super::room::Room;
use super::waiting::Waiting;
use super::{Call, Disk, Item, Machine, MachineId, Outside};
use crate::clock::Clock;
use crate::counts::Counters;
use crate::limits;

/// Ticks count milliseconds, so a timer that has been handled is not asked about sooner than this.
const TIMER_FLOOR: Duration = Duration::from_millis(1);

/// Everything that the core's thread owns.
pub(crate) struct CoreThread<M: Machine, D: Disk, O: Outside> {
    machine: M,
    machine_id: MachineId,
    config: M::Config,
    disk: D,
    rng: StdRng,
    clock: Clock,
    inbox: Arc<Inbox<Item>>,
    outside: O,
    waiting: Waiting,
    counters: Counters,
    room: Room,
    /// Who is connected, so that a rebuilt machine can be told.
    peers: BTreeMap<NodeKey, Vec<PeerUp>>,
    /// Outputs of this batch: they leave after the commit.
    held: Vec<Output>,
    /// Inputs that the shell itself owes the machine.
    owed: Vec<Input>,
    /// No timer before this.
    timer_from: Option<Instant>,
    /// The next pause after a failure.
    pause: Duration,
}

struct PeerUp {
    remote: Remote,
    hello: Hello,
    dialled: bool,
}

/// How the thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The inbox was closed.
    Closed,
    /// The core could not be rebuilt.
    Failed(String),
}

impl<M: Machine, D: Disk, O: Outside> CoreThread<M, D, O> {
    /// Builds the machine, committing what that writes.
    pub(crate) fn load(
        config: M::Config,
        mut disk: D,
        mut rng: StdRng,
        clock: Clock,
        inbox: Arc<Inbox<Item>>,
        (outside, counters): (O, Counters),
    ) -> Result<Self, String> {
        let machine = recovery::build(&config, &mut disk, &mut rng, clock).map_err(|unbuilt| unbuilt.text)?;
        let mut this = Self {
            machine,
            machine_id: MachineId(0),
            config,
            disk,
            rng,
            clock,
            inbox,
            outside,
            waiting: Waiting::new(counters.clone()),
            counters,
            room: Room::default(),
            peers: BTreeMap::new(),
            held: Vec::new(),
            owed: Vec::new(),
            timer_from: None,
            pause: limits::PAUSE_MIN,
        };
        this.collect();
        this.release();
        Ok(this)
    }

    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self) -> Ended {
        let mut items = Vec::with_capacity(limits::BATCH);
        loop {
            self.look_for_room();
            let until = if self.owed.is_empty() { self.next_wake() } else { Some(Instant::now()) };
            if self.inbox.wait(until, limits::BATCH, &mut items) == Waited::Closed {
                return Ended::Closed;
            }
            let mut inputs = std::mem::take(&mut self.owed);
            inputs.extend(items.drain(..).filter_map(|item| self.admit(item)));
            if self.timer_due().is_some_and(|due| due <= Instant::now()) {
                self.timer_from = Instant::now().checked_add(TIMER_FLOOR);
                inputs.push(Input::Timer);
            }
            if inputs.is_empty() {
                continue;
            }
            if let Err(error) = self.round(inputs)
                && let Err(ended) = self.recover(&error)
            {
                return ended;
            }
        }
    }

    /// When there is something to do although nothing comes.
    fn next_wake(&self) -> Option<Instant> {
        [self.timer_due(), self.room.next_trial()].into_iter().flatten().min()
    }

    /// When the machine's timer is due.
    fn timer_due(&self) -> Option<Instant> {
        let due = self.clock.instant(self.machine.next_timeout()?)?;
        Some(self.timer_from.map_or(due, |from| due.max(from)))
    }

    /// Turns what waited into an input, and notes who waits for what comes of it. `None` for what an earlier machine
    /// asked for.
    fn admit(&mut self, item: Item) -> Option<Input> {
        Some(match item {
            Item::PeerUp { remote, hello, dialled, _seat } => {
                let up = PeerUp { remote, hello: hello.clone(), dialled };
                let connections = self.peers.entry(remote.key).or_default();
                connections.push(up);
                if connections.len() > limits::CONNECTIONS_OF_PEER {
                    connections.remove(0);
                }
                Input::PeerUp { remote, hello, dialled }
            }
            Item::PeerDown { key, _seat } => {
                self.peers.remove(&key);
                Input::PeerDown(key)
            }
            Item::Request { remote, request, reply, permit } => {
                let inbound = self.waiting.peer(request.kind(), reply, permit);
                Input::Request { remote, inbound, request }
            }
            Item::Answer { machine, call, answer, _permit } => {
                (machine == self.machine_id).then_some(Input::Answer { call, answer })?
            }
            Item::Command { command, reply, permit } => {
                let id = self.waiting.user(reply, permit);
                Input::Command { id, command }
            }
            Item::JobDone { machine, job, result } => {
                (machine == self.machine_id).then_some(Input::JobDone { job, result })?
            }
        })
    }

    /// One transaction for all inputs. While the disk is full one for each, the user's first: what must be written takes
    /// nothing down then that need not be.
    fn round(&mut self, mut inputs: Vec<Input>) -> Result<(), StorageError> {
        if !self.room.is_full() {
            return self.batch(inputs);
        }
        inputs.sort_by_key(|input| !matches!(input, Input::Command { .. }));
        inputs.into_iter().try_for_each(|input| self.batch(vec![input]))
    }

    /// One transaction: what `inputs` cause leaves only when it is on disk.
    fn batch(&mut self, inputs: Vec<Input>) -> Result<(), StorageError> {
        self.disk.begin()?;
        for input in inputs {
            let now = self.clock.now();
            self.machine.handle(now, &mut self.rng, self.disk.store(), input)?;
            self.collect();
        }
        self.disk.commit()?;
        self.counters.committed();
        self.release();
        // While the disk is full, what writes nothing goes well in between what fails: that mends nothing.
        if !self.room.is_full() {
            self.pause = limits::PAUSE_MIN;
        }
        Ok(())
    }

    /// Holds what the machine wants done; what tells of nothing new leaves at once.
    fn collect(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Reply { inbound, response, stateless: true } => self.waiting.reply(inbound, response),
                other => self.held.push(other),
            }
        }
    }

    /// Lets the held outputs go.
    fn release(&mut self) {
        for output in std::mem::take(&mut self.held) {
            match output {
                Output::Call { call, to, request, way, deadline } => {
                    let machine = self.machine_id;
                    let call = Call { machine, call, to, request, way, deadline };
                    if let Err(call) = self.outside.call(call) {
                        self.owed.push(Input::Answer { call, answer: Err(CallError::Overloaded) });
                    }
                }
                Output::Reply { inbound, response, .. } => self.waiting.reply(inbound, response),
                Output::Greet { mode, addresses } => self.outside.greet(mode, addresses),
                Output::Result { id, result } => self.waiting.finish(id, result),
                Output::Event(event) => self.outside.publish(event),
                Output::Job { job, work } => {
                    if let Err(job) = self.outside.work(self.machine_id, job, work) {
                        self.owed.push(Input::JobDone { job, result: JobResult::Cancelled });
                    }
                }
                _ => tracing::error!("the core wants something that this shell does not know"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
