//! Texts: sending, reading, and why one has not arrived.

use serde_json::{Value, json};
use starling_api::request_id::RequestId;
use starling_api::types::{ChangeMessageRequest, MessageChange, MessagesRequest, SendRequest, Step};
use starling_core::io::{self, Command};
use starling_proto::content::{MessageText, Reaction, Text};
use starling_proto::ids::{AccountKey, MessageId};
use starling_proto::limits;
use starling_proto::time::Span;

use crate::played::{GRACE, MESSAGE};
use crate::support::{Answer, Door, Log};

async fn post(door: &Door, path: &str, body: &Value) -> Answer {
    door.send(&door.request("POST", path, &body.to_string())).await
}

fn send(text: &str, request: Option<&str>) -> Command {
    let text = MessageText::new(text).unwrap().into();
    Command::Send { who: "Grace".into(), text, request: request.map(str::to_owned) }
}

#[tokio::test]
async fn a_text_is_queued_and_its_request_id_reaches_the_core() {
    let door = Door::open().await;
    let request = door.request("POST", "/api/v1/messages", r#"{"who":"Grace","text":"hello"}"#);
    let answer = door.send(&request).await;
    let expected = json!({"id": MESSAGE.to_string(), "conversation": GRACE.to_string(), "state": "queued"});
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
    for _ in 0..2 {
        assert_eq!(door.send(&request.clone().and("Idempotency-Key", "one")).await.body, answer.body);
    }
    assert_eq!(door.node.commands(), [send("hello", None), send("hello", Some("one"))]);
}

/// What is remembered of the API ends with the node; the core remembers the name.
#[tokio::test]
async fn the_same_id_after_a_restart_reaches_the_core_again() {
    let request = SendRequest::new("Grace", "hello");
    let id = RequestId::generate().unwrap();
    for _ in 0..2 {
        let door = Door::open().await;
        assert_eq!(door.client().send(&request, &id).await.unwrap().id, MESSAGE);
        assert_eq!(door.node.commands(), [send("hello", Some(id.as_str()))]);
    }
}

#[tokio::test]
async fn the_longest_text_passes_whatever_it_says() {
    let door = Door::open().await;
    // JSON may write each letter in six.
    for letter in ["x", "\u{1}", "\u{e4}\u{e4}", "\u{1f426}"] {
        let text = letter.repeat(limits::TEXT / letter.len());
        let answer = post(&door, "/api/v1/messages", &json!({"who": "Grace", "text": text})).await;
        assert_eq!(answer.status, 200, "{letter:?}: {}", answer.body);
        assert_eq!(door.node.commands().last(), Some(&send(&text, None)));
    }
}

#[tokio::test]
async fn a_longer_text_or_none_is_refused() {
    let door = Door::open().await;
    for (text, says) in [
        ("x".repeat(limits::TEXT + 1), "at most 8192 bytes, got 8193"),
        ("\u{e4}".repeat(limits::TEXT / 2 + 1), "at most 8192 bytes, got 8194"),
        (String::new(), "the text is empty"),
    ] {
        let answer = post(&door, "/api/v1/messages", &json!({"who": "Grace", "text": text})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"));
        assert!(answer.body.contains(says), "{}", answer.body);
    }
    for body in [json!({"text": "x"}), json!({"who": "Grace"}), json!({"who": "Grace", "text": 5})] {
        let answer = post(&door, "/api/v1/messages", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{body}");
    }
    assert_eq!(door.node.commands(), []);
    let answer = post(&door, "/api/v1/messages", &json!({"who": "Bob", "text": "x"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn a_conversation_is_read_oldest_first() {
    let door = Door::open().await;
    let answer = post(&door, "/api/v1/messages/read", &json!({"who": "Grace"})).await;
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
    let request = MessagesRequest {
        before: Some(MESSAGE),
        limit: 1,
        search: Some("fir".into()),
        ..MessagesRequest::latest("Grace")
    };
    let messages = door.client().messages(&request).await.unwrap().messages;
    assert_eq!(messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["first"]);
    let read = |before, limit, text| Command::Messages { who: "Grace".into(), before, limit, text };
    assert_eq!(door.node.commands(), [read(None, 50, None), read(Some(MESSAGE), 1, Some("fir".into()))]);
}

#[tokio::test]
async fn limits_and_places_are_checked() {
    let door = Door::open().await;
    for (field, value) in [
        ("limit", json!(0)),
        ("limit", json!(501)),
        ("limit", json!(65_536)),
        ("limit", json!(-1)),
        ("before", json!("starmsg1")),
        ("before", json!(AccountKey::new([1; 32]).to_string())),
        ("before", json!(7)),
        ("search", json!(["a"])),
        ("after", json!(MESSAGE.to_string())),
    ] {
        let answer = post(&door, "/api/v1/messages/read", &json!({"who": "Grace", field: value})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{field} {value}");
    }
    assert_eq!(door.node.commands(), []);
    assert_eq!(
        post(&door, "/api/v1/messages/read", &json!({"who": "Grace", "limit": 500})).await.status,
        200
    );
}

#[tokio::test]
async fn a_trace_tells_every_step() {
    let door = Door::open().await;
    let answer = door.send(&door.request("GET", &format!("/api/v1/messages/{MESSAGE}/trace"), "")).await;
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
    let trace = door.client().trace(&MESSAGE).await.unwrap();
    assert_eq!(
        trace.steps.iter().map(|step| step.step).collect::<Vec<_>>(),
        [Step::Queued, Step::NotReached]
    );
    assert_eq!(door.node.commands(), [Command::Trace(MESSAGE), Command::Trace(MESSAGE)]);
}

#[tokio::test]
async fn other_ids_have_no_trace() {
    let door = Door::open().await;
    let account = AccountKey::new([1; 32]).to_string();
    for id in ["1", "starmsg1", "%20", "%ff", "..", account.as_str()] {
        let answer = door.send(&door.request("GET", &format!("/api/v1/messages/{id}/trace"), "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{id}");
    }
    assert_eq!(door.node.commands(), []);
    let unknown = door.client().trace(&MessageId::new([0; 16])).await.unwrap_err();
    assert_eq!(unknown.exit_code(), 5);
}

#[tokio::test]
async fn a_text_is_answered_changed_and_let_disappear() {
    let door = Door::open().await;
    let client = door.client();
    let request = SendRequest {
        reply_to: Some(MESSAGE),
        disappears_after_s: Some(60),
        ..SendRequest::new("Grace", "hello")
    };
    client.send(&request, &RequestId::generate().unwrap()).await.unwrap();
    let (reply_to, lives) = (Some(MESSAGE), Some(Span::from_secs(60)));
    let said = Text { reply_to, lives, ..MessageText::new("hello").unwrap().into() };
    assert!(matches!(&door.node.commands()[..], [Command::Send { text, .. }] if *text == said));
    let changes = [
        (MessageChange::Edit, Some("bye"), io::MessageChange::Edit(MessageText::new("bye").unwrap())),
        (MessageChange::Delete, None, io::MessageChange::Delete),
        (MessageChange::React, Some("👍"), io::MessageChange::React(Reaction::new("👍").unwrap())),
        (MessageChange::React, Some(""), io::MessageChange::React(Reaction::new("").unwrap())),
    ];
    for (change, text, expected) in changes {
        let request = ChangeMessageRequest { id: MESSAGE, change, text: text.map(str::to_owned) };
        assert_eq!(client.change_message(&request).await.unwrap().id, MESSAGE);
        assert_eq!(door.node.commands().last(), Some(&Command::Change { id: MESSAGE, change: expected }));
    }
    let told = door.node.commands().len();
    let (id, long) = (MESSAGE.to_string(), "x".repeat(65));
    for (path, body) in [
        ("/api/v1/messages", json!({"who": "Grace", "text": "x", "disappears_after_s": 0})),
        ("/api/v1/messages", json!({"who": "Grace", "text": "x", "disappears_after_s": 31_536_001})),
        ("/api/v1/messages", json!({"who": "Grace", "text": "x", "reply_to": "starmsg1"})),
        ("/api/v1/messages/change", json!({"id": id, "change": "edit"})),
        ("/api/v1/messages/change", json!({"id": id, "change": "edit", "text": ""})),
        ("/api/v1/messages/change", json!({"id": id, "change": "delete", "text": "x"})),
        ("/api/v1/messages/change", json!({"id": id, "change": "react"})),
        ("/api/v1/messages/change", json!({"id": id, "change": "react", "text": long})),
        ("/api/v1/messages/change", json!({"id": id, "change": "burn"})),
    ] {
        let answer = post(&door, path, &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    assert_eq!(door.node.commands().len(), told, "nothing of it reached the core");
    assert!(
        !format!(
            "{:?}",
            ChangeMessageRequest { id: MESSAGE, change: MessageChange::Edit, text: Some("secret".into()) }
        )
        .contains("secret")
    );
}

#[tokio::test]
async fn texts_and_names_are_not_logged() {
    let (log, _guards) = Log::take();
    let door = Door::open().await;
    let request = SendRequest::new("Grace", "between us");
    door.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();
    door.client().messages(&MessagesRequest::latest("Grace")).await.unwrap();
    door.server.shutdown().await.unwrap();
    let text = log.text();
    assert!(text.contains("answered"), "the log was taken");
    assert!(!text.contains("between us") && !text.contains("Grace"), "{text}");
    assert!(!format!("{request:?}").contains("between us"));
}
