//! A small machine and a disk in memory, for driving real nodes without the core.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part of what stands here")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::CryptoRng;
use starling_core::io::{
    CallId, Command, CommandError, CommandId, CommandOutput, Event, Input, JobResult, Output, Way,
};
use starling_core::memory::MemoryStore;
use starling_core::storage::{CoreStore, Slot, SlotStore, StorageError};
use starling_core::view::{Profile, SearchResults};
use starling_node::transport::QuicTransport;
use starling_node::{
    Disk, EventStream, Machine, News, Node, NodeConfig, NodeHandle, NodeSecret, limits::Limits,
};
use starling_overlay::io::CallError;
use starling_proto::addr::{JoinAddr, Peer};
use starling_proto::ids::{NodeId, NodeKey};
use starling_proto::message::{FindNode, Hello, Mode, Request, Response};
use starling_proto::time::{Now, Span, Tick};

/// What a test can see and set while a node runs.
#[derive(Default)]
pub struct Control {
    /// Peers' `find_node`s are never answered.
    pub silent: AtomicBool,
    /// Commits fail.
    pub disk_full: AtomicBool,
    /// Greetings as the machine heard them.
    pub hellos: Mutex<Vec<(NodeKey, Hello, bool)>>,
    /// How calls ended.
    pub answers: Mutex<Vec<Result<Response, CallError>>>,
    /// The way of calls; any if not set.
    pub way: Mutex<Option<Way>>,
    /// What the machines were told of the disk.
    pub told_full: Mutex<Vec<bool>>,
    /// Bindings of connections.
    pub bindings: Mutex<Vec<[u8; 32]>>,
    /// Whether what the core's thread kept for itself is gone.
    pub thread_is_gone: AtomicBool,
}

/// What a library keeps for each thread: it takes a while to go.
struct KeptByThread(Arc<Control>);

impl Drop for KeptByThread {
    fn drop(&mut self) {
        (0..10_000).for_each(|_| std::thread::yield_now());
        self.0.thread_is_gone.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    static KEPT: RefCell<Option<KeptByThread>> = const { RefCell::new(None) };
}

/// Pings whom it is told to, answers pings and `find_node`, and tells of peers.
///
/// `Join` pings each address once. `Search` with the words `[ADDR, how, ms]` asks `limit` times, `how` being
/// `parallel` or `sequential`, with a deadline of `ms` milliseconds each; the result counts answers in `asked_holders`
/// and failures in `left_out`.
pub struct TestMachine {
    control: Arc<Control>,
    outputs: VecDeque<Output>,
    next: u64,
    tasks: BTreeMap<CommandId, Task>,
    calls: BTreeMap<CallId, CommandId>,
}

struct Task {
    to: Vec<Peer>,
    request: Request,
    deadline: Span,
    join: bool,
    unsent: usize,
    under_way: usize,
    answered: usize,
    failed: u32,
}

impl Machine for TestMachine {
    type Config = Arc<Control>;
    type LoadError = StorageError;

    fn load(
        config: &Arc<Control>,
        _: Now,
        _: &mut dyn CryptoRng,
        _: &mut dyn CoreStore,
    ) -> Result<Self, StorageError> {
        KEPT.set(Some(KeptByThread(Arc::clone(config))));
        let mut outputs = VecDeque::new();
        outputs.push_back(Output::Greet { mode: Mode::Server, addresses: Vec::new() });
        Ok(Self {
            control: Arc::clone(config),
            outputs,
            next: 0,
            tasks: BTreeMap::new(),
            calls: BTreeMap::new(),
        })
    }

