//! Mail whose writers have left for good, kept by nodes that come and go: small runs of `starling lab mail`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use std::ops::ControlFlow;

use starling_proto::time::Span;
use starling_sim::survival::{Coming, Mishap, Outcome, Plan, SAMPLES, run};

const PLAN: Plan = Plan {
    nodes: 16,
    pairs: 2,
    texts: 3,
    coming: Coming::Hours,
    droppers_percent: 0,
    mishap: Mishap::None,
    away: Span::from_hours(8),
    seed: 1,
};

fn outcome(plan: Plan) -> Outcome {
    run(plan, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Everything was stored, and at least so many of a thousand stored texts were read, once and in order.
fn holds(plan: Plan, per_mille: usize) -> Outcome {
    let found = outcome(plan);
    assert_eq!(found.stored, found.written, "{found:?}");
    assert!(found.delivered * 1000 >= found.stored * per_mille, "{found:?}");
    assert_eq!((found.twice, found.disordered), (0, 0), "{found:?}");
    found
}

#[test]
fn mail_outlives_its_writers_among_nodes_that_come_and_go() {
    let found = outcome(PLAN);
    assert_eq!((found.written, found.stored, found.delivered), (6, 6, 6), "{found:?}");
    assert_eq!((found.twice, found.disordered), (0, 0));
    assert_eq!(found.samples.len(), SAMPLES as usize + 1);
    assert!(found.samples.iter().all(|sample| sample.kept > 0.99), "{:?}", found.samples);
    assert!(found.samples.iter().any(|sample| sample.running < PLAN.nodes), "nobody ever left");
    assert_eq!((found.mailboxes, found.whole), (2, 2));
    assert!(found.held_bytes_per_node > found.letter_bytes_per_node && found.letter_bytes_per_node > 0.0);
    assert_eq!(outcome(PLAN).trace, found.trace, "the same seed");
}

/// The whole life of mail. So few nodes that at times nobody is there at all: what counts is that it is still on their
/// disks, and found when they and its reader are back.
fn for_fourteen_days(coming: Coming) {
    let found = holds(Plan { nodes: 6, texts: 2, coming, away: Span::from_hours(333), ..PLAN }, 1000);
    assert!(found.samples.iter().all(|sample| sample.kept > 0.99), "{found:?}");
    // Each letter is there once, and a node sends less than half of the 50 kB a minute that it may.
    assert!(found.letter_bytes_per_node < 16_384.0, "{found:?}");
    assert!(found.bytes_per_node_hour < 1_500_000.0, "{found:?}");
}

#[test]
fn chn_03_mail_is_read_after_fourteen_days_of_churn_as_of_kad() {
    for_fourteen_days(Coming::Kad);
}

#[test]
fn chn_03_mail_is_read_after_fourteen_days_of_an_hour_on_and_an_hour_off() {
    for_fourteen_days(Coming::Hours);
}

/// Shorter absences, since nodes that start so often take so much longer to simulate.
#[test]
fn chn_03_mail_is_read_among_nodes_that_stay_for_minutes() {
    for (coming, hours) in [(Coming::Quarters, 48), (Coming::Minutes, 12)] {
        holds(Plan { nodes: 10, texts: 2, coming, away: Span::from_hours(hours), ..PLAN }, 1000);
    }
}

#[test]
fn byz_01_droppers_that_come_and_go_take_no_mail_away() {
    for droppers_percent in [10, 20, 30, 50] {
        let found = holds(Plan { nodes: 20, droppers_percent, away: Span::from_hours(4), ..PLAN }, 1000);
        let honest = 20 - 20 * droppers_percent / 100;
        assert!(found.samples.iter().all(|sample| sample.copies <= honest as f64), "they drop it: {found:?}");
    }
}

#[test]
fn cra_04_mail_outlives_all_its_holders_failing_at_once() {
    for coming in [Coming::Steady, Coming::Kad] {
        holds(Plan { coming, mishap: Mishap::Restart, ..PLAN }, 1000);
    }
}

/// The letters lie in the writers' half alone until the network is whole again.
#[test]
fn par_02_mail_crosses_when_halves_meet_again() {
    for coming in [Coming::Steady, Coming::Hours] {
        holds(Plan { coming, mishap: Mishap::Halves, ..PLAN }, 1000);
    }
}

#[test]
fn chn_04_mail_outlives_sixty_of_a_hundred_holders() {
    holds(Plan { mishap: Mishap::Vanish, ..PLAN }, 1000);
}

/// That it is measured and not assumed.
#[test]
fn what_all_holders_drop_is_not_delivered() {
    let found = outcome(Plan { droppers_percent: 100, coming: Coming::Steady, ..PLAN });
    assert_eq!((found.written, found.stored), (6, 6), "they all say that they keep it");
    let last = found.samples.last().unwrap();
    assert_eq!((found.delivered, last.kept.to_bits()), (0, 0.0_f64.to_bits()), "{found:?}");
    assert_eq!((found.mailboxes, found.whole), (2, 0));
}
