//! People: the buddy list, its changes, safety numbers and invites.

use serde_json::{Value, json};
use starling_api::types::{AddContactRequest, Code};
use starling_core::io::{Command, ContactChange, Newcomer};
use starling_proto::ids::NodeKey;
use starling_proto::invite::Invite;
use starling_proto::time::Span;

use crate::played::{ADA, GRACE, addresses, invite};
use crate::support::{Answer, Door, Log};

async fn post(door: &Door, path: &str, body: &Value) -> Answer {
    door.send(&door.request("POST", path, &body.to_string())).await
}

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_list_shows_everybody() {
    let door = Door::open().await;
    let answer = door.send(&door.request("GET", "/api/v1/contacts", "")).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_of(&answer)).unwrap());
}

#[tokio::test]
async fn an_account_or_an_invite_is_added() {
    let door = Door::open().await;
    let (account, invite) = (GRACE.to_string(), invite());
    let link = invite.to_string();
    let bare = link.strip_prefix(Invite::SCHEME).unwrap().to_owned();
    // As it is pasted, and as a QR code carries it.
    let forms = [account.clone(), format!(" {account}\n"), account.to_uppercase(), link.clone(), bare];
    for whom in forms.into_iter().chain([link.to_uppercase()]) {
        let answer = post(&door, "/api/v1/contacts/add", &json!({"whom": whom, "note": "hello"})).await;
        let contact = json_of(&answer);
        assert_eq!((contact["account"].as_str(), &contact["state"]), (Some(&*account), &json!("requested")));
        assert_eq!(contact["note"], "hello");
    }
    let commands = door.node.commands();
    let add = |whom: &Newcomer| Command::AddContact { whom: whom.clone(), note: "hello".into() };
    let invited = Newcomer::Invite(Box::new(invite));
    assert_eq!(commands[..3], [(); 3].map(|()| add(&Newcomer::Account(GRACE))));
    assert_eq!(commands[3..], [(); 3].map(|()| add(&invited)));
}

#[tokio::test]
async fn what_is_neither_is_refused_with_the_next_step() {
    let door = Door::open().await;
    let (account, link) = (GRACE.to_string(), invite().to_string());
    let cut = |text: &str| text[..text.len() - 1].to_owned();
    for (whom, what, hint) in [
        (String::new(), "neither", "starling search"),
        ("Grace".to_owned(), "neither", "starling search"),
        (NodeKey::new([1; 32]).to_string(), "neither", "starling search"),
        (cut(&account), "account id", "whoami"),
        ("starling1".to_owned(), "account id", "whoami"),
        (cut(&link), "invite cannot be read", "copy the whole invite"),
        (format!("{link}{}", "q".repeat(2000)), "invite cannot be read", "copy the whole invite"),
        ("starling:".to_owned(), "invite cannot be read", "copy the whole invite"),
        (link.replace("invite1", "invito1"), "invite cannot be read", "copy the whole invite"),
    ] {
        let answer = post(&door, "/api/v1/contacts/add", &json!({"whom": whom})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{whom}");
        assert!(answer.body.contains(what) && answer.body.contains(hint), "{whom}: {}", answer.body);
        assert!(whom.len() < 10 || !answer.body.contains(&whom), "a refusal quotes no secret");
    }
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn a_refusal_of_the_core_keeps_its_status() {
    let door = Door::open().await;
    let request = AddContactRequest { whom: ADA.to_string(), note: String::new() };
    let error = door.client().add_contact(&request).await.unwrap_err();
    assert_eq!((error.to_body().code, error.exit_code()), (Code::Conflict, 1));
    let answer = post(&door, "/api/v1/contacts/safety", &json!({"who": "Bob"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn each_change_is_one_command() {
    let door = Door::open().await;
    let changes = [
        (json!({"change": "accept"}), ContactChange::Accept),
        (json!({"change": "decline"}), ContactChange::Decline),
        (json!({"change": "remove"}), ContactChange::Remove),
        (json!({"change": "block"}), ContactChange::Block),
        (json!({"change": "unblock"}), ContactChange::Unblock),
        (json!({"change": "verify"}), ContactChange::SetVerified(true)),
        (json!({"change": "unverify"}), ContactChange::SetVerified(false)),
        (json!({"change": "rename", "petname": "Boss"}), ContactChange::Rename(Some("Boss".into()))),
        (json!({"change": "rename"}), ContactChange::Rename(None)),
    ];
    for (mut body, _) in changes.clone() {
        body["who"] = json!("Grace");
        json_of(&post(&door, "/api/v1/contacts/change", &body).await);
    }
    let expected = changes.map(|(_, change)| Command::Contact { who: "Grace".into(), change });
    assert_eq!(door.node.commands(), expected);
}

#[tokio::test]
async fn half_a_change_is_none() {
    let door = Door::open().await;
    for body in [
        json!({"who": "Grace"}),
        json!({"change": "accept"}),
        json!({"who": "Grace", "change": "marry"}),
        json!({"who": "Grace", "change": "accept", "petname": "Boss"}),
        json!({"who": "Grace", "change": {"rename": "Boss"}}),
        json!({"who": ["Grace"], "change": "accept"}),
    ] {
        let answer = post(&door, "/api/v1/contacts/change", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{body}");
    }
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn a_safety_number_is_twelve_groups_of_five() {
    let door = Door::open().await;
    let safety = door.client().safety_number("Grace").await.unwrap();
    let groups: Vec<&str> = safety.digits.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|digit| digit.is_ascii_digit())));
    assert_eq!(safety.contact.account, GRACE);
}

#[tokio::test]
async fn an_invite_lives_for_a_week_unless_said_otherwise() {
    let door = Door::open().await;
    let made = json_of(&post(&door, "/api/v1/invites", &json!({})).await);
    assert_eq!(made, json!({"invite": invite().to_string(), "expires": "2026-11-28T11:02:13.000Z"}));
    for life_s in [1, 30 * 24 * 3600] {
        json_of(&post(&door, "/api/v1/invites", &json!({"life_s": life_s})).await);
    }
    let made = |life| Command::Invite { life, addresses: addresses() };
    let lives = [Span::from_days(7), Span::from_secs(1), Span::from_days(30)];
    assert_eq!(door.node.commands(), lives.map(made));
}

#[tokio::test]
async fn an_invite_without_a_life_or_with_too_long_a_one_is_refused() {
    let door = Door::open().await;
    for life_s in [json!(0), json!(30 * 24 * 3600 + 1), json!(u64::MAX), json!(-1), json!("7d"), json!(1.5)] {
        let answer = post(&door, "/api/v1/invites", &json!({"life_s": life_s})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{life_s}");
    }
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn an_invite_is_not_logged() {
    let (log, _guards) = Log::take();
    let door = Door::open().await;
    let made = door.client().invite(&Default::default()).await.unwrap();
    let link = made.invite.to_string();
    let request = AddContactRequest { whom: link.clone(), note: String::new() };
    door.client().add_contact(&request).await.unwrap();
    let mistyped = AddContactRequest { whom: link[..link.len() - 1].to_owned(), note: String::new() };
    let refusal = door.client().add_contact(&mistyped).await.unwrap_err();
    door.server.shutdown().await.unwrap();
    let secret = &link[link.len() - 40..link.len() - 10];
    let text = log.text();
    assert!(text.contains("answered"), "the log was taken");
    for shown in [text, format!("{made:?} {request:?} {mistyped:?} {refusal:?} {refusal}")] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
