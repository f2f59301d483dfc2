//! A holder whose user gives it less disk than it has filled: it says that it is full, keeps what it promised, and takes
//! again when it may. Strangers with honest mail fill it; a process holds it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on should stop; it computes small known numbers"
)]

mod peers;

use std::time::{SystemTime, UNIX_EPOCH};

use peers::stranger::Stranger;
use peers::{PATIENCE, Peer, pace};
use starling_api::announce::{Announcement, ApiAddress};
use starling_api::types::Held;
use starling_crypto::capability::issue_capability;
use starling_crypto::keys::{DepositorSecret, MailboxSecret, SigningSecret as _};
use starling_crypto::record::sign_record;
use starling_crypto::secret::Secret;
use starling_proto::ids::RecordKey;
use starling_proto::limits;
use starling_proto::message::{Refusal, Request, Response, StoreOutcome};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::UnixSeconds;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What the holder is given at first, and then the least that a user may give: half of each is for mail.
const FIRST: &str = "16MiB";
const LEAST: &str = "8MiB";
/// Letters of 20 KiB, each in a mailbox of its own: more than the lesser half holds.
const LETTERS: usize = 240;
/// What each may leave, in KiB: more than a letter has.
const QUOTA_KIB: u32 = 64;
/// Those who leave them. Each may leave 125 at once.
const STRANGERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_cap_is_said_and_throws_nothing_away() {
    let mut scene = Scene::set().await;
    scene.fill().await;
    let before = scene.held().await;
    assert!(before.taken >= LETTERS as u64 && !before.full, "{before:?}");

    scene.restart(LEAST).await;
    assert_eq!(scene.offer().await, StoreOutcome::QuotaFull);
    let lowered = scene.held().await;
    assert_eq!(lowered.welcome_bytes, before.welcome_bytes, "nothing is thrown away");
    assert!(lowered.welcome_bytes > lowered.pool_bytes && lowered.full, "{lowered:?}");
    assert!(lowered.refused >= 1 && lowered.evicted_welcome == 0, "{lowered:?}");
    let figures = scene.figures().await;
    let bytes = format!("starling_held_bytes{{pool=\"welcome\"}} {}", lowered.welcome_bytes);
    for line in [bytes.as_str(), "starling_held_limit_bytes{pool=\"welcome\"} 4194304"] {
        assert!(figures.lines().any(|found| found == line), "{line}: {figures}");
    }

    scene.restart(FIRST).await;
    assert_eq!(scene.offer().await, StoreOutcome::Stored);
    scene.holder.stop().await;
}

/// A holder, and somebody without whom it would not know that it can be dialled.
struct Scene {
    holder: Peer,
    friend: Peer,
    _stage: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let holder = Peer::create(stage.path(), "holder", "Hanna", "harpist").await;
        let mut friend = Peer::create(stage.path(), "friend", "Frida", "fiddler").await;
        friend.start(&["--listen", "127.0.0.1:0"]).await;
        let mut scene = Self { holder, friend, _stage: stage };
        scene.start(FIRST).await;
        scene
    }

    async fn start(&mut self, hold_at_most: &str) {
        let door = self.friend.door().to_string();
        let words = ["--listen", "127.0.0.1:0", "--hold-at-most", hold_at_most, "--join", &door];
        self.holder.start(&words).await;
        self.holder.settle().await;
    }

    async fn restart(&mut self, hold_at_most: &str) {
        self.holder.stop().await;
        self.start(hold_at_most).await;
    }

    async fn fill(&self) {
        for _ in 0..STRANGERS {
            let stranger = Stranger::connect(self.holder.door()).await;
            for _ in 0..LETTERS / STRANGERS {
                assert_eq!(leave(&stranger, letter()).await, StoreOutcome::Stored);
            }
        }
    }

    /// Somebody new leaves one letter.
    async fn offer(&self) -> StoreOutcome {
        leave(&Stranger::connect(self.holder.door()).await, letter()).await
    }

    async fn held(&self) -> Held {
        self.holder.status().await.held
    }

    /// What a scraper reads.
    async fn figures(&self) -> String {
        let Announcement { address, token } = Announcement::read(self.holder.home()).unwrap();
        let ApiAddress::Tcp(address) = address else { panic!("{address} is no socket address") };
        let mut stream = TcpStream::connect(address).await.unwrap();
        let token = token.reveal();
        let request = format!(
            "GET /api/v1/metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("figures in time").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    }
}

/// Has a letter kept, as soon as the holder listens.
async fn leave(stranger: &Stranger, letter: Record) -> StoreOutcome {
    let request = Request::Store(letter);
    let leaving = async {
        let mut pace = pace();
        loop {
            match stranger.ask(&request).await {
                Response::Stored(outcome) => return outcome,
                Response::Refused(Refusal::RateLimited | Refusal::Busy) => pace.tick().await,
                other => panic!("{other:?}"),
            };
        }
    };
    timeout(PATIENCE, leaving).await.expect("an outcome in time")
}

/// The largest that an owner lets somebody leave; both are never heard of again.
fn letter() -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = UnixSeconds::new(now);
    let mailbox = MailboxSecret::from_seed(&Secret::random(&mut rand::rng()));
    let depositor = DepositorSecret::from_seed(&Secret::random(&mut rand::rng()));
    let (address, expires) = (mailbox.public(), now.after(limits::MAIL_LIFE));
    let leave = issue_capability(&mailbox, depositor.publisher(), expires, QUOTA_KIB).unwrap();
    let body = RecordBody {
        key: RecordKey::for_mailbox(&address),
        kind: RecordKind::Deposit,
        publisher: depositor.publisher(),
        sequence: now.get(),
        issued: now,
        expires,
        payload: vec![7; limits::RECORD_PAYLOAD],
        tombstone: false,
    };
    sign_record(&body, &depositor, None, Some(leave)).unwrap()
}
