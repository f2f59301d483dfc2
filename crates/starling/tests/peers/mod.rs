//! Peers as processes of their own, driven through their local API.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part of what stands here")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

pub mod stranger;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use starling_api::client::{Client, Events};
use starling_api::types::{
    AddContactRequest, ContactState, InviteRequest, Message, MessagesRequest, Mode, Ready, Status,
};
use starling_proto::addr::JoinAddr;
use starling_proto::ids::AccountKey;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// How long anything may take before the test is given up. No test lasts that long unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// Messages in one answer: more than any conversation here has.
const WHOLE: u16 = MessagesRequest::LONGEST;

/// Two contacts, Ada and Bob, and a third peer.
pub struct Scene {
    pub stage: TempDir,
    pub first: Peer,
    pub ada: Peer,
    pub bob: Peer,
    /// Bob's.
    pub phrase: String,
}

impl Scene {
    pub async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut first = Peer::create(stage.path(), "first", "Neighbour", "of somebody").await;
        first.start(&["--listen", "127.0.0.1:0"]).await;
        let entered = ["--listen", "127.0.0.1:0", "--join", &first.door().to_string()];
        let mut ada = Peer::create(stage.path(), "ada", "Ada", "a contact").await;
        ada.start(&entered).await;
        let (mut bob, phrase) = Peer::create_with_phrase(stage.path(), "bob", "Bob").await;
        bob.start(&entered).await;
        for peer in [&first, &ada, &bob] {
            peer.settle().await;
        }
        befriend(&ada, &bob).await;
        Self { stage, first, ada, bob, phrase }
    }
}

/// Somebody with a home and, while it runs, a peer. The process ends with this.
pub struct Peer {
    home: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    ready: Ready,
    /// Held, so that the peer can write there.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Makes an account that is listed, in a home beneath `stage`.
    pub async fn create(stage: &Path, home: &str, name: &str, about: &str) -> Self {
        let words = ["init", "--json", "--no-passphrase", "--listed", "--name", name, "--about", about];
        Self::made(stage.join(home), &words).await.0
    }

    /// The same, and the recovery phrase.
    pub async fn create_with_phrase(stage: &Path, home: &str, name: &str) -> (Self, String) {
        let words = ["init", "--json", "--no-passphrase", "--listed", "--name", name];
        let (peer, made) = Self::made(stage.join(home), &words).await;
        (peer, made["recovery_phrase"].as_str().unwrap().to_owned())
    }

    /// Brings the account of a phrase back, in another home beneath `stage`.
    pub async fn restore(stage: &Path, home: &str, name: &str, phrase: &str) -> Self {
        let file = stage.join(format!("{home}.phrase"));
        std::fs::write(&file, phrase).unwrap();
        let words = ["restore", "--json", "--no-passphrase", "--listed", "--name", name, "--phrase-file"];
        let words: Vec<&str> = words.into_iter().chain([file.to_str().unwrap()]).collect();
        Self::made(stage.join(home), &words).await.0
    }

    /// Makes a backup while the peer runs, or not. Gives what the command says.
    pub async fn back_up(&self, file: &Path, passphrase: &Path) -> Value {
        let [file, passphrase] = [file, passphrase].map(|path| path.to_str().unwrap());
        self.command(&["backup", file, "--json", "--passphrase-file", passphrase]).await
    }

    /// Brings the account of a phrase back with what is in a backup, in another home beneath `stage`.
    pub async fn restore_backup(
        stage: &Path,
        home: &str,
        file: &Path,
        phrase: &str,
        passphrase: &Path,
    ) -> (Self, Value) {
        let phrases = stage.join(format!("{home}.phrase"));
        std::fs::write(&phrases, phrase).unwrap();
        let [file, phrases, passphrase] = [file, &phrases, passphrase].map(|path| path.to_str().unwrap());
        let words = ["restore", file, "--json", "--phrase-file", phrases, "--passphrase-file", passphrase];
        Self::made(stage.join(home), &words).await
    }

    /// Makes another device of this person's account, while this one runs, in another home beneath `stage`.
    pub async fn link(&self, stage: &Path, home: &str) -> Self {
        let (device, file) = (stage.join(home), stage.join(format!("{home}.archive")));
        let file = file.to_str().unwrap();
        let account = self.account().to_string();
        let (device, asked) =
            Self::made(device, &["device", "request", "--json", "--no-passphrase", &account]).await;
        let code = asked["code"].as_str().unwrap();
        self.command(&["device", "link", "--json", code, file]).await;
        device.command(&["device", "join", "--json", file]).await;
        device
    }

    /// What the program says in this home.
    pub async fn command(&self, words: &[&str]) -> Value {
        let made = program(&self.home, words.iter().copied()).output().await.unwrap();
        assert!(made.status.success(), "{made:?}");
        serde_json::from_slice(&made.stdout).unwrap()
    }

