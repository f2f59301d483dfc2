//! Twenty peers on one machine, a process each: everybody finds everybody, and what random pairs say to each other
//! arrives exactly once and in order, though one peer leaves and comes back elsewhere and another is killed.
//!
//! `STARLING_SEED=7 cargo test -p starling --test crowd` plays the pairs of a run that printed `seed 7` once more.
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
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use peers::{PATIENCE, Peer, pace, until};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use starling_api::client::{Client, ClientError};
use starling_api::request_id::RequestId;
use starling_api::types::{
    ChangeContactRequest, ContactChange, ContactState, Message, MessageState, SearchRequest, SendRequest,
};
use starling_proto::ids::AccountKey;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const NAMES: [&str; 5] = ["Amina", "Bruno", "Chiara", "Dmitri", "Elif"];
const TRADES: [&str; 4] = ["astronomer", "beekeeper", "carpenter", "doctor"];
/// Everybody is somebody else by name and trade together, and nobody by one of them.
const CROWD: usize = NAMES.len() * TRADES.len();
/// Pairs that talk; many people are in several.
const PAIRS: usize = 20;
/// Lines that each of a pair says to the other.
const LINES: usize = 100;
/// Lines said when the peers go that leave and are killed: in the middle of the exchange.
const BEFORE: usize = 30;
/// The rest is said when they have gone, and by themselves when they are back.
const MEANWHILE: usize = 80;

/// Two people, by their numbers.
type Pair = (usize, usize);

/// How far the story has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Everybody is there.
    Together,
    /// Two have gone.
    Apart,
    /// They are back.
    Again,
}

struct Crowd {
    peers: Vec<Peer>,
    accounts: Vec<AccountKey>,
    _stage: TempDir,
}

/// One person writing to another.
struct Author {
    home: PathBuf,
    reader: AccountKey,
    lines: Vec<String>,
    said: Arc<AtomicUsize>,
    phase: watch::Receiver<Phase>,
    /// When the last lines are said.
    last_lines: Phase,
}

