//! With `--json` every failure is one document of the same shape, and standard error is silent.

use serde_json::Value;
use starling_proto::ids::MessageId;

use crate::support::{Finished, Home};

#[track_caller]
fn check(failed: &Finished, exit: i32, code: &str) {
    assert_eq!((failed.code, failed.err.as_str()), (Some(exit), ""), "{failed:?}");
    let document = failed.json();
    let error = &document["error"];
    assert_eq!(error["code"], code, "{document}");
    for part in ["message", "hint"] {
        assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {document}");
    }
    let keys = |value: &Value| value.as_object().unwrap().len();
    assert_eq!((keys(&document), keys(error)), (1, 3), "{document}");
}

#[test]
fn wrong_usage() {
    let home = Home::empty();
    let cases: &[&[&str]] = &[
        &["--json"],
        &["--json", "serch"],
        &["init", "--json"],
        &["init", "--json", "--name", ""],
        &["init", "--json", "--name", "Alice"],
        &["init", "--json", "--name", "Alice", "--passphrase-file", "/nowhere/at/all"],
        &["run", "--json", "--join", "127.0.0.1:1"],
        &["run", "--json", "--lan", "on"],
        &["run", "--json", "--relay", "on"],
        &["profile", "--json"],
        &["profile", "set", "--json"],
        &["search", "--json"],
        &["contact", "--json"],
        &["contact", "add", "--json"],
        &["contact", "verify", "--json", "bob", "--yes", "--no"],
        &["invite", "--json", "--expires", "31d"],
        &["invite", "--json", "--qr"],
        &["send", "--json", "bob"],
        &["send", "--json", "bob", "hello", "--timeout", "5s"],
        &["send", "--json", "bob", "hello", "--wait", "queued"],
        &["messages", "--json", "bob", "--limit", "0"],
        &["messages", "--json", "bob", "--before", "yesterday"],
        &["trace", "--json", "starling1qqqq"],
        &["events", "--json", "--since", ""],
        &["doctor", "--json", "--listen", "x"],
        &["completions", "--json"],
    ];
    for args in cases {
        check(&home.run(*args), 2, "bad_input");
    }
}

#[test]
fn no_node() {
    let message = MessageId::new([7; 16]).to_string();
    for home in [Home::empty(), Home::of("Alice")] {
        let cases: &[&[&str]] = &[
            &["status"],
            &["whoami"],
            &["profile", "show"],
            &["profile", "list"],
            &["profile", "unlist"],
            &["profile", "set", "--about", "x"],
            &["search", "chess"],
            &["contact", "add", "starling1qqqq"],
            &["contact", "accept", "bob"],
            &["contact", "rename", "bob"],
            &["contact", "list"],
            &["contact", "verify", "bob"],
            &["invite"],
            &["send", "bob", "hello"],
            &["send", "bob", "hello", "--wait", "read"],
            &["messages", "bob"],
            &["trace", &message],
            &["events"],
        ];
        for args in cases {
            check(&home.run([*args, &["--json"]].concat()), 3, "not_running");
        }
    }
}

#[test]
fn homes() {
    let empty = Home::empty();
    check(&empty.run(["run", "--json"]), 5, "not_found");
    let home = Home::of("Alice");
    check(&home.run(["init", "--json", "--name", "Bob", "--no-passphrase"]), 1, "conflict");
    let file = home.beside("file", "x");
    let init = home.command(["init", "--json", "--name", "Bob", "--no-passphrase"]);
    let mut init = init;
    check(&crate::support::finish(init.env("STARLING_HOME", file)), 1, "storage");
}
