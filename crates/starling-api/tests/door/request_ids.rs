//! API-11: the same client request id twice is one deed.

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
