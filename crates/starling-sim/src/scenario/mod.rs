//! Scenarios: what a network goes through, as files, and a runner that checks it all the while.
//!
//! A scenario has a cast and phases in which things go wrong while people write to one another; then all faults end,
//! everybody is back, and what was written must arrive. What must hold at all times is checked at all times
//! ([`crate::checks`]).

mod catalogue;
mod chaos;
mod file;
mod presence;
mod stage;
mod users;

use std::ops::ControlFlow;

use starling_proto::time::Span;

pub use self::catalogue::{NAMES, named};
pub use self::file::{Crowd, Cut, Events, Phase, Scenario, ScenarioError};
pub(crate) use self::presence::Turns;
use self::stage::Stage;
pub(crate) use self::users::Users;
use crate::checks::Violation;
use crate::checks::sometimes::{Reached, Sometimes};
use crate::scale::{Interrupted, Progress};

/// What a run found. All of it follows from scenario and seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What every die was thrown with.
    pub seed: u64,
    /// What must never be and was; a good run has none.
    pub violations: Vec<Violation>,
    /// Messages whose writer was told that they are written down.
    pub written: usize,
    /// Of these, how many the writer saw delivered.
    pub delivered: usize,
    /// After the faults had ended, how long it took until all had arrived; `None` if it never did.
    pub healed_after: Option<Span>,
    /// Share of searches, in the end, that found whom they were for; `None` if nobody is listed.
    pub recall: Option<f64>,
    /// Nasty paths that were gone down.
    pub reached: Reached,
    /// Requests of all nodes.
    pub requests: u64,
    /// Virtual time.
    pub virtual_time: Span,
    /// The hash over everything that happened.
    pub trace: [u8; 32],
}

impl Outcome {
    /// Those of `paths` that were not gone down.
    #[must_use]
    pub fn unreached(&self, paths: &[Sometimes]) -> Vec<Sometimes> {
        paths.iter().copied().filter(|path| self.reached.of(*path) == 0).collect()
    }

    /// What went wrong and how to see it again, for a run that has violations: a line for each, then the command.
    #[must_use]
    pub fn complaint(&self, name: &str) -> String {
        let lines: Vec<String> = self.violations.iter().take(LINES).map(ToString::to_string).collect();
        let more = self.violations.len().saturating_sub(LINES);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        format!(
            "seed {}: {}{more}\n  replay with: {}",
            self.seed,
            lines.join("\n  "),
            replay(name, self.seed)
        )
    }
}

/// Violations that a complaint shows: what follows is mostly the consequence of the first.
const LINES: usize = 8;

/// The one command that runs a scenario with a seed again.
#[must_use]
pub fn replay(name: &str, seed: u64) -> String {
    format!("starling lab scenario {name} --seed {seed}")
}

/// Runs a scenario. `watch` is told how far it is, some times in a real second, and can end it.
///
/// # Errors
/// [`Interrupted`] if `watch` breaks.
///
/// # Panics
/// If a core panics, spins, or breaks its contract with the shell.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, Interrupted> {
    let mut stage = Stage::new(scenario, seed, watch);
    stage.gather()?;
    for phase in &scenario.phases {
        stage.suffer(phase)?;
    }
    stage.heal()?;
    stage.conclude()
}
