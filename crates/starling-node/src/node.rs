//! A running peer, and the handle that everything above holds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use starling_core::io::{CallId, Command, CommandError, CommandOutput, ErrorCode, Event, Job, JobId};
use starling_overlay::io::CallError;
use starling_proto::addr::JoinAddr;
use starling_proto::ids::NodeKey;
use starling_proto::message::Mode;
use starling_proto::version::NetworkName;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::counts::{Counters, Counts};
use crate::driver::inbox::Inbox;
use crate::driver::{Call, CoreThread, Disk, Ended, Item, Machine, MachineId, Outside};
use crate::events::{Cursor, EventLog, EventStream};
use crate::jobs::{Jobs, Work};
use crate::limits::{self, Limits};
use crate::pool::Pool;
use crate::transport::{BindFailed, QuicTransport, Transport};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The sockets could not be bound.
    #[error(transparent)]
    Bind(#[from] BindFailed),
    /// The operating system gave no thread.
    #[error("the operating system gives no more threads")]
    Thread(#[source] std::io::Error),
    /// What is stored cannot be used; the text is the machine's own.
    #[error("the node cannot be built from its database: {0}")]
    Load(String),
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// It was shut down.
    ShutDown,
    /// The database failed and the core could not be rebuilt from it; the text is the machine's own.
    StorageFailed(String),
    /// The core's thread broke: a fault in this program.
    Broken,
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its key.
    pub key: NodeKey,
    /// Its network.
    pub network: NetworkName,
    /// Where it may be dialled, as far as its sockets tell; loopback last.
    pub addresses: Vec<SocketAddr>,
}

impl NodeInfo {
    /// What another node may be given to join through this one.
    #[must_use]
    pub fn join(&self) -> Option<JoinAddr> {
        self.addresses.first().map(|address| JoinAddr { key: self.key, address: *address })
    }
}

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node on the internet: binds its sockets, builds its core from `disk`, and serves.
    ///
    /// `work` does the core's heavy jobs. Must be called within a tokio runtime with time and IO enabled.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start<M: Machine, D: Disk>(
        config: NodeConfig,
        machine: M::Config,
        disk: D,
        work: Work,
    ) -> Result<NodeHandle, StartError> {
        let transport = QuicTransport::bind(&config.network, &config.secret, &config.listen).await?;
        let place = Place { network: config.network, limits: config.limits };
        Self::start_on::<_, M, D>(transport, place, machine, disk, work).await
    }

    /// Starts a node on any transport.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start_on<T: Transport, M: Machine, D: Disk>(
        transport: T,
        place: Place,
        machine: M::Config,
        disk: D,
        work: Work,
    ) -> Result<NodeHandle, StartError> {
        let mut rng: StdRng = rand::make_rng();
        let clock = Clock::start();
        let limits = place.limits;
        let inbox = Arc::new(Inbox::new(inbox_capacity(&limits)));
        let events = EventLog::new(rng.next_u64());
        let counters = Counters::default();
        let pool = Pool::new(transport.clone(), Arc::clone(&inbox), clock, limits, counters.clone());
        let network: Arc<dyn Network> = Arc::new(Online {
            pool: pool.clone(),
            transport,
            runtime: Handle::current(),
            name: place.network,
        });
        let calls = Arc::new(Semaphore::new(limits.calls));
        let shell = Shell {
            pool: pool.clone(),
            runtime: Handle::current(),
            inbox: Arc::clone(&inbox),
            events: events.clone(),
            counters: counters.clone(),
            jobs: Jobs::start(work).map_err(StartError::Thread)?,
            calls: Arc::clone(&calls),
        };
        let ended = watch::Sender::new(None);
        let guard = EndGuard {
            inbox: Arc::clone(&inbox),
            events: events.clone(),
            network: Arc::clone(&network),
            ended: ended.clone(),
            reason: EndReason::Broken,
        };
        let load = {
            let (inbox, counters) = (Arc::clone(&inbox), counters.clone());
            move || CoreThread::<M, D, _>::load(machine, disk, rng, clock, inbox, (shell, counters))
        };
        let core = match run_core(load, guard).await {
            Ok(core) => core,
            Err(error) => {
                network.stop().await;
                return Err(error);
            }
        };
        pool.start();
        tracing::info!("the node runs");
        let commands = Arc::new(Semaphore::new(limits.commands));
        let most_calls = u32::try_from(limits.calls).unwrap_or(u32::MAX);
        Ok(NodeHandle(Arc::new(Running {
            network,
            inbox,
            events,
            counters,
            ended,
            commands,
            calls,
            most_calls,
            core: Mutex::new(Some(core)),
        })))
    }
}

/// Where a node is, on a transport that exists.
#[derive(Debug, Clone)]
pub struct Place {
    /// The network's name.
    pub network: NetworkName,
    /// The bounds.
    pub limits: Limits,
}

