//! Ten thousand strangers ask one person to be their contact: at most 32 wait for an answer, what a contact says comes
//! through meanwhile, and who works for it is heard. Linux tells how large the peer is.
//!
//! The strangers' requests are good as far as a holder can tell: signed, stamped, each of another account and from
//! another depositor, and sealed to the person. One in twenty is wholly good: its account can be found too. Each of the
//! two holders of the inbox gets every other one, over and over until all is said.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop; it computes small known numbers and tells what it saw"
)]

mod peers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use peers::stranger::Stranger;
use peers::{PATIENCE, Peer, befriend, pace, until};
use starling_api::client::Client;
use starling_api::request_id::RequestId;
use starling_api::types::{ContactState, MessageState, SendRequest};
use starling_crypto::envelope::{Destination, seal_request};
use starling_crypto::identity::{Authority, VerifiedDeviceList, accept_cert, issue_cert};
use starling_crypto::keys::{AccountSecret, DepositorSecret, DeviceSecret, SigningSecret};
use starling_crypto::record::sign_record;
use starling_crypto::secret::Secret;
use starling_crypto::stamp::{StampPolicy, StampSearch, StampSubject};
use starling_proto::contact::{ContactRequestBody, ReadKey};
use starling_proto::identity::{Bundle, DeviceCert, DeviceCertBody, DeviceList};
use starling_proto::ids::{AccountKey, LocatorKey, MailboxAddress, OlmKey, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Fetch, Refusal, Request, Response, StoreOutcome};
use starling_proto::record::{Record, RecordBody, RecordKind};
use starling_proto::time::{Month, UnixSeconds};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

/// Requests, each of another account.
const REQUESTS: usize = 10_000;
/// One in so many is of an account that can be found.
const GOOD: usize = 20;
/// Those who send them, half of them to each holder. Each socket is a group of its own on loopback, and may store 125
/// records at once and 25 a second.
const STRANGERS: usize = 64;
/// Shares that are made at the same time: the work for the stamps of all takes a core for some 50 s.
const SMITHS: usize = 2;
/// Zero bits of the stamps: what the test's network asks for, and what those bear whose account can be found.
const LEAST_WORK: u8 = 4;
const GOOD_WORK: [u8; 3] = [5, 6, 7];
/// Of somebody who wants it more than they do.
const HONEST_WORK: u8 = 9;
/// Requests that may wait for the user's answer.
const PENDING: usize = 32;
/// Parts in which the flood is waited for.
const PARTS: usize = 10;
/// Lines that the contact says during the flood.
const LINES: usize = 5;
/// Resident memory of the peer at its largest, far above what it needs (some 40 MiB), in KiB.
const MEMORY_KIB: u64 = 256 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn spm_01_ten_thousand_contact_requests() {
    let scene = Scene::set().await;
    let forge = Arc::new(Forge::open(&scene).await);
    let flood = Flood::begin(&scene, &forge);
    let watch = Watch::begin(scene.victim.client());
    for line in 0..LINES {
        until("more of the flood", async || flood.stored() >= REQUESTS / (LINES + 2) * (line + 1)).await;
        scene.friend_is_heard(&format!("line {line}")).await;
    }
    // Each part has its own patience: on a machine that does other work the whole takes longer.
    for part in 1..=PARTS {
        let what = format!("part {part} of {PARTS} of the flood");
        until(what, async || flood.stored() >= REQUESTS / PARTS * part).await;
    }
    assert_eq!(flood.stored(), REQUESTS);
    until("as many requests as may wait", async || scene.incoming().await.len() == PENDING).await;
    flood.end().await;
    let honest = scene.somebody_who_works(&forge).await;
    until("the request with the most work", async || scene.incoming().await.contains(&honest)).await;
    assert_eq!(watch.end().await, PENDING, "as many as there ever were at once");
    scene.goes_on().await;
}