    fn handle(
        &mut self,
        _: Now,
        _: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError> {
        match input {
            Input::PeerUp { remote, hello, dialled } => {
                self.control.hellos.lock().unwrap().push((remote.key, hello, dialled));
                self.control.bindings.lock().unwrap().push(remote.binding);
                self.outputs.push_back(Output::Event(Event::PeerUp(remote.key)));
            }
            Input::PeerDown(key) => self.outputs.push_back(Output::Event(Event::PeerDown(key))),
            Input::Request { inbound, request: Request::Ping, .. } => {
                let response = Response::Pong;
                self.outputs.push_back(Output::Reply { inbound, response, stateless: true });
            }
            Input::Request { inbound, .. } if !self.control.silent.load(Ordering::Relaxed) => {
                let response = Response::Nodes(Vec::new());
                self.outputs.push_back(Output::Reply { inbound, response, stateless: false });
            }
            Input::Answer { call, answer } => self.answered(call, &answer),
            Input::Command { id, command } => self.command(store, id, command)?,
            _ => {}
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Tick> {
        None
    }

    fn disk_full(&mut self, full: bool) {
        self.control.told_full.lock().unwrap().push(full);
    }
}

impl TestMachine {
    fn command(
        &mut self,
        store: &mut dyn CoreStore,
        id: CommandId,
        command: Command,
    ) -> Result<(), StorageError> {
        match command {
            Command::Join(addresses) => {
                let to: Vec<Peer> = addresses.into_iter().map(Peer::from).collect();
                let (unsent, deadline) = (to.len(), Span::from_secs(5));
                self.begin(id, Task { unsent, ..task(to, Request::Ping, deadline, true) }, unsent);
            }
            Command::Search { words, limit } => {
                let to: JoinAddr = words[0].parse().unwrap();
                let at_once = if words[1] == "parallel" { limit } else { 1 };
                let deadline = Span::from_ms(words[2].parse().unwrap());
                let request = if words.get(3).is_some() { find_node() } else { Request::Ping };
                let task = Task { unsent: limit, ..task(vec![to.into()], request, deadline, false) };
                self.begin(id, task, at_once);
            }
            Command::SetProfile { .. } => {
                store.write_slot(Slot::Profile, b"profile")?;
                self.result(id, CommandOutput::Profile(Profile::default()));
            }
            Command::SignOff => self.result(id, CommandOutput::SignedOff),
            other => panic!("the test machine does not know {other:?}"),
        }
        Ok(())
    }

    fn begin(&mut self, id: CommandId, task: Task, at_once: usize) {
        self.tasks.insert(id, task);
        for _ in 0..at_once {
            self.send(id);
        }
    }

    fn send(&mut self, id: CommandId) {
        let task = self.tasks.get_mut(&id).unwrap();
        task.unsent -= 1;
        task.under_way += 1;
        let to = task.to[task.unsent % task.to.len()].clone();
        self.next += 1;
        let call = CallId::Overlay(starling_overlay::io::CallId(self.next));
        self.calls.insert(call, id);
        let (request, deadline) = (task.request.clone(), task.deadline);
        let way = self.control.way.lock().unwrap().unwrap_or(Way::Any);
        self.outputs.push_back(Output::Call { call, to, request, way, deadline });
    }

    fn answered(&mut self, call: CallId, answer: &Result<Response, CallError>) {
        let id = self.calls.remove(&call).expect("an answer comes once");
        let task = self.tasks.get_mut(&id).unwrap();
        task.under_way -= 1;
        match answer {
            Ok(Response::Pong | Response::Nodes(_)) => task.answered += 1,
            other => {
                task.failed += 1;
                self.control.answers.lock().unwrap().push(other.clone());
            }
        }
        if task.unsent > 0 {
            self.send(id);
        } else if task.under_way == 0 {
            let task = self.tasks.remove(&id).unwrap();
            let output = if task.join {
                CommandOutput::Joined { peers: task.answered }
            } else {
                let (left_out, asked_holders) = (task.failed, task.answered);
                CommandOutput::Search(SearchResults { results: Vec::new(), left_out, asked_holders })
            };
            self.result(id, output);
        }
    }

    fn result(&mut self, id: CommandId, output: CommandOutput) {
        self.outputs.push_back(Output::Result { id, result: Ok(output) });
    }
}

fn task(to: Vec<Peer>, request: Request, deadline: Span, join: bool) -> Task {
    Task { to, request, deadline, join, unsent: 0, under_way: 0, answered: 0, failed: 0 }
}

pub fn find_node() -> Request {
    Request::FindNode(FindNode { target: NodeId::new([0; 32]), count: 1 })
}

/// A disk in memory that can be full.
pub struct TestDisk {
    control: Arc<Control>,
    saved: MemoryStore,
    open: MemoryStore,
}

impl Disk for TestDisk {
    fn store(&mut self) -> &mut dyn CoreStore {
        &mut self.open
    }

    fn begin(&mut self) -> Result<(), StorageError> {
        self.open = self.saved.clone();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        let changed = self.open.read_slot(Slot::Profile)? != self.saved.read_slot(Slot::Profile)?;
        if changed && self.control.disk_full.load(Ordering::Relaxed) {
            return Err(StorageError::Full);
        }
        self.saved = self.open.clone();
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        self.open = self.saved.clone();
        Ok(())
    }

    fn has_room(&mut self) -> Result<bool, StorageError> {
        Ok(!self.control.disk_full.load(Ordering::Relaxed))
    }
}

/// A running node and what the test can see of it.
pub struct TestNode {
    pub handle: NodeHandle,
    pub control: Arc<Control>,
    pub events: EventStream,
}

impl TestNode {
    pub async fn start(seed: u8) -> Self {
        Self::start_with(seed, Limits::default()).await
    }

    pub async fn start_with(seed: u8, limits: Limits) -> Self {
        let control = Arc::new(Control::default());
        let (saved, open) = (MemoryStore::default(), MemoryStore::default());
        let disk = TestDisk { control: Arc::clone(&control), saved, open };
        let config = NodeConfig { limits, listen: vec![loopback()], ..node_config(seed) };
        let work = Arc::new(|_: &_, _: &_| JobResult::Cancelled);
        let handle = Node::start::<TestMachine, _>(config, Arc::clone(&control), disk, work).await.unwrap();
        let events = handle.events(None);
        Self { handle, control, events }
    }

    pub fn address(&self) -> JoinAddr {
        self.handle.info().join().unwrap()
    }

    /// Pings `to`; whether it answered.
    pub async fn ping(&self, to: JoinAddr) -> bool {
        let joined = within(self.handle.command(Command::Join(vec![to]))).await.unwrap();
        joined == CommandOutput::Joined { peers: 1 }
    }

    /// Asks `to` so many times; how many answers and failures came.
    pub async fn ask(&self, to: JoinAddr, how: &str, times: usize, deadline_ms: u64) -> (usize, u32) {
        self.ask_words(vec![to.to_string(), how.into(), deadline_ms.to_string()], times).await.unwrap()
    }

    /// The same with `find_node`, whose answer waits for a commit.
    pub async fn ask_nodes(&self, to: JoinAddr, times: usize, deadline_ms: u64) -> (usize, u32) {
        let words = vec![to.to_string(), "parallel".into(), deadline_ms.to_string(), "nodes".into()];
        self.ask_words(words, times).await.unwrap()
    }

    pub async fn ask_words(&self, words: Vec<String>, limit: usize) -> Result<(usize, u32), CommandError> {
        match within(self.handle.command(Command::Search { words, limit })).await? {
            CommandOutput::Search(found) => Ok((found.asked_holders, found.left_out)),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for an event; others are passed over.
    pub async fn wait_for(&mut self, wanted: &Event) {
        self.wait_until(|event| event == wanted).await;
    }

    /// Waits for an event that is as wanted; others are passed over.
    pub async fn wait_until(&mut self, wanted: impl Fn(&Event) -> bool) {
        let events = &mut self.events;
        let is_wanted = |news: &News| matches!(news, News::Event(event) if wanted(event));
        within(async { while !is_wanted(&events.next().await.expect("the node runs").what) {} }).await;
    }

    pub fn failures(&self) -> Vec<Result<Response, CallError>> {
        self.control.answers.lock().unwrap().clone()
    }
}

pub fn node_config(seed: u8) -> NodeConfig {
    NodeConfig::new("test".parse().unwrap(), NodeSecret::new([seed; 32]))
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// The bare transport: a peer that does as the test wants.
pub async fn bare(seed: u8) -> QuicTransport {
    let config = node_config(seed);
    QuicTransport::bind(&config.network, &config.secret, &[loopback()]).await.unwrap()
}

/// A safety net: nothing here takes half a minute unless it hangs.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("this hangs")
}
