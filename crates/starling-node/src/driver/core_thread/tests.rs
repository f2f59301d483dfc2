mod full;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rand::{CryptoRng, SeedableRng};
use starling_core::io::{
    CallId, Command, CommandError, CommandOutput, ErrorCode, Event, Job, JobId, WarningCode, Way,
};
use starling_core::memory::MemoryStore;
use starling_core::storage::{CoreStore, Slot, SlotStore as _};
use starling_core::view::Profile;
use starling_crypto::stamp::{StampPolicy, StampSubject};
use starling_overlay::seats::SeatLimits;
use starling_proto::addr::Peer;
use starling_proto::frame::FrameKind;
use starling_proto::ids::{NodeId, PublisherKey};
use starling_proto::message::{FindNode, Mode, Refusal, Request, Response};
use starling_proto::time::{Month, Now, Span, Tick};
use starling_proto::version::ProtocolVersion;
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::pool::Seats;

/// Everything that left, in order: shared with the fakes.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What a test can change while the thread runs: shared with the fakes.
#[derive(Clone, Default)]
struct Faults {
    /// What changes anything does not fit.
    full: Arc<AtomicBool>,
    /// Nothing can be committed, for another cause.
    broken: Arc<AtomicBool>,
    /// The machine writes when it is built.
    load_writes: Arc<AtomicBool>,
}

struct FakeDisk {
    trace: Trace,
    faults: Faults,
    saved: MemoryStore,
    open: MemoryStore,
    /// The commit of this number fails (the first is the one of the load); 0 for none.
    fails_at: usize,
    commits: Arc<AtomicUsize>,
}

impl FakeDisk {
    fn new(trace: &Trace, faults: &Faults, fails_at: usize) -> Self {
        let (saved, open) = (MemoryStore::default(), MemoryStore::default());
        let (trace, faults) = (trace.clone(), faults.clone());
        Self { trace, faults, saved, open, fails_at, commits: Arc::default() }
    }
}

impl Disk for FakeDisk {
    fn store(&mut self) -> &mut dyn CoreStore {
        &mut self.open
    }

