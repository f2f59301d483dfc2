//! Ending a node.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::Home;

/// A request that has begun and never ends: what a node waits for when it shuts down.
fn endless_request(home: &Home) -> TcpStream {
    let api: Value = serde_json::from_slice(&fs::read(home.path().join("api.json")).unwrap()).unwrap();
    let (address, token) = (api["address"].as_str().unwrap(), api["token"].as_str().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/v1/search HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[test]
fn both_signals_end_a_node_with_a_goodbye() {
    let home = Home::of("Alice");
    for signal in [Signal::INT, Signal::TERM] {
        let (node, _) = home.node([] as [&str; 0]);
        node.signal(signal);
        let ended = node.finish();
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
        assert!(!home.path().join("api.json").exists(), "whoever asks now is told that no node runs");
    }
}

#[test]
fn a_node_says_in_words_that_it_is_ready_and_that_it_ends() {
    let home = Home::of("Alice");
    let mut node = home.start(["run", "--listen", "127.0.0.1:0", "--network", "test"]);
    assert_eq!(node.text_line(), "ready\n");
    let ended = node.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("starling run --network test --join starnode1"), "{ended:?}");
    assert!(ended.err.contains("saying goodbye"), "{ended:?}");
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let home = Home::of("Alice");
    let mut node = home.start(["run", "--listen", "127.0.0.1:0", "--network", "test"]);
    assert_eq!(node.text_line(), "ready\n");
    let _request = endless_request(&home);
    node.signal(Signal::INT);
    assert!(node.error_line().contains("saying goodbye"));
    node.signal(Signal::TERM);
    let ended = node.finish();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("ended without a goodbye"), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_leaves_no_core_dump() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}
