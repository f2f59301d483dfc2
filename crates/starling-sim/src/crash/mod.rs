//! Crash points: a small network in which one machine fails at one chosen moment, for every moment that there is.
//!
//! The [story](run) is always the same: two people find each other, write to each other while both are there, then while
//! one of them is away, and while each is there only when the other is not; others keep what waits. It is told once
//! without a crash, to know each batch that each node handles; then with a crash before the commit of a batch, after it,
//! or after each of its outputs ([`CrashPoint`]). However it ends: what was acknowledged is there once, in order, and known
//! to be there, nothing waits any more, and no key of a session was used twice.

mod choice;
mod story;

use std::collections::BTreeMap;

use starling_proto::time::Span;

pub use self::choice::{points, spread};
use self::story::Story;
use crate::checks::{Rule, Violation};
pub use crate::network::{Batch, CrashPoint, Moment};

/// What came of the story.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What every die was thrown with.
    pub seed: u64,
    /// Where a machine failed, if one was to.
    pub point: Option<CrashPoint>,
    /// Whether it did: a story that ends before that point has none.
    pub crashed: bool,
    /// What must never be and was; a good run has none.
    pub violations: Vec<Violation>,
    /// Messages whose writer was told that they are written down.
    pub written: usize,
    /// When the story was over, how long it took until nothing waited any more; `None` if it never came to that.
    pub settled_after: Option<Span>,
    /// Every batch of the run, if they were wanted.
    pub batches: Vec<Batch>,
}

impl Outcome {
    /// Whether anything that was acknowledged is missing somewhere.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        let lost = [Rule::AcknowledgedIsKept, Rule::AllArrives, Rule::DeliveredIsThere];
        self.violations.iter().any(|violation| lost.contains(&violation.rule))
    }

    /// Whether anything was shown twice.
    #[must_use]
    pub fn has_doubled(&self) -> bool {
        self.violations.iter().any(|violation| violation.rule == Rule::ShownOnce)
    }

    /// What went wrong and how to see it again.
    #[must_use]
    pub fn complaint(&self) -> String {
        let lines: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        format!("{}\n  {}", lines.join("\n  "), replay(self.seed, self.point))
    }
}

/// The one command that tells the story again.
#[must_use]
pub fn replay(seed: u64, point: Option<CrashPoint>) -> String {
    let point = point.map_or_else(String::new, |point| format!(" --point {point}"));
    format!("replay with: cargo run -p starling-sim --example crash_points -- --seed {seed}{point}")
}

/// Tells the story, with a crash at `point`.
///
/// # Panics
/// If a core panics, spins, breaks its contract with the shell, or uses a key of a session twice.
#[must_use]
pub fn run(seed: u64, point: Option<CrashPoint>) -> Outcome {
    Story::new(seed, point).tell()
}

/// How many points there are of each kind: the kind of input, and the moment.
#[must_use]
pub fn kinds(points: &[(String, CrashPoint)]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for (kind, _) in points {
        *kinds.entry(kind.as_str()).or_default() += 1;
    }
    kinds
}
