//! Why a call failed, and with which exit code a program ends.

use std::io;

use crate::announce::AnnounceError;
use crate::types::{Code, ErrorBody};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node is running for this home.
    #[error("no node is running for this home: {0}")]
    NotRunning(NotRunning),
    /// `api.json` cannot be read or is damaged.
    #[error(transparent)]
    Announce(AnnounceError),
    /// The node refused, and says why.
    #[error("{}", .0.message)]
    Refused(ErrorBody),
    /// The node did not answer in time.
    #[error("the node did not answer in time")]
    TimedOut,
    /// There is a node, and no connection to it: its socket is not ours, or we have no descriptors left.
    #[error("cannot connect to the node: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection to the node broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The answer is not what this version of the API says.
    #[error("the node's answer is not understood: {0}")]
    Malformed(String),
    /// `api.json` names a Unix socket, and this platform has none.
    #[error("this platform has no Unix sockets")]
    NoUnixSockets,
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[source] rand::rngs::SysError),
}

/// How it was seen that no node is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRunning {
    /// There is no `api.json`.
    #[error("it has no api.json")]
    NoFile,
    /// Nobody listens at the address in `api.json`: the node was killed.
    #[error("its api.json is stale, nobody listens there")]
    NobodyListens,
    /// Something else listens there, or the node of another home: ours was killed and its address went to another.
    #[error("its api.json is stale, another program listens there")]
    AnotherListens,
}

impl ClientError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.code().exit_code()
    }

    /// The error as the command line shows it: what happened, the likely cause, the next step.
    #[must_use]
    pub fn to_body(&self) -> ErrorBody {
        match self {
            Self::Refused(body) => body.clone(),
            other => ErrorBody::new(other.code(), other.to_string(), other.hint()),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::NotRunning(_) => Code::NotRunning,
            Self::Refused(body) => body.code,
            Self::TimedOut => Code::TimedOut,
            _ => Code::Failed,
        }
    }

    const fn hint(&self) -> &'static str {
        match self {
            Self::NotRunning(_) => "start it with `starling run`, or name its home with --home",
            Self::Announce(_) => "stop the node, remove api.json from its home, and start it again",
            Self::TimedOut => "try again; `starling status` says whether the node has peers",
            Self::Connect(_) => "`starling doctor` checks the home and its rights",
            Self::Broken(_) => "the node may have just ended: `starling status` says whether it runs",
            Self::Malformed(_) => "node and program may be of different versions: restart the node",
            Self::NoUnixSockets => "start the node with --api IP:PORT",
            Self::Refused(_) | Self::Random(_) => "try again",
        }
    }
}

impl From<AnnounceError> for ClientError {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::Absent => Self::NotRunning(NotRunning::NoFile),
            other => Self::Announce(other),
        }
    }
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        // What answers and does not speak HTTP is no node.
        if error.is_parse() { Self::NotRunning(NotRunning::AnotherListens) } else { Self::Broken(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_contract() {
        let refused = |code| ClientError::Refused(ErrorBody::new(code, "", ""));
        for (error, exit) in [
            (ClientError::NotRunning(NotRunning::NoFile), 3),
            (ClientError::TimedOut, 6),
            (ClientError::Malformed(String::new()), 1),
            (refused(Code::BadInput), 2),
            (refused(Code::NotFound), 5),
            (refused(Code::TimedOut), 6),
            (refused(Code::Storage), 1),
        ] {
            assert_eq!(error.exit_code(), exit, "{error:?}");
        }
    }
}
