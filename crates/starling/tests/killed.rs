//! Two people write to each other while now the one's peer and now the other's is killed at random moments: everything
//! that was taken from them is there once, in order, and confirmed.
//!
//! `STARLING_SEED=7 cargo test -p starling --test killed` kills the same, after as many texts, as a run that printed
//! `seed 7`;
//! `STARLING_TEXTS=10000 STARLING_KILLS=100` makes it longer.
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

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use peers::{PATIENCE, Peer, befriend, pace, until};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use starling_api::client::{Client, ClientError};
use starling_api::request_id::RequestId;
use starling_api::types::{Message, MessageState, MessagesRequest, SendRequest};
use starling_proto::ids::AccountKey;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// Texts of both together.
const TEXTS: usize = 1_000;
/// How often a peer is killed.
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn cra_01_whoever_is_killed_again_and_again_loses_nothing_and_shows_nothing_twice() {
    let seed = number("STARLING_SEED").unwrap_or_else(rand::random);
    let count = |name, usual: usize| number(name).map_or(usual, |count| usize::try_from(count).unwrap());
    let (texts, kills) = (count("STARLING_TEXTS", TEXTS), count("STARLING_KILLS", KILLS));
    println!("seed {seed}");
    let began = Instant::now();
    let mut scene = Scene::set().await;
    println!("met: {} ms", began.elapsed().as_millis());
    scene.write_and_die(texts / 2, kills, seed).await;
    println!("written: {} ms", began.elapsed().as_millis());
    scene.all_arrived(texts / 2).await;
    // The histories were read, so that receipts went out again.
    scene.nothing_waits().await;
    scene.all_arrived(texts / 2).await;
    println!("{texts} texts, {kills} kills: {} ms", began.elapsed().as_millis());
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

/// Two who write and are killed, and one who holds.
struct Scene {
    writers: [Peer; 2],
    accounts: [AccountKey; 2],
    holder: Peer,
    _stage: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut holder = Peer::create(stage.path(), "holder", "Cleo", "holder").await;
        holder.start(&["--listen", "127.0.0.1:0"]).await;
        let mut writers = [
            Peer::create(stage.path(), "ada", "Ada", "writer").await,
            Peer::create(stage.path(), "bob", "Bob", "writer").await,
        ];
        for writer in &mut writers {
            writer.start(&["--listen", "127.0.0.1:0", "--join", &holder.door().to_string()]).await;
        }
        for peer in writers.iter().chain([&holder]) {
            peer.settle().await;
        }
        befriend(&writers[0], &writers[1]).await;
        let accounts = [writers[0].account(), writers[1].account()];
        Self { writers, accounts, holder, _stage: stage }
    }

    /// Each writes so many texts, while one of the two is killed so often, each time after another number of
    /// texts.
    async fn write_and_die(&mut self, each: usize, kills: usize, seed: u64) {
        let mut dice = StdRng::seed_from_u64(seed);
        let said: Arc<AtomicUsize> = Arc::default();
        let writing: Vec<_> = (0..2)
            .map(|who| {
                let (home, whom) = (self.writers[who].home().to_owned(), self.accounts[1 - who]);
                tokio::spawn(write(home, whom, texts(who, each), Arc::clone(&said)))
            })
            .collect();
        let mut dues: Vec<usize> = (0..kills).map(|_| dice.random_range(0..2 * each)).collect();
        dues.sort_unstable();
        for due in dues {
            until(format!("text {due}"), async || said.load(Ordering::SeqCst) >= due).await;
            let victim = &mut self.writers[dice.random_range(0..2)];
            victim.kill().await;
            victim.start(&["--listen", "127.0.0.1:0", "--join", &self.holder.door().to_string()]).await;
        }
        for task in writing {
            task.await.unwrap();
        }
    }

    /// Each has all of both, once and in order, and knows that its own have arrived.
    async fn all_arrived(&self, each: usize) {
        self.nothing_waits().await;
        for who in 0..2 {
            let history = whole(&self.writers[who], self.accounts[1 - who]).await;
            let (ours, theirs): (Vec<&Message>, Vec<&Message>) =
                history.iter().partition(|message| message.mine);
            let said = |messages: &[&Message]| {
                messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>()
            };
            assert_eq!(said(&ours), texts(who, each), "what {who} wrote, with {who}");
            assert_eq!(said(&theirs), texts(1 - who, each), "what {} wrote, with {who}", 1 - who);
            let arrived =
                |message: &&&Message| matches!(message.state, MessageState::Delivered | MessageState::Read);
            let waiting: Vec<_> = ours.iter().filter(|message| !arrived(message)).collect();
            assert!(waiting.is_empty(), "of {who}: {waiting:?}");
            let ids: BTreeSet<String> = history.iter().map(|message| message.id.to_string()).collect();
            assert_eq!(ids.len(), 2 * each);
        }
        for peer in self.writers.iter().chain([&self.holder]) {
            assert!(!peer.said().contains("panicked"), "{}", peer.said());
        }
    }

    async fn nothing_waits(&self) {
        let waiting = async {
            let mut pace = pace();
            for peer in &self.writers {
                while peer.status().await.queued > 0 {
                    pace.tick().await;
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("an empty outbox in time");
    }
}

/// What one writes.
fn texts(who: usize, count: usize) -> Vec<String> {
    (0..count).map(|text| format!("{who} writes {text}")).collect()
}

/// Writes text after text, each once the one before was taken.
async fn write(home: PathBuf, whom: AccountKey, texts: Vec<String>, said: Arc<AtomicUsize>) {
    let mut client = Client::open(&home).unwrap();
    for text in texts {
        let request = SendRequest::new(whom.to_string(), text);
        timeout(PATIENCE, say(&home, &mut client, &request)).await.expect("a text taken in time");
        said.fetch_add(1, Ordering::SeqCst);
    }
}

/// Says it once: who does not know whether it was taken, because the peer was killed meanwhile, repeats it under the same
/// request id.
async fn say(home: &std::path::Path, client: &mut Client, request: &SendRequest) {
    let id = RequestId::generate().unwrap();
    let mut pace = pace();
    while let Err(error) = client.send(request, &id).await {
        // A process that is killed resets connections that it has not yet taken.
        let gone = match &error {
            ClientError::NotRunning(_) | ClientError::Broken(_) => true,
            ClientError::Connect(cause) => cause.kind() == std::io::ErrorKind::ConnectionReset,
            _ => false,
        };
        assert!(gone, "{error}");
        pace.tick().await;
        if let Ok(anew) = Client::open(home) {
            *client = anew;
        }
    }
}

/// A whole conversation, page by page, oldest first.
async fn whole(peer: &Peer, with: AccountKey) -> Vec<Message> {
    let client = peer.client();
    let mut all: Vec<Message> = Vec::new();
    loop {
        let before = all.first().map(|message| message.id);
        let page = MessagesRequest {
            limit: MessagesRequest::LONGEST,
            before,
            ..MessagesRequest::latest(with.to_string())
        };
        let mut page = client.messages(&page).await.unwrap().messages;
        if page.is_empty() {
            return all;
        }
        page.append(&mut all);
        all = page;
    }
}
