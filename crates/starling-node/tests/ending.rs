//! How a node ends: by request, while requests run, when its database fails, when nobody holds it any more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

mod support;

use std::pin::Pin;
use std::sync::atomic::Ordering;

use starling_core::io::{Command, CommandOutput, ErrorCode, Event, WarningCode};
use starling_core::view::SearchResults;
use starling_node::{EndReason, NodeHandle, limits::Limits};
use starling_overlay::io::CallError;
use support::{TestNode, within};

const SET_PROFILE: Command = Command::SetProfile { name: None, about: None, keywords: None };

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_while_requests_run_is_clean() {
    let (mut a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    b.control.silent.store(true, Ordering::Relaxed);
    let words = vec![b.address().to_string(), "parallel".into(), "600000".into(), "nodes".into()];
    let search = {
        let handle = a.handle.clone();
        tokio::spawn(async move { handle.command(Command::Search { words, limit: 20 }).await })
    };
    a.wait_for(&Event::PeerUp(b.address().key)).await;
    assert_eq!(within(a.handle.shutdown()).await, EndReason::ShutDown);
    let nothing = SearchResults { results: Vec::new(), left_out: 20, asked_holders: 0 };
    assert_eq!(within(search).await.unwrap(), Ok(CommandOutput::Search(nothing)), "each request has ended");
    assert_eq!(a.handle.command(Command::SignOff).await.unwrap_err().code, ErrorCode::Failed);
    while within(a.events.next()).await.is_some() {}
    assert_eq!(within(a.handle.shutdown()).await, EndReason::ShutDown, "once more does no harm");
    // The other side, whose core still owes twenty answers, ends as well.
    assert_eq!(within(b.handle.shutdown()).await, EndReason::ShutDown);
}

type Ending = Pin<Box<dyn Future<Output = ()>>>;

/// Or the process may end while the thread goes: the library beneath the database then frees what it kept twice.
#[tokio::test(flavor = "multi_thread")]
async fn once_a_node_has_ended_its_thread_is_gone() {
    let ways: [fn(NodeHandle) -> Ending; 3] = [
        |node| Box::pin(async move { drop(node.shutdown().await) }),
        |node| Box::pin(async move { node.abort() }),
        |node| Box::pin(async move { drop(node) }),
    ];
    for (seed, end) in (1_u8..).zip(ways) {
        let TestNode { handle, control, events, .. } = TestNode::start(seed).await;
        drop(events);
        assert!(!control.thread_is_gone.load(Ordering::Relaxed));
        within(end(handle)).await;
        assert!(control.thread_is_gone.load(Ordering::Relaxed), "way {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_holds_hangs_up() {
    let (mut a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    let key = b.address().key;
    drop(b);
    a.wait_for(&Event::PeerDown(key)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dsk_01_a_full_disk_is_told_and_work_goes_on_when_there_is_room() {
    let (mut a, b) = (TestNode::start(1).await, TestNode::start(2).await);
    assert!(a.ping(b.address()).await);
    a.control.disk_full.store(true, Ordering::Relaxed);
    let error = within(a.handle.command(SET_PROFILE)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Storage);
    assert!(error.message.contains("disk is full"), "{error}");
    a.wait_until(|event| matches!(event, Event::Warning { code: WarningCode::DiskFull, .. })).await;
    assert!(a.ping(b.address()).await, "what needs no disk goes on, over the same connection");
    assert!(b.ping(a.address()).await);
    a.control.disk_full.store(false, Ordering::Relaxed);
    assert!(matches!(within(a.handle.command(SET_PROFILE)).await, Ok(CommandOutput::Profile(_))));
    let ups = a.control.hellos.lock().unwrap().len();
    assert_eq!(ups, 2, "once for the connection, and once more for the core that was rebuilt");
    within(async {
        while *a.control.told_full.lock().unwrap() != [true, false] {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_above_the_bound_are_refused() {
    let limits = Limits { commands: 1, ..Limits::default() };
    let (mut a, b) = (TestNode::start_with(1, limits).await, TestNode::start(2).await);
    b.control.silent.store(true, Ordering::Relaxed);
    let words = vec![b.address().to_string(), "parallel".into(), "500".into(), "nodes".into()];
    let first = {
        let handle = a.handle.clone();
        tokio::spawn(async move { handle.command(Command::Search { words, limit: 1 }).await })
    };
    a.wait_for(&Event::PeerUp(b.address().key)).await;
    let error = within(a.handle.command(SET_PROFILE)).await.unwrap_err();
    assert!(error.message.contains("too many commands"), "{error}");
    assert!(within(first).await.unwrap().is_ok());
    assert_eq!(a.failures(), [Err(CallError::TimedOut)]);
}
