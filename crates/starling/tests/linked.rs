//! Somebody uses one account on two devices, each with a process of its own.
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
use starling_api::request_id::RequestId;
use starling_api::types::{EventBody, Message, MessageState, SendRequest, WarningCode};
use starling_proto::ids::AccountKey;

/// Bob's second device, running.
async fn phone(scene: &Scene) -> Peer {
    let mut phone = scene.bob.link(scene.stage.path(), "phone").await;
    phone.start(&["--listen", "127.0.0.1:0", "--join", &scene.first.door().to_string()]).await;
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_of_one_account_are_kept_in_step() {
    let scene = Scene::set().await;
    let Scene { ada, bob: desk, .. } = &scene;
    let (bob, friend) = (desk.account(), ada.account());
    says(ada, bob, "before").await;
    shows(desk, friend, &["before"]).await;

    let phone = phone(&scene).await;
    assert_eq!((phone.account(), texts(&phone, friend).await), (bob, vec!["before".to_owned()]));
    assert_ne!(phone.ready().node, desk.ready().node);
    until("the two devices have met", async || connected(&phone).await && connected(desk).await).await;

    says(desk, friend, "from the desk").await;
    shows(&phone, friend, &["before", "from the desk"]).await;
    until("what one has sent has arrived, says the other", async || {
        let last = phone.history(friend).await.pop().unwrap();
        last.mine && last.state >= MessageState::Delivered
    })
    .await;
    says(&phone, friend, "from the phone").await;
    let all = ["before", "from the desk", "from the phone"];
    shows(ada, bob, &all).await;
    shows(desk, friend, &all).await;

    // Each device gets what a contact says, once both are known to it.
    until("Ada knows the phone", async || {
        let contacts = ada.client().contacts().await.unwrap().contacts;
        contacts.iter().any(|contact| contact.account == bob && contact.devices == 2)
    })
    .await;
    says(ada, bob, "to both").await;
    let all = ["before", "from the desk", "from the phone", "to both"];
    for device in [desk, &phone] {
        shows(device, friend, &all).await;
    }
    assert_eq!(order(&phone.history(friend).await), order(&desk.history(friend).await), "one order");

    desk.command(&["contact", "rename", &friend.to_string(), "Countess", "--json"]).await;
    desk.command(&["profile", "set", "--about", "at sea", "--json"]).await;
    until("what was decided on one device holds on the other", async || {
        let contacts = phone.client().contacts().await.unwrap().contacts;
        let renamed = contacts.iter().any(|contact| contact.petname.as_deref() == Some("Countess"));
        renamed && phone.client().profile().await.unwrap().about == "at sea"
    })
    .await;
    assert_eq!(phone.client().contacts().await.unwrap().contacts.len(), 1, "nobody is their own contact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_told_and_hears_nothing_more() {
    let scene = Scene::set().await;
    let Scene { ada, bob: desk, .. } = &scene;
    let (bob, friend) = (desk.account(), ada.account());
    let phone = phone(&scene).await;
    until("the two devices have met", async || connected(&phone).await).await;
    says(ada, bob, "to both").await;
    shows(&phone, friend, &["to both"]).await;
    let mut events = listen(&phone, async || says(desk, friend, "hello").await).await;

    let device = phone.client().whoami().await.unwrap().device.to_string();
    let left = desk.command(&["device", "revoke", &device, "--json"]).await;
    assert_eq!(left["devices"].as_array().unwrap().len(), 1, "{left}");
    // It goes on talking, and is not answered.
    says(&phone, friend, "is anybody there?").await;
    loop {
        let event = tokio::time::timeout(peers::PATIENCE, events.next()).await.expect("in time");
        if let EventBody::Warning { code: WarningCode::Revoked, .. } = event.unwrap().event {
            break;
        }
    }
    let listed = phone.command(&["device", "list", "--json"]).await;
    assert_eq!(listed["revoked"], json!(true), "{listed}");
    until("Ada has heard of it", async || {
        let contacts = ada.client().contacts().await.unwrap().contacts;
        contacts.iter().any(|contact| contact.account == bob && contact.devices == 1)
    })
    .await;
    says(ada, bob, "to the desk alone").await;
    until("it has come", async || texts(desk, friend).await.iter().any(|text| text == "to the desk alone"))
        .await;
    assert!(!texts(&phone, friend).await.iter().any(|text| text == "to the desk alone"));
}

async fn connected(device: &Peer) -> bool {
    let devices = device.client().devices().await.unwrap().devices;
    devices.len() == 2 && devices.iter().any(|device| device.connected)
}

async fn says(from: &Peer, to: AccountKey, text: &str) {
    let request = SendRequest::new(to.to_string(), text);
    from.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();
}

async fn texts(peer: &Peer, with: AccountKey) -> Vec<String> {
    peer.history(with).await.into_iter().map(|message| message.text).collect()
}

async fn shows(peer: &Peer, with: AccountKey, expected: &[&str]) {
    until(format!("{expected:?}"), async || texts(peer, with).await == expected).await;
}

fn order(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.id.to_string()).collect()
}
