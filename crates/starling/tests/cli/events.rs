//! The event stream.

use serde_json::Value;

use crate::support::Home;

#[test]
fn a_stream_begins_ends_and_says_so() {
    let home = Home::of("Alice");
    let (node, ready) = home.node([] as [&str; 0]);
    let mut events = home.start(["events", "--json", "--reconnect", "0"]);
    let first = events.line();
    assert_eq!((&first["event"], &first["node"]), (&ready["event"], &ready["node"]));
    assert!(first["cursor"].as_str().is_some_and(|cursor| !cursor.is_empty()));
    assert_eq!(node.end().code, Some(0));
    let ended = events.finish();
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    assert_eq!((ended.code, last["error"]["code"].as_str()), (Some(3), Some("not_running")));
}

#[test]
fn a_node_that_comes_back_is_followed() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    let mut events = home.start(["events", "--json"]);
    assert_eq!(events.line()["event"], "ready");
    drop(node);
    let (_node, _) = home.node([] as [&str; 0]);
    // The new node does not know the old one's cursor.
    events.event("resync");
}
