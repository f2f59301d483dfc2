//! The fixed set of crash points: some hundred of every kind, always the same.
//!
//! `cargo xtask soak --crash-points N` runs more of them; one that fails is mended and joins [`KEPT`].
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use starling_proto::time::Span;
use starling_sim::crash::{CrashPoint, Outcome, kinds, points, replay, run, spread};

/// Points that have failed once, by seed: each is a bug that was mended.
const KEPT: &[(u64, &str)] = &[];
/// Points of the fixed set.
const POINTS: usize = 300;
/// The story's texts.
const TEXTS: usize = 26;

fn holds(seed: u64, point: CrashPoint) -> Outcome {
    let told = std::panic::catch_unwind(|| run(seed, Some(point)));
    let Ok(outcome) = told else { panic!("a panic\n  {}", replay(seed, Some(point))) };
    assert!(outcome.violations.is_empty(), "{}", outcome.complaint());
    assert!(outcome.settled_after.is_some() && outcome.written == TEXTS, "{}", replay(seed, Some(point)));
    outcome
}

#[test]
fn without_a_crash_the_story_ends_well_and_as_before() {
    let outcome = run(1, None);
    assert!(outcome.violations.is_empty() && !outcome.crashed, "{}", outcome.complaint());
    assert_eq!(outcome.written, TEXTS);
    assert!(outcome.settled_after.unwrap() < Span::from_secs(60), "{:?}", outcome.settled_after);
    assert_eq!(run(1, None).batches, outcome.batches);
}

#[test]
fn cra_02_whatever_a_machine_does_when_it_fails_nothing_is_lost_and_nothing_comes_twice() {
    let all = points(&run(1, None).batches);
    let chosen = spread(&all, POINTS);
    assert_eq!(chosen.len(), POINTS);
    let of_chosen: Vec<_> = all.iter().filter(|(_, point)| chosen.contains(point)).cloned().collect();
    assert_eq!(kinds(&of_chosen).len(), kinds(&all).len(), "every kind is tried");
    for point in chosen {
        assert!(holds(1, point).crashed, "{}", replay(1, Some(point)));
    }
}

#[test]
fn what_failed_once_stays_mended() {
    for (seed, point) in KEPT {
        holds(*seed, point.parse().unwrap());
    }
}
