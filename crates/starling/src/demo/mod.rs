//! The demonstration: real peers on this machine, each with its own home and sockets, and what they do together.
//!
//! Each act makes one claim, sees to it that it is true, and says how long that took. What is not seen to is not
//! claimed.

mod cast;
mod echo;
mod peer;
mod talking;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use starling_api::types::{Code, Mode, SearchRequest};
use tokio::time::Instant;

use self::cast::people;
use self::peer::{DemoPeer, broken};
use crate::failure::Failure;

/// How long one act may take. All of them together end within 45 seconds on two cores; this is for slow machines.
const ACT: Duration = Duration::from_secs(60);

/// One act, as it is told and as programs read it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Act {
    /// Its name, for programs.
    name: &'static str,
    /// Whether what it claims happened.
    ok: bool,
    /// How long it took.
    took_ms: u64,
    /// What happened, in a sentence.
    pub(crate) detail: String,
}

impl Act {
    /// Seconds, as a person reads them.
    pub(crate) fn seconds(&self) -> String {
        format!("{}.{:03} s", self.took_ms / 1000, self.took_ms % 1000)
    }
}

/// The peers on their stage.
pub(crate) struct Demo {
    stage: tempfile::TempDir,
    network: String,
    peers: Vec<DemoPeer>,
}

impl Demo {
    /// An empty stage.
    ///
    /// # Errors
    /// There is no room for temporary files, or no randomness.
    pub(crate) fn new() -> Result<Self, Failure> {
        let stage = tempfile::Builder::new().prefix("starling-demo-").tempdir().map_err(|error| {
            Failure::new(Code::Failed, format!("no temporary directory: {error}"), "make room, or set TMPDIR")
        })?;
        // A network of its own: nobody else's peers are met, and none of these meet anybody.
        let network = format!("demo-{:08x}", rand::random::<u32>());
        Ok(Self { stage, network, peers: Vec::new() })
    }

