//! API-07: whatever JSON is posted, the answer is never our failure.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use starling_api::server::openapi;
use tokio::runtime::Runtime;

use crate::support::{Answer, Door};

/// Field names that routes know, and some that none does.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "name", "about", "keywords", "listed", "words", "limit", "peers", "whom", "note", "who", "change",
            "petname", "life_s", "text", "before", "search",
        ])
        .prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// An object's text, in which a field may stand twice.
fn object() -> impl Strategy<Value = String> {
    vec((name(), value()), 0..6).prop_map(|fields| {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn text() -> impl Strategy<Value = String> {
    let nested = (1_usize..2000, "[\\[{]").prop_map(|(depth, opening)| {
        format!("{{\"words\":{}", opening.replace('{', "{\"words\":").repeat(depth))
    });
    prop_oneof![
        6 => object(),
        2 => value().prop_map(|value| value.to_string()),
        1 => nested,
        1 => "\\PC{0,200}",
        // Cut short.
        1 => (object(), any::<proptest::sample::Index>()).prop_map(|(text, cut)| {
            let cut = cut.index(text.len() + 1);
            String::from_utf8_lossy(&text.as_bytes()[..cut]).into_owned()
        }),
    ]
}

fn post_routes() -> Vec<String> {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().filter(|(_, item)| item.get("post").is_some()).map(|(path, _)| path.clone()).collect()
}

#[test]
fn api_07_any_json_is_answered_or_refused() {
    let runtime = Runtime::new().unwrap();
    let door = runtime.block_on(Door::open());
    let routes = post_routes();
    assert!(routes.len() >= 10);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(body in text())| {
        for path in &routes {
            let answer = runtime.block_on(post(&door, path, &body));
            prop_assert!((200..500).contains(&answer.status), "{} {}: {:?}", path, body, answer);
            prop_assert!(answer.status == 200 || !answer.code().is_empty(), "{:?}", answer);
        }
    });
}

async fn post(door: &Door, path: &str, body: &str) -> Answer {
    door.send(&door.request("POST", path, body)).await
}

#[tokio::test]
async fn api_07_wrong_types_are_named() {
    let door = Door::open().await;
    for (path, body) in [
        ("/api/v1/search", r#"{"words":"sailing"}"#),
        ("/api/v1/search", r#"{"words":["a"],"limit":-1}"#),
        ("/api/v1/search", r#"{"words":["a"],"limit":65536}"#),
        ("/api/v1/search", r#"{"words":["a"],"words":["b"]}"#),
        ("/api/v1/search", r#"{"words":["a"],"wrods":["b"]}"#),
        ("/api/v1/search", r#"[["a"],5]"#),
        ("/api/v1/search", ""),
        ("/api/v1/profile", r#"{"name":{"first":"Ada"}}"#),
        ("/api/v1/profile/listed", r#"{"listed":"yes"}"#),
        ("/api/v1/profile/listed", "{}"),
        ("/api/v1/join", r#"{"peers":["127.0.0.1:4040"]}"#),
    ] {
        let answer = post(&door, path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{path} {body}");
    }
    assert_eq!(door.node.commands(), []);
}
