//! `starling demo`: real peers on this machine, and what they do together.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use tokio::runtime::Builder;

use crate::context::{Context, runtime};
use crate::demo::{Act, Demo};
use crate::failure::Failure;
use crate::output::{Form, Page, Report, bold, dim, good, plain};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  starling demo
  starling demo --peers 20
  starling demo --keep    leaves the peers running and says how to talk to them";

/// Start real peers on this machine, which join, find each other by words, become contacts and talk.
///
/// Every peer is a process of its own with its own home and sockets on loopback. Exits with 0 only if everything that
/// was told has happened.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many peers, 3 to 50.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u8).range(3..=50))]
    peers: u8,

    /// Leave the peers running.
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let mut builder = Builder::new_current_thread();
    runtime(&mut builder)?.block_on(perform(args, context))
}

async fn perform(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let mut signals = Signals::watch()?;
    let mut demo = Demo::new()?;
    let mut acts = Vec::new();
    let output = &mut *context.output;
    let played = {
        let tell = |act: &Act| {
            acts.push(act.clone());
            if output.form() == Form::Text { output.show(act) } else { Ok(()) }
        };
        tokio::select! {
            played = demo.play(usize::from(args.peers), tell) => played,
            () = signals.next() => Err(interrupted()),
        }
    };
    let kept = match (&played, args.keep) {
        (Ok(()), true) => demo.keep(),
        _ => {
            let ended = demo.end().await;
            played.and(ended)?;
            Vec::new()
        }
    };
    let summary = Summary { ok: true, peers: args.peers, steps: acts, homes: kept };
    context.output.show(&summary)?;
    Ok(ExitCode::SUCCESS)
}

fn interrupted() -> Failure {
    Failure::new(Code::Failed, "interrupted before the end", "let it run to its end, about a minute")
}

impl Report for Act {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([good("ok "), plain(self.detail.as_str()), dim(format!("  ({})", self.seconds()))]);
    }
}

/// What happened, all of it.
#[derive(Serialize)]
struct Summary {
    ok: bool,
    peers: u8,
    steps: Vec<Act>,
    /// Homes of the peers that were left running.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    homes: Vec<PathBuf>,
}

impl Report for Summary {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.blank();
        page.line([bold("Everything that was told has happened, and no server had a part in it.")]);
        let Some(first) = self.homes.first() else { return };
        page.line([plain("The peers are still running. Look at one of them, or search from it:")]);
        for what in ["status", "search chess", "events"] {
            page.indented(2, [plain(format!("starling --home {} {what}", first.display()))]);
        }
        let stage = first.parent().unwrap_or(first);
        page.line([plain("There is one home for each of them in that directory. This ends them all:")]);
        page.indented(2, [plain(format!("pkill -TERM -f {}", stage.display()))]);
    }
}