/// The person, a contact of theirs, and nobody else.
struct Scene {
    victim: Peer,
    friend: Peer,
    _stage: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut victim = Peer::create(stage.path(), "victim", "Victor", "violinist").await;
        let mut friend = Peer::create(stage.path(), "friend", "Frida", "fiddler").await;
        victim.start(&["--listen", "127.0.0.1:0"]).await;
        friend.start(&["--listen", "127.0.0.1:0", "--join", &victim.door().to_string()]).await;
        victim.settle().await;
        friend.settle().await;
        befriend(&victim, &friend).await;
        Self { victim, friend, _stage: stage }
    }

    /// Those who wait for an answer.
    async fn incoming(&self) -> Vec<AccountKey> {
        incoming(&self.victim.client()).await
    }

    /// Something that the contact says is delivered.
    async fn friend_is_heard(&self, text: &str) {
        let request = SendRequest::new(self.victim.account().to_string(), text);
        let friend = self.friend.client();
        let id = friend.send(&request, &RequestId::generate().unwrap()).await.unwrap().id;
        let delivered = |state| matches!(state, MessageState::Delivered | MessageState::Read);
        until("a delivery", async || delivered(friend.trace(&id).await.unwrap().state)).await;
    }

    /// Somebody asks who has done more work than the whole flood.
    async fn somebody_who_works(&self, forge: &Forge) -> AccountKey {
        let [account, request] = forge.request(0, HONEST_WORK, true).try_into().unwrap();
        let honest = DeviceList::decode(&account.body().payload).unwrap().body().account;
        for holder in [&self.victim, &self.friend] {
            let stranger = Stranger::connect(holder.door()).await;
            for record in [&account, &request] {
                let answer = stranger.ask(&Request::Store(record.clone())).await;
                assert_eq!(answer, Response::Stored(StoreOutcome::Stored));
            }
        }
        honest
    }

    /// The contact is one still, all that they said is there once, and the peer has not grown.
    async fn goes_on(mut self) {
        assert!(self.victim.stands(self.friend.account(), ContactState::Accepted).await);
        self.friend_is_heard("still there?").await;
        assert_eq!(self.victim.history(self.friend.account()).await.len(), LINES + 1);
        let memory = largest_kib(self.victim.pid());
        println!("{memory} KiB at most");
        assert!(memory < MEMORY_KIB, "{memory} KiB");
        self.victim.stop().await;
        assert!(!self.victim.said().contains("panicked"), "{}", self.victim.said());
    }
}

/// What the victim's user sees, all the while.
struct Watch {
    ends: Arc<AtomicBool>,
    most: tokio::task::JoinHandle<usize>,
}

impl Watch {
    fn begin(victim: Client) -> Self {
        let ends = Arc::<AtomicBool>::default();
        let end = Arc::clone(&ends);
        let most = tokio::spawn(async move {
            let (mut most, mut pace) = (0, pace());
            while !end.load(Ordering::SeqCst) {
                most = most.max(incoming(&victim).await.len());
                pace.tick().await;
            }
            most
        });
        Self { ends, most }
    }

    /// The most requests that ever waited.
    async fn end(self) -> usize {
        self.ends.store(true, Ordering::SeqCst);
        self.most.await.unwrap()
    }
}

/// Who waits for an answer.
async fn incoming(client: &Client) -> Vec<AccountKey> {
    let contacts = client.contacts().await.unwrap().contacts;
    let waits = contacts.iter().filter(|contact| contact.state == ContactState::Incoming);
    waits.map(|contact| contact.account).collect()
}

/// What one stranger is to store.
type Share = Vec<Record>;

/// Strangers who send their shares over and over.
struct Flood {
    tally: Arc<Tally>,
    strangers: JoinSet<()>,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    /// Requests that a holder has taken or refused.
    stored: AtomicUsize,
    outcomes: Mutex<BTreeMap<String, usize>>,
    ends: AtomicBool,
}

impl Flood {
    fn begin(scene: &Scene, forge: &Arc<Forge>) -> Self {
        let mut flood = Self { tally: Arc::default(), strangers: JoinSet::new() };
        let doors = [scene.victim.door(), scene.friend.door()];
        let smiths = Arc::new(Semaphore::new(SMITHS));
        for number in 0..STRANGERS {
            let door = doors[number % doors.len()];
            let (forge, tally) = (Arc::clone(forge), Arc::clone(&flood.tally));
            let smiths = Arc::clone(&smiths);
            flood.strangers.spawn(async move {
                let smith = smiths.acquire_owned().await.unwrap();
                let share = spawn_blocking(move || forge.share(number)).await.unwrap();
                drop(smith);
                tally.say_over_and_over(&Stranger::connect(door).await, &share).await;
            });
        }
        flood
    }

    /// Requests that a holder has taken or refused.
    fn stored(&self) -> usize {
        self.tally.stored.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.tally.ends.store(true, Ordering::SeqCst);
        self.strangers.join_all().await;
        println!("{:?}", self.tally.outcomes.lock().unwrap());
    }
}

impl Tally {
    /// Sends a share until the flood ends.
    async fn say_over_and_over(&self, stranger: &Stranger, share: &Share) {
        for (number, record) in share.iter().cycle().enumerate() {
            if self.ends.load(Ordering::SeqCst) {
                break;
            }
            let outcome = store(stranger, record).await;
            *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
            let first = record.body().kind == RecordKind::Deposit && number < share.len();
            self.stored.fetch_add(usize::from(first), Ordering::SeqCst);
        }
    }
}

/// Has a record stored, as soon as the holder listens.
async fn store(stranger: &Stranger, record: &Record) -> String {
    let mut pace = pace();
    loop {
        match stranger.ask(&Request::Store(record.clone())).await {
            Response::Refused(Refusal::RateLimited | Refusal::Busy) => pace.tick().await,
            Response::Stored(outcome) => return format!("{outcome:?}"),
            other => panic!("{other:?}"),
        };
    }
}

/// Makes requests to one person.
struct Forge {
    bundle: Bundle,
    now: UnixSeconds,
}