#[tokio::test(flavor = "multi_thread")]
async fn all_find_each_other_and_what_they_say_arrives_once_and_in_order() {
    let seed = std::env::var("STARLING_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let pairs = pairs(seed);
    let mut told = Instant::now();
    let mut tell = |what: &str| {
        println!("{what}: {} ms", told.elapsed().as_millis());
        told = Instant::now();
    };
    let mut crowd = Crowd::gather().await;
    tell("gathered");
    crowd.everybody_finds_everybody().await;
    tell("found");
    crowd.befriend(&pairs).await;
    tell("befriended");
    crowd.talk(&pairs).await;
    tell("talked");
}

/// Different pairs of different people, in random order.
fn pairs(seed: u64) -> Vec<Pair> {
    let mut all: Vec<Pair> =
        (0..CROWD).flat_map(|one| (one + 1..CROWD).map(move |other| (one, other))).collect();
    all.shuffle(&mut StdRng::seed_from_u64(seed));
    all.truncate(PAIRS);
    all
}

/// The two words by which a person is found.
fn words(number: usize) -> [&'static str; 2] {
    [NAMES[number % NAMES.len()], TRADES[number % TRADES.len()]]
}

/// What one person says to another.
fn lines(author: usize, reader: usize) -> Vec<String> {
    (0..LINES).map(|line| format!("{author} to {reader}, line {line}")).collect()
}

impl Crowd {
    /// Starts everybody; all but the first join through the first.
    async fn gather() -> Self {
        let stage = tempfile::tempdir().unwrap();
        let mut peers: Vec<Peer> = Vec::new();
        for number in 0..CROWD {
            let [name, trade] = words(number);
            let mut peer = Peer::create(stage.path(), &number.to_string(), name, trade).await;
            match peers.first() {
                None => peer.start(&["--listen", "127.0.0.1:0"]).await,
                Some(first) => {
                    peer.start(&["--listen", "127.0.0.1:0", "--join", &first.door().to_string()]).await;
                }
            }
            peers.push(peer);
        }
        for peer in &peers {
            peer.settle().await;
        }
        let accounts = peers.iter().map(Peer::account).collect();
        Self { peers, accounts, _stage: stage }
    }

    /// Each searches each other by two words, all at once.
    async fn everybody_finds_everybody(&self) {
        let mut searches = JoinSet::new();
        for (number, seeker) in self.peers.iter().enumerate() {
            let wanted: Vec<Pair> =
                (0..CROWD).filter(|other| *other != number).map(|other| (number, other)).collect();
            searches.spawn(missing(seeker.client(), wanted, self.accounts.clone()));
        }
        let missing: Vec<Pair> = searches.join_all().await.concat();
        let searches = CROWD * (CROWD - 1);
        println!("{} of {searches} searches found exactly who was meant", searches - missing.len());
        assert_eq!(missing, [], "who did not find whom");
    }

    /// One of each pair asks, the other accepts.
    async fn befriend(&self, pairs: &[Pair]) {
        for (asker, asked) in pairs {
            self.peers[*asker].add(self.accounts[*asked].to_string()).await;
        }
        for (asker, asked) in pairs {
            let (asked, asker) = (&self.peers[*asked], self.accounts[*asker]);
            until("a contact request", async || asked.stands(asker, ContactState::Incoming).await).await;
            let request =
                ChangeContactRequest { who: asker.to_string(), change: ContactChange::Accept, petname: None };
            asked.client().change_contact(&request).await.unwrap();
        }
        for (one, other) in pairs.iter().flat_map(both_ways) {
            let (peer, account) = (&self.peers[one], self.accounts[other]);
            until("an agreement", async || peer.stands(account, ContactState::Accepted).await).await;
        }
    }

    /// All pairs talk at once; in the middle of it one peer leaves and another is killed, and both come back.
    async fn talk(&mut self, pairs: &[Pair]) {
        let (leaves, killed) = two_who_go(pairs);
        let (phase, told) = watch::channel(Phase::Together);
        let (mut authors, mut said) = (JoinSet::new(), Vec::new());
        for (author, reader) in pairs.iter().flat_map(both_ways) {
            let goes = author == leaves || author == killed;
            let writing = self.author(author, reader, goes, told.clone());
            said.push(((author, reader), Arc::clone(&writing.said)));
            authors.spawn(writing.write());
        }
        let at_least = |lines: usize, of: &dyn Fn(Pair) -> bool| {
            said.iter().filter(|(pair, _)| of(*pair)).all(|(_, said)| said.load(Ordering::SeqCst) >= lines)
        };
        until("the first lines", async || {
            at_least(BEFORE, &|(author, _)| author == leaves || author == killed)
        })
        .await;
        let before = self.peers[leaves].door();
        self.peers[killed].kill().await;
        self.peers[leaves].stop().await;
        phase.send(Phase::Apart).unwrap();
        let stay = |(author, _): Pair| author != leaves && author != killed;
        until("all lines of those who stayed", async || at_least(LINES, &stay)).await;
        self.peers[killed].start(&["--listen", "127.0.0.1:0"]).await;
        self.peers[leaves].start(&["--listen", "127.0.0.1:0"]).await;
        let after = self.peers[leaves].door();
        assert!(before.key == after.key && before.address != after.address, "the same peer at another port");
        phase.send(Phase::Again).unwrap();
        authors.join_all().await;
        self.nothing_waits().await;
        self.all_arrived(pairs).await;
        // The histories were read, so that receipts went out again.
        self.nothing_waits().await;
        self.all_arrived(pairs).await;
    }

    fn author(&self, author: usize, reader: usize, goes: bool, phase: watch::Receiver<Phase>) -> Author {
        Author {
            home: self.peers[author].home().to_owned(),
            reader: self.accounts[reader],
            lines: lines(author, reader),
            said: Arc::default(),
            phase,
            last_lines: if goes { Phase::Again } else { Phase::Apart },
        }
    }

    /// Every outbox is empty: all that was sent is confirmed.
    async fn nothing_waits(&self) {
        for (number, peer) in self.peers.iter().enumerate() {
            until(format!("an empty outbox of {number}"), async || peer.status().await.queued == 0).await;
        }
    }

    /// Both sides of each pair have each line once, each author's in order, and know of its delivery.
    async fn all_arrived(&self, pairs: &[Pair]) {
        for (here, there) in pairs.iter().flat_map(both_ways) {
            let history = self.peers[here].history(self.accounts[there]).await;
            let (ours, theirs): (Vec<&Message>, Vec<&Message>) =
                history.iter().partition(|message| message.mine);
            let texts = |messages: &[&Message]| {
                messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>()
            };
            assert_eq!(texts(&ours), lines(here, there), "what {here} said, at {here}");
            assert_eq!(texts(&theirs), lines(there, here), "what {there} said, at {here}");
            let arrived =
                |message: &&Message| matches!(message.state, MessageState::Delivered | MessageState::Read);
            assert!(ours.iter().all(arrived), "{ours:?}");
            assert!(theirs.iter().all(|message| message.from == self.accounts[there]), "{theirs:?}");
            let ids: BTreeSet<String> = history.iter().map(|message| message.id.to_string()).collect();
            assert_eq!(ids.len(), 2 * LINES);
        }
    }
}

/// Those of `wanted` whom the first of the pair does not find, or finds among others who do not match.
async fn missing(seeker: Client, wanted: Vec<Pair>, accounts: Vec<AccountKey>) -> Vec<Pair> {
    let mut missing = Vec::new();
    for pair in wanted {
        let request = SearchRequest { words: words(pair.1).map(str::to_owned).to_vec(), limit: 50 };
        let found = seeker.search(&request).await.unwrap().results;
        let matching = found.iter().filter(|hit| hit.matched == hit.total_words).map(|hit| hit.account);
        if !matching.eq([accounts[pair.1]]) {
            missing.push(pair);
        }
    }
    missing
}

/// Two people of different pairs.
fn two_who_go(pairs: &[Pair]) -> (usize, usize) {
    let leaves = pairs[0].0;
    let killed = pairs[1..].iter().flat_map(both_ways).map(|(one, _)| one).find(|one| *one != leaves);
    (leaves, killed.unwrap())
}

fn both_ways((one, other): &Pair) -> [Pair; 2] {
    [(*one, *other), (*other, *one)]
}

impl Author {
    /// Says line after line without waiting for any to arrive.
    async fn write(mut self) {
        let mut client = Client::open(&self.home).unwrap();
        for (number, line) in self.lines.iter().enumerate() {
            if number == MEANWHILE {
                self.phase.wait_for(|phase| *phase >= self.last_lines).await.unwrap();
            }
            let request = SendRequest::new(self.reader.to_string(), line.clone());
            timeout(PATIENCE, say(&self.home, &mut client, &request)).await.expect("a line taken in time");
            self.said.store(number + 1, Ordering::SeqCst);
        }
    }
}

/// Says one line, once: who does not know whether it was taken, because the peer ended meanwhile, repeats it under the
/// same request id.
async fn say(home: &Path, client: &mut Client, request: &SendRequest) {
    let id = RequestId::generate().unwrap();
    let mut pace = pace();
    while let Err(error) = client.send(request, &id).await {
        let gone = matches!(error, ClientError::NotRunning(_) | ClientError::Broken(_));
        assert!(gone, "{error}");
        pace.tick().await;
        if let Ok(anew) = Client::open(home) {
            *client = anew;
        }
    }
}
