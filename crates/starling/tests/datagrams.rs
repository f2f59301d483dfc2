//! Every datagram that two peers ever sent each other, sent again: each at once, and all of them after restarts.
//!
//! One peer listens on IPv6 alone and the other on IPv4, so that everything between them goes through a relay of
//! datagrams that belongs to the test. Where this machine has no IPv6 the test says so and passes.
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

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use peers::{PATIENCE, Peer, befriend, listen, until};
use starling_api::client::Events;
use starling_api::request_id::RequestId;
use starling_api::types::{Contact, EventBody, Message, MessageState, Presence, SendRequest};
use starling_proto::addr::JoinAddr;
use starling_proto::ids::MessageId;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Lines that each of the two says.
const LINES: usize = 20;
/// A word that shows how far they have come.
const MARK: &str = "so far";
/// More than the longest datagram.
const LONGEST: usize = 65_536;
/// Datagrams sent again in one go: far fewer than a socket's buffer holds.
const BURST: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn rpl_01_every_datagram_sent_again_at_once_and_after_restarts() {
    if let Err(why) = UdpSocket::bind("[::1]:0").await {
        return skip(&why.to_string());
    }
    let mut scene = Scene::set().await;
    let before = scene.relay.passed();
    scene.talk().await;
    let passed = scene.relay.passed() - before;
    assert!(passed > 2 * LINES, "what they say passes the relay: {passed} datagrams");
    scene.all_again().await;
    scene.guest.stop().await;
    scene.guest_comes().await;
    scene.all_again().await;
    scene.host.kill().await;
    scene.host.start(&["--listen", "[::1]:0"]).await;
    scene.relay.lead_to(scene.host.door().address);
    scene.guest.stop().await;
    scene.guest_comes().await;
    scene.all_again().await;
    println!("{} datagrams were recorded", scene.relay.passed());
}

#[expect(clippy::explicit_write, reason = "the test harness shows nothing of tests that pass, but for this")]
fn skip(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED rpl_01_every_datagram: no IPv6 loopback here: {why}").unwrap();
}

/// Two who can reach each other through the relay alone.
struct Scene {
    host: Peer,
    guest: Peer,
    relay: Relay,
    /// Words that showed how far they had come.
    marks: Vec<MessageId>,
    _stage: TempDir,
}

/// What somebody's user sees: contacts, but for who is there, and messages, but for marks.
type Seen = (Vec<Contact>, Vec<Message>);

impl Scene {
    async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut host = Peer::create(stage.path(), "host", "Hanna", "host").await;
        let guest = Peer::create(stage.path(), "guest", "Gustav", "guest").await;
        host.start(&["--listen", "[::1]:0"]).await;
        let relay = Relay::begin(host.door().address).await;
        let mut scene = Self { host, guest, relay, marks: Vec::new(), _stage: stage };
        scene.guest_comes().await;
        befriend(&scene.host, &scene.guest).await;
        scene
    }

    /// The guest joins through the relay.
    async fn guest_comes(&mut self) {
        let door = JoinAddr { key: self.host.door().key, address: self.relay.address };
        self.guest.start(&["--listen", "127.0.0.1:0", "--join", &door.to_string()]).await;
        for peer in [&self.host, &self.guest] {
            until("being listed", async || {
                let entries = peer.status().await.entries;
                entries.wanted > 0 && entries.placed == entries.wanted
            })
            .await;
        }
    }

    async fn talk(&self) {
        for line in 0..LINES {
            for (from, to) in [(&self.host, &self.guest), (&self.guest, &self.host)] {
                say(from, to, &format!("line {line}")).await;
            }
        }
    }

    /// All that ever passed passes again, and neither user notices.
    async fn all_again(&mut self) {
        self.all_is_read().await;
        let seen = [self.seen(&self.host, &self.guest).await, self.seen(&self.guest, &self.host).await];
        assert!(seen.iter().all(|(_, messages)| messages.len() == 2 * LINES), "{seen:?}");
        let mut events = self.listen().await;
        self.told(&mut events).await;
        let all = self.relay.recorded();
        for some in all.chunks(BURST) {
            self.relay.send(some).await;
            // Each has time to take them.
            self.host.status().await;
            self.guest.status().await;
        }
        for event in self.told(&mut events).await {
            assert!(self.is_about_peers(&event), "{event:?}");
        }
        let after = [self.seen(&self.host, &self.guest).await, self.seen(&self.guest, &self.host).await];
        assert_eq!(after, seen);
        for peer in [&self.host, &self.guest] {
            let status = peer.status().await;
            assert_eq!((status.contacts.accepted, status.contacts.incoming), (1, 0));
            assert!(!peer.said().contains("panicked"), "{}", peer.said());
        }
    }

    /// What both are told from now on.
    async fn listen(&mut self) -> [Events; 2] {
        let marks = Mutex::new(Vec::new());
        let says = async |from: &Peer, to: &Peer| {
            let mark = say(from, to, MARK).await;
            marks.lock().unwrap().push(mark);
        };
        let host = listen(&self.host, async || says(&self.guest, &self.host).await).await;
        let guest = listen(&self.guest, async || says(&self.host, &self.guest).await).await;
        self.marks.extend(marks.into_inner().unwrap());
        [host, guest]
    }

    /// Both have all that was said, and know that the other has read it.
    async fn all_is_read(&self) {
        until("all is read", async || {
            let mut all = true;
            for (here, there) in [(&self.host, &self.guest), (&self.guest, &self.host)] {
                let messages = here.history(there.account()).await;
                let read = |message: &Message| !message.mine || message.state == MessageState::Read;
                all &= messages.len() >= 2 * LINES && messages.iter().all(read);
                all &= here.status().await.queued == 0;
            }
            all
        })
        .await;
    }

    async fn seen(&self, here: &Peer, there: &Peer) -> Seen {
        let mut contacts = here.client().contacts().await.unwrap().contacts;
        for contact in &mut contacts {
            (contact.presence, contact.last_seen) = (Presence::Offline, None);
        }
        let mut messages = here.history(there.account()).await;
        messages.retain(|message| message.text != MARK);
        (contacts, messages)
    }

    /// What both were told, up to a word that each says to the other now.
    async fn told(&mut self, events: &mut [Events; 2]) -> Vec<EventBody> {
        let mut told = Vec::new();
        let sides = [(&self.guest, &self.host), (&self.host, &self.guest)];
        for ((from, to), events) in sides.into_iter().zip(events) {
            let mark = say(from, to, MARK).await;
            self.marks.push(mark);
            told.extend(until_said(events, mark).await);
        }
        told
    }

    /// Whether it tells who is there, or what became of a mark, and nothing else.
    fn is_about_peers(&self, event: &EventBody) -> bool {
        match event {
            EventBody::MessageState { id, .. } => self.marks.contains(id),
            EventBody::PeerUp { .. } | EventBody::PeerDown { .. } | EventBody::Presence { .. } => true,
            _ => false,
        }
    }
}

