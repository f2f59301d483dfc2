//! `starling lab scale`: how the costs of a network grow with it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use starling_api::types::Code;
use starling_sim::scale::{BYTES_PER_NODE, Interrupted, Meter as _, NODES, Outcome, Plan, run as simulate};

use super::law::{Laws, rounded};
use super::meter::ProcessMeter;
use super::scale_page::page;
use super::work::perform;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, dim, plain};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  starling lab scale
  starling lab scale --nodes 10,100,1000 --html growth.html
  starling lab scale --nodes 100 --seed 7 --json";

/// Let networks of several sizes grow, and measure what joining, finding and being there costs.
///
/// Each network doubles every 30 virtual seconds; everybody lists themselves; 200 lookups and 100 searches follow, then
/// an hour in which nobody does anything. A thousand nodes take minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Sizes, 2 to 20,000 nodes each. They are run from the smallest to the largest.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10, 30, 100])]
    nodes: Vec<usize>,

    /// What every die is thrown with: the same seed gives the same figures, times and memory apart.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Also write a report with plots: one HTML page that needs nothing from outside.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let plans = plans(args.nodes, args.seed)?;
    let (outcomes, place) = perform(args.html, move |stop| simulate_all(&plans, stop))?;
    let summary = Summary::of(&outcomes);
    context.output.show(&summary)?;
    if let Some(place) = place {
        place.write(&page(&summary).map_err(|error| Failure::internal(&error))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the smallest to the largest, so that what an earlier run has left in the allocator is not counted again.
fn plans(mut nodes: Vec<usize>, seed: u64) -> Result<Vec<Plan>, Failure> {
    nodes.sort_unstable();
    nodes.dedup();
    for &size in &nodes {
        check(size)?;
    }
    Ok(nodes.into_iter().map(|nodes| Plan::new(nodes, seed)).collect())
}

fn check(nodes: usize) -> Result<(), Failure> {
    let refuse = |message: String, hint: &str| Err(Failure::new(Code::BadInput, message, hint));
    if nodes < 2 {
        return refuse(
            format!("a network of {nodes} nodes has nothing to measure"),
            "name sizes of 2 nodes or more",
        );
    }
    if nodes > NODES {
        let gib = (nodes as u64).saturating_mul(BYTES_PER_NODE) >> 30;
        let message =
            format!("{nodes} full nodes would take about {gib} GiB of memory; at most {NODES} are run");
        return refuse(message, "name smaller sizes: the law that is fitted says what larger ones cost");
    }
    Ok(())
}

fn simulate_all(plans: &[Plan], stop: &AtomicBool) -> Result<Vec<Outcome>, Interrupted> {
    let meter = ProcessMeter::new();
    let before = meter.memory();
    let one = |plan: &Plan| {
        let bar = Bar::new(format!("{} nodes", plan.nodes));
        simulate(*plan, &meter, before, &mut |progress| {
            // By virtual time, which passes more slowly where more happens in it.
            bar.show(progress.doing, progress.passed.as_ms(), progress.all.as_ms());
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    plans.iter().map(one).collect()
}

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) runs: Vec<Run>,
    pub(super) fits: Laws,
}

/// One network, as it is shown.
#[derive(Serialize)]
pub(super) struct Run {
    pub(super) nodes: usize,
    pub(super) seed: u64,
    pub(super) join_cpu_s: f64,
    pub(super) requests_per_join: f64,
    handshakes_per_join: f64,
    requests_per_listing: f64,
    refused_per_listing: f64,
    pub(super) requests_per_lookup: f64,
    pub(super) lookup_cpu_ms: f64,
    top1: f64,
    topk: f64,
    pub(super) bytes_per_node_hour: f64,
    requests_per_node_hour: f64,
    pub(super) memory_per_node_bytes: Option<u64>,
    search_recall: Option<f64>,
    virtual_s: f64,
    wall_s: f64,
    pub(super) trace: String,
}

impl Summary {
    fn of(outcomes: &[Outcome]) -> Self {
        Self { runs: outcomes.iter().map(Run::from).collect(), fits: Laws::of(outcomes) }
    }

    /// The table, its head first.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = [
            "nodes",
            "join CPU",
            "req/join",
            "req/lookup",
            "CPU/lookup",
            "top 1",
            "top 20",
            "recall",
            "KiB/node/h",
            "KiB/node",
            "virtual",
            "real",
        ];
        let head = head.map(str::to_owned).to_vec();
        std::iter::once(head).chain(self.runs.iter().map(Run::row)).collect()
    }
}

impl Run {
    fn row(&self) -> Vec<String> {
        let share = |share: f64| format!("{:.1} %", share * 100.0);
        vec![
            self.nodes.to_string(),
            format!("{:.2} s", self.join_cpu_s),
            format!("{:.1}", self.requests_per_join),
            format!("{:.1}", self.requests_per_lookup),
            format!("{:.2} ms", self.lookup_cpu_ms),
            share(self.top1),
            share(self.topk),
            share(self.search_recall.unwrap_or(0.0)),
            format!("{:.0}", self.bytes_per_node_hour / 1024.0),
            self.memory_per_node_bytes.map_or_else(|| "unknown".into(), |bytes| (bytes / 1024).to_string()),
            format!("{:.0} s", self.virtual_s),
            format!("{:.1} s", self.wall_s),
        ]
    }
}

impl From<&Outcome> for Run {
    fn from(outcome: &Outcome) -> Self {
        let trace = outcome.trace.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            nodes: outcome.plan.nodes,
            seed: outcome.plan.seed,
            join_cpu_s: rounded(outcome.join_cpu.as_secs_f64()),
            requests_per_join: rounded(outcome.requests_per_join),
            handshakes_per_join: rounded(outcome.handshakes_per_join),
            requests_per_listing: rounded(outcome.requests_per_listing),
            refused_per_listing: rounded(outcome.refused_per_listing),
            requests_per_lookup: rounded(outcome.requests_per_lookup),
            lookup_cpu_ms: rounded(outcome.lookup_cpu.as_secs_f64() * 1000.0),
            top1: rounded(outcome.top1),
            topk: rounded(outcome.topk),
            bytes_per_node_hour: rounded(outcome.bytes_per_node_hour),
            requests_per_node_hour: rounded(outcome.requests_per_node_hour),
            memory_per_node_bytes: outcome.memory_per_node,
            search_recall: outcome.search_recall.map(rounded),
            virtual_s: outcome.virtual_time.as_ms() as f64 / 1000.0,
            wall_s: rounded(outcome.wall.as_secs_f64()),
            trace,
        }
    }
}

impl Report for Summary {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let rows = self.rows().into_iter().enumerate().map(|(number, row)| {
            let cell = |text| if number == 0 { bold(text) } else { plain(text) };
            row.into_iter().map(cell).collect()
        });
        page.table(0, rows);
        page.blank();
        if let Some(law) = &self.fits.requests_per_lookup {
            page.line([plain("Requests of a lookup: "), bold(law.formula())]);
        }
        for run in &self.runs {
            page.line([dim(format!("trace of {} nodes, seed {}: {}", run.nodes, run.seed, run.trace))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_put_in_order() {
        let sizes: Vec<usize> = plans(vec![30, 10, 30], 1).unwrap().iter().map(|plan| plan.nodes).collect();
        assert_eq!(sizes, [10, 30]);
    }

    #[test]
    fn sizes_that_cannot_be_run_are_refused() {
        for (size, words) in [(0, "nothing to measure"), (200_000, "GiB")] {
            assert!(plans(vec![10, size], 1).unwrap_err().message().contains(words));
        }
    }
}
