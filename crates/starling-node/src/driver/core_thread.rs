//! The loop: drain, handle, commit once, let go.

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
use super::waiting::Waiting;
use super::{Call, Disk, Item, Machine, MachineId, Outside};
use crate::clock::Clock;
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
    /// Who is connected, so that a rebuilt machine can be told.
    peers: BTreeMap<NodeKey, PeerUp>,
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
        outside: O,
    ) -> Result<Self, String> {
        let machine = build::<M, D>(&config, &mut disk, &mut rng, clock)?;
        let mut this = Self {
            machine,
            machine_id: MachineId(0),
            config,
            disk,
            rng,
            clock,
            inbox,
            outside,
            waiting: Waiting::default(),
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
            let until = if self.owed.is_empty() { self.timer_due() } else { Some(Instant::now()) };
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
            if let Err(error) = self.batch(inputs)
                && let Err(ended) = self.recover(&error)
            {
                return ended;
            }
        }
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
                self.peers.insert(remote.key, up);
                Input::PeerUp { remote, hello, dialled }
            }
            Item::PeerDown { key, _seat } => {
                self.peers.remove(&key);
                Input::PeerDown(key)
            }
            Item::Request { remote, request, reply, permit } => {
                let inbound = self.waiting.peer(reply, permit);
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

    /// One transaction: what `inputs` cause leaves only when it is on disk.
    fn batch(&mut self, inputs: Vec<Input>) -> Result<(), StorageError> {
        self.disk.begin()?;
        for input in inputs {
            let now = self.clock.now();
            self.machine.handle(now, &mut self.rng, self.disk.store(), input)?;
            self.collect();
        }
        self.disk.commit()?;
        self.release();
        self.pause = limits::PAUSE_MIN;
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

    /// After a failed batch: nothing of it leaves, and a new machine is built from what is on disk.
    fn recover(&mut self, error: &StorageError) -> Result<(), Ended> {
        tracing::warn!(
            kind = kind(error),
            held = self.held.len(),
            "a transaction failed; rebuilding the core"
        );
        self.held.clear();
        self.owed.clear();
        self.waiting.fail(error);
        if self.disk.rollback().is_err() {
            // A failed commit may have ended the transaction already; if it has not, `begin` will say so.
            tracing::debug!("there was nothing to roll back");
        }
        self.machine_id = MachineId(self.machine_id.0.saturating_add(1));
        let mut last = String::new();
        for _ in 0..limits::REBUILDS {
            self.wait_a_little();
            match build::<M, D>(&self.config, &mut self.disk, &mut self.rng, self.clock) {
                Ok(machine) => {
                    self.resume(machine);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(Ended::Failed(last))
    }

    /// Puts a new machine in place and tells it who is connected.
    fn resume(&mut self, machine: M) {
        self.machine = machine;
        self.timer_from = None;
        let peers = self.peers.values();
        self.owed.extend(peers.map(|up| Input::PeerUp {
            remote: up.remote,
            hello: up.hello.clone(),
            dialled: up.dialled,
        }));
        self.collect();
        self.release();
    }

    /// Waits, longer from time to time; a closed inbox ends the wait.
    fn wait_a_little(&mut self) {
        if let Some(until) = Instant::now().checked_add(self.pause) {
            self.inbox.pause(until);
        }
        self.pause = self.pause.saturating_mul(2).min(limits::PAUSE_MAX);
    }
}

/// Builds a machine inside a transaction of its own.
fn build<M: Machine, D: Disk>(
    config: &M::Config,
    disk: &mut D,
    rng: &mut StdRng,
    clock: Clock,
) -> Result<M, String> {
    let attempt = |disk: &mut D, rng: &mut StdRng| -> Result<M, Box<dyn std::error::Error>> {
        disk.begin()?;
        let machine = M::load(config, clock.now(), rng, disk.store())?;
        disk.commit()?;
        Ok(machine)
    };
    attempt(disk, rng).map_err(|error| {
        if disk.rollback().is_err() {
            tracing::debug!("there was nothing to roll back");
        }
        error.to_string()
    })
}

/// A word for the log: the error's own text may quote what the database says.
const fn kind(error: &StorageError) -> &'static str {
    match error {
        StorageError::Full => "full",
        StorageError::Corrupt(_) => "corrupt",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests;
