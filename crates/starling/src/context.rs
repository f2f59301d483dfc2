//! What every command is handed.

use std::future::Future;
use std::path::PathBuf;

use directories::ProjectDirs;
use starling_api::types::Code;
use tokio::runtime::{Builder, Runtime};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::passphrase::PassphraseSource;

/// The words that all commands have in common, and where the answer goes.
pub(crate) struct Context<'a> {
    /// The common words.
    pub(crate) global: Global,
    /// Where the answer goes.
    pub(crate) output: &'a mut Output,
}

impl Context<'_> {
    /// The home's directory, whether it is there or not.
    ///
    /// # Errors
    /// The platform names no data directory and the user none either.
    pub(crate) fn home(&self) -> Result<PathBuf, Failure> {
        let named = self.global.home.clone().filter(|path| !path.as_os_str().is_empty());
        let default = || ProjectDirs::from("", "", "starling").map(|dirs| dirs.data_dir().to_owned());
        named.or_else(default).ok_or_else(|| {
            Failure::new(
                Code::BadInput,
                "there is no home directory to keep things in",
                "name one with --home or STARLING_HOME",
            )
        })
    }

    /// Where the passphrase comes from.
    pub(crate) fn passphrase(&self) -> PassphraseSource {
        PassphraseSource::new(self.global.passphrase_file.clone())
    }

    /// Runs a client's calls on this thread.
    ///
    /// # Errors
    /// Those of `work`, or the system gives us no event queue.
    pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        runtime(&mut Builder::new_current_thread())?.block_on(work)
    }
}

/// A runtime with sockets and timers.
pub(crate) fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        let message = format!("the runtime could not be started: {error}");
        Failure::new(
            Code::Failed,
            message,
            "raise the limit of open files (`ulimit -n`) or end other programs",
        )
    })
}
