//! The client: what it asks, and how it says that no node is running.

use std::fs;
use std::path::Path;

use starling_api::announce::{API_FILE, Announcement, ApiAddress};
use starling_api::client::{Client, ClientError, NotRunning};
use starling_api::request_id::RequestId;
use starling_api::server::{ApiServer, Listen, ServerConfig, ServerError};
use starling_api::types::{
    AddContactRequest, ChangeContactRequest, Code, ContactChange, ContactCounts, ContactState, InviteRequest,
    JoinRequest, MessageState, MessagesRequest, Mode, Presence, ProfileRequest, SearchRequest, SendRequest,
};
use starling_core::io::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::played::{GRACE, PlayedNode};
use crate::support::{Door, token};

#[tokio::test]
async fn every_call_reaches_the_node() {
    let door = Door::open().await;
    every_call(&door).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    use std::os::unix::fs::PermissionsExt;

    let door = Door::open_with(|config| config.listen = Listen::Unix).await;
    let ApiAddress::Unix(path) = door.server.address().clone() else { panic!("not a Unix socket") };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    every_call(&door).await;
    let home = door.home;
    door.server.shutdown().await.unwrap();
    assert!(!path.exists());
    not_running(home.path(), NotRunning::NoFile).await;
}

async fn every_call(door: &Door) {
    let client = door.client();
    let status = client.status().await.unwrap();
    assert_eq!((status.mode, status.peers, status.routing_table.peers), (Mode::Server, 3, 3));
    assert_eq!(status.routing_table.buckets.len(), 2);
    assert_eq!(status.contacts, ContactCounts { accepted: 4, incoming: 1, requested: 2 });
    assert_eq!(status.queued, 6);
    assert_eq!(client.whoami().await.unwrap().name, "Ada");
    assert!(!client.profile().await.unwrap().listed);
    let request = ProfileRequest { name: Some("Grace".into()), ..ProfileRequest::default() };
    assert_eq!(client.set_profile(&request).await.unwrap().name, "Grace");
    assert!(client.set_listed(true).await.unwrap().listed);
    let request = SearchRequest { words: vec!["sail".into(), "gre".into()], limit: 5 };
    let found = client.search(&request).await.unwrap();
    assert!(found.truncated && found.results[0].total_words == 2);
    assert_eq!(client.join(&JoinRequest::default()).await.unwrap().peers, 0);
    every_call_about_people(&client).await;
    let commands = door.node.commands();
    assert_eq!(commands.len(), 15);
    assert_eq!(commands[4], Command::SetListed(true));
    assert_eq!(commands[5], Command::Search { words: request.words, limit: 5 });
}

async fn every_call_about_people(client: &Client) {
    let contacts = client.contacts().await.unwrap().contacts;
    assert_eq!((contacts[0].presence, contacts[0].typing), (Presence::Away, true));
    let request = AddContactRequest { whom: GRACE.to_string(), note: "hello".into() };
    assert_eq!(client.add_contact(&request).await.unwrap().state, ContactState::Requested);
    let (who, petname) = ("Grace".to_owned(), Some("Boss".to_owned()));
    let rename = ChangeContactRequest { who, change: ContactChange::Rename, petname };
    assert_eq!(client.change_contact(&rename).await.unwrap().petname.as_deref(), Some("Boss"));
    assert_eq!(client.safety_number("Grace").await.unwrap().digits.len(), 71);
    let made = client.invite(&InviteRequest { life_s: Some(60) }).await.unwrap();
    assert_eq!(made.expires, made.invite.expires.into());
    let text = SendRequest::new("Grace", "hello");
    let sent = client.send(&text, &RequestId::generate().unwrap()).await.unwrap();
    assert_eq!((sent.conversation, sent.state), (GRACE, MessageState::Queued));
    let messages = client.messages(&MessagesRequest::latest("Grace")).await.unwrap().messages;
    assert_eq!(messages.len(), 2);
    assert_eq!(client.trace(&sent.id).await.unwrap().steps.len(), 2);
}

#[tokio::test]
async fn a_refusal_keeps_its_words_and_exit_code() {
    let door = Door::open().await;
    let request = SearchRequest { words: vec!["nobody".into()], limit: 5 };
    let error = door.client().search(&request).await.unwrap_err();
    assert_eq!(error.exit_code(), 5);
    let body = error.to_body();
    assert_eq!((body.code, body.hint.as_str()), (Code::NotFound, "try fewer words"));
}

#[tokio::test]
async fn no_file_means_that_no_node_is_running() {
    let home = tempfile::tempdir().unwrap();
    not_running(home.path(), NotRunning::NoFile).await;
}

