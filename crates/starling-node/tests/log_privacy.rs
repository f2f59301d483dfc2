//! No log line above `trace` holds a key, an address or a name. In a process of its own, since it takes all log lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

#[path = "support/captured.rs"]
mod captured;
mod support;

use captured::Captured;
use starling_core::io::{Command, Event};
use support::{TestNode, bare, within};

/// Everything that could tell who or where a node is.
fn marks(node: &TestNode) -> Vec<String> {
    let address = node.address();
    let hex: String = address.key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = address.key.to_string();
    vec![
        hex[..8].to_owned(),
        text["starnode1".len()..][..8].to_owned(),
        format!("{:?}", &address.key.as_bytes()[..3]),
        address.address.to_string(),
        format!(":{}", address.address.port()),
        "127.0.0.1".to_owned(),
        "Ada Lovelace".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_a_whole_session_tells_who_or_where() {
    let captured = Captured::install();

    let (mut a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    assert!(b.ping(a.address()).await);
    let name = Some("Ada Lovelace".to_owned());
    a.handle.command(Command::SetProfile { name: name.clone(), about: None, keywords: None }).await.unwrap();
    a.control.disk_full.store(true, std::sync::atomic::Ordering::Relaxed);
    let change = Command::SetProfile { name, about: Some("x".into()), keywords: None };
    a.handle.command(change).await.unwrap();
    let nobody = bare(3).await;
    let gone = starling_proto::addr::JoinAddr {
        key: starling_node::transport::Transport::key(&nobody),
        address: b.address().address,
    };
    assert_eq!(a.ask(gone, "parallel", 1, 300).await, (0, 1));
    let mut unwanted = marks(&a);
    unwanted.extend(marks(&b));
    let key = b.address().key;
    within(b.handle.shutdown()).await;
    a.wait_for(&Event::PeerDown(key)).await;
    within(a.handle.shutdown()).await;

    let log = captured.text();
    for expected in ["the node runs", "a connection is up", "a dial failed", "the node has ended"] {
        assert!(log.contains(expected), "the test must see the log: no {expected:?} in\n{log}");
    }
    for mark in unwanted {
        let line = log.lines().find(|line| line.contains(&mark));
        assert_eq!(line, None, "{mark} is in the log");
    }
}
