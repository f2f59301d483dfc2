//! Whatever strangers pour into a running peer's sockets: it stays up and small, answers its owner, and its contacts
//! reach it. Linux tells how large it is.
#![cfg(target_os = "linux")]
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

use std::net::{SocketAddr, UdpSocket};

use peers::{PATIENCE, Peer, befriend, until};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use starling_api::request_id::RequestId;
use starling_api::types::SendRequest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DATAGRAMS: usize = 10_000;
/// The longest datagram that IPv4 carries.
const LONGEST: usize = 65_507;
/// Connections to the API, one after the other.
const GREETINGS: usize = 200;
/// Resident memory of the peer at its largest, far above what it needs (some 40 MiB), in KiB.
const MEMORY_KIB: u64 = 256 * 1024;

/// A peer that is attacked, and a contact of its owner.
struct Scene {
    victim: Peer,
    friend: Peer,
    rng: StdRng,
    _stage: TempDir,
}

#[tokio::test(flavor = "multi_thread")]
async fn wir_01_stray_datagrams_of_every_size() {
    let mut scene = Scene::set().await;
    let (socket, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), scene.victim.door().address);
    for number in 0..DATAGRAMS {
        // Most are of the size that packets have.
        let size = scene.rng.random_range(0..if number % 10 == 0 { LONGEST + 1 } else { 1500 });
        let mut datagram = vec![0; size];
        scene.rng.fill_bytes(&mut datagram);
        if number % 2 == 0 {
            pretend_to_be_quic(&mut datagram);
        }
        socket.send_to(&datagram, to).unwrap();
    }
    scene.goes_on().await;
}

/// The beginning of a first packet of QUIC version 1, which a peer looks into more closely.
fn pretend_to_be_quic(datagram: &mut [u8]) {
    let beginning = [0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
    for (byte, begins) in datagram.iter_mut().zip(beginning) {
        *byte = begins;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_06_tls_and_noise_on_the_api_port() {
    let mut scene = Scene::set().await;
    let to: SocketAddr = scene.victim.ready().api.parse().unwrap();
    for number in 0..GREETINGS {
        let mut noise = vec![0; scene.rng.random_range(1..=100_000)];
        scene.rng.fill_bytes(&mut noise);
        let beginning: &[u8] = match number % 4 {
            // A greeting of TLS 1.2 that announces 16 KiB.
            0 => &[0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03],
            1 => b"GET /api/v1/status HTTP/1.1\r\nHost: ",
            2 => b"POST /api/v1/messages HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            _ => b"",
        };
        let stream = TcpStream::connect(to).await.unwrap();
        let answer = timeout(PATIENCE, pour(stream, &[beginning, &noise].concat())).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    scene.goes_on().await;
}

/// Sends all that it may, then reads what comes until the other side hangs up.
async fn pour(mut stream: TcpStream, noise: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    // A peer that hangs up in the middle of it does well.
    if stream.write_all(noise).await.is_ok() && stream.shutdown().await.is_ok() {
        let _ = stream.read_to_end(&mut answer).await;
    }
    answer
}

impl Scene {
    async fn set() -> Self {
        let seed =
            std::env::var("STARLING_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        println!("seed {seed}");
        let stage = tempfile::tempdir().unwrap();
        let mut victim = Peer::create(stage.path(), "victim", "Victor", "violinist").await;
        let mut friend = Peer::create(stage.path(), "friend", "Frida", "fiddler").await;
        victim.start(&["--listen", "127.0.0.1:0"]).await;
        friend.start(&["--listen", "127.0.0.1:0", "--join", &victim.door().to_string()]).await;
        victim.settle().await;
        friend.settle().await;
        befriend(&victim, &friend).await;
        Self { victim, friend, rng: StdRng::seed_from_u64(seed), _stage: stage }
    }

    /// The peer answers, hears from its contact, has not grown, and ends well when asked.
    async fn goes_on(mut self) {
        assert_eq!(self.victim.status().await.contacts.accepted, 1);
        let request = SendRequest::new(self.victim.account().to_string(), "still there?");
        self.friend.client().send(&request, &RequestId::generate().unwrap()).await.unwrap();
        let author = self.friend.account();
        until("the message", async || self.victim.history(author).await.len() == 1).await;
        let memory = largest_kib(self.victim.pid());
        println!("{memory} KiB at most");
        assert!(memory < MEMORY_KIB, "{memory} KiB");
        self.victim.stop().await;
        assert!(!self.victim.said().contains("panicked"), "{}", self.victim.said());
    }
}

/// The most memory that a process ever had.
fn largest_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
