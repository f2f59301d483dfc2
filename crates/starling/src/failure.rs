//! Why a command did not do what was asked: what happened, the likely cause, the next step.

mod sources;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use serde::ser::{Serialize, Serializer};
use starling_api::types::{Code, ErrorBody, ErrorReply};

use crate::output::{Page, Report, bad, dim, plain};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done.
    Refused(ErrorBody),
    /// Whoever read our output has closed it: there is nobody left to tell.
    OutputClosed,
}

impl Failure {
    /// A refusal; `hint` is the next step, and empty only if there is none.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused(ErrorBody::new(code, message, hint))
    }

    /// Something that a correct program would not meet.
    pub(crate) fn internal(error: &dyn Display) -> Self {
        Self::new(Code::Failed, format!("an internal error: {error}"), "please report it")
    }

    /// Standard output or standard error could not be written.
    pub(crate) fn from_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(
                Code::Failed,
                format!("the output could not be written: {error}"),
                "check where the output goes and whether there is room",
            ),
        }
    }

    /// What to say, if anybody listens.
    pub(crate) const fn body(&self) -> Option<&ErrorBody> {
        match self {
            Self::Refused(body) => Some(body),
            Self::OutputClosed => None,
        }
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        self.body().map_or("", |body| body.message.as_str())
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &str {
        self.body().map_or("", |body| body.hint.as_str())
    }

    /// For programs.
    pub(crate) fn code(&self) -> Option<Code> {
        self.body().map(|body| body.code)
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code().map_or(0, Code::exit_code))
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        Self::Refused(body)
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.body().map(|body| ErrorReply { error: body.clone() }).serialize(to)
    }
}

impl Report for Failure {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        let mut lines = self.message().lines();
        page.line([bad("error: "), plain(lines.next().unwrap_or_default())]);
        for line in lines {
            page.indented(2, [plain(line)]);
        }
        if !self.hint().is_empty() {
            page.line([dim("hint: "), plain(self.hint())]);
        }
    }
}