    async fn made(home: PathBuf, words: &[&str]) -> (Self, Value) {
        let peer = Self { home, running: None };
        let made = peer.command(words).await;
        (peer, made)
    }

    /// Starts the peer on the test's own network, with these words of `starling run`, and waits until it is ready.
    pub async fn start(&mut self, words: &[&str]) {
        assert!(self.running.is_none(), "it runs already");
        let mut command = program(&self.home, ["run", "--json", "--network", "test"]);
        command.args(words).stdout(Stdio::piped()).stderr(File::create(self.log()).unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, out.next_line()).await.expect("ready in time").unwrap();
        let line: Value = serde_json::from_str(&line.unwrap_or_default())
            .unwrap_or_else(|error| panic!("not ready: {error}: {}", self.said()));
        assert_eq!(line["event"], "ready", "{line}");
        let ready = serde_json::from_value(line).unwrap();
        self.running = Some(Running { child, ready, _out: out });
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What the peer said of itself when it was ready.
    pub fn ready(&self) -> &Ready {
        &self.running.as_ref().expect("a running peer").ready
    }

    pub fn account(&self) -> AccountKey {
        self.ready().account
    }

    /// The way into the network through this peer.
    pub fn door(&self) -> JoinAddr {
        self.ready().join.expect("an address that others can dial")
    }

    /// The number of the peer's process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("a running peer").child.id().expect("a process that has not ended")
    }

    pub fn client(&self) -> Client {
        Client::open(&self.home).unwrap()
    }

    pub async fn status(&self) -> Status {
        self.client().status().await.unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// Waits until this peer serves others and what its owner publishes is published.
    pub async fn settle(&self) {
        until("joining and being listed", async || {
            let status = self.status().await;
            let listed = status.entries.wanted > 0 && status.entries.placed == status.entries.wanted;
            status.mode == Mode::Server && listed
        })
        .await;
    }

    /// All that was ever said between this person and `whom`, oldest first.
    pub async fn history(&self, whom: AccountKey) -> Vec<Message> {
        let request = MessagesRequest { limit: WHOLE, ..MessagesRequest::latest(whom.to_string()) };
        self.client().messages(&request).await.unwrap().messages
    }

    /// Whether that is how `whom` stands to this person.
    pub async fn stands(&self, whom: AccountKey, state: ContactState) -> bool {
        let contacts = self.client().contacts().await.unwrap().contacts;
        contacts.iter().any(|contact| contact.account == whom && contact.state == state)
    }

    /// Asks an account, or answers an invite.
    pub async fn add(&self, whom: String) {
        let request = AddContactRequest { whom, note: "hello".to_owned() };
        self.client().add_contact(&request).await.unwrap();
    }

    /// Says goodbye and ends, as it should.
    pub async fn stop(&mut self) {
        let ended = self.end(Signal::TERM).await;
        assert!(ended.success(), "{ended}: {}", self.said());
    }

    /// Is ended in the middle of whatever it does.
    pub async fn kill(&mut self) {
        let ended = self.end(Signal::KILL).await;
        assert!(!ended.success(), "{ended}");
    }

    async fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut running = self.running.take().expect("a running peer");
        let pid = running.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("a process that has not ended"), signal).unwrap();
        timeout(PATIENCE, running.child.wait()).await.expect("an end in time").unwrap()
    }

    fn log(&self) -> PathBuf {
        self.home.join("run.log")
    }

    /// What the peer wrote to its standard error since it was last started.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

/// One invites, the other answers, and both know.
pub async fn befriend(host: &Peer, guest: &Peer) {
    let invite = host.client().invite(&InviteRequest::default()).await.unwrap().invite;
    guest.add(invite.to_string()).await;
    for (one, other) in [(host, guest), (guest, host)] {
        until("an agreement", async || one.stands(other.account(), ContactState::Accepted).await).await;
    }
}

/// What a peer tells its user, once that has begun: the stream connects when it is first read, and `provoke` makes
/// something happen, again and again, until something is told.
pub async fn listen(peer: &Peer, provoke: impl AsyncFn()) -> Events {
    let mut events = peer.client().events(None);
    let mut first = Box::pin(async {
        timeout(PATIENCE, events.next()).await.expect("an event in time").unwrap();
    });
    let mut pace = pace();
    loop {
        tokio::select! {
            () = &mut first => break,
            _ = pace.tick() => provoke().await,
        }
    }
    drop(first);
    events
}

/// Looks until `look` sees what it wants; `what` says what was waited for.
pub async fn until(what: impl AsRef<str>, look: impl AsyncFn() -> bool) {
    let waiting = async {
        let mut pace = pace();
        while !look().await {
            pace.tick().await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{} did not happen in time", what.as_ref());
}

/// How often something that is not there yet is looked for.
pub fn pace() -> Interval {
    let mut pace = interval(LOOK_AGAIN);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// The program, with nothing of this process's environment.
fn program<'a>(home: &Path, words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.env_clear().env("STARLING_HOME", home).args(words.into_iter().map(OsStr::new));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
