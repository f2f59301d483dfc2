use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::invocation::Invocation;
use crate::machine;
use crate::test;
use crate::tools::{DENY, MACHETE, TYPOS};
use crate::workspace::Workspace;

/// A database server that does not answer must not hold up the other checks.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The line that stands for a check that could not be made.
const NOT_FETCHED: &str = "advisories: not checked, the database could not be fetched";

/// Runs every step, even after one has failed: one run tells all there is to mend.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    machine::check(machine::TO_BUILD)?;
    let root = workspace.root();
    let mut report = Report::default();
    report.step("tools", "cargo xtask ci", || {
        passed([DENY, MACHETE, TYPOS].iter().try_for_each(|t| t.install(root)))
    });
    for (name, invocation) in steps() {
        report.step(name, &invocation.to_string(), || passed(invocation.run(root)));
    }
    report.step("advisories", &advisories().to_string(), || check_advisories(root));
    let mut closing = None;
    report.step("test", "cargo xtask test", || {
        let tally = closing.insert(test::tests(root)?);
        passed(if tally.failed() == 0 { Ok(()) } else { Err(Error::Tests) })
    });
    report.print();
    if let Some(tally) = closing {
        println!("{tally}");
    }
    report.finish()
}

/// Every check that is one command.
fn steps() -> Vec<(&'static str, Invocation)> {
    let fuzz = ["--manifest-path", "fuzz/Cargo.toml"];
    // The fuzz workspace shares the folder of build products, so that only libFuzzer itself is built for it. Not
    // `--locked`: its lock file follows the manifests of the main workspace.
    let fuzz_clippy = [&["clippy"], &fuzz[..], &["--target-dir", "target", "--", "-D", "warnings"]].concat();
    vec![
        ("fmt", Invocation::cargo(&["fmt", "--all", "--", "--check"])),
        ("fmt (fuzz)", Invocation::cargo(&[&["fmt"], &fuzz[..], &["--", "--check"]].concat())),
        (
            "clippy",
            Invocation::cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        ("clippy (fuzz)", Invocation::cargo(&fuzz_clippy)),
        (
            "rustdoc",
            Invocation::cargo(&["doc", "--workspace", "--no-deps", "--locked"])
                .with_env("RUSTDOCFLAGS", "-D warnings"),
        ),
        ("tidy", Invocation::cargo(&["xtask", "tidy"])),
        ("deny", DENY.invocation(&["--locked", "check", "licenses", "bans", "sources"])),
        ("unused dependencies", MACHETE.invocation(&["--skip-target-dir", "."])),
        ("spelling", TYPOS.invocation(&["--hidden", "."])),
    ]
}

fn advisories() -> Invocation {
    DENY.invocation(&["--locked", "check", "--disable-fetch", "advisories"])
}

/// Checks the advisories, or says in so many words that it could not.
fn check_advisories(root: &Path) -> Result<Verdict, Error> {
    let fetch = DENY.invocation(&["--locked", "fetch", "db"]);
    if ends_well_within(&fetch, root, FETCH_LIMIT)? {
        passed(advisories().run(root))
    } else {
        println!("{NOT_FETCHED}");
        Ok(Verdict::NotChecked)
    }
}

/// Whether the command exits with 0 before the limit; after it, the command is killed.
fn ends_well_within(invocation: &Invocation, root: &Path, limit: Duration) -> Result<bool, Error> {
    let mut command = invocation.command(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|cause| invocation.start_error(cause))?;
    if !closes_output_within(&mut child, limit) {
        child.kill().map_err(|cause| invocation.start_error(cause))?;
    }
    let status = child.wait().map_err(|cause| invocation.start_error(cause))?;
    Ok(status.success())
}

/// A process that ends closes its standard output; waiting for that needs no polling.
fn closes_output_within(child: &mut Child, limit: Duration) -> bool {
    let Some(mut output) = child.stdout.take() else { return true };
    let (done, ended) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // However reading ends, the output has ended; and nobody listens any more once the limit has passed.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
        let _ = done.send(());
    });
    ended.recv_timeout(limit).is_ok()
}

/// How a step ended that did not fail.
#[derive(Clone, Copy)]
enum Verdict {
    Passed,
    /// The check could not be made; the step has printed why.
    NotChecked,
}

/// For steps that either pass or fail.
fn passed(result: Result<(), Error>) -> Result<Verdict, Error> {
    result.map(|()| Verdict::Passed)
}

/// What each step took and which failed.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Runs one step; `repeat` is the command that repeats it alone.
    fn step(&mut self, name: &str, repeat: &str, action: impl FnOnce() -> Result<Verdict, Error>) {
        println!("\n== {name}: {repeat}");
        let start = Instant::now();
        let result = action();
        let seconds = start.elapsed().as_secs_f32();
        let verdict = match result {
            Ok(Verdict::Passed) => "ok",
            Ok(Verdict::NotChecked) => "not checked",
            Err(_) => "FAILED",
        };
        let line = format!("{name:<20} {verdict:<11} {seconds:>7.1} s");
        println!("== {line}");
        self.lines.push(line);
        if let Err(error) = result {
            println!("{error}");
            self.failures.push(format!("{name} failed; repeat it with: {repeat}"));
        }
    }

    fn print(&self) {
        println!();
        self.lines.iter().for_each(|line| println!("{line}"));
        self.failures.iter().for_each(|failure| println!("{failure}"));
    }

    fn finish(&self) -> Result<(), Error> {
        if self.failures.is_empty() { Ok(()) } else { Err(Error::Ci(self.failures.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_step_is_named_with_the_command_that_repeats_it() {
        let mut report = Report::default();
        report.step("first", "cargo first", || Ok(Verdict::Passed));
        report.step("second", "cargo second", || Err(Error::Tests));
        report.step("third", "cargo third", || Ok(Verdict::Passed));
        assert_eq!(report.failures, ["second failed; repeat it with: cargo second"]);
        assert_eq!(report.lines.len(), 3, "later steps run all the same");
        assert!(matches!(report.finish(), Err(Error::Ci(1))));
    }

    #[test]
    fn check_that_could_not_be_made_is_no_failure_but_is_not_called_ok() {
        let mut report = Report::default();
        report.step("only", "cargo only", || Ok(Verdict::NotChecked));
        assert!(report.finish().is_ok());
        assert!(report.lines.iter().all(|line| line.contains("not checked") && !line.contains("ok")));
    }

    #[test]
    fn command_that_hangs_is_killed_and_has_not_ended_well() {
        let hang = Invocation::new("sh", &["-c", "exec tail -f /dev/null"]);
        assert!(!ends_well_within(&hang, Path::new("."), Duration::from_millis(50)).unwrap());
    }

    #[test]
    fn exit_code_decides_when_the_command_ends_in_time() {
        let within = |program| ends_well_within(&Invocation::new(program, &[]), Path::new("."), FETCH_LIMIT);
        assert!(within("true").unwrap());
        assert!(!within("false").unwrap());
    }
}
