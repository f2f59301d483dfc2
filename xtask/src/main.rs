//! The chores: the checks, tests, benchmarks and fuzz runs that CI and contributors share.
//!
//! It is not part of the product: nothing here is linked into `starling`, and no crate may depend on it.
//!
//! Run it as `cargo xtask COMMAND`; `cargo xtask ci` is exactly what CI runs.
//!
//! | module | job |
//! |---|---|
//! | [`ci`] | every check in order, each with its name and time |
//! | [`mod@test`] | the test command and its closing line `N passed, N failed` |
//! | [`tidy`] | the house rules, one file per rule |
//! | [`mod@bench`] | all benchmarks and their report |
//! | [`fuzz`] | the libFuzzer run over the table of decoders |
//! | [`soak`] | random seeds of a scenario until the time is over, or crash points |

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute small known numbers"
    )
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "telling a person what happened is its job")]

mod bench;
mod ci;
mod error;
mod fuzz;
mod invocation;
mod machine;
mod soak;
mod tally;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::workspace::Workspace;

/// The chores of the Starling workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every check that CI runs, then all tests.
    Ci,
    /// Run the documentation tests, then all other tests; the last line is `N passed, N failed`.
    Test,
    /// Check the house rules.
    Tidy,
    /// Run all benchmarks and write target/bench/report.md.
    Bench,
    /// Fuzz the decoders of network and stored bytes.
    Fuzz(fuzz::Options),
    /// Run random seeds of a scenario of the simulator, or crash points; each that fails is shown.
    Soak(soak::Options),
}

fn main() -> ExitCode {
    match run(&Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> Result<(), Error> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Ci => ci::run(&workspace),
        Chore::Test => test::run(&workspace),
        Chore::Tidy => tidy::run(&workspace),
        Chore::Bench => bench::run(&workspace),
        Chore::Fuzz(options) => fuzz::run(&workspace, options),
        Chore::Soak(options) => soak::run(&workspace, options),
    }
}
