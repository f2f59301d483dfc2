//! Names, ids and invites that lead nowhere.

use starling_proto::ids::MessageId;
use starling_proto::invite::Invite;
use starling_proto::time::UnixSeconds;

use crate::person::Person;
use crate::support::Home;

/// An account that nobody has started.
fn nobody() -> String {
    let made = Home::empty().run(["init", "--name", "Nobody", "--no-passphrase", "--json"]).json();
    made["account"].as_str().unwrap().to_owned()
}

#[test]
fn whom_nobody_knows_is_not_found() {
    let ada = Person::start("Ada", [] as [&str; 0]);
    let stranger = nobody();
    for who in ["bob", "qpzry9x8", stranger.as_str(), &stranger[..17]] {
        let cases: [&[&str]; 8] = [
            &["contact", "accept", who],
            &["contact", "decline", who],
            &["contact", "remove", who],
            &["contact", "rename", who, "bobby"],
            &["contact", "unblock", who],
            &["contact", "verify", who],
            &["contact", "verify", who, "--yes"],
            &["send", who, "hello"],
        ];
        for args in cases {
            assert_eq!(ada.refused(5, args)["code"], "not_found", "{args:?}");
        }
    }
    for who in ["bob", "qpzry9x8"] {
        assert_eq!(ada.refused(5, ["messages", who])["code"], "not_found", "{who}");
    }
    let none = ada.json(["messages", &stranger]);
    assert_eq!(none["messages"].as_array().map(Vec::len), Some(0), "they might have been a contact once");
    assert_eq!(ada.json(["contact", "block", &stranger])["state"], "blocked", "a stranger can be blocked");
}

#[test]
fn a_message_that_is_not_there_is_not_found() {
    let ada = Person::start("Ada", [] as [&str; 0]);
    let id = MessageId::new([7; 16]).to_string();
    assert_eq!(ada.refused(5, ["trace", &id])["code"], "not_found");
}

#[test]
fn what_is_no_account_is_refused() {
    let ada = Person::start("Ada", [] as [&str; 0]);
    let mut mistyped = nobody();
    mistyped.pop();
    for whom in ["bob", "", "starling1qqqq", mistyped.as_str(), "starling:invite1qqqq"] {
        assert_eq!(ada.refused(2, ["contact", "add", whom])["code"], "bad_input", "{whom}");
    }
    assert_eq!(ada.refused(2, ["contact", "add", &ada.account.clone()])["code"], "bad_input");
    let long = "x".repeat(2000);
    assert_eq!(ada.refused(2, ["contact", "add", &nobody(), "--note", &long])["code"], "bad_input");
}

#[test]
fn a_text_of_the_wrong_size_is_refused() {
    let (ada, _bob) = Person::contacts();
    for text in [String::new(), "x".repeat(8193)] {
        assert_eq!(ada.refused(2, ["send", "bob", &text])["code"], "bad_input");
    }
    ada.json(["send", "bob", &"x".repeat(8192)]);
}

#[test]
fn nobody_can_be_written_to_before_they_accept() {
    let (ada, bob) = Person::two();
    ada.json(["contact", "add", &bob.account]);
    assert_eq!(ada.refused(1, ["send", &bob.account, "hello"])["code"], "conflict");
    bob.until("contact_request");
    assert_eq!(bob.refused(1, ["send", &ada.account, "hello"])["code"], "conflict");
    assert_eq!(ada.refused(1, ["contact", "accept", &bob.account])["code"], "conflict", "they did not ask");
}

#[test]
fn a_petname_is_one_persons() {
    let (ada, _bob) = Person::contacts();
    let stranger = nobody();
    ada.json(["contact", "add", &stranger]);
    for taken in ["bob", "BOB"] {
        assert_eq!(ada.refused(1, ["contact", "rename", &stranger, taken])["code"], "conflict", "{taken}");
    }
    assert_eq!(ada.refused(1, ["contact", "add", &stranger_who_is_blocked(&ada)])["code"], "conflict");
}

fn stranger_who_is_blocked(ada: &Person) -> String {
    let stranger = nobody();
    ada.json(["contact", "block", &stranger]);
    stranger
}

#[test]
fn an_invite_of_another_network_or_time_is_refused() {
    let (ada, bob) = Person::two();
    let made = bob.json(["invite"]);
    let invite: Invite = made["invite"].as_str().unwrap().parse().unwrap();

    let mut foreign = invite.clone();
    foreign.network = "elsewhere".parse().unwrap();
    let foreign = foreign.to_string();
    let refused = ada.refused(2, ["contact", "add", &foreign]);
    assert!(refused["message"].as_str().unwrap().contains("elsewhere"), "{refused}");
    let home = Home::of("Cara");
    let run = home.run(["run", "--json", "--listen", "127.0.0.1:0", "--network", "test", "--join", &foreign]);
    assert_eq!((run.code, run.err.as_str()), (Some(2), ""), "{run:?}");
    assert_eq!(run.json()["error"]["hint"], "use --network elsewhere");

    let mut expired = invite;
    expired.expires = UnixSeconds::new(1);
    let expired = expired.to_string();
    let refused = ada.refused(2, ["contact", "add", &expired]);
    assert!(refused["message"].as_str().unwrap().contains("expired"), "{refused}");
    // The peers that it names are as good as before.
    let dora = Person::start("Dora", [&expired]);
    dora.ask_until(["status"], |status| status["routing_table"]["peers"].as_u64().unwrap() > 0);
}
