//! Contacts write to each other.

use serde_json::{Value, json};

use crate::person::Person;

fn texts(read: &Value) -> Vec<&str> {
    read["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect()
}

fn steps_of(trace: &Value) -> Vec<&str> {
    trace["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[test]
fn texts_come_both_ways_once_and_in_order() {
    let (ada, bob) = Person::contacts();
    let lines: Vec<String> = (0..10).map(|n| format!("line {n}")).collect();
    for (one, other, petname) in [(&ada, &bob, "bob"), (&bob, &ada, "ada")] {
        for line in &lines {
            let sent = one.json(["send", petname, line]);
            assert!(sent["id"].as_str().unwrap().starts_with("starmsg1"), "{sent}");
        }
        for line in &lines {
            let message = other.until("message");
            assert_eq!((&message["text"], &message["from"]), (&json!(line), &json!(one.account)));
        }
    }
    let both: Vec<&str> = lines.iter().chain(&lines).map(String::as_str).collect();
    for (one, petname) in [(&ada, "bob"), (&bob, "ada")] {
        let read = one.json(["messages", petname]);
        assert_eq!(texts(&read), both);
        let mine = read["messages"].as_array().unwrap().iter().filter(|message| message["mine"] == true);
        assert!(
            mine.clone().count() == 10
                && mine.into_iter().all(|message| message["from"] == one.account.as_str())
        );
    }
}

#[test]
fn delivered_is_waited_for() {
    let (ada, bob) = Person::contacts();
    let sent = ada.json(["send", "bob", "hello", "--wait", "delivered", "--timeout", "60s"]);
    assert_eq!(sent["state"], "delivered");
    assert_eq!(bob.until("message")["id"], sent["id"], "it was there before it was said to be");
}

#[test]
fn read_is_waited_for() {
    let (ada, bob) = Person::contacts();
    let mut sending = ada.begin(["send", "bob", "hello", "--wait", "read", "--timeout", "90s", "--json"]);
    bob.until("message");
    assert_eq!(texts(&bob.json(["messages", "ada"])), ["hello"]);
    assert_eq!(sending.line()["state"], "read");
    assert_eq!(sending.finish().code, Some(0));
}

#[test]
fn whoever_is_away_gets_it_later_and_the_trace_says_why() {
    let (ada, bob) = Person::contacts();
    let way_in = ada.way_in().to_owned();
    let home = bob.sign_off();
    let late = ada.run(["send", "bob", "are you there?", "--wait", "delivered", "--timeout", "1s"]);
    assert_eq!(late.code, Some(6), "{late:?}");
    let (id, state) = late.out.trim_end().split_once("  ").unwrap();
    assert_eq!(state, "queued", "{late:?}");
    assert!(late.err.contains(&format!("`starling trace {id}`")), "{late:?}");

    // Who keeps the record of where he was may have gone as well: there are but two.
    let at_once = ada.json(["trace", id]);
    assert!(["not_linked", "sent"].contains(&steps_of(&at_once)[1]), "{at_once}");
    let hindered = ["not_located", "not_reached", "interrupted"];
    ada.ask_until(["trace", id], |trace| steps_of(trace).iter().any(|step| hindered.contains(step)));

    let (_node, _) = home.node(["--join", &way_in]);
    ada.until_that("message_state", |event| event["id"] == id && event["state"] == "delivered");
    let trace = ada.json(["trace", id]);
    assert_eq!((&trace["id"], &trace["state"]), (&json!(id), &json!("delivered")));
    let steps = steps_of(&trace);
    assert_eq!((steps.first(), steps.last()), (Some(&"queued"), Some(&"delivered")), "{trace}");
    let text = ada.run(["trace", id]);
    let to = trace["conversation"].as_str().unwrap();
    assert!(text.out.starts_with(&format!("{id}  delivered\nto {to}\n")), "{text:?}");
}

#[test]
fn programs_get_id_state_and_error_of_a_wait_that_ends_early() {
    let (ada, bob) = Person::contacts();
    drop(bob.sign_off());
    let late = ada.run(["send", "bob", "hello", "--wait", "delivered", "--timeout", "1s", "--json"]);
    assert_eq!((late.code, late.err.as_str()), (Some(6), ""), "{late:?}");
    let late = late.json();
    assert_eq!((&late["state"], &late["error"]["code"]), (&json!("queued"), &json!("timed_out")));
    assert_eq!(ada.json(["trace", late["id"].as_str().unwrap()])["state"], "queued");
    assert!(ada.json(["status"])["queued"].as_u64().unwrap() > 0);
}

#[test]
fn a_wait_ends_with_the_node() {
    let (ada, bob) = Person::contacts();
    drop(bob.sign_off());
    let mut sending =
        ada.begin(["send", "bob", "hello", "--wait", "delivered", "--timeout", "90s", "--json"]);
    ada.ask_until(["messages", "bob"], |read| !texts(read).is_empty());
    drop(ada.sign_off());
    let ended = sending.line();
    assert_eq!(
        (&ended["state"], &ended["error"]["code"]),
        (&json!("queued"), &json!("not_running")),
        "{ended}"
    );
    assert_eq!(sending.finish().code, Some(3));
}

#[test]
fn a_text_comes_from_standard_input() {
    let (ada, bob) = Person::contacts();
    let letter = "Dear Bob,\n\n\u{1b}[2Jyours";
    let file = ada.home().beside("letter", &format!("{letter}\n"));
    let mut send = ada.home().command(["send", "bob", "-", "--json"]);
    let sent = crate::support::finish(send.stdin(std::fs::File::open(file).unwrap()));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(bob.until("message")["text"], letter, "programs get what was written");
    let shown = bob.run(["messages", "ada"]);
    assert!(shown.out.contains("Dear Bob,") && shown.out.contains("<U+001B>[2Jyours"), "{shown:?}");
    assert!(!shown.out.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_text_is_answered_edited_reacted_to_and_deleted() {
    let (ada, bob) = Person::contacts();
    let first = ada.json(["send", "bob", "tea at five?"])["id"].as_str().unwrap().to_owned();
    assert_eq!(bob.until("message")["id"], first.as_str());
    let answer = bob.json(["send", "ada", "with milk", "--reply-to", &first]);
    assert_eq!(ada.until("message")["reply_to"], first.as_str());
    ada.json(["edit", &first, "tea at six?"]);
    let changed = bob.until("message_changed");
    assert_eq!((&changed["text"], &changed["deleted"]), (&json!("tea at six?"), &Value::Null));
    let reaction = bob.json(["react", &first, "👍"]);
    assert!(reaction["id"] != first.as_str(), "it travels by itself: {reaction}");
    let with_reaction = |event: &Value| event["reactions"][0]["reaction"] == "👍";
    let changed = ada.until_that("message_changed", with_reaction);
    assert_eq!(changed["reactions"][0]["from"], bob.account.as_str());
    ada.ask_until(["trace", reaction["id"].as_str().unwrap()], |trace| trace["mine"] == false);

    let shown = bob.run(["messages", "ada", "--ids"]).out;
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let answer = answer["id"].as_str().unwrap();
    for row in [
        "they tea at six? edited 20",
        "you react 👍",
        &format!("id {first}"),
        "with milk answers tea at six?",
        answer,
    ] {
        assert!(shown.contains(row), "{row}: {shown}");
    }

    bob.json(["react", &first, "--remove"]);
    ada.until_that("message_changed", |event| event["reactions"].is_null());
    ada.json(["delete", &first]);
    bob.until_that("message_changed", |event| event["deleted"] == true);
    for (one, other) in [(&ada, "bob"), (&bob, "ada")] {
        let read = one.json(["messages", other]);
        assert_eq!(texts(&read), ["", "with milk"], "{read}");
        assert!(one.run(["messages", other]).out.contains("deleted"));
    }
    for (words, code, why) in [
        (&["edit", &first, "tea at seven?"][..], 1, "has been deleted"),
        (&["delete", answer], 1, "only who wrote a text"),
        (&["edit", &first[..20], "x"], 2, "invalid value"),
        (&["react", &first], 2, "required"),
        (&["send", "bob", "x", "--disappear", "366d"], 2, "at most 365d"),
        (&["send", "bob", "x", "--reply-to", &first.replace(char::is_numeric, "q")], 2, "invalid value"),
    ] {
        let refused = ada.run(words);
        assert!(refused.code == Some(code) && refused.err.contains(why), "{words:?}: {refused:?}");
    }
}

#[test]
fn settings_say_what_contacts_learn() {
    let (ada, bob) = Person::contacts();
    let shown = bob.run(["settings", "show"]).out;
    assert!(shown.contains("read receipts  on") && shown.contains("online"), "{shown}");
    let set =
        bob.json(["settings", "set", "--read-receipts", "off", "--status", "busy", "--line", "until five"]);
    assert_eq!(
        set,
        json!({
            "read_receipts": false,
            "typing": true,
            "status": "busy",
            "status_line": "until five",
            "pass_on": "off"
        })
    );
    let busy = ada.until_that("presence", |event| event["presence"] == "busy");
    assert_eq!(busy["status_line"], "until five");

    for (text, receipts) in [("unseen", "off"), ("seen", "on")] {
        bob.json(["settings", "set", "--read-receipts", receipts]);
        ada.json(["send", "bob", text, "--wait", "delivered", "--timeout", "60s"]);
        bob.json(["messages", "ada"]);
    }
    ada.until_that("message_state", |event| event["state"] == "read");
    let states = ada.json(["messages", "bob"]);
    let states: Vec<_> = (0..2).map(|at| states["messages"][at]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["delivered", "read"]);

    for words in [
        &["settings", "set"][..],
        &["settings", "set", "--typing", "perhaps"],
        &["settings", "set", "--status", "offline"],
        &["settings", "set", "--line", &"x".repeat(129)],
    ] {
        assert_eq!(bob.run(words).code, Some(2), "{words:?}");
    }
    assert_eq!(bob.json(["settings", "show"])["status_line"], "until five", "nothing was changed by that");
}

#[test]
fn a_text_disappears() {
    let (ada, bob) = Person::contacts();
    let sent = ada.json(["send", "bob", "the code is 4711", "--disappear", "2s"]);
    let came = bob.until("message");
    assert_eq!((&came["disappears_after_s"], &came["disappears_at"]), (&json!(2), &Value::Null));
    let read = bob.json(["messages", "ada"]);
    assert!(
        texts(&read) == ["the code is 4711"] && read["messages"][0]["disappears_at"].is_string(),
        "{read}"
    );
    for (one, other) in [(&ada, "bob"), (&bob, "ada")] {
        one.until_that("message_changed", |event| event["id"] == sent["id"] && event["deleted"] == true);
        assert!(texts(&one.json(["messages", other])).is_empty());
    }
}

#[test]
fn a_history_is_paged_and_searched() {
    let (ada, bob) = Person::contacts();
    for text in ["one egg", "two eggs", "three ducks", "four eggs"] {
        ada.json(["send", "bob", text]);
        bob.until("message");
    }
    let last = bob.json(["messages", "ada", "--limit", "2"]);
    assert_eq!(texts(&last), ["three ducks", "four eggs"]);
    let first = last["messages"][0]["id"].as_str().unwrap();
    let before = bob.json(["messages", "ada", "--before", first]);
    assert_eq!(texts(&before), ["one egg", "two eggs"]);
    let found = bob.json(["messages", "ada", "--search", "egg"]);
    assert_eq!(texts(&found), ["one egg", "two eggs", "four eggs"]);
    let shown = bob.run(["messages", "ada", "--limit", "2"]);
    assert!(shown.out.contains(&format!("--before {first}")), "{shown:?}");
}
