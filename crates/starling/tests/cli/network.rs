//! Two nodes and their users.

use serde_json::Value;

use crate::support::Home;

#[test]
fn who_joins_is_seen_by_both() {
    let (alice, bob) = (Home::of("Alice"), Home::of("Bob"));
    let (_first, ready) = alice.node([] as [&str; 0]);
    let mut events = alice.start(["events", "--json"]);
    assert_eq!(events.line()["event"], "ready");
    let (second, joined) = bob.node(["--join", ready["join"].as_str().unwrap()]);
    assert_eq!(events.event("peer_up")["node"], joined["node"]);
    assert_eq!(alice.run(["status", "--json"]).json()["peers"], 1);
    assert_eq!(second.end().code, Some(0));
    assert_eq!(events.event("peer_down")["node"], joined["node"]);
}

#[test]
fn who_am_i() {
    let home = Home::of("Alice");
    let (_node, ready) = home.node([] as [&str; 0]);
    let who = home.run(["whoami", "--json"]).json();
    assert_eq!((&who["account"], &who["node"]), (&ready["account"], &ready["node"]));
    assert_eq!(who["name"], "Alice");
    let text = home.run(["whoami"]);
    assert!(text.out.starts_with(&format!("Alice {}\n", who["tag"].as_str().unwrap())), "{text:?}");
}

#[test]
fn a_profile_is_changed_and_kept() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    let set = home.run(["profile", "set", "--about", "croquet", "--keyword", "chess", "--json"]).json();
    assert_eq!((&set["name"], &set["about"]), (&Value::from("Alice"), &Value::from("croquet")));
    assert_eq!(home.run(["profile", "list", "--json"]).json()["listed"], true);
    assert_eq!(node.end().code, Some(0));
    let (_node, _) = home.node([] as [&str; 0]);
    let shown = home.run(["profile", "show", "--json"]).json();
    assert_eq!((&shown["keywords"], &shown["listed"]), (&serde_json::json!(["chess"]), &Value::from(true)));
    assert_eq!(home.run(["profile", "unlist", "--json"]).json()["listed"], false);
}

#[test]
fn a_node_listens_on_a_socket_in_its_home() {
    let home = Home::of("Alice");
    let (_node, ready) = home.node(["--api", "unix"]);
    assert!(ready["api"].as_str().unwrap().starts_with("unix:"), "{ready}");
    assert_eq!(home.run(["whoami", "--json"]).json()["account"], ready["account"]);
}

#[test]
fn other_machines_are_kept_out_unless_asked_in() {
    let home = Home::of("Alice");
    let refused = home.run(["run", "--json", "--listen", "127.0.0.1:0", "--api", "0.0.0.0:0"]);
    assert_eq!((refused.code, refused.err.as_str()), (Some(2), ""));
    assert_eq!(refused.json()["error"]["code"], "bad_input");
}

#[test]
fn a_peer_holds_as_much_as_its_owner_says() {
    let home = Home::of("Alice");
    let bound = |words: &[&str]| {
        let (node, _) = home.node(words);
        let held = home.run(["status", "--json"]).json()["held"].clone();
        let shown = home.run(["status"]).out;
        assert_eq!(node.end().code, Some(0));
        (held["pool_bytes"].as_u64().unwrap(), held["full"].clone(), shown)
    };
    let (pool, full, shown) = bound(&["--hold-at-most", "8MiB"]);
    assert_eq!((pool, full), (4 << 20, Value::from(false)), "half of it for mail, half for the rest");
    assert!(shown.contains("of 4.0 MiB each"), "{shown}");
    assert_eq!(bound(&["--hold-at-most", "2GiB"]).0, 1 << 30);
    assert_eq!(bound(&[]).0, 128 << 20, "what is said is not remembered");
}
