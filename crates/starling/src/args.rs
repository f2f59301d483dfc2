//! The words that every command understands, and what becomes of those that none does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser};
use serde::Serialize;
use starling_api::types::Code;

use crate::command::Command;
use crate::failure::Failure;
use crate::output::{Form, Output, Page, Report, bad, plain};

/// What `starling` without a command ends with.
const FIRST_STEPS: &str = "`starling init --name NAME` makes an account, then `starling run` starts a peer";

/// How the parser's failures begin, and ours.
const ERROR: &str = "error: ";

const EXAMPLES: &str = "\
First steps:
  starling init --name Alice    make an account
  starling run                  start a peer, in a terminal of its own
  starling status               look at it from another terminal

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node is running for this home,
4 the passphrase is wrong, 5 not found, 6 timed out.";

/// Instant messaging without any server.
#[derive(Debug, Parser)]
#[command(name = "starling", version, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(arg_required_else_help = false, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The directory that holds account, keys and messages [default: the platform's data directory].
    #[arg(long, global = true, value_name = "DIR", env = "STARLING_HOME", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub(crate) home: Option<PathBuf>,

    /// Print one JSON document (streams: one per line) and nothing else on standard output.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    /// Log more to standard error: -v what happens, -vv why. STARLING_LOG sets it by module.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,

    /// Read the passphrase from the first line of FILE. Otherwise STARLING_PASSPHRASE is used, or it is asked for.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Answers what the parser stopped at: help and version, which are no failures, and wrong usage, which is.
pub(crate) fn answer(error: &clap::Error, output: &mut Output) -> Result<ExitCode, Failure> {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let shown = if output.is_coloured() { text.ansi().to_string() } else { text.to_string() };
            output.verbatim(&Shown { text: text.to_string() }, &shown)?;
            Ok(ExitCode::SUCCESS)
        }
        _ if output.form() == Form::Json => Err(usage_failure(&text.to_string())),
        _ => {
            // It repeats what was typed, or pasted from somebody's page: it is shown like any other text.
            output.explain(&Shown { text: text.to_string() })?;
            Ok(ExitCode::from(Code::BadInput.exit_code()))
        }
    }
}

/// Says what to begin with.
pub(crate) fn without_command(output: &mut Output) -> Result<ExitCode, Failure> {
    if output.form() == Form::Text {
        let help = Cli::command().render_help();
        output.complain(if output.is_coloured() { help.ansi().to_string() } else { help.to_string() })?;
    }
    Err(Failure::new(Code::BadInput, "no command was given", FIRST_STEPS))
}

/// What the parser has to say.
#[derive(Serialize)]
struct Shown {
    text: String,
}

impl Report for Shown {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let (first, rest) = match self.text.strip_prefix(ERROR) {
            Some(text) => (bad(ERROR), text),
            None => (plain(""), self.text.as_str()),
        };
        let mut lines = rest.lines();
        page.line([first, plain(lines.next().unwrap_or_default())]);
        for line in lines {
            page.line([plain(line)]);
        }
    }
}

/// The parser's text, taken apart: its first paragraph says what happened, the others what to do.
fn usage_failure(text: &str) -> Failure {
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let hint = paragraphs.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Failure::new(Code::BadInput, first.trim_start_matches(ERROR), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_parsers_text_is_taken_apart() {
        let error = Cli::try_parse_from(["starling", "serch"]).unwrap_err();
        let failure = usage_failure(&error.render().to_string());
        insta::assert_snapshot!(failure.message(), @"unrecognized subcommand 'serch'");
        insta::assert_snapshot!(failure.hint(), @"tip: a similar subcommand exists: 'search'; Usage: starling [OPTIONS] [COMMAND]; For more information, try '--help'.");
    }
}
