//! `starling lab attack`: what a network withstands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;
use starling_api::types::Code;
use starling_sim::attack::{
    BYTES_PER_OVERLAY, Interrupted, LEAST_NODES, MOST_NODES, Outcome, Param, Plan, Scenario, Tables,
    catalogue, run as simulate,
};

use super::attack_page::page;
use super::law::rounded;
use super::work::perform;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, plain};
use crate::progress::Bar;

/// Up to this size everybody joins unless told otherwise; beyond, that takes longer than what is measured.
const JOINED: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  starling lab attack
  starling lab attack --scenario colluders --trials 3000 --html attacks.html
  starling lab attack --nodes 10000 --scenario ground-40,eclipse-40 --json";

/// Let some of a network's nodes turn against it, and measure what the others still find.
///
/// What runs is the overlay of every node: routing table, lookups, records. Signatures are hashes here, which changes no
/// decision. The whole list takes about a quarter of an hour.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How many nodes, 100 to 100,000.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    nodes: usize,

    /// What every die is thrown with: the same seed gives the same document.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Only these attacks; a beginning names all that begin so. A wrong one shows the list.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,

    /// How often each is tried.
    #[arg(long, value_name = "N", default_value_t = 500)]
    trials: usize,

    /// How the network comes to stand [default: joined up to 1,000 nodes, else filled]
    #[arg(long, value_name = "HOW")]
    tables: Option<How>,

    /// Also write a report with plots: one HTML page that needs nothing from outside.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// Everybody joins, as in the product.
    Joined,
    /// Everybody is told whom to know: random peers, as many as find room.
    Filled,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let plan = plan(&args)?;
    let scenarios = chosen(&args.scenario)?;
    let command = command(&args);
    let (outcomes, place) = perform(args.html, move |stop| simulate_all(&scenarios, plan, stop))?;
    let summary = Summary { command, scenarios: outcomes.iter().map(Attack::from).collect() };
    context.output.show(&summary)?;
    if let Some(place) = place {
        place.write(&page(&summary).map_err(|error| Failure::internal(&error))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    let (nodes, trials) = (args.nodes, args.trials);
    let refuse = |message: String, hint: &str| Err(Failure::new(Code::BadInput, message, hint));
    if nodes < LEAST_NODES {
        let message = format!("in a network of {nodes} nodes nearly everybody holds everything");
        return refuse(message, "name 100 nodes or more");
    }
    if nodes > MOST_NODES {
        let gib = (nodes as u64).saturating_mul(BYTES_PER_OVERLAY) >> 30;
        let message =
            format!("{nodes} overlays would take about {gib} GiB of memory; at most {MOST_NODES} are run");
        return refuse(message, "name a smaller size");
    }
    if trials == 0 {
        return refuse("an attack that is never tried shows nothing".into(), "name 1 or more with --trials");
    }
    let joined = if nodes <= JOINED { How::Joined } else { How::Filled };
    let tables = match args.tables.unwrap_or(joined) {
        How::Joined => Tables::Joined,
        How::Filled => Tables::Filled,
    };
    Ok(Plan { nodes, seed: args.seed, trials, tables })
}

/// All of these names or beginnings; all there are if none is named.
fn chosen(names: &[String]) -> Result<Vec<Scenario>, Failure> {
    let all = catalogue();
    if let Some(name) = names.iter().find(|name| !all.iter().any(|scenario| is_named(scenario, name))) {
        let known: Vec<&str> = all.iter().map(|scenario| scenario.id.as_str()).collect();
        let message = format!("there is no attack called {name:?}");
        return Err(Failure::new(Code::BadInput, message, format!("name some of: {}", known.join(", "))));
    }
    let wanted = |scenario: &Scenario| names.is_empty() || names.iter().any(|name| is_named(scenario, name));
    Ok(all.into_iter().filter(wanted).collect())
}

fn is_named(scenario: &Scenario, name: &str) -> bool {
    !name.is_empty() && scenario.id.starts_with(name)
}

fn command(args: &Args) -> String {
    let mut command = format!("starling lab attack --nodes {} --seed {}", args.nodes, args.seed);
    if !args.scenario.is_empty() {
        command = format!("{command} --scenario {}", args.scenario.join(","));
    }
    if let Some(tables) = args.tables.and_then(|tables| tables.to_possible_value()) {
        command = format!("{command} --tables {}", tables.get_name());
    }
    format!("{command} --trials {}", args.trials)
}

fn simulate_all(scenarios: &[Scenario], plan: Plan, stop: &AtomicBool) -> Result<Vec<Outcome>, Interrupted> {
    let one = |scenario: &Scenario| {
        let bar = Bar::new(scenario.id.clone());
        simulate(scenario, plan, &mut |progress| {
            bar.show(progress.doing, progress.done as u64, progress.all as u64);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    scenarios.iter().map(one).collect()
}

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Summary {
    #[serde(skip)]
    pub(super) command: String,
    pub(super) scenarios: Vec<Attack>,
}

/// One attack, as it is shown.
#[derive(Serialize)]
pub(super) struct Attack {
    pub(super) id: String,
    nodes: usize,
    seed: u64,
    pub(super) params: BTreeMap<&'static str, Value>,
    trials: usize,
    pub(super) success: f64,
    success_low: f64,
    success_high: f64,
    target: Option<f64>,
    met: Option<bool>,
    requests_mean: f64,
    bytes_mean: f64,
    trace: String,
}

/// A parameter, or something beside the success.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Number(f64),
    Text(String),
}

impl From<&Outcome> for Attack {
    fn from(outcome: &Outcome) -> Self {
        let (low, high) = outcome.interval();
        let value = |param: &Param| match param {
            Param::Number(number) => Value::Number(rounded(*number)),
            Param::Text(text) => Value::Text(text.clone()),
        };
        Self {
            id: outcome.id.clone(),
            nodes: outcome.nodes,
            seed: outcome.seed,
            params: outcome.params.iter().map(|(name, param)| (*name, value(param))).collect(),
            trials: outcome.trials,
            success: rounded(outcome.success()),
            success_low: rounded(low),
            success_high: rounded(high),
            target: outcome.target,
            met: outcome.is_met(),
            requests_mean: rounded(outcome.requests_mean),
            bytes_mean: rounded(outcome.bytes_mean),
            trace: outcome.trace.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Attack {
    /// A number among the parameters.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.params.get(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> String {
        match self.params.get(name) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    fn row(&self) -> Vec<String> {
        let share = |share: f64| format!("{:.1}", share * 100.0);
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let number = |name: &str| self.number(name).map_or_else(String::new, |number| format!("{number:.1}"));
        vec![
            self.id.clone(),
            self.text("fault"),
            format!("{:.2} %", self.success * 100.0),
            format!("{} - {}", share(self.success_low), share(self.success_high)),
            self.target.map_or_else(String::new, |target| format!("{} %", rounded(target * 100.0))),
            met.to_owned(),
            self.trials.to_string(),
            format!("{:.1}", self.requests_mean),
            format!("{:.0}", self.bytes_mean / 1024.0),
            number("store_requests_mean"),
            number("honest_copies_mean"),
        ]
    }
}

impl Summary {
    /// The table, its head first.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head =
            ["attack", "fault", "found", "95 %", "target", "", "tries", "req", "KiB", "req/store", "copies"];
        let head = head.map(str::to_owned).to_vec();
        std::iter::once(head).chain(self.scenarios.iter().map(Attack::row)).collect()
    }
}

impl Report for Summary {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let rows = self.rows().into_iter().enumerate().map(|(number, row)| {
            let cell = |text| if number == 0 { bold(text) } else { plain(text) };
            row.into_iter().map(cell).collect()
        });
        page.table(0, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_names_all_that_begin_so() {
        let names = |wanted: &str| -> Vec<String> {
            chosen(&[wanted.to_owned()]).unwrap().into_iter().map(|scenario| scenario.id).collect()
        };
        assert_eq!(names("empty"), ["empty-10", "empty-20", "empty-30", "empty-50"]);
        assert_eq!(names("silent-30"), ["silent-30", "silent-30-churn-hours"]);
        assert_eq!(names("eclipse-40"), ["eclipse-40"]);
        assert_eq!(chosen(&[]).unwrap().len(), catalogue().len());
        assert!(chosen(&["ponies".to_owned()]).unwrap_err().message().contains("ponies"));
    }
}
