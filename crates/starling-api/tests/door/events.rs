//! The event stream: resumable, with a heartbeat, ended by the node's end.

use std::sync::Arc;
use std::time::Duration;

use starling_api::backend::Backend;
use starling_api::client::ClientError;
use starling_api::server::{ApiServer, ServerConfig};
use starling_api::types::{EventBody, EventLine};
use starling_core::io::{Event, WarningCode};
use starling_core::view::{self, MessageState, Presence};
use starling_proto::ids::NodeKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::played::{self, GRACE, MESSAGE, cursor};
use crate::support::Door;

fn peer(number: u8, at: usize) -> EventLine {
    EventLine { cursor: cursor(at), event: EventBody::PeerUp { node: NodeKey::new([number; 32]) } }
}

#[tokio::test]
async fn a_new_stream_begins_with_ready_and_a_cursor() {
    let door = Door::open().await;
    door.node.peer_up(1);
    let mut events = door.client().events(None);
    let first = events.next().await.unwrap();
    assert_eq!(first.cursor, cursor(1));
    let EventBody::Ready(ready) = first.event else { panic!("not ready") };
    assert_eq!(ready.api, door.address().to_string());
    door.node.peer_up(2);
    assert_eq!(events.next().await.unwrap(), peer(2, 2));
}

/// Each event goes out as a line and is read by the client as what it was.
#[tokio::test]
async fn every_event_has_a_line_of_its_own() {
    let door = Door::open().await;
    let happened = every_event();
    for event in &happened {
        door.node.happens(event.clone());
    }
    let mut events = door.client().events(Some(cursor(0)));
    let mut lines = String::new();
    for event in happened {
        let line = events.next().await.unwrap();
        assert_eq!(line.event, event.into());
        assert_ne!(line.event, EventBody::Unknown);
        lines.push_str(&serde_json::to_string(&line).unwrap());
        lines.push('\n');
    }
    insta::assert_snapshot!(lines);
}

fn every_event() -> Vec<Event> {
    let (account, node) = (GRACE, NodeKey::new([3; 32]));
    vec![
        Event::PeerUp(node),
        Event::PeerDown(node),
        Event::ContactRequest { account, name: "Grace".into(), note: "hello".into() },
        Event::ContactAccepted { account, name: "Grace".into() },
        Event::ContactDeclined { account },
        Event::RequestStored { account, holders: 20 },
        Event::DevicesChanged { account, added: 1, reset: true },
        Event::Presence { account, presence: played::away() },
        Event::Presence { account, presence: Presence::default() },
        Event::Message(Box::new(played::reply("hello"))),
        Event::Changed(Box::new(played::edited("hello there"))),
        Event::Changed(Box::new(view::Message { deleted: true, ..played::reply("") })),
        Event::MessageState {
            id: MESSAGE,
            conversation: account,
            state: MessageState::Delivered,
            holders: None,
        },
        Event::Warning { code: WarningCode::Clock, message: "the clock is wrong".into() },
    ]
}

#[tokio::test]
async fn a_cursor_resumes_without_loss_or_repetition() {
    let door = Door::open().await;
    for number in 1..=3 {
        door.node.peer_up(number);
    }
    let mut events = door.client().events(Some(cursor(1)));
    assert_eq!(events.next().await.unwrap(), peer(2, 2));
    assert_eq!(events.next().await.unwrap(), peer(3, 3));
    assert_eq!(events.cursor(), Some(&cursor(3)));
}

#[tokio::test]
async fn a_reader_outlives_the_server() {
    let Door { home, node, server } = Door::open().await;
    let mut events = starling_api::client::Client::open(home.path()).unwrap().events(Some(cursor(0)));
    node.peer_up(1);
    assert_eq!(events.next().await.unwrap(), peer(1, 1));
    server.shutdown().await.unwrap();
    let gone = events.next().await.unwrap_err();
    assert!(matches!(gone, ClientError::NotRunning(_)) && gone.exit_code() == 3, "{gone:?}");
    node.peer_up(2);
    let config = ServerConfig::new(home.path());
    let _again = ApiServer::start(config, Arc::clone(&node) as Arc<dyn Backend>).await.unwrap();
    assert_eq!(events.next().await.unwrap(), peer(2, 2));
}

#[tokio::test]
async fn foreign_cursors_are_refused() {
    let door = Door::open().await;
    for since in
        ["since=x", "since=", "since=%0a", "since=run-1&since=run-2", "until=run-1", "since=run-1&x=y"]
    {
        let request = door.request("GET", &format!("/api/v1/events?{since}"), "");
        let answer = door.send(&request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_input"), "{since}");
    }
}

#[tokio::test]
async fn silence_is_filled_with_empty_lines() {
    let door = Door::open_with(|config| config.timeouts.heartbeat = Duration::from_millis(10)).await;
    let mut stream = door.connect().await;
    let request = door.request("GET", "/api/v1/events?since=run-0", "");
    stream.write_all(request.to_string().as_bytes()).await.unwrap();
    let mut text = String::new();
    // An empty line in a chunk of its own.
    while text.matches("\r\n1\r\n\n").count() < 3 {
        let mut piece = [0; 1024];
        let got = stream.read(&mut piece).await.unwrap();
        assert!(got > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..got]).unwrap());
    }
    assert!(text.to_ascii_lowercase().contains("content-type: application/x-ndjson"));
    door.node.peer_up(1);
    let mut events = door.client().events(Some(cursor(0)));
    assert_eq!(events.next().await.unwrap(), peer(1, 1));
}
