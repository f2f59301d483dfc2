//! One session in a book, with what the book knows about it.

use alloc::vec::Vec;

use prost::Message as _;
use starling_proto::ids::{OlmKey, SessionId};
use zeroize::Zeroizing;

use super::stored::StoredSession;
use super::window::ReceiveWindow;
use super::{OlmSession, Pickle, SessionError};

/// A session and its place in the book.
pub(super) struct Entry<S> {
    pub(super) session: S,
    /// The fallback or one-time key that it was started on.
    pub(super) key: OlmKey,
    /// Whether we started it.
    pub(super) ours: bool,
    /// Grows with use; the book sends on the highest.
    pub(super) rank: u64,
    /// The session that won when this one crossed it.
    pub(super) yields_to: Option<SessionId>,
    pub(super) next_send: u64,
    pub(super) window: ReceiveWindow,
}

impl<S: OlmSession> Entry<S> {
    /// A session on which nothing has been said.
    pub(super) fn new(session: S, key: OlmKey, ours: bool) -> Self {
        Self { session, key, ours, rank: 0, yields_to: None, next_send: 0, window: ReceiveWindow::default() }
    }

    pub(super) fn to_row(&self) -> Result<Pickle, SessionError> {
        let (next_receive, missing) = self.window.parts();
        let stored = Zeroizing::new(StoredSession {
            version: StoredSession::VERSION,
            session: self.session.pickle()?.expose().to_vec(),
            key: self.key.as_bytes().to_vec(),
            ours: self.ours,
            rank: self.rank,
            yields_to: self.yields_to.map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
            next_send: self.next_send,
            next_receive,
            missing,
        });
        Ok(Pickle::new(stored.encode_to_vec()))
    }

    pub(super) fn from_row(row: &[u8]) -> Result<Self, SessionError> {
        let stored = Zeroizing::new(StoredSession::decode(row).map_err(|_| SessionError::BadPickle)?);
        if stored.version != StoredSession::VERSION {
            return Err(SessionError::BadPickle);
        }
        let yields_to = match stored.yields_to.as_slice() {
            [] => None,
            id => Some(SessionId::from_slice(id).map_err(|_| SessionError::BadPickle)?),
        };
        Ok(Self {
            session: S::from_pickle(&stored.session)?,
            key: OlmKey::from_slice(&stored.key).map_err(|_| SessionError::BadPickle)?,
            ours: stored.ours,
            rank: stored.rank,
            yields_to,
            next_send: stored.next_send,
            window: ReceiveWindow::from_parts(stored.next_receive, stored.missing.clone())
                .ok_or(SessionError::BadPickle)?,
        })
    }
}
