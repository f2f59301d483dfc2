//! One home has one node.

use crate::support::Home;

#[test]
fn cra_09_a_second_node_on_one_home_refuses() {
    let home = Home::of("Alice");
    let (node, ready) = home.node([] as [&str; 0]);
    let second = home.run(["run", "--json"]);
    assert_eq!((second.code, second.err.as_str()), (Some(1), ""));
    let error = &second.json()["error"];
    assert_eq!(error["code"], "conflict");
    assert!(error["message"].as_str().unwrap().starts_with("another node is running on this home (process "));
    // The first one has not noticed.
    assert_eq!(home.run(["whoami", "--json"]).json()["account"], ready["account"]);
    assert_eq!(node.end().code, Some(0));
    let (third, _) = home.node([] as [&str; 0]);
    assert_eq!(third.end().code, Some(0));
}

#[test]
fn cra_09_a_killed_node_leaves_its_home_usable() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    drop(node);
    let (again, _) = home.node([] as [&str; 0]);
    assert_eq!(again.end().code, Some(0));
}