    /// Plays all acts, telling each as it ends.
    ///
    /// # Errors
    /// The first claim that did not come true.
    pub(crate) async fn play(
        &mut self,
        count: usize,
        mut tell: impl FnMut(&Act) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut begun = Instant::now();
        let mut told = |name: &'static str, detail: String| {
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            begun = Instant::now();
            tell(&Act { name, ok: true, took_ms, detail })
        };
        told("accounts", self.make_accounts(count).await?)?;
        told("join", self.join().await?)?;
        told("list", self.list().await?)?;
        for words in [&["astro"][..], &["beek", "climb"], &["chess", "lisbon"]] {
            told("search", self.search(words).await?)?;
        }
        told("everyone", self.everyone_finds_everyone().await?)?;
        told("nobody", self.nobody().await?)?;
        told("befriend", self.befriend().await?)?;
        if let Some(invited) = self.invite().await? {
            told("invite", invited)?;
        }
        told("chat", self.chat().await?)?;
        told("away", self.away().await?)
    }

    async fn make_accounts(&mut self, count: usize) -> Result<String, Failure> {
        for person in people(count) {
            self.peers.push(DemoPeer::create(self.stage.path(), person).await?);
        }
        Ok(format!("{count} people made an account, each in a home of their own"))
    }

    /// The first starts a network, each other joins through the one before it.
    async fn join(&mut self) -> Result<String, Failure> {
        let deadline = act_ends();
        let mut door = None;
        for peer in &mut self.peers {
            peer.start(&self.network, door.as_ref(), deadline).await?;
            door = Some(peer.door().await?);
        }
        let others = u64::try_from(self.peers.len().saturating_sub(1)).unwrap_or(u64::MAX);
        // A bucket holds twenty, so in a larger cast not everybody knows everybody.
        let known = others.min(15);
        for peer in &self.peers {
            let joined = |status: &starling_api::types::Status| {
                status.routing_table.peers >= known && status.mode == Mode::Server
            };
            peer.wait_for("joining", deadline, joined).await?;
        }
        Ok(format!(
            "{} peers are one network with no server: the first knew nobody, each other joined through one of them, \
             and every one now knows at least {known} and can be dialled",
            self.peers.len()
        ))
    }

    async fn list(&mut self) -> Result<String, Failure> {
        let deadline = act_ends();
        let mut entries: u64 = 0;
        for peer in &self.peers {
            let listed = |status: &starling_api::types::Status| {
                status.entries.wanted > 0 && status.entries.placed == status.entries.wanted
            };
            let status = peer.wait_for("being listed", deadline, listed).await?;
            entries = entries.saturating_add(status.entries.wanted);
        }
        Ok(format!(
            "everybody is in the directory: {entries} signed entries lie with the peers closest to their words"
        ))
    }

    /// One person searches; what is found must be exactly who has all these words.
    async fn search(&self, words: &[&str]) -> Result<String, Failure> {
        let seeker = self.peers.last().ok_or_else(|| broken("there is nobody to search"))?;
        let found = self.find(seeker, words).await?;
        let typed = words.join(" ");
        let who = if found.is_empty() { "nobody".to_owned() } else { found.join(", ") };
        Ok(format!("{} searches \"{typed}\" and finds {who}", seeker.person.name))
    }

    /// The names of those who match all the words, after comparing them with who should.
    async fn find(&self, seeker: &DemoPeer, words: &[&str]) -> Result<Vec<String>, Failure> {
        let request =
            SearchRequest { words: words.iter().map(|word| (*word).to_owned()).collect(), limit: 50 };
        let reply = seeker.client()?.search(&request).await?;
        let matching = reply.results.iter().filter(|hit| hit.matched == hit.total_words);
        let mut found: Vec<String> = matching.map(|hit| hit.name.clone()).collect();
        found.sort();
        let others =
            self.peers.iter().filter(|peer| !std::ptr::eq(*peer, seeker) && peer.person.has_all(words));
        let mut wanted: Vec<String> = others.map(|peer| peer.person.name.clone()).collect();
        wanted.sort();
        if found == wanted {
            return Ok(found);
        }
        let seeker = &seeker.person.name;
        Err(broken(format!("{seeker} searched {words:?} and found {found:?} instead of {wanted:?}")))
    }

    async fn everyone_finds_everyone(&self) -> Result<String, Failure> {
        let mut searches: usize = 0;
        for (number, seeker) in self.peers.iter().enumerate() {
            let wanted = self.peers.iter().cycle().nth(number.saturating_add(1));
            let Some(wanted) = wanted.filter(|wanted| !std::ptr::eq(*wanted, seeker)) else { continue };
            let words = two_words(&wanted.person.name, &wanted.person.about);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.find(seeker, &words).await?;
            searches = searches.saturating_add(1);
        }
        Ok(format!(
            "{searches} more searches, by the beginnings of two words each: everybody finds their neighbour"
        ))
    }

    async fn nobody(&self) -> Result<String, Failure> {
        let seeker = self.peers.first().ok_or_else(|| broken("there is nobody to search"))?;
        let found = self.find(seeker, &["zeppelin"]).await?;
        let seeker = &seeker.person.name;
        if found.is_empty() {
            Ok(format!("{seeker} searches \"zeppelin\" and finds nobody, as it should be"))
        } else {
            Err(broken("zeppelins"))
        }
    }

    /// Ends every peer.
    ///
    /// # Errors
    /// The first that did not end well; the others are ended all the same.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for peer in &mut self.peers {
            let stopped = peer.stop().await;
            if outcome.is_ok() {
                outcome = stopped;
            }
        }
        outcome
    }

    /// Leaves the peers running and says where their homes are.
    pub(crate) fn keep(self) -> Vec<PathBuf> {
        let homes = self.peers.into_iter().map(DemoPeer::release).collect();
        let _ = self.stage.keep();
        homes
    }
}

/// When an act that begins now must have happened.
fn act_ends() -> Instant {
    Instant::now().checked_add(ACT).unwrap_or_else(Instant::now)
}

/// The beginning of a name and of a trade, as somebody types them.
fn two_words(name: &str, about: &str) -> [String; 2] {
    let beginning =
        |text: &str| text.to_lowercase().chars().take_while(|c| c.is_alphanumeric()).take(4).collect();
    [beginning(name), beginning(about)]
}
