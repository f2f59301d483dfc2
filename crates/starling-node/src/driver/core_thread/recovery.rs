//! What happens after a failure: a new machine from what is on disk, and patience while the disk is full.

use std::error::Error;
use std::iter;
use std::time::Instant;

use rand::rngs::StdRng;
use starling_core::io::{Event, Input, WarningCode};
use starling_core::storage::StorageError;

use super::{CoreThread, Ended};
use crate::clock::Clock;
use crate::driver::inbox::Waited;
use crate::driver::{Disk, Machine, MachineId, Outside};
use crate::limits;

impl<M: Machine, D: Disk, O: Outside> CoreThread<M, D, O> {
    /// After a failed batch: nothing of it leaves, and a new machine is built from what is on disk. Goes on trying for
    /// as long as the disk is full; another failure that stays ends the thread.
    pub(super) fn recover(&mut self, error: &StorageError) -> Result<(), Ended> {
        self.abandon(error);
        let mut failures: u32 = 0;
        loop {
            self.wait_a_little();
            let unbuilt = match build::<M, D>(&self.config, &mut self.disk, &mut self.rng, self.clock) {
                Ok(machine) => {
                    self.resume(machine);
                    return Ok(());
                }
                Err(unbuilt) => unbuilt,
            };
            if unbuilt.full || self.trial() == Some(false) {
                self.ran_out();
                if self.turn_away() == Waited::Closed {
                    return Err(Ended::Closed);
                }
                continue;
            }
            failures = failures.saturating_add(1);
            if failures >= limits::REBUILDS {
                return Err(Ended::Failed(unbuilt.text));
            }
        }
    }

    /// While the disk is full: tries now and then whether there is room, and tells the machine when there is.
    pub(super) fn look_for_room(&mut self) {
        let now = Instant::now();
        if self.room.next_trial().is_none_or(|at| at > now) {
            return;
        }
        let has_room = self.trial() == Some(true);
        if self.room.tried(has_room, now) {
            tracing::info!("there is room on the disk again");
            self.pause = limits::PAUSE_MIN;
            self.machine.disk_full(false);
            self.owed.push(Input::Timer);
        }
    }

    /// Gives up the machine and everything that waits for it.
    fn abandon(&mut self, error: &StorageError) {
        tracing::warn!(
            kind = kind(error),
            held = self.held.len(),
            "a transaction failed; rebuilding the core"
        );
        if *error == StorageError::Full {
            self.ran_out();
        }
        self.counters.commit_failed();
        self.held.clear();
        self.owed.clear();
        self.waiting.fail(error);
        if self.disk.rollback().is_err() {
            // A failed commit may have ended the transaction already; if it has not, `begin` will say so.
            tracing::debug!("there was nothing to roll back");
        }
        self.machine_id = MachineId(self.machine_id.0.saturating_add(1));
    }

    /// Notes that the disk is full; the user is told when it begins.
    fn ran_out(&mut self) {
        if self.room.ran_out(Instant::now()) {
            self.outside.publish(disk_full());
        }
    }

    /// Whether there is room on the disk; `None` if that cannot be found out.
    fn trial(&mut self) -> Option<bool> {
        let tried = self.disk.has_room();
        tried
            .inspect_err(|error| tracing::warn!(kind = kind(error), "cannot find out whether there is room"))
            .ok()
    }

    /// Puts a new machine in place and tells it who is connected.
    fn resume(&mut self, mut machine: M) {
        if self.room.is_full() {
            machine.disk_full(true);
        }
        self.machine = machine;
        self.timer_from = None;
        let peers = self.peers.values().flatten();
        self.owed.extend(peers.map(|up| Input::PeerUp {
            remote: up.remote,
            hello: up.hello.clone(),
            dialled: up.dialled,
        }));
        self.collect();
        self.release();
    }

    /// Refuses everybody who waits, for there is no machine; who came and went is noted for the next.
    fn turn_away(&mut self) -> Waited {
        let mut items = Vec::new();
        loop {
            let waited = self.inbox.wait(Some(Instant::now()), limits::BATCH, &mut items);
            if waited != Waited::Items {
                self.waiting.fail(&StorageError::Full);
                return waited;
            }
            for item in items.drain(..) {
                // The input is for a machine; what it leaves behind in `peers` and `waiting` is what counts.
                drop(self.admit(item));
            }
        }
    }

    /// Waits, longer from time to time; a closed inbox ends the wait.
    fn wait_a_little(&mut self) {
        if let Some(until) = Instant::now().checked_add(self.pause) {
            self.inbox.pause(until);
        }
        self.pause = self.pause.saturating_mul(2).min(limits::PAUSE_MAX);
    }
}

/// Why there is no machine.
pub(super) struct Unbuilt {
    /// What the machine or the disk said.
    pub(super) text: String,
    /// Whether that was for want of room.
    full: bool,
}

/// Builds a machine inside a transaction of its own.
pub(super) fn build<M: Machine, D: Disk>(
    config: &M::Config,
    disk: &mut D,
    rng: &mut StdRng,
    clock: Clock,
) -> Result<M, Unbuilt> {
    let attempt = |disk: &mut D, rng: &mut StdRng| -> Result<M, Box<dyn Error>> {
        disk.begin()?;
        let machine = M::load(config, clock.now(), rng, disk.store())?;
        disk.commit()?;
        Ok(machine)
    };
    attempt(disk, rng).map_err(|error| {
        if disk.rollback().is_err() {
            tracing::debug!("there was nothing to roll back");
        }
        Unbuilt { text: error.to_string(), full: is_full(error.as_ref()) }
    })
}

/// Whether a full disk is the cause, as far as the error tells.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    causes.any(|cause| cause.downcast_ref() == Some(&StorageError::Full))
}

/// A word for the log: the error's own text may quote what the database says.
const fn kind(error: &StorageError) -> &'static str {
    match error {
        StorageError::Full => "full",
        StorageError::Corrupt(_) => "corrupt",
        _ => "failed",
    }
}

fn disk_full() -> Event {
    Event::Warning {
        code: WarningCode::DiskFull,
        message: "The disk is full: nothing can be sent, changed or kept for others. Reading goes on. Free some space; \
                  this node notices and goes on by itself."
            .into(),
    }
}
