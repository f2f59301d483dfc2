//! Five peers, a process each. One person is away while another writes to them and leaves, and those who keep it fail all
//! at once; the first comes back elsewhere and has everything, once and in order, from those who kept it.
//!
//! Confirmations for somebody who is away wait two minutes before they are left at a mailbox: the author comes back
//! while the reader is there, and hears from the reader that all has arrived.
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

use peers::{Peer, befriend, until};
use starling_api::request_id::RequestId;
use starling_api::types::{MessageState, SendRequest, Step, Trace};
use starling_proto::ids::{AccountKey, MessageId};
use tempfile::TempDir;
use tokio::time::Instant;

/// Lines that the author writes.
const LINES: usize = 30;
/// Peers of people who have nothing to do with it.
const OTHERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_to_somebody_away_waits_at_others_when_its_author_has_left() {
    let mut told = Instant::now();
    let mut tell = |what: &str| {
        println!("{what}: {} ms", told.elapsed().as_millis());
        told = Instant::now();
    };
    let mut scene = Scene::set().await;
    tell("met");
    let before = scene.reader.door();
    scene.reader.stop().await;
    let held_before = scene.held().await;
    let written = scene.all_written().await;
    let keep = scene.all_stored(&written).await;
    let grown = scene.held().await.into_iter().zip(held_before).filter(|(now, before)| now > before).count();
    assert!(
        grown + 1 >= keep,
        "{keep} keep it, as was said, but of the others only {grown} have anything new"
    );
    tell("stored");
    scene.author.stop().await;
    scene.all_holders_fail_at_once().await;
    tell("failed and back");
    scene.reader.start(&["--listen", "127.0.0.1:0", "--join", &scene.others[0].door().to_string()]).await;
    let after = scene.reader.door();
    assert!(before.key == after.key && before.address != after.address, "the same peer at another port");
    scene.all_read(&written).await;
    tell("read");
    scene.author.start(&["--listen", "127.0.0.1:0", "--join", &scene.others[1].door().to_string()]).await;
    scene.all_confirmed(&written).await;
    tell("confirmed");
    // What lies at the others still, or was sent again before it was confirmed, counts for nothing.
    scene.all_read(&written).await;
    for peer in [&scene.author, &scene.reader].into_iter().chain(&scene.others) {
        assert!(!peer.said().contains("panicked"), "{}", peer.said());
    }
}

/// Who writes, who is away, and those who keep what was written.
struct Scene {
    author: Peer,
    author_account: AccountKey,
    reader: Peer,
    reader_account: AccountKey,
    others: Vec<Peer>,
    _stage: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut author = Peer::create(stage.path(), "author", "Ada", "author").await;
        author.start(&["--listen", "127.0.0.1:0"]).await;
        let door = author.door().to_string();
        let joins = ["--listen", "127.0.0.1:0", "--join", &door];
        let mut reader = Peer::create(stage.path(), "reader", "Bob", "reader").await;
        reader.start(&joins).await;
        let mut others = Vec::new();
        for number in 0..OTHERS {
            let home = number.to_string();
            let mut other =
                Peer::create(stage.path(), &home, &format!("Neighbour {home}"), "neighbour").await;
            other.start(&joins).await;
            others.push(other);
        }
        for peer in [&author, &reader].into_iter().chain(&others) {
            peer.settle().await;
        }
        befriend(&author, &reader).await;
        // Each knows where the other's mail can be left: nothing that was to be said waits any more.
        for peer in [&author, &reader] {
            until("an empty outbox", async || peer.status().await.queued == 0).await;
        }
        let reader_account = reader.account();
        let author_account = author.account();
        Self { author, author_account, reader, reader_account, others, _stage: stage }
    }

    /// Whoever keeps anything is killed in the same moment, so that no peer at all is left, and started again.
    async fn all_holders_fail_at_once(&mut self) {
        let doors: Vec<String> = self.others.iter().map(|other| other.door().address.to_string()).collect();
        let [first, second, third] = &mut self.others[..] else { panic!("{OTHERS} others") };
        tokio::join!(first.kill(), second.kill(), third.kill());
        for (other, door) in self.others.iter_mut().zip(&doors) {
            other.start(&["--listen", door]).await;
        }
    }

    /// Writes all lines to somebody who is not there.
    async fn all_written(&self) -> Vec<MessageId> {
        let client = self.author.client();
        let mut written = Vec::new();
        for line in lines() {
            let request = SendRequest::new(self.reader_account.to_string(), line);
            let sent = client.send(&request, &RequestId::generate().unwrap()).await.unwrap();
            assert_eq!((sent.state, sent.holders), (MessageState::Queued, None), "nobody keeps it yet");
            written.push(sent.id);
        }
        written
    }

    /// How many records each of the others keeps.
    async fn held(&self) -> Vec<u64> {
        let mut held = Vec::new();
        for other in &self.others {
            held.push(other.status().await.held.records);
        }
        held
    }

    /// Each line lies at others, and its author can see at how many; the most of those.
    async fn all_stored(&self, written: &[MessageId]) -> usize {
        let mut most = 0;
        for id in written {
            until("a stored line", async || self.trace(id).await.state == MessageState::Stored).await;
            let trace = self.trace(id).await;
            let keep = usize::try_from(trace.holders.expect("as many as keep it")).unwrap();
            // All who are there, or the most of those who were: the author is one of them.
            assert!((OTHERS..=OTHERS + 1).contains(&keep), "{trace:?}");
            let steps: Vec<Step> = trace.steps.iter().map(|step| step.step).collect();
            assert!(steps.contains(&Step::Queued) && steps.contains(&Step::Stored), "{steps:?}");
            assert!(!steps.iter().any(|step| matches!(step, Step::Sent | Step::Delivered)), "{steps:?}");
            most = most.max(keep);
        }
        most
    }

    /// The reader has each line once, in the order in which they were written.
    async fn all_read(&self, written: &[MessageId]) {
        let author = self.author_account;
        until("all lines", async || self.reader.history(author).await.len() >= LINES).await;
        let history = self.reader.history(author).await;
        assert_eq!(history.iter().map(|message| message.text.clone()).collect::<Vec<_>>(), lines());
        assert_eq!(history.iter().map(|message| message.id).collect::<Vec<_>>(), written);
        assert_eq!(written.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), LINES);
    }

    /// The author sees that each has arrived, and neither has anything left to send.
    async fn all_confirmed(&self, written: &[MessageId]) {
        for id in written {
            let arrived = |state| matches!(state, MessageState::Delivered | MessageState::Read);
            until("a delivery", async || arrived(self.trace(id).await.state)).await;
            assert_eq!(self.trace(id).await.holders, None, "nobody needs to keep it any more");
        }
        for peer in [&self.author, &self.reader] {
            until("an empty outbox", async || peer.status().await.queued == 0).await;
        }
    }

    async fn trace(&self, id: &MessageId) -> Trace {
        self.author.client().trace(id).await.unwrap()
    }
}

/// What the author writes.
fn lines() -> Vec<String> {
    (0..LINES).map(|line| format!("line {line}")).collect()
}
