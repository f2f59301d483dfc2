//! API-11: the same client request id twice is one deed.

use std::time::Duration;

use crate::support::Door;

const SEARCH: &str = r#"{"words":["sailing"]}"#;

#[tokio::test]
async fn api_11_the_same_id_twice_is_one_command() {
    let door = Door::open().await;
    let request = door.request("POST", "/api/v1/search", SEARCH).and("Idempotency-Key", "one");
    let (first, second) = tokio::join!(door.send(&request), door.send(&request));
    let third = door.send(&request).await;
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    assert_eq!(first.body, second.body);
    assert_eq!(first.body, third.body);
    assert!(third.head.contains("idempotency-replayed: true"));
    assert_eq!(door.node.commands().len(), 1);
}

#[tokio::test]
async fn api_11_another_id_route_or_none_is_another_command() {
    let door = Door::open().await;
    let search = door.request("POST", "/api/v1/search", SEARCH);
    let profile = door.request("POST", "/api/v1/profile", r#"{"name":"Ada"}"#);
    for request in [
        search.clone().and("Idempotency-Key", "one"),
        search.clone().and("Idempotency-Key", "two"),
        profile.and("Idempotency-Key", "one"),
        search.clone(),
        search,
    ] {
        assert_eq!(door.send(&request).await.status, 200);
    }
    assert_eq!(door.node.commands().len(), 5);
}

#[tokio::test]
async fn api_11_an_id_with_another_body_is_refused() {
    let door = Door::open().await;
    let first = door.request("POST", "/api/v1/search", SEARCH).and("Idempotency-Key", "one");
    let other = door.request("POST", "/api/v1/search", r#"{"words":["a"]}"#).and("Idempotency-Key", "one");
    assert_eq!(door.send(&first).await.status, 200);
    let answer = door.send(&other).await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "request_id_reused"));
    assert_eq!(door.node.commands().len(), 1);
}

#[tokio::test]
async fn an_id_does_not_open_the_door() {
    let door = Door::open().await;
    let request = door.request("POST", "/api/v1/search", SEARCH).and("Idempotency-Key", "one");
    assert_eq!(door.send(&request).await.status, 200);
    assert_eq!(door.send(&request.without("Authorization")).await.status, 401);
}

/// The server's own time limit ends the waiting; the command is under way, and a repetition must not give it again.
#[tokio::test]
async fn api_11_after_a_time_out_the_repetition_waits_for_the_first() {
    let door = Door::open_with(|config| config.timeouts.answer = Duration::from_millis(20)).await;
    door.node.hold_up(true);
    let request = door.request("POST", "/api/v1/messages", r#"{"who":"Grace","text":"hello"}"#);
    let request = request.and("Idempotency-Key", "one");
    for _ in 0..2 {
        let answer = door.send(&request).await;
        assert_eq!((answer.status, answer.code().as_str()), (504, "timed_out"));
        assert!(answer.body.contains("same Idempotency-Key"), "{}", answer.body);
    }
    door.node.hold_up(false);
    // The answer is on its way to the memory: until it is there the repetition waits, for its 20 ms each time.
    let answer = loop {
        let answer = door.send(&request).await;
        if answer.status != 504 {
            break answer;
        }
    };
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("idempotency-replayed: true"));
    assert_eq!(door.node.commands().len(), 1);
}

#[tokio::test]
async fn without_an_id_a_time_out_says_that_it_may_have_been_done() {
    let door = Door::open_with(|config| config.timeouts.answer = Duration::from_millis(20)).await;
    door.node.hold_up(true);
    let answer = door.send(&door.request("POST", "/api/v1/search", SEARCH)).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "timed_out"));
    assert!(answer.body.contains("look whether it was done"), "{}", answer.body);
}
