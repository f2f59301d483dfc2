//! A played node, and HTTP by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use starling_api::announce::{Announcement, ApiAddress};
use starling_api::backend::{Backend, Cursor, EventFeed, NodeInfo, Notice};
use starling_api::client::Client;
use starling_api::server::{ApiServer, ServerConfig};
use starling_core::io::{Command, CommandError, CommandOutput, ErrorCode, Event};
use starling_core::publisher::Progress;
use starling_core::view;
use starling_overlay::holder::Usage;
use starling_overlay::overlay;
use starling_proto::ids::{AccountKey, DeviceKey, NodeKey};
use starling_proto::message::Mode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A node that answers at once and remembers what it was told.
pub(crate) struct PlayedNode {
    commands: Mutex<Vec<Command>>,
    events: watch::Sender<Vec<Notice>>,
}

impl PlayedNode {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { commands: Mutex::default(), events: watch::Sender::new(Vec::new()) })
    }

    /// Everything it was told.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.commands.lock().unwrap().clone()
    }

    /// Lets a peer appear.
    pub(crate) fn peer_up(&self, number: u8) {
        let event = Notice::Event(Event::PeerUp(NodeKey::new([number; 32])));
        self.events.send_modify(|events| events.push(event));
    }

    fn answer(command: &Command) -> Result<CommandOutput, CommandError> {
        Ok(match command {
            Command::Status => CommandOutput::Status(status()),
            Command::WhoAmI => CommandOutput::WhoAmI(whoami()),
            Command::ShowProfile => CommandOutput::Profile(view::Profile::default()),
            Command::SetProfile { name, .. } => {
                let name = name.clone().unwrap_or_default();
                CommandOutput::Profile(view::Profile { name, ..view::Profile::default() })
            }
            Command::SetListed(listed) => {
                CommandOutput::Profile(view::Profile { listed: *listed, ..view::Profile::default() })
            }
            Command::Search { words, .. } if words.iter().any(|word| word == "nobody") => {
                return Err(CommandError {
                    code: ErrorCode::NotFound,
                    message: "nobody says this about themselves".into(),
                    hint: "try fewer words".into(),
                });
            }
            Command::Search { words, limit } => CommandOutput::Search(found(words.len(), *limit)),
            Command::Join(peers) => CommandOutput::Joined { peers: peers.len() },
            other => panic!("no route gives {other:?}"),
        })
    }
}

impl Backend for PlayedNode {
    fn command(&self, command: Command) -> BoxFuture<'_, Result<CommandOutput, CommandError>> {
        let answer = Self::answer(&command);
        self.commands.lock().unwrap().push(command);
        async move { answer }.boxed()
    }

    fn events(&self, since: Option<&Cursor>) -> Result<EventFeed, CommandError> {
        let from = match since.map(|since| since.to_string().strip_prefix("run-").map(str::parse)) {
            None => self.events.borrow().len(),
            Some(Some(Ok(number))) => number,
            Some(_) => {
                let (message, hint) = ("no cursor of ours".into(), "leave it out".into());
                return Err(CommandError { code: ErrorCode::BadInput, message, hint });
            }
        };
        let place = (from, self.events.subscribe());
        let events = stream::unfold(place, |(next, mut events)| async move {
            let event = events.wait_for(|events| events.len() > next).await.ok()?[next].clone();
            Some(((cursor(next + 1), event), (next + 1, events)))
        });
        Ok(EventFeed { from: cursor(from), events: events.boxed() })
    }

    fn info(&self) -> NodeInfo {
        NodeInfo {
            account: whoami().account,
            node: whoami().node,
            addresses: vec!["192.0.2.1:4040".parse().unwrap()],
            join: None,
            database_bytes: Some(65_536),
        }
    }
}

pub(crate) fn cursor(number: usize) -> Cursor {
    format!("run-{number}").parse().unwrap()
}

fn whoami() -> view::WhoAmI {
    view::WhoAmI {
        account: AccountKey::new([1; 32]),
        device: DeviceKey::new([2; 32]),
        node: NodeKey::new([3; 32]),
        name: "Ada".into(),
        tag: "k7m2".into(),
    }
}

fn status() -> view::Status {
    let held = Usage {
        records: 5,
        welcome_bytes: 200,
        open_bytes: 1034,
        pool_bytes: 1 << 20,
        deletions: 0,
        damaged: 0,
    };
    let overlay = overlay::Status {
        mode: Mode::Server,
        addresses: vec!["198.51.100.7:4040".parse().unwrap()],
        peers: 3,
        buckets: vec![2, 1, 0],
        connected: 3,
        running: 0,
        waiting: 0,
        held,
    };
    view::Status { overlay, entries: Progress { wanted: 2, placed: 1 } }
}

fn found(total_words: usize, limit: usize) -> view::SearchResults {
    let hit = view::SearchHit {
        account: AccountKey::new([9; 32]),
        name: "Grace".into(),
        about: "sails".into(),
        matched: total_words,
        total_words,
        tag: "p3x9".into(),
        contact: false,
        look_alike: false,
    };
    view::SearchResults { results: vec![hit; limit.min(1)], left_out: 2, asked_holders: 20 }
}

/// A running server with its home and its node.
pub(crate) struct Door {
    pub(crate) home: TempDir,
    pub(crate) node: Arc<PlayedNode>,
    pub(crate) server: ApiServer,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let node = PlayedNode::new();
        let mut config = ServerConfig::new(home.path());
        change(&mut config);
        let server = ApiServer::start(config, Arc::clone(&node) as Arc<dyn Backend>).await.unwrap();
        Self { home, node, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self.server.address() {
            ApiAddress::Tcp(address) => *address,
            ApiAddress::Unix(_) => panic!("not on TCP"),
        }
    }

    pub(crate) fn token(&self) -> String {
        token(self.home.path())
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(self.home.path()).unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// A request that every check lets through.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Request {
        let mut headers = vec![
            ("Host".to_owned(), self.address().to_string()),
            ("Authorization".to_owned(), format!("Bearer {}", self.token())),
        ];
        if method == "POST" {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Request { method: method.to_owned(), path: path.to_owned(), headers, body: body.to_owned() }
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.to_string().as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }
}

pub(crate) fn token(home: &Path) -> String {
    Announcement::read(home).unwrap().token.reveal().to_owned()
}

/// A request, to be spoilt.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// With one more header.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another value for a header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With another path.
    pub(crate) fn at(mut self, path: String) -> Self {
        self.path = path;
        self
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path)?;
        for (name, value) in &self.headers {
            write!(f, "{name}: {value}\r\n")?;
        }
        write!(f, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads the first answer that comes: its head, and as much of its body as came with it or until the end.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while !Self::is_whole(&text) {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(got) => text.extend_from_slice(&piece[..got]),
            }
        }
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Whether the head and as many bytes as it promises are there; of a stream, the first piece is enough.
    fn is_whole(text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        match length.map(|length| length.parse::<usize>().unwrap()) {
            Some(length) => body.len() >= length,
            None => head.contains("chunked") && !body.is_empty(),
        }
    }

    /// The refusal's code.
    pub(crate) fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        json["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
