//! What a network withstands: a fixed set of small attacks with floors, and what happens without the guards.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: what fails must stop it")]

use std::ops::ControlFlow;

use starling_sim::attack::{Outcome, Param, Plan, Protocol, Scenario, Tables, catalogue, run};

const PLAN: Plan = Plan { nodes: 150, seed: 3, trials: 60, tables: Tables::Filled };

fn named(id: &str) -> Scenario {
    catalogue().into_iter().find(|scenario| scenario.id == id).unwrap()
}

fn attack(id: &str) -> Outcome {
    attack_with(&named(id), PLAN)
}

fn attack_with(scenario: &Scenario, plan: Plan) -> Outcome {
    run(scenario, plan, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Asserts that at least so many in a thousand tries succeed.
fn at_least(per_mille: usize, id: &str) {
    let outcome = attack(id);
    assert!(
        outcome.successes.saturating_mul(1000) >= outcome.trials.saturating_mul(per_mille),
        "{outcome:#?}"
    );
}

#[test]
fn in_peace_every_record_is_found_for_twenty_requests() {
    let plan = Plan { tables: Tables::Joined, ..PLAN };
    let outcome = attack_with(&named("honest"), plan);
    assert_eq!((outcome.successes, outcome.trials), (60, 60));
    assert!((19.0..25.0).contains(&outcome.requests_mean), "{outcome:#?}");
}

#[test]
fn byz_01_half_of_the_nodes_drop_and_records_are_found() {
    at_least(1000, "silent-50");
    at_least(1000, "empty-50");
}

#[test]
fn byz_02_colluders_hide_few_records() {
    at_least(1000, "colluders-20");
    at_least(950, "colluders-50");
}

/// Nodes come and go for two hours, and half an hour lies between the storing of a record and its finding.
#[test]
fn chn_01_records_are_found_while_nodes_come_and_go() {
    at_least(990, "churn-kad");
    at_least(950, "churn-minutes");
}

#[test]
fn byz_02_colluders_who_stay_hide_few_records_from_those_who_come_and_go() {
    at_least(950, "colluders-20-churn-kad");
}

#[test]
fn byz_03_ground_identities_do_not_own_a_key() {
    at_least(990, "ground-20");
    at_least(990, "ground-40");
    at_least(990, "ground-40-colluders-50");
    at_least(990, "ground-200");
}

/// Before places were looked at in rings by lot, a hundred in two parts hid half of the records.
#[test]
fn byz_03_wherever_ground_identities_stand_they_do_not_own_a_key() {
    at_least(950, "ground-40-outside");
    at_least(950, "ground-40-outside-search");
    at_least(950, "ground-100-twofold");
    at_least(950, "ground-100-spread");
}

#[test]
fn byz_03_a_plain_kademlia_loses_the_key_to_them() {
    assert_eq!(attack("plain20-ground-20").successes, 0);
}

#[test]
fn byz_03_a_store_as_narrow_as_a_bucket_loses_the_key() {
    let mut narrow = Protocol::starling();
    narrow.config.records.store_width = narrow.config.records.replicas;
    let outcome = attack_with(&Scenario { protocol: narrow, ..named("ground-20") }, PLAN);
    assert!(outcome.successes * 10 <= outcome.trials, "a wide fetch cannot mend it: {outcome:#?}");
}

/// Two of one street find a place, so that the place is not crowded and costs what any other does.
#[test]
fn byz_03_one_street_has_two_places_and_without_the_cap_it_is_a_crowd() {
    let street = attack("ground-200-street");
    assert_eq!((street.successes, street.requests_mean < 30.0), (60, true), "{street:#?}");
    // Each in a /16 of its own: the same as if nobody counted.
    let uncapped = attack("ground-200");
    assert!(uncapped.requests_mean > 60.0, "{uncapped:#?}");
}

#[test]
fn byz_04_invented_contacts_hide_nothing() {
    at_least(990, "inventors-30");
}

#[test]
fn byz_05_a_hostile_table_recovers() {
    at_least(950, "hostile-table-80");
}

#[test]
fn byz_07_records_that_are_not_in_order_hide_nothing() {
    at_least(1000, "foreign-30");
    at_least(1000, "cut-30");
    at_least(950, "frozen-30");
}

#[test]
fn byz_13_a_word_from_one_source_is_still_searched() {
    let plan = Plan { nodes: 100, trials: 20, ..PLAN };
    let outcome = attack_with(&named("alice-from-1"), plan);
    assert_eq!(outcome.successes, outcome.trials, "{outcome:#?}");
}

#[test]
fn spm_06_a_flood_of_large_records_stays_within_its_quota() {
    at_least(1000, "flood-from-1");
    at_least(1000, "flood-from-100");
}

#[test]
fn chn_04_after_sixty_percent_vanish_records_are_found() {
    at_least(1000, "vanish-60");
}

#[test]
fn prv_07_what_goes_through_go_betweens_is_found_unless_they_collude() {
    at_least(1000, "pass-honest");
    at_least(900, "pass-silent-30");
    at_least(800, "pass-30");
}

#[test]
fn prv_07_go_betweens_that_vouch_for_one_another_need_to_be_three() {
    let lost = |checks| {
        let mut scenario = named("pass-50");
        scenario.protocol.config.passing.checks = checks;
        let outcome = attack_with(&scenario, PLAN);
        let nowhere = outcome.params.iter().find(|(name, _)| *name == "stored_nowhere");
        match nowhere {
            Some((_, Param::Number(lost))) => *lost,
            other => panic!("{other:?}"),
        }
    };
    let (one, two) = (lost(1), lost(2));
    assert!(two < one, "{two} of 60 are nowhere with two that must have it shown, {one} with one");
}

#[test]
fn the_same_plan_has_the_same_outcome() {
    let small = Plan { nodes: 100, trials: 20, ..PLAN };
    let of_seed = |seed| attack_with(&named("ground-20-colluders-20"), Plan { seed, ..small });
    let once = of_seed(5);
    assert_eq!(once, of_seed(5));
    assert_ne!(once.trace, of_seed(6).trace);
}

#[test]
fn every_attack_has_its_own_name() {
    let mut names: Vec<String> = catalogue().into_iter().map(|scenario| scenario.id).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}