/// The core's thread, to be waited for to its very last instruction.
///
/// Cryptography beneath the database keeps state for each thread, which goes when the thread does; if the process ends
/// meanwhile it goes a second time, and the memory is damaged.
struct CoreHandle {
    thread: JoinHandle<()>,
    /// Nothing ever comes; whoever waits here is told when the thread's work has ended.
    done: Receiver<Infallible>,
}

impl CoreHandle {
    /// Blocks until the thread has ended, if it does within [`limits::CLOSE_TIME`].
    fn join(self) {
        if self.thread.thread().id() == std::thread::current().id() {
            return;
        }
        match self.done.recv_timeout(limits::CLOSE_TIME) {
            Err(RecvTimeoutError::Timeout) => tracing::error!("the core's thread does not end"),
            Err(RecvTimeoutError::Disconnected) => {
                if self.thread.join().is_err() {
                    tracing::error!("the core's thread panicked");
                }
            }
            Ok(never) => match never {},
        }
    }
}

/// Starts the core's thread, and returns once the core is built.
async fn run_core<M: Machine, D: Disk, O: Outside>(
    load: impl FnOnce() -> Result<CoreThread<M, D, O>, String> + Send + 'static,
    mut guard: EndGuard,
) -> Result<CoreHandle, StartError> {
    let (loaded, loading) = oneshot::channel();
    let (working, done) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        match load() {
            Ok(core) => {
                // Whoever started us may have given up; then the inbox is closed soon.
                let _ = loaded.send(Ok(()));
                guard.reason = match core.run() {
                    Ended::Closed => EndReason::ShutDown,
                    Ended::Failed(error) => EndReason::StorageFailed(error),
                };
            }
            Err(error) => drop(loaded.send(Err(error))),
        }
        drop(guard);
        drop(working);
    };
    let thread =
        std::thread::Builder::new().name("starling-core".into()).spawn(body).map_err(StartError::Thread)?;
    let core = CoreHandle { thread, done };
    let failed = match loading.await {
        Ok(Ok(())) => return Ok(core),
        Ok(Err(error)) => error,
        Err(_) => "the core's thread broke".into(),
    };
    core.join();
    Err(StartError::Load(failed))
}

/// The sum of everything that can wait for the core at once: see [`crate::driver::Item`].
const fn inbox_capacity(limits: &Limits) -> usize {
    let peers = limits.seats.connections.saturating_mul(2);
    let jobs = limits::JOBS.saturating_add(1);
    limits
        .calls
        .saturating_add(limits.inbound)
        .saturating_add(limits.commands)
        .saturating_add(peers)
        .saturating_add(jobs)
}

/// A running node; clones are the same one. When the last is dropped, the node ends without a goodbye.
#[derive(Clone)]
pub struct NodeHandle(Arc<Running>);

struct Running {
    network: Arc<dyn Network>,
    inbox: Arc<Inbox<Item>>,
    events: EventLog,
    counters: Counters,
    ended: watch::Sender<Option<EndReason>>,
    commands: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    most_calls: u32,
    /// Until it has been waited for.
    core: Mutex<Option<CoreHandle>>,
}

impl NodeHandle {
    /// Does what the user wants. Dropping the future does not undo it.
    ///
    /// # Errors
    /// [`CommandError`] from the core; [`ErrorCode::Storage`] if nothing could be stored; [`ErrorCode::Failed`] if too
    /// many commands wait or the node has ended.
    pub async fn command(&self, command: Command) -> Result<CommandOutput, CommandError> {
        let Ok(permit) = Arc::clone(&self.0.commands).try_acquire_owned() else {
            return Err(failed("too many commands are waiting", "wait for some of them, then try again"));
        };
        let (reply, result) = oneshot::channel();
        if self.0.inbox.push(Item::Command { command, reply, permit }).is_err() {
            return Err(node_ended());
        }
        result.await.unwrap_or_else(|_| Err(node_ended()))
    }

    /// The events after `since`, or from now on. An unknown cursor begins with [`crate::News::Resync`].
    #[must_use]
    pub fn events(&self, since: Option<Cursor>) -> EventStream {
        self.0.events.subscribe(since)
    }

