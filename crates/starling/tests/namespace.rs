//! Nothing goes to anybody but peers: three of them live on a machine of their own, a network namespace, whose only way
//! out counts what takes it. Name lookups, relays, port mapping, multicast: all would be seen.
//!
//! It takes `unshare` (util-linux), `ip` (iproute2), and a kernel that lets this user make namespaces. Where one of them
//! is missing the test says so and passes; with `STARLING_NEED_NAMESPACE=1` in the environment it fails.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and tells what it saw"
)]

mod peers;

use std::cell::Cell;
use std::env;
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::Duration;

use peers::{Peer, befriend, until};
use starling_api::request_id::RequestId;
use starling_api::types::{MessageState, SendRequest};
use tokio::runtime::Runtime;
use tokio::time::Instant;

const TEST: &str = "no_packet_leaves_the_machine";
/// Set for the run of this test inside the namespace.
const INSIDE: &str = "STARLING_TEST_INSIDE_NAMESPACE";
/// Set by whoever wants no skipping.
const NEEDED: &str = "STARLING_NEED_NAMESPACE";

/// Loopback, and one way out that everything else takes. Without IPv6 there, since the kernel itself would announce the
/// interface; without ARP, since a packet must leave and be counted though nobody answers.
const MACHINE: &str = "
    test ! -e /proc/sys/net/ipv6 || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip link set lo up
    ip link add outside type veth peer name nowhere
    ip link set outside arp off
    ip address add 192.0.2.1/24 dev outside
    ip link set nowhere up
    ip link set outside up
    ip route add default dev outside";

/// How often the peers are heard of, out of silence, while nobody asks anything of them: they keep their connections
/// alive every few seconds.
const SIGNS_OF_LIFE: u8 = 2;
/// What counts as silence.
const SILENCE: Duration = Duration::from_secs(1);

#[test]
fn no_packet_leaves_the_machine() {
    if env::var_os(INSIDE).is_some() {
        return Runtime::new().unwrap().block_on(peers_live_their_life());
    }
    let possible = in_namespace("true", &[]);
    if !possible.status.success() {
        return skip(String::from_utf8_lossy(&possible.stderr).trim());
    }
    let this = env::current_exe().unwrap();
    let test = in_namespace(this.to_str().unwrap(), &[TEST, "--exact", "--nocapture"]);
    assert!(test.status.success(), "{test:?}");
    let said = String::from_utf8_lossy(&test.stdout);
    assert!(said.contains("1 passed"), "{said}");
    said.lines().filter(|line| line.contains("packets")).for_each(|line| println!("{line}"));
}

/// Runs a program on a machine that consists of it alone.
fn in_namespace(program: &str, words: &[&str]) -> Output {
    let script = format!("set -e\n{MACHINE}\nexec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--", "sh", "-c", &script, "sh", program]);
    command.args(words).env(INSIDE, "1");
    command.output().unwrap_or_else(|error| Output {
        status: std::os::unix::process::ExitStatusExt::from_raw(1 << 8),
        stdout: Vec::new(),
        stderr: format!("unshare: {error}").into_bytes(),
    })
}

#[expect(clippy::explicit_write, reason = "the test harness shows nothing of tests that pass, but for this")]
fn skip(why: &str) {
    let line = format!("SKIPPED {TEST}: no network namespace with a way out could be made here: {why}");
    assert!(env::var_os(NEEDED).is_none(), "{line}");
    writeln!(std::io::stderr(), "{line}").unwrap();
}

async fn peers_live_their_life() {
    let stage = tempfile::tempdir().unwrap();
    let mut ada = Peer::create(stage.path(), "ada", "Ada", "astronomer").await;
    let mut bob = Peer::create(stage.path(), "bob", "Bob", "baker").await;
    let mut eve = Peer::create(stage.path(), "eve", "Eve", "engineer").await;
    ada.start(&["--listen", "127.0.0.1:0"]).await;
    let door = ada.door().to_string();
    bob.start(&["--listen", "127.0.0.1:0", "--join", &door]).await;
    // As users start it: on all interfaces.
    eve.start(&["--join", &door]).await;
    for peer in [&ada, &bob, &eve] {
        peer.settle().await;
    }
    for (host, guest) in [(&ada, &bob), (&bob, &eve), (&eve, &ada)] {
        befriend(host, guest).await;
        talk(host, guest).await;
        talk(guest, host).await;
    }
    for _ in 0..SIGNS_OF_LIFE {
        silence().await;
        let before = sent_by("lo");
        until("a sign of life", async || sent_by("lo") > before).await;
    }
    println!("{} packets on loopback, {} to elsewhere", sent_by("lo"), sent_by("outside"));
    assert_eq!(sent_by("outside"), 0);
    // What the machine's resolver would get, if it is a local one, as others that are not there.
    assert_eq!(udp_to_nobody(), 0);
    the_counters_count();
}

/// Until the peers have done what there was to do.
async fn silence() {
    let last = Cell::new((sent_by("lo"), Instant::now()));
    until("silence", async || {
        let sent = sent_by("lo");
        if sent != last.get().0 {
            last.set((sent, Instant::now()));
        }
        last.get().1.elapsed() >= SILENCE
    })
    .await;
}

/// One stray packet each is seen.
fn the_counters_count() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.send_to(b"stray", "198.51.100.1:53").unwrap();
    assert_eq!(sent_by("outside"), 1);
    socket.send_to(b"stray", "127.0.0.53:53").unwrap();
    assert_eq!(udp_to_nobody(), 1);
}

async fn talk(from: &Peer, to: &Peer) {
    let request = SendRequest::new(to.account().to_string(), "hello");
    let id = from.client().send(&request, &RequestId::generate().unwrap()).await.unwrap().id;
    let arrived = async || from.client().trace(&id).await.unwrap().state == MessageState::Delivered;
    until("a delivery", arrived).await;
}

/// Packets that an interface of this machine has sent.
fn sent_by(interface: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let name = format!("{interface}:");
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(&name)).unwrap();
    // Eight columns of what was received, then bytes and packets sent.
    line.split_whitespace().nth(9).unwrap().parse().unwrap()
}

/// Datagrams to ports of this machine where nobody listens.
fn udp_to_nobody() -> u64 {
    let table = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split_whitespace().position(|name| name == "NoPorts").unwrap();
    values.split_whitespace().nth(at).unwrap().parse().unwrap()
}
