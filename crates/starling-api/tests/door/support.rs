//! A server before a played node, HTTP by hand, and the log.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use starling_api::announce::{Announcement, ApiAddress};
use starling_api::backend::Backend;
use starling_api::client::Client;
use starling_api::server::{ApiServer, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::played::PlayedNode;

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

/// Takes the log of this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes everything from now on, until the guards are dropped.
    pub(crate) fn take() -> (Self, (DefaultGuard, tracing::Dispatch)) {
        let log = Self::default();
        // While there is one subscriber only, a place in the code that another test's thread comes to first is switched
        // off for all threads: tracing then asks that thread alone. A second one makes it ask all.
        let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let subscriber =
            tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).finish();
        (log, (tracing::subscriber::set_default(subscriber), second))
    }

    /// What has been taken.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
