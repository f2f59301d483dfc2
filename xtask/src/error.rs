use std::io;
use std::path::PathBuf;

/// Why a chore failed; each message names the next step where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Started without cargo, so that the root of the workspace is unknown.
    #[error("the workspace root is unknown; start it as `cargo xtask …`")]
    NoRoot,
    /// A program of the operating system is missing.
    #[error("{0}")]
    Machine(String),
    /// A file or folder could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// What was being read or written.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A program could not be started at all.
    #[error("could not start `{line}`: {cause}")]
    Start {
        /// The command line.
        line: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A program ran and said that it failed.
    #[error("failed: {line}")]
    Failed {
        /// The command line that repeats the failure.
        line: String,
    },
    /// `cargo metadata` printed something else than expected.
    #[error("cargo metadata could not be understood: {0}")]
    Metadata(#[from] serde_json::Error),
    /// A Rust file of the tree is not Rust.
    #[error("{path}:{line}: not valid Rust: {message}")]
    Syntax {
        /// Path from the root.
        path: String,
        /// Line, counted from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// A house rule is broken; the findings were printed.
    #[error("tidy: {0} finding(s)")]
    Untidy(usize),
    /// At least one test failed; the closing line says how many.
    #[error("tests failed")]
    Tests,
    /// Some steps of `ci` failed; they were printed with the command that repeats each.
    #[error("ci: {0} step(s) failed")]
    Ci(usize),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}
