//! The laboratory, with networks that take no time.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::Home;

/// What differs from run to run.
const MEASURED: [&str; 4] = ["join_cpu_s", "lookup_cpu_ms", "memory_per_node_bytes", "wall_s"];

/// What scripts rely on.
const FIELDS: [&str; 14] = [
    "nodes",
    "seed",
    "join_cpu_s",
    "requests_per_join",
    "requests_per_lookup",
    "lookup_cpu_ms",
    "top1",
    "topk",
    "bytes_per_node_hour",
    "memory_per_node_bytes",
    "search_recall",
    "virtual_s",
    "wall_s",
    "trace",
];

fn scale(home: &Home, more: &[&str]) -> Value {
    let done = home.run([&["lab", "scale", "--nodes", "5,10", "--json"], more].concat());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    done.json()
}

/// The document without what is this machine's.
fn without_measured(mut document: Value) -> Value {
    for run in document["runs"].as_array_mut().unwrap() {
        for field in MEASURED {
            run.as_object_mut().unwrap().remove(field);
        }
    }
    document
}

#[test]
fn small_networks_are_measured() {
    let home = Home::empty();
    let report = home.beside("report.html", "an older report");
    let document = scale(&home, &["--html", report.to_str().unwrap()]);
    for (run, nodes) in document["runs"].as_array().unwrap().iter().zip([5, 10]) {
        let fields: BTreeSet<&str> = run.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(FIELDS.iter().all(|field| fields.contains(field)), "{run}");
        assert_eq!(run["nodes"], nodes);
        assert_eq!(
            (&run["top1"], &run["topk"], &run["search_recall"]),
            (&1.0.into(), &1.0.into(), &1.0.into())
        );
        assert_eq!(
            run["requests_per_lookup"],
            f64::from(nodes - 1),
            "in so small a network everybody is asked"
        );
        assert_eq!(run["trace"].as_str().unwrap().len(), 64);
        assert!(run["bytes_per_node_hour"].as_f64().unwrap() > 0.0);
    }
    assert!(document["fits"]["requests_per_lookup"]["b"].as_f64().unwrap() > 0.0);
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "the older report is gone");
    assert!(page.matches("<svg ").count() >= 3 && !page.contains("href"), "nothing from outside");
    assert!(!home.path().exists(), "no home is needed");
}

#[test]
fn the_same_seed_gives_the_same_document() {
    let home = Home::empty();
    let of_seed = |seed: &str| without_measured(scale(&home, &["--seed", seed]));
    let once = of_seed("7");
    assert_eq!(once, of_seed("7"));
    assert_ne!(once, of_seed("8"));
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is() {
    let home = Home::empty();
    let nowhere = home.path().join("report.html");
    let nowhere = nowhere.to_str().unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("no_nodes", &["--nodes", "10,0"]),
        ("too_many_nodes", &["--nodes", "200000"]),
        ("no_number", &["--nodes", "ten"]),
        ("unwritable_report", &["--nodes", "1000", "--html", nowhere]),
    ];
    for (name, args) in cases {
        let refused = home.run([&["lab", "scale"], args].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{name}: {refused:?}");
        insta::assert_snapshot!(format!("failure_lab_scale_{name}"), refused.seen(&home));
    }
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let home = Home::empty();
    let report = home.path().with_file_name("new.html");
    let running = home.start(["lab", "scale", "--nodes", "20000", "--html", report.to_str().unwrap()]);
    while !report.exists() {
        std::thread::yield_now();
    }
    running.signal(Signal::INT);
    let ended = running.finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("interrupted"), "{ended:?}");
    assert!(!report.exists(), "an empty report is no report");
}

/// What scripts rely on.
const ATTACK_FIELDS: [&str; 8] =
    ["id", "nodes", "seed", "params", "trials", "success", "requests_mean", "bytes_mean"];

fn attack(home: &Home, more: &[&str]) -> Value {
    let small = ["lab", "attack", "--nodes", "100", "--trials", "20", "--tables", "filled", "--json"];
    let done = home.run([small.as_slice(), more].concat());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    done.json()
}