    fn begin(&mut self) -> Result<(), StorageError> {
        self.open = self.saved.clone();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StorageError> {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 == self.fails_at {
            self.trace.note("commit failed");
            return Err(StorageError::Full);
        }
        if is_set(&self.faults.broken) {
            return Err(StorageError::Failed("broken".into()));
        }
        if is_set(&self.faults.full) && changed(&self.open, &self.saved) {
            self.trace.note("no room");
            return Err(StorageError::Full);
        }
        self.saved = self.open.clone();
        self.trace.note("commit");
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        self.open = self.saved.clone();
        Ok(())
    }

    fn has_room(&mut self) -> Result<bool, StorageError> {
        self.trace.note("trial");
        if is_set(&self.faults.broken) {
            return Err(StorageError::Failed("broken".into()));
        }
        Ok(!is_set(&self.faults.full))
    }
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

fn changed(open: &MemoryStore, saved: &MemoryStore) -> bool {
    Slot::ALL.into_iter().any(|slot| open.read_slot(slot).unwrap() != saved.read_slot(slot).unwrap())
}

/// Wants something of everything for `SetListed`, answers pings at once and `find_node` after the commit.
struct FakeMachine {
    outputs: Vec<Output>,
    trace: Trace,
    timer: Option<Tick>,
}

impl Machine for FakeMachine {
    type Config = (Trace, Faults);
    type LoadError = StorageError;

    fn load(
        (trace, faults): &(Trace, Faults),
        _: Now,
        _: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
    ) -> Result<Self, StorageError> {
        let listed = store.read_slot(Slot::Profile)?.is_some();
        trace.note(format!("load listed={listed}"));
        if is_set(&faults.load_writes) {
            store.write_slot(Slot::Locator, b"written by the load")?;
        }
        Ok(Self { outputs: Vec::new(), trace: trace.clone(), timer: None })
    }

    fn handle(
        &mut self,
        now: Now,
        _: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError> {
        match input {
            Input::Command { id, command: Command::SetListed(_) } => {
                store.write_slot(Slot::Profile, b"listed")?;
                self.outputs.extend(one_of_each());
                let result = Ok(CommandOutput::Profile(Profile::default()));
                self.outputs.push(Output::Result { id, result });
            }
            Input::Command { id, command: Command::ShowProfile } => {
                let result = Ok(CommandOutput::Profile(Profile::default()));
                self.outputs.push(Output::Result { id, result });
            }
            Input::Command { command: Command::Status, .. } => self.timer = Some(now.tick),
            Input::Request { inbound, request, .. } => {
                let stateless = request == Request::Ping;
                let response = if stateless { Response::Pong } else { Response::Nodes(Vec::new()) };
                self.outputs.push(Output::Reply { inbound, response, stateless });
            }
            Input::Timer => {
                self.timer = None;
                self.trace.note("timer");
            }
            other => self.trace.note(name(&other)),
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        (!self.outputs.is_empty()).then(|| self.outputs.remove(0))
    }

    fn next_timeout(&self) -> Option<Tick> {
        self.timer
    }

    fn disk_full(&mut self, full: bool) {
        self.trace.note(format!("full={full}"));
    }
}

fn name(input: &Input) -> String {
    match input {
        Input::PeerUp { .. } => "up".into(),
        Input::PeerDown(_) => "down".into(),
        Input::Answer { answer, .. } => format!("answer {answer:?}"),
        Input::JobDone { result, .. } => format!("job {result:?}"),
        _ => "another".into(),
    }
}

fn call_id() -> CallId {
    CallId::Overlay(starling_overlay::io::CallId(1))
}

fn one_of_each() -> Vec<Output> {
    let to = Peer::new(NodeKey::new([1; 32]), []);
    let (request, deadline) = (Request::Ping, Span::from_secs(1));
    let subject = StampSubject::Publisher(PublisherKey::new([0; 32]));
    let (month, policy) = (Month::new(1), StampPolicy::main());
    vec![
        Output::Call { call: call_id(), to, request, way: Way::Any, deadline },
        Output::Greet { mode: Mode::Server, addresses: Vec::new() },
        Output::Event(Event::Warning { code: WarningCode::Alone, message: String::new() }),
        Output::Job { job: JobId(1), work: Job::Stamp { subject, month, policy, start: 0 } },
    ]
}

/// Notes what leaves; has room for nothing if `full`.
struct FakeOutside {
    trace: Trace,
    full: bool,
}

impl Outside for FakeOutside {
    fn call(&mut self, call: Call) -> Result<(), CallId> {
        self.trace.note("call");
        if self.full { Err(call.call) } else { Ok(()) }
    }
    fn greet(&mut self, _: Mode, _: Vec<SocketAddr>) {
        self.trace.note("greet");
    }
    fn publish(&mut self, _: Event) {
        self.trace.note("event");
    }
    fn work(&mut self, _: MachineId, job: JobId, _: Job) -> Result<(), JobId> {
        self.trace.note("work");
        if self.full { Err(job) } else { Ok(()) }
    }
}

/// A core thread that has not begun, and the ends of what goes into it.
struct Bench {
    trace: Trace,
    faults: Faults,
    inbox: Arc<Inbox<Item>>,
    core: CoreThread<FakeMachine, FakeDisk, FakeOutside>,
    permits: Arc<Semaphore>,
    counters: Counters,
}

impl Bench {
    fn new(fails_at: usize, full: bool) -> Self {
        let (trace, faults) = (Trace::default(), Faults::default());
        let inbox = Arc::new(Inbox::new(100));
        let disk = FakeDisk::new(&trace, &faults, fails_at);
        let outside = FakeOutside { trace: trace.clone(), full };
        let rng = StdRng::seed_from_u64(1);
        let config = (trace.clone(), faults.clone());
        let counters = Counters::default();
        let core = CoreThread::load(
            config,
            disk,
            rng,
            Clock::start(),
            Arc::clone(&inbox),
            (outside, counters.clone()),
        );
        let core = core.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(trace.take(), ["load listed=false", "commit"]);
        Self { trace, faults, inbox, core, permits: Arc::new(Semaphore::new(100)), counters }
    }

    fn push(&self, item: Item) {
        assert!(self.inbox.push(item).is_ok());
    }

    fn permit(&self) -> super::super::Permit {
        Arc::clone(&self.permits).try_acquire_owned().unwrap()
    }

    fn command(&self, command: Command) -> oneshot::Receiver<Result<CommandOutput, CommandError>> {
        let (reply, result) = oneshot::channel();
        self.push(Item::Command { command, reply, permit: self.permit() });
        result
    }

    fn request(&self, request: Request) -> oneshot::Receiver<Response> {
        let (reply, response) = oneshot::channel();
        let permit = Arc::new(self.permit());
        self.push(Item::Request { remote: remote(), request, reply, permit });
        response
    }

    fn peer_up(&self) {
        self.push(peer_up());
    }

    fn answer(&self, machine: u64) {
        let (machine, permit) = (MachineId(machine), self.permit());
        self.push(Item::Answer { machine, call: call_id(), answer: Ok(Response::Pong), _permit: permit });
    }

    /// Handles what waits, and what left.
    fn run(self) -> (Ended, Vec<String>) {
        self.inbox.close();
        let ended = self.core.run();
        (ended, self.trace.take())
    }
}

fn remote() -> Remote {
    Remote { key: NodeKey::new([9; 32]), address: "127.0.0.1:9".parse().unwrap(), binding: [0; 32] }
}

fn peer_up() -> Item {
    let hello = Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    };
    let seat = Arc::new(Seats::new(SeatLimits::default()).outgoing().unwrap());
    Item::PeerUp { remote: remote(), hello, dialled: true, _seat: seat }
}

fn find_node() -> Request {
    Request::FindNode(FindNode { target: NodeId::new([0; 32]), count: 1 })
}

#[test]
fn nothing_leaves_before_the_commit() {
    let bench = Bench::new(0, false);
    let mut result = bench.command(Command::SetListed(true));
    let (ended, trace) = bench.run();
    assert_eq!(ended, Ended::Closed);
    assert_eq!(trace, ["commit", "call", "greet", "event", "work"]);
    assert!(result.try_recv().unwrap().is_ok());
}

#[test]
fn a_failed_commit_drops_the_outputs_and_rebuilds_the_core() {
    let bench = Bench::new(2, false);
    let mut result = bench.command(Command::SetListed(true));
    let mut found = bench.request(find_node());
    let (ended, trace) = bench.run();
    assert_eq!(ended, Ended::Closed);
    assert_eq!(trace, ["commit failed", "event", "load listed=false", "commit", "full=true"]);
    assert_eq!(result.try_recv().unwrap().unwrap_err().code, ErrorCode::Storage);
    let busy = Ok(Response::Refused(Refusal::Busy));
    assert_eq!(found.try_recv(), busy, "a reply left that was not committed");
}

#[test]
fn what_tells_of_nothing_new_leaves_even_if_the_commit_fails() {
    let bench = Bench::new(2, false);
    let mut pong = bench.request(Request::Ping);
    let mut nodes = bench.request(find_node());
    bench.run();
    assert_eq!(pong.try_recv(), Ok(Response::Pong));
    assert_eq!(nodes.try_recv(), Ok(Response::Refused(Refusal::Busy)));
}

#[test]
fn what_was_done_is_counted_across_a_rebuilt_core() {
    let bench = Bench::new(2, false);
    let _replies = [bench.request(Request::Ping), bench.request(find_node())];
    let counters = bench.counters.clone();
    bench.run();
    let counts = counters.now();
    assert_eq!((counts.commits, counts.failed_commits), (0, 1));
    let of = |kind| counts.requests.get(&kind).copied().unwrap_or_default();
    assert_eq!((of(FrameKind::Ping).answered, of(FrameKind::Ping).refused), (1, 0));
    assert_eq!((of(FrameKind::FindNode).answered, of(FrameKind::FindNode).refused), (0, 1));
}

#[test]
fn a_rebuilt_core_hears_who_is_connected_and_nothing_of_its_predecessor() {
    let mut bench = Bench::new(2, false);
    bench.peer_up();
    let failed = bench.command(Command::SetListed(true));
    // The first round fails; the second begins with what the shell owes.
    bench.core = {
        let mut core = bench.core;
        let mut items = Vec::new();
        bench.inbox.wait(None, 100, &mut items);
        let inputs = items.drain(..).filter_map(|item| core.admit(item)).collect();
        let error = core.batch(inputs).unwrap_err();
        core.recover(&error).unwrap();
        core
    };
    drop(failed);
    assert_eq!(
        bench.trace.take(),
        ["up", "commit failed", "event", "load listed=false", "commit", "full=true"]
    );
    bench.answer(0);
    bench.answer(1);
    let (_, trace) = bench.run();
    assert_eq!(trace, ["up", "commit", "answer Ok(Pong)", "commit"]);
}

#[test]
fn a_burst_is_one_transaction() {
    let bench = Bench::new(0, false);
    let replies: Vec<_> = (0..50).map(|_| bench.request(find_node())).collect();
    let (_, trace) = bench.run();
    assert_eq!(trace, ["commit"]);
    assert!(replies.into_iter().all(|mut reply| reply.try_recv().is_ok()));
}

#[test]
fn what_finds_no_room_comes_back_as_overloaded_or_cancelled() {
    let mut bench = Bench::new(0, true);
    let _result = bench.command(Command::SetListed(true));
    let mut items = Vec::new();
    bench.inbox.wait(None, 100, &mut items);
    let inputs = items.drain(..).filter_map(|item| bench.core.admit(item)).collect();
    bench.core.batch(inputs).unwrap();
    bench.trace.take();
    // Something must wait, or a closed inbox ends the thread before it looks at what it owes.
    bench.answer(7);
    let (_, trace) = bench.run();
    assert_eq!(trace, ["answer Err(Overloaded)", "job Cancelled", "commit"]);
}

#[test]
fn a_timer_that_is_due_is_handled_with_the_next_batch() {
    let bench = Bench::new(0, false);
    let status = bench.command(Command::Status);
    let (inbox, trace) = (Arc::clone(&bench.inbox), bench.trace.clone());
    let thread = std::thread::spawn(move || bench.core.run());
    // The timer is due at once; it comes although nothing else does.
    while !trace.0.lock().unwrap().iter().any(|line| line == "timer") {
        std::thread::yield_now();
    }
    inbox.close();
    assert_eq!(thread.join().unwrap(), Ended::Closed);
    drop(status);
}
