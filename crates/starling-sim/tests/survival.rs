//! Mail whose writers have left for good, kept by nodes that come and go: small runs of `starling lab mail`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use std::ops::ControlFlow;

use starling_proto::time::Span;
use starling_sim::survival::{Coming, Outcome, Plan, SAMPLES, run};

const PLAN: Plan = Plan {
    nodes: 16,
    pairs: 2,
    texts: 3,
    coming: Coming::Hours,
    droppers_percent: 0,
    away: Span::from_hours(8),
    seed: 1,
};

fn outcome(plan: Plan) -> Outcome {
    run(plan, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn mail_outlives_its_writers_among_nodes_that_come_and_go() {
    let found = outcome(PLAN);
    assert_eq!((found.written, found.stored, found.delivered), (6, 6, 6), "{found:?}");
    assert_eq!((found.twice, found.disordered), (0, 0));
    assert_eq!(found.samples.len(), SAMPLES as usize + 1);
    assert!(found.samples.iter().all(|sample| sample.kept > 0.99), "{:?}", found.samples);
    assert!(found.samples.iter().any(|sample| sample.running < PLAN.nodes), "nobody ever left");
    assert_eq!(outcome(PLAN).trace, found.trace, "the same seed");
}

/// That it is measured and not assumed.
#[test]
fn what_all_holders_drop_is_not_delivered() {
    let found = outcome(Plan { droppers_percent: 100, coming: Coming::Steady, ..PLAN });
    assert_eq!((found.written, found.stored), (6, 6), "they all say that they keep it");
    let last = found.samples.last().unwrap();
    assert_eq!((found.delivered, last.kept.to_bits()), (0, 0.0_f64.to_bits()), "{found:?}");
}