    /// What the node has done since it started.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.now()
    }

    /// Key, network and addresses.
    #[must_use]
    pub fn info(&self) -> NodeInfo {
        self.0.network.info()
    }

    /// Resolves when the node has ended, by whatever cause.
    pub async fn ended(&self) -> EndReason {
        let mut ended = self.0.ended.subscribe();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        // The sender lives in the handle, so there is a reason.
        reason.unwrap_or(EndReason::Broken)
    }

    /// Ends at once, without a goodbye. Blocks until the core has written what it was writing.
    pub fn abort(&self) {
        self.0.end();
    }

    /// Says goodbye, ends all connections, lets the core write what it has, and waits for its thread; a few seconds at
    /// most. May be called more than once.
    pub async fn shutdown(&self) -> EndReason {
        let goodbye = async {
            if let Err(error) = self.command(Command::SignOff).await {
                tracing::debug!(code = ?error.code, "no goodbye");
            }
            // The goodbyes are calls under way. Those that wait here take each place that is freed, so there are no
            // new ones.
            let _ = self.0.calls.acquire_many(self.0.most_calls).await;
        };
        if timeout(limits::GOODBYE_TIME, goodbye).await.is_err() {
            tracing::debug!("not everybody took our goodbye in time");
        }
        if timeout(limits::CLOSE_TIME, self.0.network.stop()).await.is_err() {
            tracing::debug!("not every connection ended in time");
        }
        // The calls that this has ended still have to tell the core, which has commands that wait for them.
        if timeout(limits::CLOSE_TIME, self.0.calls.acquire_many(self.0.most_calls)).await.is_err() {
            tracing::debug!("not every call ended in time");
        }
        self.0.inbox.close();
        match timeout(limits::CLOSE_TIME, self.ended()).await {
            Ok(reason) => {
                self.0.join_core();
                tracing::info!("the node has ended");
                reason
            }
            Err(_) => {
                tracing::error!("the core's thread does not end");
                EndReason::Broken
            }
        }
    }
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeHandle(..)")
    }
}

impl Running {
    fn end(&self) {
        self.network.abandon();
        self.inbox.close();
        self.join_core();
    }

    /// Once the core has been told to end: a moment, unless the disk hangs.
    fn join_core(&self) {
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner).take();
        core.map(CoreHandle::join).unwrap_or_default();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The network side, whatever the transport.
trait Network: Send + Sync {
    fn info(&self) -> NodeInfo;
    /// Ends all connections at once.
    fn hang_up(&self);
    /// Stops in the background, so that peers hear of it although nobody waits.
    fn abandon(&self);
    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

struct Online<T: Transport> {
    pool: Pool<T>,
    transport: T,
    runtime: Handle,
    name: NetworkName,
}

impl<T: Transport> Network for Online<T> {
    fn info(&self) -> NodeInfo {
        NodeInfo {
            key: self.transport.key(),
            network: self.name.clone(),
            addresses: self.transport.addresses(),
        }
    }

    fn hang_up(&self) {
        self.pool.hang_up();
    }

    fn abandon(&self) {
        self.pool.hang_up();
        let pool = self.pool.clone();
        self.runtime.spawn(async move { pool.stop().await });
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.pool.stop())
    }
}

/// Lives on the core's thread; however that ends, nothing goes on without it.
struct EndGuard {
    inbox: Arc<Inbox<Item>>,
    events: EventLog,
    network: Arc<dyn Network>,
    ended: watch::Sender<Option<EndReason>>,
    reason: EndReason,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.inbox.close();
        // What waits must not wait for ever: dropping it tells those who wait.
        self.inbox.wait(Some(std::time::Instant::now()), usize::MAX, &mut Vec::new());
        self.events.end();
        self.network.hang_up();
        self.ended.send_replace(Some(self.reason.clone()));
    }
}

/// Carries the core's outputs out; called on the core's thread, so it only hands over.
struct Shell<T: Transport> {
    pool: Pool<T>,
    runtime: Handle,
    inbox: Arc<Inbox<Item>>,
    events: EventLog,
    counters: Counters,
    jobs: Jobs,
    calls: Arc<Semaphore>,
}

impl<T: Transport> Outside for Shell<T> {
    fn call(&mut self, call: Call) -> Result<(), CallId> {
        let Ok(permit) = Arc::clone(&self.calls).try_acquire_owned() else { return Err(call.call) };
        let deadline = Instant::now().checked_add(Duration::from_millis(call.deadline.as_ms()));
        let (pool, inbox) = (self.pool.clone(), Arc::clone(&self.inbox));
        self.runtime.spawn(async move {
            let answer = match deadline {
                Some(deadline) => pool.call(&call.to, &call.request, call.way, deadline).await,
                None => Err(CallError::TimedOut),
            };
            let item = Item::Answer { machine: call.machine, call: call.call, answer, _permit: permit };
            if inbox.push(item).is_err() {
                tracing::debug!("the core has ended before an answer came");
            }
        });
        Ok(())
    }

    fn greet(&mut self, mode: Mode, addresses: Vec<SocketAddr>) {
        self.pool.greet_as(mode, addresses);
    }

    fn publish(&mut self, event: Event) {
        self.counters.told(&event);
        self.events.publish(event);
    }

    fn work(&mut self, machine: MachineId, job: JobId, work: Job) -> Result<(), JobId> {
        let inbox = Arc::clone(&self.inbox);
        let finish = Box::new(move |result| {
            if inbox.push(Item::JobDone { machine, job, result }).is_err() {
                tracing::debug!("the core has ended before a job did");
            }
        });
        if self.jobs.submit(work, finish) { Ok(()) } else { Err(job) }
    }
}

fn failed(message: &str, hint: &str) -> CommandError {
    CommandError { code: ErrorCode::Failed, message: message.into(), hint: hint.into() }
}

fn node_ended() -> CommandError {
    failed("the node has ended", "start it again with `starling run`")
}
