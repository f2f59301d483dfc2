//! Starting the program, and ending what was started.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A home of its own for each test; removed with it.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// A command that goes on; killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Home {
    /// An empty place; nothing is in it.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A home with the account of `name`, without a passphrase.
    pub(crate) fn of(name: &str) -> Self {
        let home = Self::empty();
        let made = home.run(["init", "--name", name, "--no-passphrase", "--json"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        home
    }

    /// The home's directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A file beside the home.
    pub(crate) fn beside(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program, with nothing of this process's environment but what is given here.
    pub(crate) fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = bare(self.dir.path());
        command.env("STARLING_HOME", self.path()).args(args);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Finished {
        finish(&mut self.command(args))
    }

    /// Starts a command that goes on.
    pub(crate) fn start<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Running {
        Running::start(&mut self.command(args))
    }

    /// Starts a node on loopback in a network of the test's own, and waits until it is ready.
    pub(crate) fn node<I: AsRef<OsStr>>(&self, more: impl IntoIterator<Item = I>) -> (Running, Value) {
        let mut command = self.command(["run", "--json", "--listen", "127.0.0.1:0", "--network", "test"]);
        let mut node = Running::start(command.args(more));
        let ready = node.line();
        assert_eq!(ready["event"], "ready", "{ready}");
        (node, ready)
    }
}

/// The program without a home.
pub(crate) fn bare(somewhere: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.env_clear().env("HOME", somewhere).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Finished {
    let output = command.output().unwrap();
    Finished {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Finished {
    /// The one JSON document that standard output is.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one document on one line: {self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Everything a user saw, for a snapshot. `home` is replaced, since it is another each time.
    pub(crate) fn seen(&self, home: &Home) -> String {
        let text = format!("exit code {}\n{}{}", self.code.unwrap_or(-1), self.out, self.err);
        let canonical = home.dir.path().canonicalize().unwrap();
        text.replace(&canonical.display().to_string(), "DIR")
            .replace(&home.dir.path().display().to_string(), "DIR")
    }
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// The next line of JSON.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| {
            // Only a process that has ended closes the stream; one that has not is ended first.
            self.child.kill().unwrap();
            let mut said = String::new();
            self.err.read_to_string(&mut said).unwrap();
            panic!("{error}: {line:?}, standard error: {said}")
        })
    }

    /// The next event of this name; others may come before it.
    #[track_caller]
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line();
            if line["event"] == name {
                return line;
            }
        }
    }

    /// The next line of text.
    pub(crate) fn text_line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The next line of standard error.
    pub(crate) fn error_line(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line
    }

    /// The process's number.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Finished {
        let mut finished = Finished { code: None, out: String::new(), err: String::new() };
        self.out.read_to_string(&mut finished.out).unwrap();
        self.err.read_to_string(&mut finished.err).unwrap();
        let status = self.child.wait().unwrap();
        finished.code = status.code();
        assert!(status.signal().is_none(), "ended by a signal: {status}");
        finished
    }

    /// Ends it with SIGTERM and waits.
    pub(crate) fn end(self) -> Finished {
        self.signal(Signal::TERM);
        self.finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed any more, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
