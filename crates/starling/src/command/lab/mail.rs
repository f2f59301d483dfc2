//! `starling lab mail`: how long mail lives whose writer has left for good.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;
use starling_api::types::Code;
use starling_proto::time::Span;
use starling_sim::scale::Interrupted;
use starling_sim::survival::{Coming, Mishap, NODES, Outcome, PAIRS, Plan, Sample, TEXTS, run as simulate};

use super::law::rounded;
use super::mail_page::page;
use super::work::perform;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Page, Report, bold, dim, plain};
use crate::progress::Bar;

/// The fewest nodes: with fewer there is nobody to come and go.
const LEAST_NODES: usize = 3;
/// Days that mail is kept.
const DAYS: f64 = 14.0;

const EXAMPLES: &str = "\
Examples:
  starling lab mail --days 1
  starling lab mail --churn kad,hours --html mail.html
  starling lab mail --churn hours --droppers 10,20,30,50 --json
  starling lab mail --churn steady,kad --mishap halves --days 2";

/// Let people write to others who are away, and leave for good; measure what is kept and what is read in the end.
///
/// What runs is the whole program of every node. Whoever keeps the mail comes and goes. The recipients come back just
/// before the mail ends, at another address. Fourteen days among a hundred nodes take some minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Nodes that keep the mail, 3 to 5,000; the people come to them.
    #[arg(long, value_name = "N", default_value_t = 100)]
    nodes: usize,

    /// Pairs of a writer and a recipient.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pairs: usize,

    /// Texts of each writer.
    #[arg(long, value_name = "N", default_value_t = 5)]
    texts: usize,

    /// How nodes come and go: one run for each.
    #[arg(long, value_name = "MODEL", value_delimiter = ',', default_value = "kad,hours")]
    churn: Vec<Model>,

    /// Of a hundred nodes, how many say that they keep what they drop: each model is run with each share.
    #[arg(
        long,
        value_name = "PERCENT",
        value_delimiter = ',',
        default_value = "0",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    droppers: Vec<u8>,

    /// What befalls all nodes together.
    #[arg(long, value_name = "MISHAP", default_value = "none")]
    mishap: Trouble,

    /// How long the recipients are away, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 13.9)]
    days: f64,

    /// What every die is thrown with: the same seed gives the same figures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Also write a report with plots: one HTML page that needs nothing from outside.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Model {
    /// All stay.
    Steady,
    /// As was measured of KAD: half of the stays shorter than 93 minutes, with very long ones; off for longer.
    Kad,
    /// Medians of an hour on and an hour off.
    Hours,
    /// Medians of 15 minutes on and 60 off.
    Quarters,
    /// Medians of 2.4 minutes on and 10 off.
    Minutes,
}

