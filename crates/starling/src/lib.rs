//! The program: command line and terminal interface, both clients of the API.
//!
//! Not for: deciding anything about messages, people or the network. A command reads its words, makes one or two
//! calls of the local API and shows the answer; only `init`, `run` and `doctor` open a home themselves.
//!
//! The main parts:
//!
//! - `args`: the words that every command understands;
//! - `command`: one file for each command: its words, its help, what it does, how its answer reads;
//! - `output`: the one place where answers become text or JSON, and where text of others is made harmless;
//! - `failure`: what happened, the likely cause, the next step, and the exit code.
//!
//! ```
//! // A usage error is exit code 2, for programs as well as for people.
//! let code = starling::run(["starling", "search", "--json"].map(Into::into));
//! assert_eq!(code, std::process::ExitCode::from(2));
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]

mod args;
mod client;
mod command;
mod context;
mod demo;
mod failure;
mod harden;
mod hold;
mod input;
mod logging;
mod output;
mod passphrase;
mod peer;
mod progress;
mod signals;
mod span;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Form, Output};

/// Runs one command; `args` begins with the program's name. Writes to the process's standard streams.
///
/// The exit code is that of `docs/guide.md`: 0 done, 1 failed, 2 wrong usage, 3 no node is running for this home, 4 the
/// passphrase is wrong, 5 not found, 6 timed out.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut output = Output::of_process(Form::asked_for(&args));
    match parse_and_run(&args, &mut output) {
        Ok(code) => code,
        Err(failure) => output.fail(&failure),
    }
}

fn parse_and_run(args: &[OsString], output: &mut Output) -> Result<ExitCode, Failure> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return args::answer(&error, output),
    };
    logging::start(cli.global.verbose)?;
    match cli.command {
        Some(command) => command.run(&mut Context { global: cli.global, output }),
        None => args::without_command(output),
    }
}
