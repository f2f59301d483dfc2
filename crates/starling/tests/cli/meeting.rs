//! People become contacts, by words or by an invite, and stop being contacts.

use serde_json::{Value, json};

use crate::person::Person;

/// Searches until somebody is found: an entry takes a moment to be where others look.
fn find(who: &Person, word: &str) -> Value {
    let found = who.ask_until(["search", word], |reply| !reply["results"].as_array().unwrap().is_empty());
    found["results"][0].clone()
}

#[test]
fn strangers_meet_by_words() {
    let (ada, bob) = Person::two();
    bob.json(["profile", "set", "--keyword", "croquet"]);
    bob.json(["profile", "list"]);
    let hit = find(&ada, "croq");
    assert_eq!((&hit["account"], &hit["name"]), (&json!(bob.account), &json!("Bob")));

    let asked = ada.json(["contact", "add", &bob.account, "--note", "croquet on Sunday?"]);
    assert_eq!((&asked["state"], &asked["verified"]), (&json!("requested"), &json!(false)));
    let request = bob.until("contact_request");
    assert_eq!((&request["account"], &request["name"]), (&json!(ada.account), &json!("Ada")));
    assert_eq!(request["note"], "croquet on Sunday?");
    assert_eq!(bob.state_of(&ada.account), "incoming");
    assert_eq!(bob.json(["status"])["contacts"]["incoming"], 1);

    let beginning = &ada.account[..17];
    assert_eq!(bob.json(["contact", "accept", beginning])["state"], "accepted");
    let accepted = ada.until("contact_accepted");
    assert_eq!((&accepted["account"], &accepted["name"]), (&json!(bob.account), &json!("Bob")));
    for (one, other) in [(&ada, &bob), (&bob, &ada)] {
        assert_eq!(one.state_of(&other.account), "accepted");
        assert_eq!(one.json(["status"])["contacts"], json!({"accepted": 1, "incoming": 0, "requested": 0}));
    }
}

#[test]
fn an_invite_leads_into_the_network_and_to_the_one_who_made_it() {
    let (ada, bob) = Person::two();
    let made = bob.json(["invite", "--expires", "1h"]);
    let invite = made["invite"].as_str().unwrap();
    assert!(invite.starts_with("starling:invite1") && made["expires"].is_string(), "{made}");

    let cara = Person::start("Cara", [&invite.to_uppercase()]);
    cara.ask_until(["status"], |status| status["routing_table"]["peers"].as_u64().unwrap() > 0);
    cara.json(["contact", "add", invite]);
    // Whoever invites has agreed already: there is nothing to accept.
    assert_eq!(bob.until("contact_accepted")["account"], cara.account.as_str());
    assert_eq!(cara.until("contact_accepted")["account"], bob.account.as_str());
    cara.json(["send", &bob.account, "thank you", "--wait", "delivered", "--timeout", "60s"]);
    assert_eq!(bob.until("message")["text"], "thank you");

    // It was for one person.
    ada.json(["contact", "add", invite]);
    ada.until("request_stored");
    cara.json(["send", &bob.account, "and again", "--wait", "delivered", "--timeout", "60s"]);
    assert_eq!(bob.state_of(&ada.account), Value::Null, "nobody is a contact by an invite that was used");
}

#[test]
fn an_invite_reads_well_and_has_a_code() {
    let (_ada, bob) = Person::two();
    let plain = bob.run(["invite"]);
    assert_eq!((plain.code, plain.err.as_str()), (Some(0), ""), "{plain:?}");
    assert!(plain.out.starts_with("starling:invite1") && plain.out.contains("--network test"), "{plain:?}");
    let drawn = bob.run(["invite", "--qr"]);
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    let rows: Vec<&str> = drawn.out.lines().filter(|line| line.starts_with(['█', '▀'])).collect();
    let columns = rows[0].chars().count();
    assert_eq!(rows.len() * 2, columns + 1, "{drawn:?}");
    assert!(rows.iter().all(|row| row.chars().count() == columns), "{drawn:?}");
}

