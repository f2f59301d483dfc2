//! Somebody loses everything but their recovery phrase, and goes on with the same account on another machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod peers;

use peers::{Peer, befriend, listen, until};
use starling_api::client::Events;
use starling_api::request_id::RequestId;
use starling_api::types::{ContactState, EventBody, MessageState, SendRequest};

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_phrase_alone_has_the_account_and_contacts_know_them_again() {
    let stage = tempfile::tempdir().unwrap();
    let mut first = Peer::create(stage.path(), "first", "Neighbour", "of somebody").await;
    first.start(&["--listen", "127.0.0.1:0"]).await;
    let door = first.door().to_string();
    let entered = ["--listen", "127.0.0.1:0", "--join", &door];
    let mut ada = Peer::create(stage.path(), "ada", "Ada", "a contact").await;
    ada.start(&entered).await;
    let (mut lost, phrase) = Peer::create_with_phrase(stage.path(), "lost", "Bob").await;
    lost.start(&entered).await;
    for peer in [&first, &ada, &lost] {
        peer.settle().await;
    }
    befriend(&ada, &lost).await;
    said(&ada, &lost, "before").await;
    let mut events = listen(&ada, async || says(&lost, &ada, "more").await).await;
    let account = lost.account();
    let node = lost.ready().node;
    lost.kill().await;
    std::fs::remove_dir_all(lost.home()).unwrap();
    let request = SendRequest::new(account.to_string(), "while nobody was there");
    ada.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();

    let mut bob = Peer::restore(stage.path(), "bob", "Bob", &phrase).await;
    bob.start(&entered).await;
    assert_eq!(bob.account(), account, "the same account");
    assert_ne!(bob.ready().node, node, "on another node");
    assert!(bob.client().contacts().await.unwrap().contacts.is_empty());
    bob.settle().await;
    // Ada is not asked: she has said yes already.
    bob.add(ada.account().to_string()).await;
    until("a contact again", async || bob.stands(ada.account(), ContactState::Accepted).await).await;
    loop {
        if let EventBody::DevicesChanged { account: of, added, reset } = next(&mut events).await {
            assert_eq!((of, added, reset), (account, 1, true));
            break;
        }
    }
    // What Ada wrote to the lost device meanwhile goes to the one that replaces it.
    until("what was written meanwhile", async || {
        bob.history(ada.account()).await.iter().any(|message| message.text == request.text)
    })
    .await;
    said(&ada, &bob, "to the new device").await;
    said(&bob, &ada, "from the new device").await;
    let mut texts: Vec<String> = ada.history(account).await.into_iter().map(|message| message.text).collect();
    texts.retain(|text| text != "more");
    assert_eq!(
        texts,
        ["before", "while nobody was there", "to the new device", "from the new device"],
        "one conversation"
    );
}

async fn next(events: &mut Events) -> EventBody {
    tokio::time::timeout(peers::PATIENCE, events.next()).await.expect("in time").unwrap().event
}

async fn says(from: &Peer, to: &Peer, text: &str) {
    let request = SendRequest::new(to.account().to_string(), text);
    from.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();
}

/// Says something, and waits until it is shown as delivered.
async fn said(from: &Peer, to: &Peer, text: &str) {
    says(from, to, text).await;
    let with = to.account();
    until(format!("{text:?} delivered"), async || {
        let said = from.history(with).await;
        said.iter().any(|message| message.text == text && message.state >= MessageState::Delivered)
    })
    .await;
    assert!(to.history(from.account()).await.iter().any(|message| message.text == text));
}