async fn say(from: &Peer, to: &Peer, text: &str) -> MessageId {
    let request = SendRequest::new(to.account().to_string(), text);
    from.client().send(&request, &RequestId::generate().unwrap()).await.unwrap().id
}

/// What comes before this message.
async fn until_said(events: &mut Events, mark: MessageId) -> Vec<EventBody> {
    let mut told = Vec::new();
    let listening = async {
        loop {
            match events.next().await.unwrap().event {
                EventBody::Message(message) if message.id == mark => break,
                event => told.push(event),
            }
        }
    };
    timeout(PATIENCE, listening).await.expect("a word in time");
    told
}

/// Where a datagram goes.
#[derive(Debug, Clone, Copy)]
enum Towards {
    Host,
    Guest,
}

/// A datagram that has passed.
type Passed = (Towards, Vec<u8>);

/// Stands between two peers, sends on everything twice, and keeps it.
struct Relay {
    /// Where the host seems to be.
    address: SocketAddr,
    front: Arc<UdpSocket>,
    back: Arc<UdpSocket>,
    ends: Arc<Mutex<Ends>>,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// Where the two really are.
struct Ends {
    host: SocketAddr,
    guest: Option<SocketAddr>,
}

impl Relay {
    async fn begin(host: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let relay = Self {
            address: front.local_addr().unwrap(),
            front,
            back: Arc::new(UdpSocket::bind("[::1]:0").await.unwrap()),
            ends: Arc::new(Mutex::new(Ends { host, guest: None })),
            passed: Arc::default(),
        };
        tokio::spawn(relay.handle().pass(Towards::Host));
        tokio::spawn(relay.handle().pass(Towards::Guest));
        relay
    }

    fn handle(&self) -> Self {
        Self {
            address: self.address,
            front: Arc::clone(&self.front),
            back: Arc::clone(&self.back),
            ends: Arc::clone(&self.ends),
            passed: Arc::clone(&self.passed),
        }
    }

    /// The host is elsewhere now.
    fn lead_to(&self, host: SocketAddr) {
        self.ends.lock().unwrap().host = host;
    }

    /// How many datagrams have passed.
    fn passed(&self) -> usize {
        self.passed.lock().unwrap().len()
    }

    fn recorded(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }

    async fn pass(self, towards: Towards) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let from = match towards {
                Towards::Host => &self.front,
                Towards::Guest => &self.back,
            };
            // A socket whose datagram found nobody may say so with its next one.
            let Ok((length, sender)) = from.recv_from(&mut buffer).await else { continue };
            if matches!(towards, Towards::Host) {
                self.ends.lock().unwrap().guest = Some(sender);
            }
            let datagram = (towards, buffer[..length].to_vec());
            self.send(&[datagram.clone(), datagram.clone()]).await;
            self.passed.lock().unwrap().push(datagram);
        }
    }

    async fn send(&self, datagrams: &[Passed]) {
        for (towards, datagram) in datagrams {
            let (socket, to) = {
                let ends = self.ends.lock().unwrap();
                match towards {
                    Towards::Host => (&self.back, Some(ends.host)),
                    Towards::Guest => (&self.front, ends.guest),
                }
            };
            if let Some(to) = to {
                // Whoever has just ended takes nothing.
                let _ = socket.send_to(datagram, to).await;
            }
        }
    }
}
