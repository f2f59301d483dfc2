//! Refusals: one table from code to HTTP status and exit code.

use serde::{Deserialize, Serialize};
use starling_core::io::{CommandError, ErrorCode};
use utoipa::ToSchema;

/// The body of every answer that is not a success, and what the command line prints with `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorReply {
    /// The refusal.
    pub error: ErrorBody,
}

/// A refusal: what happened, the likely cause, the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// For programs.
    pub code: Code,
    /// What happened, and the likely cause.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What kind of refusal. Exit codes and HTTP statuses follow from it and from nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The request's words are off, or its JSON is not what the route takes.
    BadInput,
    /// There is nobody and nothing of that name.
    NotFound,
    /// It does not go with what is there.
    Conflict,
    /// Nobody answered in time.
    TimedOut,
    /// The disk is full or the database failed.
    Storage,
    /// Anything else that went wrong.
    Failed,
    /// No token, a wrong one, or one in the query.
    Unauthorized,
    /// The `Host` header does not name this server.
    BadHost,
    /// The `Origin` header is of a foreign page.
    BadOrigin,
    /// There is no such route.
    NoSuchRoute,
    /// The route takes another method.
    MethodNotAllowed,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body is above its bound.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTooSlow,
    /// A client request id was used before with another request.
    RequestIdReused,
    /// Too much is under way.
    Busy,
    /// No node is running for this home. Made by the client, never sent.
    NotRunning,
    /// The passphrase is wrong. Made by the program, never sent.
    WrongPassphrase,
    /// A code of a newer version.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// The HTTP status that carries it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Unauthorized => 401,
            Self::BadHost | Self::BadOrigin => 403,
            Self::NotFound | Self::NoSuchRoute => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTooSlow => 408,
            Self::Conflict => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RequestIdReused => 422,
            Self::Busy => 503,
            Self::TimedOut => 504,
            Self::Storage => 507,
            Self::Failed | Self::NotRunning | Self::WrongPassphrase | Self::Unknown => 500,
        }
    }

    /// The exit code of a program that ends with it: 1 failed, 2 wrong usage, 3 no node is running, 4 the passphrase
    /// is wrong, 5 not found, 6 timed out.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::BadInput => 2,
            Self::NotRunning => 3,
            Self::WrongPassphrase => 4,
            Self::NotFound => 5,
            Self::TimedOut => 6,
            _ => 1,
        }
    }
}

impl ErrorBody {
    /// A refusal.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

impl From<ErrorCode> for Code {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadInput => Self::BadInput,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Conflict => Self::Conflict,
            ErrorCode::TimedOut => Self::TimedOut,
            ErrorCode::Storage => Self::Storage,
            // `Failed`, and whatever the core learns to say before this table does.
            _ => Self::Failed,
        }
    }
}

impl From<CommandError> for ErrorBody {
    fn from(error: CommandError) -> Self {
        Self { code: error.code.into(), message: error.message, hint: error.hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_refusal_keeps_its_words() {
        let error = CommandError {
            code: ErrorCode::NotFound,
            message: "nobody of that name".into(),
            hint: "search first".into(),
        };
        let reply = ErrorReply { error: error.into() };
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"error":{"code":"not_found","message":"nobody of that name","hint":"search first"}}"#
        );
    }

    #[test]
    fn exit_codes_are_the_contract() {
        let table = [
            (Code::Failed, 1),
            (Code::BadInput, 2),
            (Code::NotRunning, 3),
            (Code::WrongPassphrase, 4),
            (Code::NotFound, 5),
            (Code::TimedOut, 6),
        ];
        for (code, exit) in table {
            assert_eq!(code.exit_code(), exit, "{code:?}");
        }
    }

    #[test]
    fn a_newer_code_is_read() {
        assert_eq!(serde_json::from_str::<Code>("\"of_next_year\"").unwrap(), Code::Unknown);
    }
}