#[tokio::test]
async fn shutdown_removes_the_file() {
    let Door { home, server, .. } = Door::open().await;
    server.shutdown().await.unwrap();
    assert!(!home.path().join(API_FILE).exists());
    not_running(home.path(), NotRunning::NoFile).await;
}

#[tokio::test]
async fn a_killed_node_leaves_a_stale_file() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = home_of_a_killed_node(ApiAddress::Tcp(address));
    not_running(home.path(), NotRunning::NobodyListens).await;
}

#[tokio::test]
async fn another_node_at_the_address_is_not_ours() {
    let other = Door::open().await;
    let home = home_of_a_killed_node(other.server.address().clone());
    not_running(home.path(), NotRunning::AnotherListens).await;
}

#[tokio::test]
async fn another_program_at_the_address_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = home_of_a_killed_node(ApiAddress::Tcp(listener.local_addr().unwrap()));
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        stream
    });
    not_running(home.path(), NotRunning::AnotherListens).await;
    serving.await.unwrap();
}

/// A node's answer to a join.
const JOINED: &str = "HTTP/1.1 200 OK\r\nstarling-api: 1\r\nContent-Length: 11\r\n\r\n{\"peers\":7}";

/// Plays a node that hangs up after each request, having answered it or not; what it was asked.
async fn hangs_up(listener: TcpListener, answers: Vec<&'static str>) -> Vec<String> {
    let mut asked = Vec::new();
    for answer in answers {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = [0; 4096];
        let got = stream.read(&mut text).await.unwrap();
        asked.push(String::from_utf8_lossy(&text[..got]).to_ascii_lowercase());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    asked
}

#[tokio::test]
async fn a_connection_that_was_ended_meanwhile_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = home_of_a_killed_node(ApiAddress::Tcp(listener.local_addr().unwrap()));
    let node = tokio::spawn(hangs_up(listener, vec![JOINED, JOINED]));
    let client = Client::open(home.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(client.join(&JoinRequest::default()).await.unwrap().peers, 7);
    }
    assert_ne!(request_id(&node.await.unwrap()[0]), "");
}

#[tokio::test]
async fn api_11_an_order_whose_answer_was_lost_is_repeated_under_its_id() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = home_of_a_killed_node(ApiAddress::Tcp(listener.local_addr().unwrap()));
    let node = tokio::spawn(hangs_up(listener, vec!["", JOINED]));
    let client = Client::open(home.path()).unwrap();
    assert_eq!(client.join(&JoinRequest::default()).await.unwrap().peers, 7);
    let asked = node.await.unwrap();
    assert_eq!(request_id(&asked[0]), request_id(&asked[1]));
    assert_eq!(request_id(&asked[0]).len(), 32);
}

fn request_id(request: &str) -> &str {
    request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default()
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(API_FILE), "{").unwrap();
    let error = Client::open(home.path()).unwrap_err();
    assert_eq!((error.exit_code(), error.to_body().code), (1, Code::Failed));
}

#[tokio::test]
async fn each_start_has_a_token_of_its_own() {
    let (one, two) = (Door::open().await, Door::open().await);
    assert_ne!(one.token(), two.token());
}

#[tokio::test]
async fn other_machines_are_kept_out_unless_asked_in() {
    let home = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::new(home.path());
    config.listen = "0.0.0.0:0".parse().unwrap();
    let refused = ApiServer::start(config.clone(), PlayedNode::new()).await.unwrap_err();
    assert!(matches!(refused, ServerError::NotLoopback(_)));
    assert!(!home.path().join(API_FILE).exists());
    config.allow_remote = true;
    let server = ApiServer::start(config, PlayedNode::new()).await.unwrap();
    server.shutdown().await.unwrap();
}

#[test]
fn listen_reads_what_api_takes() {
    assert_eq!("unix".parse(), Ok(Listen::Unix));
    assert_eq!("127.0.0.1:4040".parse(), Ok(Listen::Tcp("127.0.0.1:4040".parse().unwrap())));
    assert!("localhost:4040".parse::<Listen>().is_err());
}

/// A home whose `api.json` names `address`, with a token that nobody knows.
fn home_of_a_killed_node(address: ApiAddress) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    Announcement { address, token: "7".repeat(64).parse().unwrap() }.write(home.path()).unwrap();
    assert_eq!(token(home.path()), "7".repeat(64));
    home
}

async fn not_running(home: &Path, how: NotRunning) {
    let error = match Client::open(home) {
        Ok(client) => client.status().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(&error, ClientError::NotRunning(found) if *found == how), "{error:?}");
    assert_eq!((error.exit_code(), error.to_body().code), (3, Code::NotRunning));
}
