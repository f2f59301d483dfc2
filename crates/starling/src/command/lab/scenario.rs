//! `starling lab scenario`: a network in which things go wrong, watched by checkers that know what must never be.

use std::fs;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use starling_api::types::Code;
use starling_sim::scale::Interrupted;
use starling_sim::scenario::{NAMES, Outcome, Scenario, named, run as simulate};

use super::work::perform;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bad, bold, dim, good, plain};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  starling lab scenario                              what there is
  starling lab scenario split-and-heal
  starling lab scenario mixed-faults --seed 7 --runs 100
  starling lab scenario my-own.toml --json

The exit code is 1 if anything was found that must never be.";

/// Run a scenario: people write to one another while links, machines, disks and clocks fail, and all of it is checked.
///
/// The cores are whole, with their directory, contacts and messages; sessions between devices are a double that does the
/// same. The same seed gives the same document.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Which: a name, or a file. Without one the names are listed.
    name: Option<String>,

    /// What every die is thrown with.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// How many seeds, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    runs: u64,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let Some(name) = args.name else {
        context.output.show(&list()?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let scenario = read(&name)?;
    let about = scenario.about.clone();
    let seeds = args.seed..args.seed.saturating_add(args.runs);
    let title = name.clone();
    let (outcomes, _) =
        perform(None, move |stop| seeds.map(|seed| one(&scenario, &title, seed, stop)).collect())?;
    let outcomes: Vec<Outcome> = outcomes;
    let found = Found { name, about, runs: outcomes.iter().map(Run::from).collect() };
    context.output.show(&found)?;
    let clean = found.runs.iter().all(|run| run.ok);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(scenario: &Scenario, name: &str, seed: u64, stop: &AtomicBool) -> Result<Outcome, Interrupted> {
    let bar = Bar::new(format!("{name}, seed {seed}"));
    simulate(scenario, seed, &mut |progress| {
        bar.show(progress.doing, progress.passed.as_ms(), progress.all.as_ms());
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// The scenario of a name, or of a file.
fn read(name: &str) -> Result<Scenario, Failure> {
    let refuse = |message: String, hint: String| Failure::new(Code::BadInput, message, hint);
    let scenario = match named(name) {
        Some(scenario) => scenario,
        None => {
            let text = fs::read_to_string(name).map_err(|error| {
                let hint = format!("name a file, or one of: {}", NAMES.join(", "));
                refuse(format!("there is no scenario called {name:?}, and no such file ({error})"), hint)
            })?;
            Scenario::parse(&text)
        }
    };
    scenario.map_err(|error| refuse(format!("{name}: {error}"), "mend the file".into()))
}

fn list() -> Result<List, Failure> {
    let item = |name: &&'static str| Ok(Item { name, about: read(name)?.about });
    Ok(List { scenarios: NAMES.iter().map(item).collect::<Result<_, Failure>>()? })
}

/// What there is.
#[derive(Serialize)]
struct List {
    scenarios: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    name: &'static str,
    about: String,
}

impl Report for List {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let row = |item: &'a Item| vec![bold(item.name), plain(&item.about)];
        page.table(0, self.scenarios.iter().map(row).collect::<Vec<_>>());
    }
}

/// What was found.
#[derive(Serialize)]
struct Found {
    name: String,
    about: String,
    runs: Vec<Run>,
}

/// Of one seed.
#[derive(Serialize)]
struct Run {
    seed: u64,
    ok: bool,
    violations: Vec<String>,
    written: usize,
    delivered: usize,
    healed_after_s: Option<u64>,
    recall: Option<f64>,
    requests: u64,
    virtual_s: u64,
    trace: String,
}

impl From<&Outcome> for Run {
    fn from(outcome: &Outcome) -> Self {
        Self {
            seed: outcome.seed,
            ok: outcome.violations.is_empty(),
            violations: outcome.violations.iter().map(ToString::to_string).collect(),
            written: outcome.written,
            delivered: outcome.delivered,
            healed_after_s: outcome.healed_after.map(|span| span.as_secs()),
            recall: outcome.recall,
            requests: outcome.requests,
            virtual_s: outcome.virtual_time.as_secs(),
            trace: outcome.trace.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Report for Found {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([bold(&self.name), plain("  "), dim(&self.about)]);
        for run in &self.runs {
            let verdict = if run.ok { good("clean") } else { bad("broken") };
            let healed = match run.healed_after_s {
                Some(seconds) => format!("; well again {seconds} s after the faults"),
                None => "; never well again".to_owned(),
            };
            let told = format!("  {} of {} messages seen delivered{healed}", run.delivered, run.written);
            page.line([plain(format!("seed {}  ", run.seed)), verdict, plain(told)]);
            for violation in &run.violations {
                page.indented(2, [plain(violation)]);
            }
        }
        let broken = self.runs.iter().filter(|run| !run.ok).count();
        page.line([dim(format!("{} seeds, {broken} broken", self.runs.len()))]);
    }
}
