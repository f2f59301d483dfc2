//! One peer of the demonstration: this program once more, as a process of its own with a home of its own.
//!
//! A process, not a task: what is shown is then the program itself, through the doors that its user has, and one peer
//! can end and come back as it would on another machine.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use starling_api::client::Client;
use starling_api::request_id::RequestId;
use starling_api::types::{Code, Status};
use starling_proto::addr::JoinAddr;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::cast::Person;
use crate::failure::Failure;

/// How often something that is not there yet is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a peer may take to say goodbye before it is ended.
const GOODBYE: Duration = Duration::from_secs(10);

/// A person with their peer.
pub(super) struct DemoPeer {
    /// Who.
    pub(super) person: Person,
    home: PathBuf,
    child: Option<Child>,
    client: Option<Client>,
}

impl DemoPeer {
    /// Makes an account in a home of its own beneath `stage`.
    ///
    /// # Errors
    /// `starling init` failed.
    pub(super) async fn create(stage: &Path, person: Person) -> Result<Self, Failure> {
        let home = stage.join(person.name.to_lowercase().replace(' ', "-"));
        let words = [
            "init",
            "--json",
            "--no-passphrase",
            "--listed",
            "--name",
            &person.name,
            "--about",
            &person.about,
        ];
        let made =
            program(&home, words)?.stdin(Stdio::null()).output().await.map_err(|e| cannot_start(&e))?;
        if !made.status.success() {
            return Err(broken(format!(
                "{} got no account: {}",
                person.name,
                String::from_utf8_lossy(&made.stdout)
            )));
        }
        Ok(Self { person, home, child: None, client: None })
    }

    /// Starts the peer on a free port and waits until it answers.
    ///
    /// # Errors
    /// It ended, or does not answer before `deadline`.
    pub(super) async fn start(
        &mut self,
        network: &str,
        door: Option<&JoinAddr>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let words = ["run", "--json", "--network", network, "--listen", "127.0.0.1:0", "--lan", "off"];
        let mut command = program(&self.home, words)?;
        if let Some(door) = door {
            command.args(["--join", &door.to_string()]);
        }
        let log = File::create(self.home.join("run.log")).map_err(|e| cannot_start(&e))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A group of its own: Ctrl-C is for the demonstration, which then ends its peers.
        command.process_group(0).kill_on_drop(true);
        self.child = Some(command.spawn().map_err(|e| cannot_start(&e))?);
        let person = self.person.name.clone();
        let answering = async {
            loop {
                if let Ok(client) = Client::open(&self.home)
                    && client.status().await.is_ok()
                {
                    return Ok::<Client, Failure>(client);
                }
                self.still_runs()?;
                sleep(LOOK_AGAIN).await;
            }
        };
        let late = || broken(format!("{person}'s peer does not answer"));
        self.client = Some(timeout_at(deadline, answering).await.map_err(|_| late())??);
        Ok(())
    }

    fn still_runs(&mut self) -> Result<(), Failure> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        match ended {
            None => Ok(()),
            Some(status) => {
                let log = std::fs::read_to_string(self.home.join("run.log")).unwrap_or_default();
                Err(broken(format!("{}'s peer ended ({status}): {}", self.person.name, log.trim())))
            }
        }
    }

    /// The peer's local API.
    ///
    /// # Errors
    /// The peer is not running.
    pub(super) fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(|| broken(format!("{}'s peer is not running", self.person.name)))
    }

    /// What the peer says of itself, once it is as wanted.
    ///
    /// # Errors
    /// It is not before `deadline`; `what` says what was waited for.
    pub(super) async fn wait_for(
        &self,
        what: &str,
        deadline: Instant,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, Failure> {
        let seen = std::cell::RefCell::new(None);
        let look = async || {
            let status = self.client()?.status().await?;
            let is_wanted = wanted(&status);
            *seen.borrow_mut() = Some(status);
            Ok(is_wanted)
        };
        self.until(what, deadline, look).await?;
        seen.into_inner().ok_or_else(|| broken("nothing was seen"))
    }

    /// Looks again and again until `look` has seen what it wants.
    ///
    /// # Errors
    /// It has not before `deadline`; `what` says what was waited for.
    pub(super) async fn until(
        &self,
        what: &str,
        deadline: Instant,
        look: impl AsyncFn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let waiting = async {
            while !look().await? {
                sleep(LOOK_AGAIN).await;
            }
            Ok::<(), Failure>(())
        };
        let late = || broken(format!("{}: {what} did not happen in time", self.person.name));
        timeout_at(deadline, waiting).await.map_err(|_| late())?
    }

    /// The string by which others join through this peer.
    ///
    /// # Errors
    /// The peer does not say.
    pub(super) async fn door(&self) -> Result<JoinAddr, Failure> {
        let status = self.client()?.status().await?;
        status.join.ok_or_else(|| broken(format!("{}'s peer knows no address of its own", self.person.name)))
    }

    /// Asks the peer to end and waits until it has.
    ///
    /// # Errors
    /// It did not end by itself, or not well.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.client = None;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself in between, which the wait below tells.
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(GOODBYE, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(broken(format!("{}'s peer ended badly: {status}", self.person.name))),
            Ok(Err(error)) => Err(cannot_start(&error)),
            Err(_) => Err(broken(format!("{}'s peer did not end when asked", self.person.name))),
        }
    }

    /// Lets the peer run on after the demonstration.
    pub(super) fn release(mut self) -> PathBuf {
        if let Some(child) = self.child.take() {
            // Forgotten, not dropped: dropping it would end it.
            std::mem::forget(child);
        }
        self.home.clone()
    }
}

/// This program, with a home and without what the user's environment says.
fn program<'a>(home: &Path, words: impl IntoIterator<Item = &'a str>) -> Result<Command, Failure> {
    let program = env::current_exe().map_err(|error| cannot_start(&error))?;
    let mut command = Command::new(program);
    command.args(words).args([OsStr::new("--home"), home.as_os_str()]);
    for name in ["STARLING_HOME", "STARLING_PASSPHRASE", "STARLING_LOG"] {
        command.env_remove(name);
    }
    Ok(command)
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::new(
        Code::Failed,
        format!("a peer could not be started: {error}"),
        "raise the limits of processes and open files, or try --peers 3",
    )
}

/// A name for one message.
pub(super) fn request_id() -> Result<RequestId, Failure> {
    RequestId::generate().map_err(|error| broken(format!("no random numbers: {error}")))
}

/// Something that the demonstration claims has not happened.
pub(super) fn broken(what: impl Into<String>) -> Failure {
    Failure::new(Code::Failed, what, "run it again with --keep to look at the peers, or with fewer --peers")
}
