//! Real peers with real databases on disk, in one process.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part of what stands here")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use starling_core::Core;
use starling_core::config::Config;
use starling_core::identity::Identity;
use starling_core::io::{Command, CommandOutput, Event, Job, JobResult, Newcomer};
use starling_core::profile::Profile;
use starling_core::view::Message;
use starling_crypto::session::Vodozemac;
use starling_crypto::stamp::StampSearch;
use starling_node::{EndReason, EventStream, Machine, News, Node, NodeConfig, NodeHandle, NodeSecret, Work};
use starling_proto::addr::JoinAddr;
use starling_proto::content::MessageText;
use starling_proto::identity::Name;
use starling_proto::ids::AccountKey;
use starling_proto::time::{Now, Span, Tick, UnixMillis};
use starling_proto::version::NetworkName;
use starling_store::{Database, Home, Protection};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A person with a peer.
pub struct Person {
    pub handle: NodeHandle,
    pub account: AccountKey,
    pub home: TempDir,
    pub events: EventStream,
    /// The peer's key.
    pub secret: NodeSecret,
}

impl Person {
    /// Makes an account and starts its peer on loopback.
    pub async fn start(name: &str) -> Self {
        Self::start_as::<Core<Vodozemac>>(name, |core| core).await
    }

    /// The same with another machine; `config` makes its configuration of the core's.
    pub async fn start_as<M: Machine>(name: &str, config: impl FnOnce(Config) -> M::Config) -> Self {
        let home = tempfile::tempdir().unwrap();
        let lock = Home::create(home.path()).unwrap().lock().unwrap();
        let mut rng = StdRng::try_from_rng(&mut SysRng).unwrap();
        let mut own = StdRng::from_rng(&mut rng);
        let profile = Profile::new(Name::new(name).unwrap());
        let wall = UnixMillis::new(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64,
        );
        let now = Now { tick: Tick::ZERO, wall };
        let database = Home::set_up(&lock, &Protection::None, &mut rng, |database| {
            Identity::create::<Vodozemac>(database, &profile, now, &mut own).map(|_| ()).map_err(Broken::from)
        });
        Self::run::<M>(home, database.unwrap(), config).await
    }

    /// Ends the peer and starts it again from its database, at another port.
    pub async fn restart_as<M: Machine>(self, config: impl FnOnce(Config) -> M::Config) -> Self {
        let home = self.stop().await;
        let opened = Home::open(home.path()).unwrap();
        let lock = opened.lock().unwrap();
        let database = Database::open(&lock, &opened.unlock(None).unwrap()).unwrap();
        Self::run::<M>(home, database, config).await
    }

    async fn run<M: Machine>(
        home: TempDir,
        database: Database,
        config: impl FnOnce(Config) -> M::Config,
    ) -> Self {
        let identity = Identity::load(&database).unwrap();
        let network = network();
        let core = Config::of(&network);
        let secret = NodeSecret::new(*identity.node().seed().expose());
        let mut node = NodeConfig::new(network, secret.clone());
        node.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let handle = Node::start::<M, Database>(node, config(core), database, work()).await.unwrap();
        let events = handle.events(None);
        Self { handle, account: identity.account(), home, events, secret }
    }

    /// What others join through.
    pub fn door(&self) -> JoinAddr {
        self.handle.info().join().expect("an address on loopback")
    }

    pub async fn join(&self, door: JoinAddr) {
        self.handle.command(Command::Join(vec![door])).await.unwrap();
    }

    /// Invites somebody, who answers; ends when both know.
    pub async fn befriend(&mut self, other: &mut Self) {
        let invite = Command::Invite { life: Span::from_days(1), addresses: self.handle.info().addresses };
        let Ok(CommandOutput::Invite(invite)) = self.handle.command(invite).await else {
            panic!("an invite")
        };
        let add = Command::AddContact { whom: Newcomer::Invite(invite), note: "we met".into() };
        other.handle.command(add).await.unwrap();
        other.wait_for(|event| matches!(event, Event::ContactAccepted { .. })).await;
        self.wait_for(|event| matches!(event, Event::ContactAccepted { .. })).await;
    }

    pub async fn say(&self, to: &Self, text: &str) -> Message {
        let text = MessageText::new(text).unwrap().into();
        let send = Command::Send { who: to.account.to_string(), text, request: None };
        match self.handle.command(send).await {
            Ok(CommandOutput::Sent(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    pub async fn messages(&self, with: &Self) -> Vec<Message> {
        let who = with.account.to_string();
        match self.handle.command(Command::Messages { who, before: None, limit: 500, text: None }).await {
            Ok(CommandOutput::Messages(messages)) => messages,
            other => panic!("{other:?}"),
        }
    }

    /// The next event that is as wanted.
    pub async fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let waiting = async {
            loop {
                match self.events.next().await.expect("the node runs").what {
                    News::Event(event) if wanted(&event) => return event,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it happens in time")
    }

    pub async fn stop(self) -> TempDir {
        assert_eq!(self.handle.shutdown().await, EndReason::ShutDown);
        self.home
    }
}

/// The network that all are on.
pub fn network() -> NetworkName {
    "talk-test".parse().unwrap()
}

/// Whatever went wrong: these tests only stop.
#[derive(Debug)]
pub struct Broken(pub String);

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Looks until `look` sees what it wants; `what` says what was waited for.
pub async fn until(what: &str, look: impl AsyncFn() -> bool) {
    let waiting = async {
        let mut pace = tokio::time::interval(LOOK_AGAIN);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !look().await {
            pace.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not happen in time");
}

fn work() -> Work {
    Arc::new(|job, cancelled| match job {
        Job::Stamp { subject, month, policy, start } => {
            let mut search = StampSearch::new(*subject, *month, *policy, *start);
            while !cancelled.load(std::sync::atomic::Ordering::Relaxed) {
                if let Some(stamp) = search.step(16) {
                    return JobResult::Stamp(stamp);
                }
            }
            JobResult::Cancelled
        }
        _ => JobResult::Cancelled,
    })
}
