//! Reading the event stream, across broken connections.

use core::time::Duration;

use axum::body::Bytes;
use hyper::Method;

use super::transport::Answer;
use super::{Client, ClientError, parse};
use crate::backend::Cursor;
use crate::limits;
use crate::types::EventLine;

/// Silence after which a connection is given up: three heartbeats.
const SILENCE: Duration = limits::HEARTBEAT.saturating_mul(3);

/// The event stream. Remembers where it is and goes on from there after a broken connection.
#[derive(Debug)]
pub struct Events {
    client: Client,
    since: Option<Cursor>,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    answer: Answer,
    lines: Lines,
}

/// Cuts what arrives into lines of at most [`limits::EVENT_BYTES`].
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Up to here there is no end of line.
    searched: usize,
}

impl Events {
    pub(super) const fn new(client: Client, since: Option<Cursor>) -> Self {
        Self { client, since, connection: None }
    }

    /// The next event. A connection that breaks is replaced and the stream resumed; after an error another call tries
    /// again from the same place. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when the node has ended, or another [`ClientError`].
    pub async fn next(&mut self) -> Result<EventLine, ClientError> {
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                None => {
                    let answer = self.connect().await?;
                    self.connection.insert(Connection { answer, lines: Lines::default() })
                }
            };
            if let Some(line) = connection.lines.take() {
                let event: EventLine = parse(&line)?;
                self.since = Some(event.cursor.clone());
                return Ok(event);
            }
            match tokio::time::timeout(SILENCE, connection.answer.piece()).await {
                Ok(Ok(Some(piece))) => {
                    if let Err(error) = connection.lines.push(&piece) {
                        self.connection = None;
                        return Err(error);
                    }
                }
                // Ended, broken or silent: all are mended by the next connection, or reported by it.
                Ok(Ok(None) | Err(_)) | Err(_) => self.connection = None,
            }
        }
    }

    /// Where the stream is: resuming from here misses nothing and repeats nothing.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.since.as_ref()
    }

    /// Connects with what `api.json` says now: the node may have been started anew since.
    async fn connect(&mut self) -> Result<Answer, ClientError> {
        self.client = Client::open(&self.client.home)?;
        let path = match &self.since {
            Some(since) => format!("/api/v1/events?since={since}"),
            None => "/api/v1/events".to_owned(),
        };
        let request = self.client.request(Method::GET, &path, Bytes::new())?;
        self.client.exchange(request, SILENCE).await
    }
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Result<(), ClientError> {
        if self.bytes.len().saturating_add(chunk.len()) > limits::EVENT_BYTES {
            return Err(ClientError::Malformed(format!("a line longer than {} bytes", limits::EVENT_BYTES)));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole line that is not empty.
    fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let new = self.bytes.get(self.searched..)?;
            let Some(at) = new.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return None;
            };
            let end = self.searched.saturating_add(at).saturating_add(1);
            let line: Vec<u8> = self.bytes.drain(..end).collect();
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let text = b"one\n\n\ntwo\nthree\n";
        for cut in 0..text.len() {
            let (mut lines, mut got) = (Lines::default(), Vec::new());
            for piece in [&text[..cut], &text[cut..]] {
                lines.push(piece).unwrap();
                while let Some(line) = lines.take() {
                    got.push(String::from_utf8(line).unwrap());
                }
            }
            assert_eq!(got, ["one\n", "two\n", "three\n"]);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; limits::EVENT_BYTES]).unwrap();
        assert_eq!(lines.take(), None);
        assert!(lines.push(b"x").is_err());
    }
}