#[test]
fn attacks_are_measured() {
    let home = Home::empty();
    let report = home.beside("attacks.html", "an older report");
    let names = ["--scenario", "colluders-20-vanish-40,plain20-ground-20-frozen,silent-10"];
    let document = attack(&home, &[names.as_slice(), &["--html", report.to_str().unwrap()]].concat());
    let scenarios = document["scenarios"].as_array().unwrap();
    let ids: Vec<&str> = scenarios.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["silent-10", "colluders-20-vanish-40", "plain20-ground-20-frozen"]);
    for one in scenarios {
        assert!(ATTACK_FIELDS.iter().all(|field| !one[field].is_null()), "{one}");
        assert_eq!(
            (&one["nodes"], &one["seed"], &one["params"]["tables"]),
            (&100.into(), &1.into(), &"filled".into())
        );
        assert!(one["success_low"].as_f64() <= one["success"].as_f64());
    }
    assert_eq!((&scenarios[0]["success"], &scenarios[0]["met"]), (&1.0.into(), &true.into()));
    assert_eq!(scenarios[2]["success"], 0.0, "whoever owns the key decides what is there");
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "the older report is gone");
    assert!(
        page.contains("<svg ") && page.contains("starling lab attack --nodes 100") && !page.contains("href")
    );
    assert_eq!(document, attack(&home, &names), "the same seed, the same document");
}

#[test]
fn attacks_that_cannot_be_run_are_refused_before_anything_is() {
    let home = Home::empty();
    let cases: [(&str, &[&str]); 4] = [
        ("few_nodes", &["--nodes", "10"]),
        ("too_many_nodes", &["--nodes", "1000000"]),
        ("no_trials", &["--trials", "0"]),
        ("unknown", &["--scenario", "ponies"]),
    ];
    for (name, args) in cases {
        let refused = home.run([&["lab", "attack"], args].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{name}: {refused:?}");
        insta::assert_snapshot!(format!("failure_lab_attack_{name}"), refused.seen(&home));
    }
}

/// What scripts rely on.
const MAIL_FIELDS: [&str; 16] = [
    "churn",
    "nodes",
    "droppers_percent",
    "mishap",
    "days",
    "seed",
    "stored",
    "delivered_percent",
    "mailboxes",
    "whole_low_percent",
    "whole_high_percent",
    "bytes_per_node_hour",
    "requests_per_node_hour",
    "letter_bytes_per_node",
    "held_bytes_per_node",
    "trace",
];

#[test]
fn mail_is_measured_beside_what_it_costs() {
    let home = Home::empty();
    let report = home.beside("mail.html", "an older report");
    let small = ["lab", "mail", "--nodes", "5", "--pairs", "2", "--texts", "1", "--days", "0.05", "--json"];
    let runs = ["--churn", "steady,hours", "--droppers", "0,100", "--mishap", "restart"];
    let all = [small.as_slice(), runs.as_slice(), &["--html", report.to_str().unwrap()]].concat();
    let done = home.run(all);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    let document = done.json();
    let found = document["runs"].as_array().unwrap();
    assert_eq!(found.len(), 4, "each model with each share");
    for run in found {
        assert!(MAIL_FIELDS.iter().all(|field| !run[field].is_null()), "{run}");
        assert_eq!((&run["mailboxes"], &run["mishap"]), (&2.into(), &"restart".into()), "{run}");
        assert!(run["samples"][28]["held_bytes_per_node"].as_f64().unwrap() > 0.0, "{run}");
    }
    assert_eq!((&found[0]["delivered_percent"], &found[0]["met"]), (&100.0.into(), &true.into()));
    assert_eq!((&found[0]["target_percent"], &found[1]["target_percent"]), (&99.99.into(), &Value::Null));
    assert_eq!(found[1]["delivered_percent"], 0.0, "they all drop it");
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("steady, 100 % drop") && page.matches("<svg ").count() == 4, "{page}");
}

#[test]
fn a_scenario_runs_and_tells_what_it_found() {
    let home = Home::empty();
    let list = home.run(["lab", "scenario", "--json"]).json();
    assert!(list["scenarios"].as_array().unwrap().iter().any(|one| one["name"] == "mixed-faults"), "{list}");
    let tiny = "about = \"Three people in peace, for half a minute.\"\nnodes = 3\nhealing_s = 600\n\n[[phase]]\n\
                seconds = 30\nmessages_per_minute = 10\n";
    let file = home.beside("tiny.toml", tiny);
    let file = file.to_str().unwrap();
    let done = home.run(["lab", "scenario", file, "--seed", "3", "--runs", "2", "--json"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    let runs = done.json()["runs"].as_array().unwrap().clone();
    assert_eq!((runs.len(), &runs[0]["seed"], &runs[1]["ok"]), (2, &3.into(), &true.into()), "{runs:?}");
    assert_eq!(home.run(["lab", "scenario", file, "--seed", "4", "--json"]).json()["runs"][0], runs[1]);
}

#[test]
fn a_wrong_scenario_is_refused() {
    let home = Home::empty();
    let wrong = home.run(["lab", "scenario", "no-such"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("mixed-faults"), "{wrong:?}");
    let file = home.beside("wrong.toml", "about = \"x\"\nnodes = -1\n");
    let wrong = home.run(["lab", "scenario", file.to_str().unwrap()]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
