//! Commands that need a running node say so.

use crate::support::{Finished, Home};

#[track_caller]
fn check(home: &Home, failed: &Finished, snapshot: &str) {
    assert_eq!((failed.code, failed.out.as_str()), (Some(3), ""), "{failed:?}");
    insta::assert_snapshot!(snapshot, failed.seen(home));
}

#[test]
fn an_account_whose_node_does_not_run() {
    let home = Home::of("Alice");
    check(&home, &home.run(["whoami"]), "no_node");
}

#[test]
fn no_account_at_all() {
    let home = Home::empty();
    check(&home, &home.run(["status"]), "no_node_no_account");
    assert!(!home.path().exists(), "asking makes nothing");
}

#[test]
fn a_killed_node_is_noticed() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    drop(node);
    assert!(home.path().join("api.json").exists(), "nobody removed it");
    check(&home, &home.run(["whoami"]), "no_node_killed");
}
