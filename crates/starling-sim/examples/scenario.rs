//! Runs a scenario with one seed, or with random ones until the time is over.
//!
//! `cargo run -p starling-sim --example scenario -- NAME|FILE [--seed N] [--minutes N]`: `cargo xtask soak` calls it,
//! and what it says of a failing seed is the way to see that again.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a program for those who work on the crate: telling a person what happened is its job"
)]

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starling_sim::checks::sometimes::Reached;
use starling_sim::scenario::{NAMES, Outcome, Scenario, named, replay, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Wanted::parse(&arguments) {
        Ok(wanted) if wanted.minutes.is_some() => soak(&wanted),
        Ok(wanted) => once(&wanted),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

struct Wanted {
    name: String,
    scenario: Scenario,
    seed: Option<u64>,
    minutes: Option<u64>,
}

impl Wanted {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let [name, options @ ..] = arguments else {
            return Err(format!("wanted: NAME|FILE [--seed N] [--minutes N]; names: {}", NAMES.join(", ")));
        };
        let scenario = match named(name) {
            Some(scenario) => scenario,
            None => {
                let text = std::fs::read_to_string(name)
                    .map_err(|error| format!("{name}: {error}; names: {}", NAMES.join(", ")))?;
                Scenario::parse(&text)
            }
        };
        let scenario = scenario.map_err(|error| format!("{name}: {error}"))?;
        let mut wanted = Self { name: name.clone(), scenario, seed: None, minutes: None };
        for option in options.chunks(2) {
            let [word, number] = option else { return Err(format!("{option:?} needs a number")) };
            let number = number.parse().map_err(|_| format!("{number} is no number"))?;
            match word.as_str() {
                "--seed" => wanted.seed = Some(number),
                "--minutes" => wanted.minutes = Some(number),
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(wanted)
    }
}

fn once(wanted: &Wanted) -> ExitCode {
    let outcome = of_seed(wanted, wanted.seed.unwrap_or(1));
    println!("{outcome:#?}");
    if outcome.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{}", outcome.complaint(&wanted.name));
    ExitCode::FAILURE
}

fn of_seed(wanted: &Wanted, seed: u64) -> Outcome {
    run(&wanted.scenario, seed, &mut |_| ControlFlow::Continue(())).expect("nobody interrupts it")
}

/// Random seeds on every core until the time is over.
fn soak(wanted: &Wanted) -> ExitCode {
    let random = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let next = AtomicU64::new(wanted.seed.unwrap_or(random));
    let until = Instant::now() + Duration::from_secs(60 * wanted.minutes.unwrap_or(1));
    let (failed, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let reached = Mutex::new((Reached::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < until {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let good = judge(wanted, seed, &reached);
                    failed.fetch_add(u64::from(!good), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (failed, done) = (failed.into_inner(), done.into_inner());
    if let Ok((reached, mut healed)) = reached.into_inner() {
        let paths: Vec<String> = reached.iter().map(|(path, count)| format!("{path:?} {count}")).collect();
        println!("reached: {}", paths.join(", "));
        healed.sort_unstable();
        let middle = healed.get(healed.len() / 2).copied().unwrap_or(0);
        println!("healed after {middle} s in the middle, {} s at most", healed.last().copied().unwrap_or(0));
    }
    println!("{done} seeds, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed; says what went wrong.
fn judge(wanted: &Wanted, seed: u64, reached: &Mutex<(Reached, Vec<u64>)>) -> bool {
    let Ok(outcome) = std::panic::catch_unwind(|| of_seed(wanted, seed)) else {
        println!("seed {seed}: a panic\n  replay with: {}", replay(&wanted.name, seed));
        return false;
    };
    if let Ok(mut all) = reached.lock() {
        all.0.merge(&outcome.reached);
        all.1.extend(outcome.healed_after.map(|span| span.as_secs()));
    }
    if !outcome.violations.is_empty() {
        println!("{}", outcome.complaint(&wanted.name));
    }
    outcome.violations.is_empty()
}
