//! Messages between two peers with databases on disk: typed to receipt, and how many a second.
//!
//! Both peers are this program's whole shell in one process, over QUIC on loopback; every message is encrypted end to
//! end and synced to both disks before its receipt leaves. Targets: under 3 ms median for the first version, under
//! 1 ms in the end; 25,000 a second in the end.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    reason = "a measurement, not a product"
)]
#![allow(missing_docs, reason = "a program")]

#[path = "../tests/support/product.rs"]
mod product;

use std::sync::Arc;
use std::time::Instant;

use product::Person;
use starling_core::io::{Command, CommandOutput, Event};
use starling_core::view::MessageState;
use starling_proto::content::MessageText;
use starling_proto::ids::MessageId;
use tokio::sync::Semaphore;

const ONE_BY_ONE: usize = 2_000;
const SUSTAINED: usize = 20_000;
/// Messages on their way without a receipt.
const WINDOW: usize = 2_048;
/// Of these, handed in and not yet on disk: below what a node lets wait.
const HANDED_IN: usize = 128;

#[tokio::main]
async fn main() {
    let (mut ada, mut bob) = (Person::start("Ada").await, Person::start("Bob").await);
    bob.join(ada.door()).await;
    ada.befriend(&mut bob).await;
    let text = "x".repeat(256);

    let mut took_us = Vec::new();
    for round in 0..ONE_BY_ONE + 100 {
        let began = Instant::now();
        let id = ada.say(&bob, &text).await.id;
        ada.wait_for(|event| delivered(event) == Some(id)).await;
        if round >= 100 {
            took_us.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    took_us.sort_by(f64::total_cmp);
    let at = |per_mille: usize| took_us[(took_us.len() - 1) * per_mille / 1000];
    println!(
        "typed to receipt, 256 bytes, one by one: median {:.0} us, p95 {:.0} us, p99 {:.0} us (target 3000 us median, 1000 in the end)",
        at(500),
        at(950),
        at(990)
    );

    let began = Instant::now();
    let window = Arc::new(Semaphore::new(WINDOW));
    let who = bob.account.to_string();
    let sender = {
        let (handle, window, who) = (ada.handle.clone(), Arc::clone(&window), who.clone());
        let handed_in = Arc::new(Semaphore::new(HANDED_IN));
        tokio::spawn(async move {
            for n in 0..SUSTAINED {
                window.acquire().await.unwrap().forget();
                let permit = Arc::clone(&handed_in).acquire_owned().await.unwrap();
                let (handle, who) = (handle.clone(), who.clone());
                let text = MessageText::new(format!("{n:0>256}")).unwrap().into();
                tokio::spawn(async move {
                    let sent = handle.command(Command::Send { who, text, request: None }).await;
                    assert!(matches!(sent, Ok(CommandOutput::Sent(_))), "{sent:?}");
                    drop(permit);
                });
            }
        })
    };
    let mut confirmed = 0;
    while confirmed < SUSTAINED {
        ada.wait_for(|event| delivered(event).is_some()).await;
        window.add_permits(1);
        confirmed += 1;
    }
    sender.await.unwrap();
    let rate = SUSTAINED as f64 / began.elapsed().as_secs_f64();
    println!(
        "sustained, 256 bytes, at most {WINDOW} without a receipt: {rate:.0} messages/s over {SUSTAINED} (target 25000 in the end)"
    );
    ada.stop().await;
    bob.stop().await;
}

fn delivered(event: &Event) -> Option<MessageId> {
    match event {
        Event::MessageState { id, state: MessageState::Delivered, .. } => Some(*id),
        _ => None,
    }
}
