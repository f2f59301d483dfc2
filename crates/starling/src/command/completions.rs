//! `starling completions`: what the shell needs to complete commands and options.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  starling completions bash > ~/.local/share/bash-completion/completions/starling
  starling completions zsh > ~/.zfunc/_starling
  starling completions fish > ~/.config/fish/completions/starling.fish";

/// Print a script that lets a shell complete commands and options.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "starling", &mut script);
    let script = String::from_utf8(script).map_err(|error| Failure::internal(&error))?;
    context.output.verbatim(&Completions { shell: args.shell.to_string(), script: &script }, &script)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Completions<'a> {
    shell: String,
    script: &'a str,
}
