//! API-01, API-02, API-03 and content types, on every route of the OpenAPI document and on those that are not there.

use starling_api::server::openapi;

use crate::played;
use crate::support::{Answer, Door, Log, Request};

/// Method, path and an honest body of every route, and of some that do not exist.
fn routes() -> Vec<(String, String, &'static str)> {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut routes = vec![
        ("GET".to_owned(), "/".to_owned(), ""),
        ("GET".to_owned(), "/api/v1/nothing".to_owned(), ""),
        ("POST".to_owned(), "/api/v1/status".to_owned(), "{}"),
    ];
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let body = if method == "post" { body_for(path) } else { "" };
            let path = path.replace("{id}", &played::MESSAGE.to_string());
            routes.push((method.to_uppercase(), path, body));
        }
    }
    assert!(routes.len() > 10, "the document names its routes");
    routes
}

fn body_for(path: &str) -> &'static str {
    match path {
        "/api/v1/profile" => r#"{"name":"Ada"}"#,
        "/api/v1/profile/listed" => r#"{"listed":true}"#,
        "/api/v1/search" => r#"{"words":["sailing"]}"#,
        "/api/v1/join" => r#"{"peers":[]}"#,
        "/api/v1/contacts/add" => {
            r#"{"whom":"starling1pyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyys5suu87","note":"hello"}"#
        }
        "/api/v1/contacts/change" => r#"{"who":"Grace","change":"accept"}"#,
        "/api/v1/contacts/safety" => r#"{"who":"Grace"}"#,
        "/api/v1/invites" => "{}",
        "/api/v1/settings" => r#"{"read_receipts":false}"#,
        "/api/v1/contacts/typing" => r#"{"who":"Grace","typing":true}"#,
        "/api/v1/devices/link" => played::LINK.as_str(),
        "/api/v1/devices/revoke" => played::REVOKE.as_str(),
        "/api/v1/messages" => r#"{"who":"Grace","text":"hello"}"#,
        "/api/v1/messages/change" => {
            r#"{"id":"starmsg1qurswpc8qurswpc8qurswpc8qu3jlyu7","change":"react","text":"+1"}"#
        }
        "/api/v1/messages/read" => r#"{"who":"Grace"}"#,
        other => panic!("add an honest body for {other}"),
    }
}

/// Sends each route's honest request as `spoil` changes it; every answer must have `status` and `code`, and the node
/// must not have been told anything.
async fn refused(
    door: &Door,
    status: u16,
    code: &str,
    what: &str,
    spoil: impl Fn(&Door, Request) -> Request,
) {
    for (method, path, body) in routes() {
        let request = spoil(door, door.request(&method, &path, body));
        let answer = door.send(&request).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {method} {path}");
        assert!(!answer.head.contains("access-control"), "{what}: {method} {path}");
    }
    assert_eq!(door.node.commands(), [], "{what}");
}

#[tokio::test]
async fn honest_requests_pass() {
    let door = Door::open().await;
    for (method, path, body) in routes() {
        let answer: Answer = door.send(&door.request(&method, &path, body)).await;
        let expected = match path.as_str() {
            "/" | "/api/v1/nothing" => 404,
            "/api/v1/status" if method == "POST" => 405,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
        assert!(answer.head.contains("starling-api: 1"), "{method} {path}");
        let kind = if path == "/api/v1/metrics" { "text/plain" } else { "application/" };
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{method} {path}");
    }
    assert_eq!(door.node.commands().len(), 23);
}

#[tokio::test]
async fn api_01_foreign_hosts() {
    let door = Door::open().await;
    let port = door.address().port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("127.0.0.1:{port}."),
        format!("localhost.:{port}"),
        "localhost".to_owned(),
    ] {
        refused(&door, 403, "bad_host", &host, |_, request| request.with("Host", &host)).await;
    }
    refused(&door, 403, "bad_host", "none", |_, request| request.without("Host")).await;
    refused(&door, 403, "bad_host", "two", |_, request| request.and("Host", "evil.example")).await;
    refused(&door, 403, "bad_host", "request line", |_, request| {
        let path = format!("http://evil.example{}", request.path);
        request.at(path)
    })
    .await;
}

