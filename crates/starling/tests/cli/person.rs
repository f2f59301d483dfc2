//! A person of a test: a home, its running node, and what happens to it.

use std::ffi::OsStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Finished, Home, Running};

/// After this long without what was waited for, a test says so instead of hanging. Nothing takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody whose node runs.
pub(crate) struct Person {
    /// The account id.
    pub(crate) account: String,
    name: String,
    home: Home,
    node: Running,
    join: String,
    events: Receiver<Value>,
}

impl Person {
    /// Starts somebody's node, which enters the network through `join`.
    pub(crate) fn start<I: AsRef<OsStr>>(name: &str, join: impl IntoIterator<Item = I>) -> Self {
        let home = Home::of(name);
        let ways = join.into_iter().map(|way| way.as_ref().to_owned());
        let (node, ready) = home.node(ways.flat_map(|way| ["--join".into(), way]));
        let text = |field: &str| ready[field].as_str().unwrap().to_owned();
        let events = follow(&home);
        Self { account: text("account"), name: name.to_owned(), home, node, join: text("join"), events }
    }

    /// Two people on one network.
    pub(crate) fn two() -> (Self, Self) {
        let bob = Self::start("Bob", [] as [&str; 0]);
        let ada = Self::start("Ada", [&bob.join]);
        (ada, bob)
    }

    /// Two people who are contacts, and call each other `ada` and `bob`.
    pub(crate) fn contacts() -> (Self, Self) {
        let (ada, bob) = Self::two();
        ada.json(["contact", "add", &bob.account]);
        bob.until("contact_request");
        bob.json(["contact", "accept", &ada.account]);
        ada.until("contact_accepted");
        ada.json(["contact", "rename", &bob.account, "bob"]);
        bob.json(["contact", "rename", &ada.account, "ada"]);
        (ada, bob)
    }

    /// Their home.
    pub(crate) const fn home(&self) -> &Home {
        &self.home
    }

    /// Runs a command to its end.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Finished {
        self.home.run(args)
    }

    /// Runs a command that succeeds; its document.
    #[track_caller]
    pub(crate) fn json<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Value {
        let done = finish_json(&self.home, args);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}: {done:?}", self.name);
        done.json()
    }

    /// Runs a command that is refused with this exit code; its error.
    #[track_caller]
    pub(crate) fn refused<I: AsRef<OsStr>>(&self, exit: i32, args: impl IntoIterator<Item = I>) -> Value {
        let done = finish_json(&self.home, args);
        assert_eq!((done.code, done.err.as_str()), (Some(exit), ""), "{}: {done:?}", self.name);
        let error = done.json()["error"].clone();
        for part in ["message", "hint"] {
            assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {error}");
        }
        error
    }

    /// Starts a command that goes on while others do something.
    pub(crate) fn begin<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Running {
        self.home.start(args)
    }

    /// The next event of this name; others may come before it.
    #[track_caller]
    pub(crate) fn until(&self, name: &str) -> Value {
        self.until_that(name, |_| true)
    }

    /// The next event of this name that is meant; others may come before it.
    #[track_caller]
    pub(crate) fn until_that(&self, name: &str, meant: impl Fn(&Value) -> bool) -> Value {
        let (deadline, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) if event["event"] == name && meant(&event) => return event,
                Ok(event) => seen.push(event),
                Err(RecvTimeoutError::Timeout) => panic!("{} waits for {name}; seen: {seen:#?}", self.name),
                Err(RecvTimeoutError::Disconnected) => panic!("the stream of {} ended: {seen:#?}", self.name),
            }
        }
    }

    /// Asks again until the answer is as it should be. Each time a process is started, which is pause enough.
    #[track_caller]
    pub(crate) fn ask_until<I: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
        right: impl Fn(&Value) -> bool,
    ) -> Value {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.json(&args);
            if right(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{}: {args:?} still answers {answer}", self.name);
        }
    }

    /// How `account` stands, by the list of contacts.
    #[track_caller]
    pub(crate) fn state_of(&self, account: &str) -> Value {
        let list = self.json(["contact", "list"]);
        let contacts = list["contacts"].as_array().unwrap();
        let found = contacts.iter().find(|contact| contact["account"] == account);
        found.map_or(Value::Null, |contact| contact["state"].clone())
    }

    /// What others pass to `--join`.
    pub(crate) fn way_in(&self) -> &str {
        &self.join
    }

    /// The node ends; what others wrote to it waits.
    pub(crate) fn sign_off(self) -> Home {
        assert_eq!(self.node.end().code, Some(0));
        self.home
    }
}

fn finish_json<I: AsRef<OsStr>>(home: &Home, args: impl IntoIterator<Item = I>) -> Finished {
    // First, so that what follows a `--` stays a text.
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    home.run(std::iter::once("--json".into()).chain(args))
}

/// Reads the event stream in a thread of its own, until its end; the first event has come when this returns.
fn follow(home: &Home) -> Receiver<Value> {
    let mut stream = home.start(["events", "--json", "--reconnect", "0"]);
    assert_eq!(stream.line()["event"], "ready");
    let (sender, receiver) = channel();
    thread::spawn(move || {
        while let Ok(event) = serde_json::from_str(&stream.text_line()) {
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    receiver
}
