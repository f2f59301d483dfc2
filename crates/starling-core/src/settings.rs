//! What others learn of us while we talk.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::content::PresenceStatus;
use starling_proto::{DecodeError, limits};

use crate::wire;

/// Who may know what; the first start shows what most people expect of a messenger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether authors learn that their messages were read.
    pub read_receipts: bool,
    /// Whether contacts see that we are typing to them.
    pub typing: bool,
    /// How we appear while we run.
    pub status: PresenceStatus,
    /// What we say about it, in a line.
    pub line: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { read_receipts: true, typing: true, status: PresenceStatus::Online, line: String::new() }
    }
}

/// What is to be set; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Whether authors learn that their messages were read.
    pub read_receipts: Option<bool>,
    /// Whether contacts see that we are typing to them.
    pub typing: Option<bool>,
    /// How we appear.
    pub status: Option<PresenceStatus>,
    /// What we say about it.
    pub line: Option<String>,
}

impl Settings {
    /// The settings after a change.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] for a line of more than [`limits::STATUS_LINE`] bytes.
    pub fn with(&self, changes: Changes) -> Result<Self, DecodeError> {
        let line = changes.line.unwrap_or_else(|| self.line.clone());
        limits::bytes_at_most("status line", line.len(), limits::STATUS_LINE)?;
        Ok(Self {
            read_receipts: changes.read_receipts.unwrap_or(self.read_receipts),
            typing: changes.typing.unwrap_or(self.typing),
            status: changes.status.unwrap_or(self.status),
            line,
        })
    }

    /// The slot's content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = wire::Settings {
            hides_reading: !self.read_receipts,
            hides_typing: !self.typing,
            status: self.status.number(),
            line: self.line.clone(),
        };
        prost::Message::encode_to_vec(&stored)
    }

    /// Reads the slot's content. `None` if it holds something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let stored = <wire::Settings as prost::Message>::decode(bytes).ok()?;
        let changes = Changes {
            read_receipts: Some(!stored.hides_reading),
            typing: Some(!stored.hides_typing),
            status: Some(PresenceStatus::from_number(stored.status)?),
            line: Some(stored.line),
        };
        Self::default().with(changes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let changes = Changes { typing: Some(false), line: Some("tea".into()), ..Changes::default() };
        let settings = Settings::default().with(changes).unwrap();
        assert_eq!(Settings::decode(&settings.encode()), Some(settings.clone()));
        assert!(settings.read_receipts && !settings.typing, "what is not named stays");
        assert_eq!(Settings::decode(&Settings::default().encode()), Some(Settings::default()));
        assert_eq!(Settings::decode(&[0xff]), None);
    }

    #[test]
    fn a_line_has_its_bound() {
        let changes = |length| Changes { line: Some("x".repeat(length)), ..Changes::default() };
        assert!(Settings::default().with(changes(limits::STATUS_LINE)).is_ok());
        assert!(Settings::default().with(changes(limits::STATUS_LINE + 1)).is_err());
    }
}
