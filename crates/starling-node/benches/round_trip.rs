//! A request through the whole shell (core thread, pool, frames, commit) against a bare iroh stream, in one run.
//!
//! Prints both medians and their ratio, interleaved in blocks so that both see the same machine. The target is 1.5.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    reason = "a measurement, not a product"
)]
#![allow(missing_docs, reason = "a program")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use starling_node::transport::{Connection, Incoming, QuicConnection, SendHalf, Transport};
use support::{TestNode, bare};

const BLOCKS: usize = 20;
const PER_BLOCK: usize = 1000;
/// The frame of a ping and its pong: a header alone.
const FRAME: [u8; 5] = [2, 0, 0, 0, 0];

#[tokio::main]
async fn main() {
    let (a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    let (client, server) = (bare(3).await, bare(4).await);
    let peer = starling_proto::addr::Peer::new(server.key(), server.addresses());
    let echo = tokio::spawn(async move {
        let connection = server.accept().await.unwrap().accept().await.unwrap();
        while let Ok((mut send, mut receive)) = connection.accept().await {
            let frame = receive.read_to_end(100).await.unwrap();
            send.send_last(&frame).await.unwrap();
        }
    });
    let raw = client.connect(&peer).await.unwrap();

    let (mut shell_us, mut raw_us) = (Vec::new(), Vec::new());
    for block in 0..=BLOCKS {
        let shell_block = timed(async { assert_eq!(ask(&a, &b).await, (PER_BLOCK, 0)) }).await;
        let raw_block = timed(ping_raw(&raw)).await;
        // The first block warms up.
        if block > 0 {
            shell_us.push(shell_block);
            raw_us.push(raw_block);
        }
    }
    let (shell, raw) = (median(&mut shell_us), median(&mut raw_us));
    println!("round trip: shell {shell:.1} us, raw iroh {raw:.1} us, ratio {:.2} (target 1.5)", shell / raw);
    echo.abort();
    a.handle.shutdown().await;
    b.handle.shutdown().await;
}

async fn ask(a: &TestNode, b: &TestNode) -> (usize, u32) {
    a.ask(b.address(), "sequential", PER_BLOCK, 5000).await
}

async fn ping_raw(connection: &QuicConnection) {
    for _ in 0..PER_BLOCK {
        let (mut send, mut receive) = connection.open().await.unwrap();
        send.send_last(&FRAME).await.unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), FRAME);
    }
}

/// Microseconds for each of the block's round trips.
async fn timed(block: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    block.await;
    let took: Duration = began.elapsed();
    took.as_secs_f64() * 1e6 / f64::from(u32::try_from(PER_BLOCK).unwrap())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
