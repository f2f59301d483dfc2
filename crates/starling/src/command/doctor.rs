//! `starling doctor`: what is wrong here, and how to mend it.

mod home;
mod machine;
mod node;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;

use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::output::{Page, Report, bad, bold, dim, good, plain, warn};

const EXAMPLES: &str = "\
Examples:
  starling doctor
  starling doctor --passphrase-file FILE    check the database's pages as well
  starling doctor --listen 0.0.0.0:4040     can a node listen there?
  starling doctor --json | jq -r '.[] | select(.status != \"ok\") | .hint'";

/// Check home, keys, database, disk, clock, ports and peers, and say how to mend what is wrong.
///
/// Needs no running node and asks for nothing. Without the passphrase the database stays closed, and so unchecked; with
/// it its pages are checked when no node is running. Ends with exit code 1 if something is wrong, 4 if that is the
/// passphrase.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Check whether a node could listen there; any port without it.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0", hide_default_value = true)]
    listen: SocketAddr,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    let home = context.home()?;
    let passphrase = context.passphrase().given()?;
    let mut checkup = Checkup::default();
    let running = home::check(&home, passphrase.as_ref(), &mut checkup);
    machine::check(args.listen, &mut checkup);
    if running {
        check_node(&home, &mut checkup)?;
    }
    context.output.show(&checkup)?;
    Ok(checkup.exit_code())
}

fn check_node(home: &Path, checkup: &mut Checkup) -> Result<(), Failure> {
    Context::block_on(async {
        node::check(home, checkup).await;
        Ok(())
    })
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    status: Outcome,
    message: String,
    /// How to mend it; empty where there is nothing to mend.
    hint: String,
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Checkup {
    checks: Vec<Check>,
    #[serde(skip)]
    wrong_passphrase: bool,
}

impl Checkup {
    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Outcome::Ok, message, "");
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(check, Outcome::Warn, message, hint);
    }

    fn fail(&mut self, check: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(check, Outcome::Fail, message, hint);
    }

    /// A check that another part's error decided.
    fn fail_with(&mut self, check: &'static str, error: impl Into<Failure>) {
        let failure = error.into();
        self.wrong_passphrase |= failure.code() == Some(Code::WrongPassphrase);
        self.fail(check, failure.message(), failure.hint());
    }

    fn add(
        &mut self,
        check: &'static str,
        status: Outcome,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.checks.push(Check { check, status, message: message.into(), hint: hint.into() });
    }

    fn exit_code(&self) -> ExitCode {
        let failed = self.checks.iter().any(|check| check.status == Outcome::Fail);
        match (failed, self.wrong_passphrase) {
            (_, true) => ExitCode::from(Code::WrongPassphrase.exit_code()),
            (true, false) => ExitCode::from(Code::Failed.exit_code()),
            (false, false) => ExitCode::SUCCESS,
        }
    }
}

impl Report for Checkup {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        for check in &self.checks {
            let status = match check.status {
                Outcome::Ok => good("ok    "),
                Outcome::Warn => warn("warn  "),
                Outcome::Fail => bad("FAIL  "),
            };
            page.line([status, bold(format!("{:<12}", check.check)), plain(&check.message)]);
            if !check.hint.is_empty() {
                page.indented(18, [dim("→ "), plain(&check.hint)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkup() -> Checkup {
        let mut checkup = Checkup::default();
        checkup.ok("home", "/srv/alice is closed to others");
        checkup.warn("disk", "0.5 GiB free", "make room");
        checkup
    }

    #[test]
    fn a_checkup_reads_well() {
        let mut checkup = checkup();
        checkup.fail_with("passphrase", starling_store::StoreError::PassphraseWrong);
        let mut page = Page::default();
        checkup.describe(&mut page);
        insta::assert_snapshot!(&*page.render(false), @r"
        ok    home        /srv/alice is closed to others
        warn  disk        0.5 GiB free
                          → make room
        FAIL  passphrase  the passphrase is wrong
                          → check the keyboard layout and capital letters; nothing was changed, and you may try again
        ");
    }

    #[test]
    fn the_json_is_a_list() {
        assert_eq!(
            serde_json::to_string(&checkup()).unwrap(),
            r#"[{"check":"home","status":"ok","message":"/srv/alice is closed to others","hint":""},{"check":"disk","status":"warn","message":"0.5 GiB free","hint":"make room"}]"#
        );
    }

    #[test]
    fn the_exit_code_says_the_worst() {
        let mut checkup = checkup();
        assert_eq!(checkup.exit_code(), ExitCode::SUCCESS);
        checkup.fail("clock", "it stands", "set it");
        assert_eq!(checkup.exit_code(), ExitCode::from(1));
        checkup.fail_with("passphrase", starling_store::StoreError::PassphraseWrong);
        assert_eq!(checkup.exit_code(), ExitCode::from(4));
    }
}
