//! The core's thread: it owns the machine and the writing database connection, and commits before anything leaves.

mod core_thread;
pub(crate) mod inbox;
mod room;
mod waiting;

use std::sync::Arc;

use rand::CryptoRng;
use starling_core::io::{
    CallId, Command, CommandError, CommandOutput, Event, Input, Job, JobId, JobResult, Output, Way,
};
use starling_core::storage::{CoreStore, StorageError};
use starling_overlay::io::{CallError, Remote};
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::{Hello, Mode, Request, Response};
use starling_proto::time::{Now, Span, Tick};
use tokio::sync::oneshot;

use crate::pool::{InboundPermit, Seat};

pub(crate) use core_thread::{CoreThread, Ended};

/// The pure machine that a node drives; the product's is `starling_core::Core`.
pub trait Machine: Sized + Send + 'static {
    /// What it is built with, again after each failed commit.
    type Config: Send + 'static;
    /// Why it could not be built.
    type LoadError: std::error::Error + Send + Sync + 'static;

    /// Builds the machine from what is stored.
    ///
    /// # Errors
    /// If the store cannot be read, or holds what no machine wrote.
    fn load(
        config: &Self::Config,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
    ) -> Result<Self, Self::LoadError>;

    /// Handles one input; outputs wait in [`Self::poll_output`].
    ///
    /// # Errors
    /// [`StorageError`] from beneath: the machine is then discarded.
    fn handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError>;

    /// The next thing to be done; `None` until the next input.
    fn poll_output(&mut self) -> Option<Output>;

    /// When [`Input::Timer`] is due; to be asked again after each input.
    fn next_timeout(&self) -> Option<Tick>;

    /// The disk is full, or no longer: told to each machine that is built while it is, and once when there is room
    /// again; an [`Input::Timer`] follows then, due or not.
    ///
    /// A full disk is no reason to end. While it lasts the machine should refuse whatever would have to be written: a
    /// write that fails costs the whole machine, which is built anew. For the same reason [`Self::load`] should write
    /// nothing, or there is no machine until there is room. A machine that knows neither is safe all the same: everybody
    /// who asks is refused, ever more slowly.
    fn disk_full(&mut self, _full: bool) {}
}

/// A store with transactions. Everything between [`Self::begin`] and [`Self::commit`] is on disk whole or not at all.
pub trait Disk: Send + 'static {
    /// What the machine reads and writes, within a transaction.
    fn store(&mut self) -> &mut dyn CoreStore;

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn begin(&mut self) -> Result<(), StorageError>;

    /// Makes the transaction durable: when this returns, a power cut loses nothing of it.
    ///
    /// # Errors
    /// [`StorageError`] from beneath; nothing was written then.
    fn commit(&mut self) -> Result<(), StorageError>;

    /// Forgets the transaction; called after every failure, also when none is open any more.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    fn rollback(&mut self) -> Result<(), StorageError>;

    /// Whether there is room for a good while: found out by writing, since what a file system calls free may be another's.
    /// Called now and then while the disk is full, outside a transaction. Asks for much more than a transaction needs,
    /// so that a disk with a few free bytes does not count as full and as not full in turn.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, other than [`StorageError::Full`].
    fn has_room(&mut self) -> Result<bool, StorageError>;
}

/// What waits for the core. Each kind carries what bounds it: see [`crate::limits`].
pub(crate) enum Item {
    /// A connection stands and both sides have greeted.
    PeerUp { remote: Remote, hello: Hello, dialled: bool, _seat: Arc<Seat> },
    /// The last connection ended. Its seat is free when the core has seen this.
    PeerDown { key: NodeKey, _seat: Arc<Seat> },
    /// A peer asks.
    Request { remote: Remote, request: Request, reply: oneshot::Sender<Response>, permit: InboundPermit },
    /// A request of ours has ended; `machine` is the one that asked.
    Answer { machine: MachineId, call: CallId, answer: Result<Response, CallError>, _permit: Permit },
    /// The user wants something.
    Command { command: Command, reply: CommandReply, permit: Permit },
    /// Heavy work is done.
    JobDone { machine: MachineId, job: JobId, result: JobResult },
}

/// Holds a place in one of the bounded sets.
pub(crate) type Permit = tokio::sync::OwnedSemaphorePermit;

/// Where a command's result goes.
pub(crate) type CommandReply = oneshot::Sender<Result<CommandOutput, CommandError>>;

/// Which of the machines that were built one after another: ids of a discarded one mean nothing to its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MachineId(pub(crate) u64);

/// A call that is to be made.
pub(crate) struct Call {
    pub(crate) machine: MachineId,
    pub(crate) call: CallId,
    pub(crate) to: Peer,
    pub(crate) request: Request,
    pub(crate) way: Way,
    pub(crate) deadline: Span,
}

/// What carries the outputs out. Nothing here may block.
pub(crate) trait Outside: Send + 'static {
    /// Makes a call; its answer comes back as an [`Item`]. Gives the call back if there is no room.
    fn call(&mut self, call: Call) -> Result<(), CallId>;
    /// Greets like this from now on.
    fn greet(&mut self, mode: Mode, addresses: Vec<std::net::SocketAddr>);
    /// Tells the faces.
    fn publish(&mut self, event: Event);
    /// Does heavy work; its result comes back as an [`Item`]. Gives it back if there is no room.
    fn work(&mut self, machine: MachineId, job: JobId, work: Job) -> Result<(), JobId>;
}
