//! Two people with real databases talk over real sockets, and no log line above `trace` tells who, where or what. In a
//! process of its own, since it takes all log lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

#[path = "support/captured.rs"]
mod captured;
#[path = "support/product.rs"]
mod product;

use captured::Captured;
use product::Person;
use starling_core::io::{Command, Event};
use starling_core::view::MessageState;
use starling_proto::content::MessageText;

const TEXT: &str = "meet me at the old mill";

/// Everything that could tell who or where somebody is.
fn marks(person: &Person) -> Vec<String> {
    let door = person.door();
    let hex = |bytes: &[u8]| bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![
        hex(door.key.as_bytes()),
        hex(person.account.as_bytes()),
        door.key.to_string()["starnode1".len()..][..8].to_owned(),
        person.account.to_string()["starling1".len()..][..8].to_owned(),
        format!("{:?}", &door.key.as_bytes()[..3]),
        format!("{:?}", &person.account.as_bytes()[..3]),
        format!(":{}", door.address.port()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_arrives_in_order_and_leaves_no_mark_in_the_log() {
    let captured = Captured::install();
    let (mut ada, mut bob) = (Person::start("Ada Lovelace").await, Person::start("Bob Babbage").await);
    let mut unwanted = marks(&ada);
    unwanted.extend(marks(&bob));
    bob.join(ada.door()).await;
    ada.befriend(&mut bob).await;
    for n in 0..100 {
        ada.say(&bob, &format!("{TEXT} {n}")).await;
    }
    let last = bob.say(&ada, "yes").await.id;
    bob.wait_for(|event| {
        matches!(event, Event::MessageState { id, state: MessageState::Delivered, .. } if *id == last)
    })
    .await;
    for _ in 0..100 {
        let delivered =
            |event: &Event| matches!(event, Event::MessageState { state: MessageState::Delivered, .. });
        ada.wait_for(delivered).await;
    }
    let heard: Vec<String> =
        bob.messages(&ada).await.into_iter().filter(|m| !m.mine).map(|m| m.text).collect();
    let said: Vec<String> = (0..100).map(|n| format!("{TEXT} {n}")).collect();
    assert_eq!(heard, said, "each once, in order");
    let safety = Command::SafetyNumber { who: bob.account.to_string() };
    ada.handle.command(safety).await.unwrap();
    let who = bob.account.to_string();
    bob.stop().await;
    ada.wait_for(|event| matches!(event, Event::PeerDown(_))).await;
    let text = MessageText::new(TEXT).unwrap().into();
    ada.handle.command(Command::Send { who, text, request: None }).await.unwrap();
    ada.stop().await;

    let log = captured.text();
    for expected in ["the node runs", "a connection is up", "the node has ended"] {
        assert!(log.contains(expected), "the test must see the log: no {expected:?} in\n{log}");
    }
    unwanted.extend([TEXT, "old mill", "Lovelace", "Babbage", "we met", "127.0.0.1"].map(str::to_owned));
    for mark in unwanted {
        let line = log.lines().find(|line| line.contains(&mark));
        assert_eq!(line, None, "{mark} is in the log");
    }
}
