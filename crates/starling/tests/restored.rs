//! Somebody loses everything but their recovery phrase, and goes on with the same account on another machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod peers;

use peers::{Peer, Scene, listen, until};
use serde_json::json;
use starling_api::client::Events;
use starling_api::request_id::RequestId;
use starling_api::types::{
    ChangeMessageRequest, ContactState, EventBody, MessageChange, MessageState, SendRequest,
};
use starling_proto::ids::AccountKey;

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_phrase_alone_has_the_account_and_contacts_know_them_again() {
    let Scene { stage, first, ada, bob: mut lost, phrase } = Scene::set().await;
    let door = first.door().to_string();
    let entered = ["--listen", "127.0.0.1:0", "--join", &door];
    said(&ada, &lost, "before").await;
    let mut events = listen(&ada, async || says(&lost, &ada, "more").await).await;
    let account = lost.account();
    let node = lost.ready().node;
    lost.kill().await;
    std::fs::remove_dir_all(lost.home()).unwrap();
    let request = SendRequest::new(account.to_string(), "while nobody was there");
    ada.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();

    let mut bob = Peer::restore(stage.path(), "new", "Bob", &phrase).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_the_phrase_bring_contacts_and_messages_back() {
    let Scene { stage, first, ada, bob: mut lost, phrase } = Scene::set().await;
    let door = first.door().to_string();
    let entered = ["--listen", "127.0.0.1:0", "--join", &door];
    said(&lost, &ada, "at five").await;
    said(&ada, &lost, "I shall be there").await;
    let id = lost.history(ada.account()).await.first().unwrap().id;
    let edit = ChangeMessageRequest { id, change: MessageChange::Edit, text: Some("at six".to_owned()) };
    lost.client().change_message(&edit).await.unwrap();
    let react = ChangeMessageRequest { id, change: MessageChange::React, text: Some("+1".to_owned()) };
    ada.client().change_message(&react).await.unwrap();
    until("the reaction", async || {
        lost.history(ada.account()).await.first().is_some_and(|message| !message.reactions.is_empty())
    })
    .await;

    let (file, passphrase) = (stage.path().join("bob.starling"), stage.path().join("passphrase"));
    std::fs::write(&passphrase, "open sesame\n").unwrap();
    let made = lost.back_up(&file, &passphrase).await;
    assert_eq!((&made["contacts"], &made["messages"]), (&json!(1), &json!(4)), "{made}");
    let account = lost.account();
    says(&lost, &ada, "after the backup").await;
    until("it has come", async || ada.history(account).await.len() == 3).await;
    lost.kill().await;
    std::fs::remove_dir_all(lost.home()).unwrap();
    says_to(&ada, account, "while nobody was there").await;

    let (mut bob, restored) = Peer::restore_backup(stage.path(), "new", &file, &phrase, &passphrase).await;
    assert_eq!((&restored["contacts"], &restored["messages"]), (&json!(1), &json!(4)), "{restored}");
    bob.start(&[&entered[..], &["--passphrase-file", passphrase.to_str().unwrap()]].concat()).await;
    let history = bob.history(ada.account()).await;
    let texts: Vec<&str> = history.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["at six", "I shall be there"], "what was in the backup");
    assert!(history[0].edited_at.is_some() && history[0].reactions[0].reaction == "+1", "{history:?}");
    // Nobody asks anybody by hand.
    until("a contact again", async || bob.stands(ada.account(), ContactState::Accepted).await).await;
    until("what was written meanwhile", async || bob.history(ada.account()).await.len() == 3).await;
    said(&ada, &bob, "to the new device").await;
    said(&bob, &ada, "from the new device").await;
    let texts: Vec<String> =
        bob.history(ada.account()).await.into_iter().map(|message| message.text).collect();
    let missed = ["while nobody was there", "to the new device", "from the new device"];
    assert_eq!(texts[2..], missed, "after what was in the backup");
}

async fn next(events: &mut Events) -> EventBody {
    tokio::time::timeout(peers::PATIENCE, events.next()).await.expect("in time").unwrap().event
}

async fn says(from: &Peer, to: &Peer, text: &str) {
    says_to(from, to.account(), text).await;
}

async fn says_to(from: &Peer, to: AccountKey, text: &str) {
    let request = SendRequest::new(to.to_string(), text);
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
