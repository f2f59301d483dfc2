//! The log of a whole process, as a test reads it.
#![allow(missing_docs, unreachable_pub, reason = "shared by tests")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use starling_node::transport::log_target_is_ours;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

/// Every line above `trace` of this project's, from [`Self::install`] on.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Takes all log lines of this process. Once.
    pub fn install() -> Self {
        let captured = Self::default();
        let writer = captured.clone();
        let ours = filter_fn(|metadata| log_target_is_ours(metadata.target()));
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_filter(LevelFilter::DEBUG.and(ours));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        captured
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