impl From<Model> for Coming {
    fn from(model: Model) -> Self {
        match model {
            Model::Steady => Self::Steady,
            Model::Kad => Self::Kad,
            Model::Hours => Self::Hours,
            Model::Quarters => Self::Quarters,
            Model::Minutes => Self::Minutes,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trouble {
    /// Nothing.
    None,
    /// In the middle all fail at one moment; those who were there start again an hour later.
    Restart,
    /// The writers are in one half of the network, the recipients in the other; in the middle it is whole again.
    Halves,
    /// In the middle sixty of a hundred nodes are gone for good.
    Vanish,
}

impl From<Trouble> for Mishap {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::None => Self::None,
            Trouble::Restart => Self::Restart,
            Trouble::Halves => Self::Halves,
            Trouble::Vanish => Self::Vanish,
        }
    }
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    let plans = plans(&args)?;
    let command = command(&args);
    let (outcomes, place) = perform(args.html, move |stop| simulate_all(&plans, stop))?;
    let summary = Summary { command, runs: outcomes.iter().map(Run::from).collect() };
    context.output.show(&summary)?;
    if let Some(place) = place {
        place.write(&page(&summary).map_err(|error| Failure::internal(&error))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn plans(args: &Args) -> Result<Vec<Plan>, Failure> {
    within("--nodes", args.nodes, LEAST_NODES, NODES)?;
    within("--pairs", args.pairs, 1, PAIRS)?;
    within("--texts", args.texts, 1, TEXTS)?;
    if !(args.days > 0.0 && args.days <= DAYS) {
        let message = format!("mail is kept for {DAYS} days, and {} are wanted", args.days);
        return Err(Failure::new(Code::BadInput, message, "name more than 0 and at most 14 with --days"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "more than none and at most 14 days"
    )]
    let away = Span::from_ms((args.days * 86_400_000.0) as u64);
    let plan = |model: Model, droppers: u8| Plan {
        nodes: args.nodes,
        pairs: args.pairs,
        texts: args.texts,
        coming: Coming::from(model),
        droppers_percent: usize::from(droppers),
        mishap: Mishap::from(args.mishap),
        away,
        seed: args.seed,
    };
    let of_model =
        |model: &Model| args.droppers.iter().map(|droppers| plan(*model, *droppers)).collect::<Vec<_>>();
    Ok(args.churn.iter().flat_map(of_model).collect())
}

fn within(what: &str, found: usize, least: usize, most: usize) -> Result<(), Failure> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let message = format!("{what} must be from {least} to {most}, and is {found}");
    Err(Failure::new(Code::BadInput, message, format!("name a number from {least} to {most}")))
}

fn command(args: &Args) -> String {
    let models: Vec<&str> = args.churn.iter().map(|model| Coming::from(*model).name()).collect();
    let droppers: Vec<String> = args.droppers.iter().map(u8::to_string).collect();
    format!(
        "starling lab mail --nodes {} --pairs {} --texts {} --churn {} --droppers {} --mishap {} --days {} --seed {}",
        args.nodes,
        args.pairs,
        args.texts,
        models.join(","),
        droppers.join(","),
        Mishap::from(args.mishap).name(),
        args.days,
        args.seed
    )
}

fn simulate_all(plans: &[Plan], stop: &AtomicBool) -> Result<Vec<Outcome>, Interrupted> {
    let one = |plan: &Plan| {
        let bar = Bar::new(label(plan));
        simulate(*plan, &mut |progress| {
            bar.show(progress.doing, progress.passed.as_ms(), progress.all.as_ms());
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    plans.iter().map(one).collect()
}

/// What tells the runs of one command apart.
fn label(plan: &Plan) -> String {
    match plan.droppers_percent {
        0 => plan.coming.name().to_owned(),
        percent => format!("{}, {percent} % drop", plan.coming.name()),
    }
}

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Summary {
    #[serde(skip)]
    pub(super) command: String,
    pub(super) runs: Vec<Run>,
}

/// One run, as it is shown.
#[derive(Serialize)]
pub(super) struct Run {
    #[serde(skip)]
    pub(super) label: String,
    churn: &'static str,
    nodes: usize,
    pairs: usize,
    droppers_percent: usize,
    mishap: &'static str,
    days: f64,
    seed: u64,
    written: usize,
    stored: usize,
    holders_mean: f64,
    letters: usize,
    delivered: usize,
    delivered_percent: f64,
    mailboxes: usize,
    whole: usize,
    whole_low_percent: f64,
    whole_high_percent: f64,
    target_percent: Option<f64>,
    met: Option<bool>,
    twice: usize,
    disordered: usize,
    wait_median_s: Option<f64>,
    wait_p95_s: Option<f64>,
    bytes_per_node_hour: f64,
    requests_per_node_hour: f64,
    letter_bytes_per_node: f64,
    held_bytes_per_node: f64,
    pub(super) samples: Vec<Moment>,
    virtual_s: f64,
    pub(super) trace: String,
}

/// How the letters stood.
#[derive(Serialize)]
pub(super) struct Moment {
    pub(super) day: f64,
    pub(super) kept_percent: f64,
    pub(super) within_reach_percent: f64,
    pub(super) copies_mean: f64,
    running: usize,
    pub(super) letter_bytes_per_node: f64,
    held_bytes_per_node: f64,
}

impl From<&Sample> for Moment {
    fn from(sample: &Sample) -> Self {
        Self {
            day: rounded(sample.at.as_ms() as f64 / 86_400_000.0),
            kept_percent: rounded(sample.kept * 100.0),
            within_reach_percent: rounded(sample.within_reach * 100.0),
            copies_mean: rounded(sample.copies),
            running: sample.running,
            letter_bytes_per_node: rounded(sample.letter_bytes),
            held_bytes_per_node: rounded(sample.held_bytes),
        }
    }
}

impl From<&Outcome> for Run {
    fn from(found: &Outcome) -> Self {
        let seconds = |span: Span| span.as_ms() as f64 / 1000.0;
        let (share, (low, high)) = (found.share(), found.interval());
        let target = found.plan.target_percent();
        Self {
            label: label(&found.plan),
            churn: found.plan.coming.name(),
            nodes: found.plan.nodes,
            pairs: found.plan.pairs,
            droppers_percent: found.plan.droppers_percent,
            mishap: found.plan.mishap.name(),
            days: rounded(seconds(found.plan.away) / 86_400.0),
            seed: found.plan.seed,
            written: found.written,
            stored: found.stored,
            holders_mean: rounded(found.holders),
            letters: found.letters,
            delivered: found.delivered,
            delivered_percent: rounded(share * 100.0),
            mailboxes: found.mailboxes,
            whole: found.whole,
            whole_low_percent: rounded(low * 100.0),
            whole_high_percent: rounded(high * 100.0),
            target_percent: target,
            met: target.map(|target| share * 100.0 >= target),
            twice: found.twice,
            disordered: found.disordered,
            wait_median_s: found.median_wait.map(seconds),
            wait_p95_s: found.p95_wait.map(seconds),
            bytes_per_node_hour: rounded(found.bytes_per_node_hour),
            requests_per_node_hour: rounded(found.requests_per_node_hour),
            letter_bytes_per_node: rounded(found.letter_bytes_per_node),
            held_bytes_per_node: rounded(found.held_bytes_per_node),
            samples: found.samples.iter().map(Moment::from).collect(),
            virtual_s: seconds(found.virtual_time),
            trace: found.trace.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Summary {
    /// The table, its head first.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = [
            "churn",
            "nodes",
            "droppers",
            "mishap",
            "days",
            "stored",
            "read",
            "share",
            "target",
            "mailboxes",
            "95 %",
            "twice",
            "copies",
            "holders",
            "until read",
            "KiB/node/h",
            "requests/node/h",
            "mail KiB/node",
            "all KiB/node",
        ];
        let head = head.map(str::to_owned).to_vec();
        std::iter::once(head).chain(self.runs.iter().map(Run::row)).collect()
    }
}

impl Run {
    fn row(&self) -> Vec<String> {
        let copies = self.samples.iter().map(|sample| sample.copies_mean).fold(f64::INFINITY, f64::min);
        vec![
            self.churn.to_owned(),
            self.nodes.to_string(),
            format!("{} %", self.droppers_percent),
            self.mishap.to_owned(),
            format!("{:.1}", self.days),
            format!("{} of {}", self.stored, self.written),
            self.delivered.to_string(),
            format!("{:.2} %", self.delivered_percent),
            self.target_percent.map_or_else(|| "none".into(), |target| format!("{target} %")),
            format!("{} of {}", self.whole, self.mailboxes),
            format!("{:.2} - {:.2}", self.whole_low_percent, self.whole_high_percent),
            self.twice.to_string(),
            format!("{copies:.1} or more"),
            format!("{:.1}", self.holders_mean),
            self.wait_median_s.map_or_else(|| "never".into(), |wait| format!("{wait:.0} s")),
            format!("{:.0}", self.bytes_per_node_hour / 1024.0),
            format!("{:.0}", self.requests_per_node_hour),
            format!("{:.1}", self.letter_bytes_per_node / 1024.0),
            format!("{:.1}", self.held_bytes_per_node / 1024.0),
        ]
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
        for run in &self.runs {
            page.line([dim(format!("trace of {}, seed {}: {}", run.label, run.seed, run.trace))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(words: &str) -> Args {
        Line::parse_from(std::iter::once("mail").chain(words.split_whitespace())).args
    }

    #[test]
    fn numbers_out_of_their_bounds_are_refused() {
        for words in
            ["--nodes 2", "--nodes 5001", "--pairs 0", "--texts 501", "--days 0", "--days 15", "--days nan"]
        {
            assert!(plans(&read(words)).is_err(), "{words}");
        }
        assert!(Line::try_parse_from(["mail", "--churn", "cad"]).is_err());
        assert!(Line::try_parse_from(["mail", "--droppers", "10,101"]).is_err());
        assert!(Line::try_parse_from(["mail", "--mishap", "flood"]).is_err());
    }

    #[test]
    fn each_model_is_a_run() {
        let plans = plans(&read("--churn steady,kad --days 2")).unwrap();
        assert_eq!(plans.iter().map(|plan| plan.coming).collect::<Vec<_>>(), [Coming::Steady, Coming::Kad]);
        assert_eq!(plans[0].away, Span::from_days(2));
        let shown = command(&read("--churn steady,kad --days 2 --droppers 10,30 --mishap halves"));
        assert!(shown.contains("--churn steady,kad --droppers 10,30 --mishap halves --days 2"), "{shown}");
    }

    #[test]
    fn each_model_is_run_with_each_share_of_droppers() {
        let plans = plans(&read("--churn hours,kad --droppers 0,30 --mishap restart")).unwrap();
        let labels: Vec<String> = plans.iter().map(label).collect();
        assert_eq!(labels, ["hours", "hours, 30 % drop", "kad", "kad, 30 % drop"]);
        assert!(plans.iter().all(|plan| plan.mishap == Mishap::Restart));
        let targets: Vec<Option<f64>> = plans.iter().map(Plan::target_percent).collect();
        assert_eq!(targets, [Some(99.99), Some(99.9), Some(99.99), Some(99.9)]);
    }
}
