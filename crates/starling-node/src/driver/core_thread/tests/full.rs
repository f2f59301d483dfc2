//! A full disk: told once, survived for as long as it lasts, and over without a restart.

use std::thread::JoinHandle;

use super::*;

/// A thread that runs, and whose disk can be filled.
struct Running {
    trace: Trace,
    faults: Faults,
    inbox: Arc<Inbox<Item>>,
    thread: JoinHandle<Ended>,
    sender: Sender,
}

/// What hands things over to a bench whose core has left it.
struct Sender {
    inbox: Arc<Inbox<Item>>,
    permits: Arc<Semaphore>,
}

impl Running {
    fn new(load_writes: bool) -> Self {
        let mut bench = Bench::new(0, false);
        // Short pauses: the schedule is not what is tested here.
        bench.core.pause = Duration::from_micros(1);
        bench.faults.load_writes.store(load_writes, Ordering::Relaxed);
        let Bench { trace, faults, inbox, core, permits, .. } = bench;
        let sender = Sender { inbox: Arc::clone(&inbox), permits };
        Self { trace, faults, inbox, thread: std::thread::spawn(move || core.run()), sender }
    }

    fn fill_disk(&self, full: bool) {
        self.faults.full.store(full, Ordering::Relaxed);
    }

    fn ask(&self, command: Command) -> Result<CommandOutput, CommandError> {
        self.sender.command(command).blocking_recv().unwrap()
    }

    fn count(&self, what: &str) -> usize {
        self.trace.0.lock().unwrap().iter().filter(|line| *line == what).count()
    }

    fn wait_for(&self, what: &str, times: usize) {
        while self.count(what) < times {
            assert!(!self.thread.is_finished(), "the thread has ended: {:?}", self.trace.take());
            std::thread::yield_now();
        }
    }

    fn close(self) -> Ended {
        self.inbox.close();
        self.thread.join().unwrap()
    }
}

impl Sender {
    fn command(&self, command: Command) -> oneshot::Receiver<Result<CommandOutput, CommandError>> {
        let (reply, result) = oneshot::channel();
        let permit = Arc::clone(&self.permits).try_acquire_owned().unwrap();
        assert!(self.inbox.push(Item::Command { command, reply, permit }).is_ok());
        result
    }

    fn request(&self, request: Request) -> Response {
        let (reply, response) = oneshot::channel();
        let permit = Arc::new(Arc::clone(&self.permits).try_acquire_owned().unwrap());
        assert!(self.inbox.push(Item::Request { remote: remote(), request, reply, permit }).is_ok());
        response.blocking_recv().unwrap()
    }
}

fn assert_refused(result: Result<CommandOutput, CommandError>) {
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::Storage);
    assert!(error.message.contains("disk is full") && error.hint.contains("free some space"), "{error:?}");
}

#[test]
fn dsk_01_while_the_disk_is_full_reading_goes_on_and_writing_is_refused() {
    let running = Running::new(false);
    running.fill_disk(true);
    for _ in 0..3 {
        assert_refused(running.ask(Command::SetListed(true)));
        assert!(running.ask(Command::ShowProfile).is_ok());
        assert_eq!(running.sender.request(find_node()), Response::Nodes(Vec::new()));
    }
    assert_eq!(running.count("event"), 1, "the user is told once");
    assert_eq!(running.count("full=true"), 3, "each new machine is told");
    assert_eq!(running.count("full=false"), 0);

    running.fill_disk(false);
    running.wait_for("full=false", 1);
    running.wait_for("timer", 1);
    assert!(running.ask(Command::SetListed(true)).is_ok());
    assert_eq!(running.close(), Ended::Closed);
}

#[test]
fn dsk_01_a_core_that_cannot_be_built_for_want_of_room_is_built_when_there_is_room() {
    let running = Running::new(true);
    running.fill_disk(true);
    assert_refused(running.ask(Command::SetListed(true)));
    let tries = usize::try_from(limits::REBUILDS).unwrap() * 2;
    running.wait_for("no room", tries);
    assert_refused(running.ask(Command::ShowProfile));
    assert_eq!(running.sender.request(find_node()), Response::Refused(Refusal::Busy));
    assert_eq!(running.count("event"), 1);

    running.fill_disk(false);
    running.wait_for("full=false", 1);
    assert!(running.ask(Command::SetListed(true)).is_ok());
    assert_eq!(running.close(), Ended::Closed);
}

#[test]
fn a_thread_without_a_machine_ends_when_it_is_told_to() {
    let running = Running::new(true);
    running.fill_disk(true);
    assert_refused(running.ask(Command::SetListed(true)));
    running.wait_for("no room", 2);
    assert_eq!(running.close(), Ended::Closed);
}

#[test]
fn a_disk_that_fails_for_another_cause_ends_the_thread() {
    let running = Running::new(false);
    running.faults.broken.store(true, Ordering::Relaxed);
    assert!(running.ask(Command::SetListed(true)).unwrap_err().message.contains("database failed"));
    assert_eq!(running.thread.join().unwrap(), Ended::Failed("the database failed: broken".into()));
}

#[test]
fn who_connects_while_there_is_no_machine_is_known_to_the_next() {
    let running = Running::new(true);
    running.fill_disk(true);
    assert_refused(running.ask(Command::SetListed(true)));
    running.wait_for("no room", 2);
    assert!(running.inbox.push(peer_up()).is_ok());
    running.fill_disk(false);
    running.wait_for("up", 1);
    assert_eq!(running.close(), Ended::Closed);
}
