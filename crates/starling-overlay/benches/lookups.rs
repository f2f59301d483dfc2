//! Lookups among simulated overlays: requests, and CPU of all peers together, for joins and lookups.
//!
//! The shipping machine on a virtual clock; what is counted is the work of every peer that takes part. Targets: at most
//! 24 requests for a lookup of the 20 closest, at most 90 for the 80 closest.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::expect_used,
    dead_code,
    missing_docs,
    reason = "a measurement, not a product"
)]

#[path = "../tests/network/net.rs"]
mod net;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use starling_overlay::io::{Command, OpResult};
use starling_proto::ids::{NodeId, NodeKey};

use net::{Net, public};

const LOOKUPS: u64 = 500;

fn main() {
    for nodes in [100, 300, 1000] {
        let (mut net, joining) = timed(|| Net::joined(10, nodes, public));
        let calls: u64 = net.nodes.iter().map(|node| node.calls).sum();
        println!(
            "{nodes} nodes joined: {:.2} CPU-s, {:.1} requests for each join and what follows it",
            joining.as_secs_f64(),
            calls as f64 / nodes as f64
        );
        for width in [20, 80] {
            let ((right, requests), looking) = timed(|| look_up(&mut net, width));
            println!(
                "{nodes} nodes, the {width} closest: {:.1} requests, {:.3} CPU-ms each, {right} of {LOOKUPS} found all the true ones",
                requests as f64 / LOOKUPS as f64,
                looking.as_secs_f64() * 1e3 / LOOKUPS as f64
            );
        }
    }
}

/// How many lookups found exactly the truth, and the requests of all.
fn look_up(net: &mut Net, width: usize) -> (u64, u64) {
    let (mut right, mut all) = (0, 0);
    for n in 0..LOOKUPS {
        let place = NodeId::new(*blake3::hash(&n.to_be_bytes()).as_bytes());
        let asker = (n as usize * 7) % net.nodes.len();
        let mut truth = net.closest(&place, width + 1);
        truth.retain(|key| *key != net.nodes[asker].key);
        truth.truncate(width);
        let result = net.run(asker, Command::Lookup { target: place, width });
        let OpResult::Found { peers, requests } = result else { panic!("no lookup") };
        let found: Vec<NodeKey> = peers.iter().map(starling_proto::addr::Peer::key).collect();
        right += u64::from(found == truth);
        all += u64::from(requests);
    }
    (right, all)
}

/// What `work` gives, and the CPU time of this process meanwhile.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = cpu();
    let done = work();
    (done, cpu().saturating_sub(began))
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}
