//! Runs crash points: so many, spread over all kinds and as many seeds as it takes, or the one that is named.
//!
//! `cargo run -p starling-sim --example crash_points -- [--count N] [--seed N] [--point POINT]`: `cargo xtask soak
//! --crash-points N` calls it, and what it says of a point that fails is the way to see that again.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a program for those who work on the crate: telling a person what happened is its job"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use starling_sim::crash::{CrashPoint, Outcome, kinds, points, replay, run, spread};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Wanted::parse(&arguments) {
        Ok(Wanted { count: Some(count), seed, .. }) => many(count, seed),
        Ok(Wanted { point, seed, .. }) => once(seed, point),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Wanted {
    count: Option<usize>,
    seed: u64,
    point: Option<CrashPoint>,
}

impl Wanted {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut wanted = Self { seed: 1, ..Self::default() };
        for option in arguments.chunks(2) {
            let [word, value] = option else { return Err(format!("{option:?} needs a value")) };
            let number = |_| format!("{value} is no number");
            match word.as_str() {
                "--count" => wanted.count = Some(value.parse().map_err(number)?),
                "--seed" => wanted.seed = value.parse().map_err(number)?,
                "--point" => wanted.point = Some(value.parse()?),
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(wanted)
    }
}

fn once(seed: u64, point: Option<CrashPoint>) -> ExitCode {
    let outcome = run(seed, point);
    let points = points(&outcome.batches);
    for (kind, count) in kinds(&points) {
        println!("{count:6} {kind}");
    }
    println!("seed {seed}: {} written, settled after {:?}", outcome.written, outcome.settled_after);
    if outcome.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{}", outcome.complaint());
    ExitCode::FAILURE
}

/// How often each thing happened.
#[derive(Default)]
struct Tally {
    run: AtomicUsize,
    crashed: AtomicUsize,
    lost: AtomicUsize,
    twice: AtomicUsize,
    failed: AtomicUsize,
}

/// So many points on every core, of as many seeds as it takes.
fn many(count: usize, first: u64) -> ExitCode {
    let tally = Tally::default();
    let mut seed = first;
    let mut left = count;
    while left > 0 {
        let chosen = spread(&points(&run(seed, None).batches), left);
        left -= chosen.len();
        println!("seed {seed}: {} points", chosen.len());
        of_seed(seed, &chosen, &tally);
        seed += 1;
    }
    let Tally { run, crashed, lost, twice, failed } = tally;
    let failed = failed.into_inner();
    println!(
        "{} crash points run, {} crashes, {} lost, {} twice, {failed} failed",
        run.into_inner(),
        crashed.into_inner(),
        lost.into_inner(),
        twice.into_inner()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn of_seed(seed: u64, points: &[CrashPoint], tally: &Tally) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = std::panic::catch_unwind(|| run(seed, Some(*point)));
                    judge(seed, *point, outcome.ok(), tally);
                }
            });
        }
    });
}

/// Counts one point; says what went wrong. Without an outcome there was a panic.
fn judge(seed: u64, point: CrashPoint, outcome: Option<Outcome>, tally: &Tally) {
    let count = |counter: &AtomicUsize, yes: bool| counter.fetch_add(usize::from(yes), Ordering::Relaxed);
    let good = outcome.as_ref().is_some_and(|outcome| outcome.violations.is_empty());
    count(&tally.run, true);
    count(&tally.failed, !good);
    match outcome {
        None => println!("seed {seed}, point {point}: a panic\n  {}", replay(seed, Some(point))),
        Some(outcome) => {
            count(&tally.crashed, outcome.crashed);
            count(&tally.lost, outcome.has_lost());
            count(&tally.twice, outcome.has_doubled());
            if !good {
                println!("seed {seed}, point {point}: {}", outcome.complaint());
            }
        }
    }
}