impl Forge {
    /// Reads where the victim is asked.
    async fn open(scene: &Scene) -> Self {
        let stranger = Stranger::connect(scene.victim.door()).await;
        let account = RecordKey::for_account(&scene.victim.account());
        let list = read(&stranger, account, RecordKind::Account).await;
        let list = DeviceList::decode(&list.body().payload).unwrap();
        let device = list.body().active().next().unwrap().key();
        let bundle = read(&stranger, RecordKey::for_bundle(&device), RecordKind::Bundle).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self { bundle: Bundle::decode(&bundle.body().payload).unwrap(), now: UnixSeconds::new(now) }
    }

    /// What one stranger is to store.
    fn share(&self, stranger: usize) -> Share {
        let mut share = Share::new();
        for number in (stranger..REQUESTS).step_by(STRANGERS) {
            let good = number % GOOD == 0;
            let work = if good { GOOD_WORK[number / GOOD % GOOD_WORK.len()] } else { LEAST_WORK };
            share.extend(self.request(number, work, good));
        }
        share
    }

    /// The request of a new account, which may be found: then its record comes first.
    fn request(&self, number: usize, work: u8, found: bool) -> Vec<Record> {
        let account = AccountSecret::from_seed(&Secret::random(&mut rand::rng()));
        let device = DeviceSecret::from_seed(&Secret::random(&mut rand::rng()));
        let cert = self.certify(&account, &device);
        let list = VerifiedDeviceList::found(&account, vec![cert.clone()], None, self.now).unwrap();
        let body = ContactRequestBody {
            recipient: self.bundle.device,
            account: account.public(),
            device_certs: vec![cert.encode()],
            device_list: list.hash(),
            reply_inbox: MailboxAddress::new([1; 32]),
            locator: LocatorKey::new([2; 32]),
            read_key: ReadKey::new([3; 32]),
            name: format!("Stranger {number}"),
            note: "buy my boots".to_owned(),
            one_time_key: OlmKey::new([4; 32]),
            issued: self.now,
        };
        let published = found.then(|| {
            let key = RecordKey::for_account(&account.public());
            let record = self.record(key, RecordKind::Account, list.list().encode(), &device);
            self.stamped(&record, StampSubject::Publisher(device.publisher()), LEAST_WORK)
        });
        published.into_iter().chain([self.deposit(&body, &device, work)]).collect()
    }

    fn certify(&self, account: &AccountSecret, device: &DeviceSecret) -> DeviceCert {
        let body = DeviceCertBody {
            account: account.public(),
            device: device.public(),
            olm_identity: OlmKey::new([5; 32]),
            created: self.now,
            can_certify: true,
        };
        issue_cert(&body, accept_cert(&body, device).unwrap(), Authority::Account(account)).unwrap()
    }

    /// Sealed to the victim, and signed by a depositor who is never heard of again.
    fn deposit(&self, body: &ContactRequestBody, device: &DeviceSecret, work: u8) -> Record {
        let mailbox = self.bundle.request_inbox;
        let (epoch, key) = (self.bundle.inbox_epoch, &self.bundle.inbox_key);
        let to = Destination { device: self.bundle.device, mailbox, epoch, key };
        let envelope = seal_request(body, device, to, &mut rand::rng()).unwrap();
        let depositor = DepositorSecret::from_seed(&Secret::random(&mut rand::rng()));
        let key = RecordKey::for_mailbox(&mailbox);
        let request = self.record(key, RecordKind::Deposit, envelope.encode(), &depositor);
        self.stamped(&request, StampSubject::Request(request.id()), work)
    }

    fn record(&self, key: RecordKey, kind: RecordKind, payload: Vec<u8>, by: &impl SigningSecret) -> Record {
        let body = RecordBody {
            key,
            kind,
            publisher: by.publisher(),
            sequence: self.now.get(),
            issued: self.now,
            expires: self.now.after(limits::MAIL_LIFE),
            payload,
            tombstone: false,
        };
        sign_record(&body, by, None, None).unwrap()
    }

    fn stamped(&self, record: &Record, subject: StampSubject, bits: u8) -> Record {
        let policy = StampPolicy::for_network(&"test".parse().unwrap(), bits).unwrap();
        let mut search = StampSearch::new(subject, Month::of(self.now), policy, 0);
        loop {
            if let Some(stamp) = search.step(16) {
                return record.with_stamp(stamp);
            }
        }
    }
}

/// The record of a kind that lies under a key.
async fn read(stranger: &Stranger, key: RecordKey, kind: RecordKind) -> Record {
    let mut pace = pace();
    let reading = async {
        loop {
            match stranger.ask(&Request::Fetch(Fetch { key, kind, count: 1, peers: 0 })).await {
                Response::Records(mut found) if !found.records.is_empty() => return found.records.remove(0),
                _ => pace.tick().await,
            };
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a record in time")
}

/// The most memory that a process ever had.
fn largest_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
