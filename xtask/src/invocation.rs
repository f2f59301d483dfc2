use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::error::Error;

/// One command line, run from the root of the workspace and shown so that it can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Invocation {
    /// `program` is a name to be searched in `PATH`, or a path from the root when it holds a slash.
    pub(crate) fn new(program: &str, args: &[&str]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: vec![],
        }
    }

    /// The same cargo that started this program.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        Self::new("cargo", args)
    }

    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs with output straight to the terminal; a non-zero exit is an error that carries the line.
    pub(crate) fn run(&self, root: &Path) -> Result<(), Error> {
        let status =
            self.command(root).stdin(Stdio::null()).status().map_err(|cause| self.start_error(cause))?;
        self.expect_success(status)
    }

    /// Runs and gives back what it wrote to its standard output.
    pub(crate) fn capture(&self, root: &Path) -> Result<String, Error> {
        let mut command = self.command(root);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().map_err(|cause| self.start_error(cause))?;
        self.expect_success(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The command, for callers that handle its streams themselves.
    pub(crate) fn command(&self, root: &Path) -> Command {
        let mut command = if self.program == "cargo" {
            Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        } else if self.program.contains('/') {
            Command::new(root.join(&self.program))
        } else {
            Command::new(&self.program)
        };
        command.args(&self.args).current_dir(root);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The error for a command that could not be started.
    pub(crate) fn start_error(&self, cause: std::io::Error) -> Error {
        Error::Start { line: self.to_string(), cause }
    }

    fn expect_success(&self, status: ExitStatus) -> Result<(), Error> {
        if status.success() { Ok(()) } else { Err(Error::Failed { line: self.to_string() }) }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// Quotes a word for a shell when it needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_can_be_pasted_into_a_shell() {
        let doc = Invocation::cargo(&["doc", "--no-deps", "it's"]).with_env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(doc.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }

    #[test]
    fn non_zero_exit_is_an_error_that_names_the_command() {
        let error = Invocation::new("false", &[]).run(Path::new(".")).unwrap_err();
        assert_eq!(error.to_string(), "failed: false");
        assert!(Invocation::new("true", &[]).run(Path::new(".")).is_ok());
    }
}