#[test]
fn who_is_declined_is_told() {
    let (ada, bob) = Person::two();
    ada.json(["contact", "add", &bob.account]);
    bob.until("contact_request");
    assert_eq!(bob.json(["contact", "decline", &ada.account])["state"], "declined");
    assert_eq!(ada.until("contact_declined")["account"], bob.account.as_str());
    assert_eq!(ada.state_of(&bob.account), "declined");
    assert_eq!(ada.refused(1, ["send", &bob.account, "please"])["code"], "conflict");
    // Whoever declined may change their mind.
    bob.json(["contact", "add", &ada.account]);
    ada.until("contact_request");
}

#[test]
fn who_asks_and_is_asked_at_once_is_a_contact() {
    let (ada, bob) = Person::two();
    ada.json(["contact", "add", &bob.account]);
    bob.until("contact_request");
    assert_eq!(bob.json(["contact", "add", &ada.account])["state"], "accepted");
    ada.until("contact_accepted");
}

#[test]
fn who_is_blocked_says_nothing_any_more() {
    let (ada, bob) = Person::contacts();
    assert_eq!(bob.json(["contact", "block", "ada"])["state"], "blocked");
    assert_eq!(bob.refused(1, ["send", "ada", "hello"])["code"], "conflict");
    let late = ada.refused(6, ["send", "bob", "hello?", "--wait", "delivered", "--timeout", "2s"]);
    assert_eq!(late["code"], "timed_out");
    assert_eq!(bob.json(["messages", "ada"])["messages"], json!([]));
}

#[test]
fn a_block_is_taken_back_and_what_waited_comes() {
    let (ada, bob) = Person::contacts();
    bob.json(["contact", "block", "ada"]);
    ada.json(["send", "bob", "hello?"]);
    assert_eq!(bob.json(["contact", "unblock", "ada"])["state"], "accepted");
    assert_eq!(bob.refused(1, ["contact", "unblock", "ada"])["code"], "conflict");
    assert_eq!(bob.until("message")["text"], "hello?");
}

#[test]
fn a_petname_is_given_and_taken_back() {
    let (ada, bob) = Person::contacts();
    let renamed = ada.json(["contact", "rename", "bob", "Bobby"]);
    assert_eq!((&renamed["petname"], &renamed["name"]), (&json!("Bobby"), &json!("Bob")));
    assert_eq!(ada.refused(5, ["contact", "rename", "bob"])["code"], "not_found");
    assert_eq!(ada.json(["contact", "rename", "Bobby"])["petname"], Value::Null);
    assert_eq!(ada.refused(5, ["send", "Bobby", "hello"])["code"], "not_found");
    assert_eq!(ada.refused(2, ["contact", "rename", &bob.account, "starling1x"])["code"], "bad_input");
    let text = ada.run(["contact", "list"]);
    assert!(text.out.starts_with("contacts\n  Bob "), "{text:?}");
}

#[test]
fn who_is_removed_is_forgotten() {
    let (ada, bob) = Person::contacts();
    ada.json(["send", "bob", "hello"]);
    bob.until("message");
    assert_eq!(bob.json(["contact", "remove", "ada"])["state"], "accepted", "as they stood before");
    assert_eq!(bob.json(["contact", "list"]), json!({"contacts": []}));
    assert_eq!(bob.refused(5, ["contact", "remove", "ada"])["code"], "not_found");
    assert_eq!(bob.refused(5, ["messages", "ada"])["code"], "not_found");
    assert_eq!(bob.json(["messages", &ada.account])["messages"][0]["text"], "hello", "messages stay");
}

#[test]
fn both_compare_the_same_digits() {
    let (ada, bob) = Person::contacts();
    let number = ada.json(["contact", "verify", "bob"]);
    let digits = number["digits"].as_str().unwrap();
    assert_eq!(digits.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(bob.json(["contact", "verify", "ada"])["digits"], digits);
    assert_eq!(number["contact"]["verified"], false, "asking notes nothing");
    assert_eq!(ada.json(["contact", "verify", "bob", "--yes"])["contact"]["verified"], true);
    assert_eq!(ada.json(["contact", "list"])["contacts"][0]["verified"], true);
    assert_eq!(ada.json(["contact", "verify", "bob", "--no"])["contact"]["verified"], false);
    let text = ada.run(["contact", "verify", "bob"]);
    let shown: String = text
        .out
        .split_whitespace()
        .filter(|word| word.len() == 5 && word.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    assert_eq!(shown, digits.replace(' ', ""), "{text:?}");
}
