//! What others learn of us: contacts while we talk, and holders when something is placed or looked for.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::content::PresenceStatus;
use starling_proto::record::RecordKind;
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
    /// What is placed and looked for through go-betweens.
    pub pass_on: PassOn,
}

/// What is placed and looked for through go-betweens, so that holders do not see who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum PassOn {
    /// Nothing: we do all of it ourselves. It is found as surely as it can be, and holders see us.
    #[default]
    Off,
    /// What everybody may read of us, and what we search for: directory entries, account record, bundle, searches.
    Directory,
    /// Besides that letters and contact requests, the locator, and what we read of others.
    All,
}

impl PassOn {
    const ALL: [Self; 3] = [Self::Off, Self::Directory, Self::All];

    /// The number that is stored.
    const fn number(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Directory => 1,
            Self::All => 2,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|pass_on| pass_on.number() == number)
    }

    /// Whether a record of ours of this kind is placed through a go-between.
    #[must_use]
    pub const fn places(self, kind: RecordKind) -> bool {
        match self {
            Self::Off => false,
            Self::Directory => {
                matches!(kind, RecordKind::Directory | RecordKind::Account | RecordKind::Bundle)
            }
            Self::All => true,
        }
    }

    /// Whether searches go through go-betweens.
    #[must_use]
    pub fn searches(self) -> bool {
        self >= Self::Directory
    }

    /// Whether what is read of others does: account records, bundles, locators.
    #[must_use]
    pub fn fetches(self) -> bool {
        self >= Self::All
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_receipts: true,
            typing: true,
            status: PresenceStatus::Online,
            line: String::new(),
            pass_on: PassOn::default(),
        }
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
    /// What goes through go-betweens.
    pub pass_on: Option<PassOn>,
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
            pass_on: changes.pass_on.unwrap_or(self.pass_on),
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
            pass_on: self.pass_on.number(),
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
            pass_on: Some(PassOn::from_number(stored.pass_on)?),
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
    fn what_goes_through_go_betweens_grows_step_by_step() {
        let kinds = [RecordKind::Directory, RecordKind::Account, RecordKind::Bundle];
        let rest = [RecordKind::Locator, RecordKind::Deposit];
        for pass_on in PassOn::ALL {
            let settings = Settings { pass_on, ..Settings::default() };
            assert_eq!(Settings::decode(&settings.encode()), Some(settings));
            assert!(kinds.iter().all(|kind| pass_on.places(*kind) == (pass_on > PassOn::Off)));
            assert!(rest.iter().all(|kind| pass_on.places(*kind) == (pass_on == PassOn::All)));
            assert_eq!(
                (pass_on.searches(), pass_on.fetches()),
                (pass_on > PassOn::Off, pass_on == PassOn::All)
            );
        }
        let before = wire::Settings { status: 1, ..Default::default() };
        let before = Settings::decode(&prost::Message::encode_to_vec(&before));
        assert_eq!(
            before.map(|settings| settings.pass_on),
            Some(PassOn::Off),
            "what was written before there was any"
        );
    }

    #[test]
    fn a_line_has_its_bound() {
        let changes = |length| Changes { line: Some("x".repeat(length)), ..Changes::default() };
        assert!(Settings::default().with(changes(limits::STATUS_LINE)).is_ok());
        assert!(Settings::default().with(changes(limits::STATUS_LINE + 1)).is_err());
    }
}
