//! A great pile of mail at login: two people write to a third who is away, and leave; all of it is read, once and in order.
//!
//! `STARLING_LOGIN_TEXTS` says how many each of them writes: 300 if it is not set; `STARLING_LOGIN_AUTHORS=1` has one of
//! them write alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop; it computes small known numbers and tells what it saw"
)]

mod peers;

use peers::{Peer, befriend, until};
use starling_api::request_id::RequestId;
use starling_api::types::{Message, MessageState, MessagesRequest, SendRequest};
use starling_proto::ids::AccountKey;
use tokio::time::Instant;

/// Peers of people who have nothing to do with it.
const OTHERS: usize = 2;
/// The most messages in one answer.
const PAGE: u16 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn a_pile_of_mail_is_read_at_login_once_and_in_order() {
    let texts: usize = std::env::var("STARLING_LOGIN_TEXTS").map_or(300, |count| count.parse().unwrap());
    let stage = tempfile::tempdir().unwrap();
    let mut others = Vec::new();
    for number in 0..OTHERS {
        others.push(joined(stage.path(), &format!("Neighbour {number}"), others.first()).await);
    }
    let mut reader = joined(stage.path(), "Reader", others.first()).await;
    let writing: usize = std::env::var("STARLING_LOGIN_AUTHORS").map_or(2, |count| count.parse().unwrap());
    let mut authors = Vec::new();
    for name in ["Ada", "Bob"].into_iter().take(writing) {
        authors.push(joined(stage.path(), name, others.first()).await);
    }
    for peer in others.iter().chain(&authors).chain([&reader]) {
        peer.settle().await;
    }
    for author in &authors {
        befriend(author, &reader).await;
    }
    for peer in authors.iter().chain([&reader]) {
        until("an empty outbox", async || peer.status().await.queued == 0).await;
    }
    let accounts: Vec<AccountKey> = authors.iter().map(Peer::account).collect();
    let who = reader.account();
    reader.stop().await;
    match &authors[..] {
        [one, other] => {
            tokio::join!(write(one, who, texts), write(other, who, texts));
        }
        alone => write(&alone[0], who, texts).await,
    }
    let written = Instant::now();
    for author in &mut authors {
        all_stored(author, who, texts).await;
        author.stop().await;
    }
    println!("all stored {} ms after the last was written", written.elapsed().as_millis());
    let began = Instant::now();
    reader.start(&["--listen", "127.0.0.1:0", "--join", &others[0].door().to_string()]).await;
    let last = format!("line {}", texts - 1);
    for &author in &accounts {
        until("the last line", async || latest(&reader, author).await.is_some_and(|it| it.text == last))
            .await;
    }
    let all = authors.len() * texts;
    println!(
        "{all} texts of {} authors read {} ms after the start",
        authors.len(),
        began.elapsed().as_millis()
    );
    for author in accounts {
        // What a holder could not list beside the rest comes with its next list: till then its place is a gap.
        until("the rest", async || whole(&reader, author).await.len() >= texts).await;
        println!("all of an author's after {} ms", began.elapsed().as_millis());
        let shown: Vec<String> =
            whole(&reader, author).await.into_iter().map(|message| message.text).collect();
        assert_eq!(shown, lines(texts));
    }
    for peer in others.iter().chain([&reader]) {
        assert!(!peer.said().contains("panicked"), "{}", peer.said());
    }
}

async fn joined(stage: &std::path::Path, name: &str, through: Option<&Peer>) -> Peer {
    let home = name.to_lowercase().replace(' ', "-");
    let mut peer = Peer::create(stage, &home, name, "of a pile").await;
    let door = through.map(|through| through.door().to_string());
    let join = door.iter().flat_map(|door| ["--join", door]);
    peer.start(&["--listen", "127.0.0.1:0"].into_iter().chain(join).collect::<Vec<_>>()).await;
    peer
}

fn lines(texts: usize) -> Vec<String> {
    (0..texts).map(|line| format!("line {line}")).collect()
}

async fn write(author: &Peer, to: AccountKey, texts: usize) {
    let client = author.client();
    for text in lines(texts) {
        let request = SendRequest::new(to.to_string(), text);
        client.send(&request, &RequestId::generate().unwrap()).await.unwrap();
    }
}

/// Everything that was said with somebody, oldest first.
async fn whole(peer: &Peer, with: AccountKey) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    loop {
        let before = all.first().map(|message| message.id);
        let request = MessagesRequest { limit: PAGE, before, ..MessagesRequest::latest(with.to_string()) };
        let page = peer.client().messages(&request).await.unwrap().messages;
        if page.is_empty() {
            return all;
        }
        all.splice(0..0, page);
    }
}

async fn latest(peer: &Peer, with: AccountKey) -> Option<Message> {
    let request = MessagesRequest { limit: 1, ..MessagesRequest::latest(with.to_string()) };
    peer.client().messages(&request).await.unwrap().messages.pop()
}

/// All is stored: waits on for as long as another text is stored now and then.
async fn all_stored(author: &Peer, to: AccountKey, texts: usize) {
    let mut stored = 0;
    while stored < texts {
        let count = async || {
            let said = whole(author, to).await;
            said.iter().filter(|message| message.state == MessageState::Stored).count()
        };
        until(format!("another stored text after {stored}"), async || count().await > stored).await;
        stored = count().await;
    }
}
