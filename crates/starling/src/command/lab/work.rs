//! Simulations run on a thread of their own, and end when they are interrupted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use starling_api::types::Code;
use starling_sim::scale::Interrupted;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use super::report::Place;
use crate::context::runtime;
use crate::failure::Failure;
use crate::signals::Signals;

/// Simulates, and gives what was found, and where a report goes if one is wanted. `simulate` looks now and then whether
/// it is to stop.
pub(super) fn perform<T: Send + 'static>(
    html: Option<PathBuf>,
    simulate: impl FnOnce(&AtomicBool) -> Result<T, Interrupted> + Send + 'static,
) -> Result<(T, Option<Place>), Failure> {
    runtime(&mut Builder::new_current_thread())?.block_on(attend(html, simulate))
}

/// Signals are waited for on this thread.
async fn attend<T: Send + 'static>(
    html: Option<PathBuf>,
    simulate: impl FnOnce(&AtomicBool) -> Result<T, Interrupted> + Send + 'static,
) -> Result<(T, Option<Place>), Failure> {
    let mut signals = Signals::watch()?;
    let place = html.map(Place::open).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let mut work = spawn_blocking(move || simulate(&stopped));
    let done = tokio::select! {
        done = &mut work => done,
        () = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let found = done.map_err(|error| Failure::internal(&error))?.map_err(|Interrupted| interrupted())?;
    Ok((found, place))
}

fn interrupted() -> Failure {
    Failure::new(
        Code::Failed,
        "interrupted before the end",
        "let it run to its end, or name smaller sizes with --nodes",
    )
}
