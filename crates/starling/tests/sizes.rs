//! Networks of sizes at which something changes: one peer fewer than fill a bucket and a lookup's answer, and one more.
//! Everybody is listed and found by the neighbours, a request waits for somebody who is away, what is said arrives, and
//! whoever says how many holders there are says the truth.
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

use peers::{PATIENCE, Peer, until};
use starling_api::client::Events;
use starling_api::request_id::RequestId;
use starling_api::types::{
    ChangeContactRequest, ContactChange, ContactState, EventBody, MessageState, SearchRequest, SendRequest,
};
use starling_proto::ids::AccountKey;
use tempfile::TempDir;
use tokio::time::timeout;

const NAMES: [&str; 7] = ["Amina", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta"];
const TRADES: [&str; 3] = ["astronomer", "beekeeper", "carpenter"];
/// Who asks whom to be a contact, by their numbers.
const ASKS: usize = 1;
const ASKED: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn chn_07_nineteen_peers() {
    Village::of(19).await.lives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chn_07_twenty_one_peers() {
    Village::of(21).await.lives().await;
}

struct Village {
    peers: Vec<Peer>,
    /// What the one who asks is told.
    told: Events,
    accounts: Vec<AccountKey>,
    _stage: TempDir,
}

/// The two words by which a person is found, and nobody else.
const fn words(number: usize) -> [&'static str; 2] {
    [NAMES[number % NAMES.len()], TRADES[number % TRADES.len()]]
}

impl Village {
    /// Starts so many; all but the first join through the first.
    async fn of(size: usize) -> Self {
        assert!(size <= NAMES.len() * TRADES.len(), "everybody has a name and trade of their own");
        let stage = tempfile::tempdir().unwrap();
        let (mut peers, mut told): (Vec<Peer>, _) = (Vec::new(), None);
        for number in 0..size {
            let [name, trade] = words(number);
            let mut peer = Peer::create(stage.path(), &number.to_string(), name, trade).await;
            let door = peers.first().map(|first| first.door().to_string());
            let join = door.iter().flat_map(|door| ["--join", door]);
            peer.start(&["--listen", "127.0.0.1:0"].into_iter().chain(join).collect::<Vec<_>>()).await;
            if number == ASKS {
                // The stream connects when it is first read, and those who come next are told of.
                let mut events = peer.client().events(None);
                told = Some(tokio::spawn(async move { events.next().await.map(|_| events) }));
            }
            peers.push(peer);
        }
        // All their entries are placed: they are listed.
        for peer in &peers {
            peer.settle().await;
        }
        let accounts = peers.iter().map(Peer::account).collect();
        let told = timeout(PATIENCE, told.unwrap()).await.expect("an event in time").unwrap().unwrap();
        Self { peers, told, accounts, _stage: stage }
    }

    async fn lives(mut self) {
        self.neighbours_find_each_other().await;
        self.a_request_waits_and_its_holders_are_counted().await;
        self.a_message_goes_across().await;
        for peer in &self.peers {
            assert!(!peer.said().contains("panicked"), "{}", peer.said());
        }
    }

    /// Each searches the one before and the one after, and hears of as many holders as there can be.
    async fn neighbours_find_each_other(&self) {
        let size = self.peers.len();
        for number in 0..size {
            let next = (number + 1) % size;
            self.finds(number, next).await;
            self.finds(next, number).await;
        }
    }

    async fn finds(&self, seeker: usize, wanted: usize) {
        let request = SearchRequest { words: words(wanted).map(str::to_owned).to_vec(), limit: 50 };
        let reply = self.peers[seeker].client().search(&request).await.unwrap();
        let whole = reply.results.iter().filter(|hit| hit.matched == hit.total_words).map(|hit| hit.account);
        assert!(whole.eq([self.accounts[wanted]]), "{seeker} seeks {wanted}: {reply:?}");
        let (holders, most) = (usize::try_from(reply.asked_holders).unwrap(), self.peers.len());
        assert!((1..=most).contains(&holders), "{holders} of {} peers answered", self.peers.len());
    }

    /// Somebody is asked who is away, so that the request stays where it lies. In a network as small as this all who are
    /// there may hold everything: the asker says how many do, and so many records more there are.
    async fn a_request_waits_and_its_holders_are_counted(&mut self) {
        self.peers[ASKED].stop().await;
        let there: Vec<usize> = (0..self.peers.len()).filter(|number| *number != ASKED).collect();
        let before = self.held(&there).await;
        self.peers[ASKS].add(self.accounts[ASKED].to_string()).await;
        let said = holders_said(&mut self.told).await;
        println!("{said} of {} holders counted", there.len());
        // Where a store times out under load its holder is not counted.
        assert!(said <= there.len() && said * 10 >= there.len() * 9, "{said} of {}", there.len());
        let more = u64::try_from(said).unwrap();
        until("as many records as it says", async || self.held(&there).await >= before + more).await;
        let door = self.peers[0].door().to_string();
        self.peers[ASKED].start(&["--listen", "127.0.0.1:0", "--join", &door]).await;
    }

    /// How many records they have, together.
    async fn held(&self, there: &[usize]) -> u64 {
        let mut held = 0;
        for number in there {
            held += self.peers[*number].status().await.held.records;
        }
        held
    }

    /// The request is answered, and a text goes from one to the other.
    async fn a_message_goes_across(&self) {
        let (asks, asked) = (&self.peers[ASKS], &self.peers[ASKED]);
        until("a contact request", async || asked.stands(asks.account(), ContactState::Incoming).await).await;
        let who = asks.account().to_string();
        let accept = ChangeContactRequest { who, change: ContactChange::Accept, petname: None };
        asked.client().change_contact(&accept).await.unwrap();
        until("an agreement", async || asks.stands(asked.account(), ContactState::Accepted).await).await;
        let request = SendRequest::new(asked.account().to_string(), "well met");
        let id = asks.client().send(&request, &RequestId::generate().unwrap()).await.unwrap().id;
        let arrived = |state| matches!(state, MessageState::Delivered | MessageState::Read);
        until("a delivery", async || arrived(asks.client().trace(&id).await.unwrap().state)).await;
        let history = asked.history(asks.account()).await;
        assert_eq!(history.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["well met"]);
    }
}

/// How many peers hold the request, as its author is told.
async fn holders_said(events: &mut Events) -> usize {
    let listening = async {
        loop {
            if let EventBody::RequestStored { holders, .. } = events.next().await.unwrap().event {
                return usize::try_from(holders).unwrap();
            }
        }
    };
    timeout(PATIENCE, listening).await.expect("a stored request in time")
}