#[tokio::test]
async fn api_01_localhost_is_ourselves() {
    let door = Door::open().await;
    let localhost = format!("localhost:{}", door.address().port());
    let request = door.request("GET", "/api/v1/whoami", "").with("Host", &localhost);
    assert_eq!(door.send(&request).await.status, 200);
    let request = request.and("Origin", &format!("http://{localhost}"));
    assert_eq!(door.send(&request).await.status, 200);
}

#[tokio::test]
async fn api_02_foreign_origins() {
    let door = Door::open().await;
    let port = door.address().port();
    for origin in [
        "null".to_owned(),
        "http://evil.example".to_owned(),
        "http://127.0.0.1".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}.evil.example"),
    ] {
        refused(&door, 403, "bad_origin", &origin, |_, request| request.and("Origin", &origin)).await;
    }
}

#[tokio::test]
async fn api_02_a_preflight_allows_nothing() {
    let door = Door::open().await;
    let own = format!("http://{}", door.address());
    for (origin, status) in [("http://evil.example", 403), (own.as_str(), 401)] {
        let request = door
            .request("OPTIONS", "/api/v1/search", "")
            .without("Authorization")
            .and("Origin", origin)
            .and("Access-Control-Request-Method", "POST");
        let answer = door.send(&request).await;
        assert_eq!(answer.status, status);
        assert!(!answer.head.contains("access-control"));
    }
}

#[tokio::test]
async fn api_02_form_posts() {
    let door = Door::open().await;
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""] {
        for (method, path, body) in routes() {
            if method == "POST" {
                let request = door.request(&method, &path, body).with("Content-Type", kind);
                let answer = door.send(&request).await;
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (415, "unsupported_media_type"),
                    "{path} {kind}"
                );
            }
        }
    }
    let request = door.request("POST", "/api/v1/join", r#"{"peers":[]}"#).without("Content-Type");
    assert_eq!(door.send(&request).await.status, 415);
    let request = door.request("GET", "/api/v1/status", "a=b");
    assert_eq!(door.send(&request).await.status, 415);
    assert_eq!(door.node.commands(), []);
}

#[tokio::test]
async fn api_03_no_token_or_a_wrong_one() {
    let door = Door::open().await;
    let code = "unauthorized";
    refused(&door, 401, code, "none", |_, request| request.without("Authorization")).await;
    let mut wrong = door.token();
    wrong.replace_range(..1, if wrong.starts_with('0') { "1" } else { "0" });
    for value in [
        format!("Bearer {wrong}"),
        "Bearer ".to_owned(),
        format!("Bearer {}", &door.token()[..63]),
        format!("Bearer {}0", door.token()),
        format!("Bearer {}", door.token().to_uppercase()),
        format!("Basic {}", door.token()),
        door.token(),
    ] {
        // A token of digits alone has no capitals.
        if value != format!("Bearer {}", door.token()) {
            refused(&door, 401, code, "wrong", |_, request| request.with("Authorization", &value)).await;
        }
    }
    let two =
        |door: &Door, request: Request| request.and("Authorization", &format!("Bearer {}", door.token()));
    refused(&door, 401, code, "two", two).await;
}

#[tokio::test]
async fn api_03_a_token_in_the_query_is_refused_and_not_logged() {
    let (log, _guards) = Log::take();
    let door = Door::open().await;
    let in_query = |door: &Door, request: Request| {
        let path = format!("{}?token={}", request.path, door.token());
        request.at(path)
    };
    refused(&door, 401, "unauthorized", "beside", in_query).await;
    let alone = |door: &Door, request| in_query(door, request).without("Authorization");
    refused(&door, 401, "unauthorized", "alone", alone).await;
    let token = door.token();
    door.server.shutdown().await.unwrap();
    let text = log.text();
    assert!(text.contains("answered"), "the log was taken");
    assert!(!text.contains(&token) && !text.contains("token="), "{text}");
}

#[test]
fn the_document_changes_only_on_purpose() {
    let json = serde_json::to_string_pretty(&openapi()).unwrap();
    insta::assert_snapshot!("openapi", json);
}
