//! What others learn of us.

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::settings;
use starling_core::view::PresenceStatus;
use utoipa::ToSchema;

/// The settings as they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Whether authors learn that their messages were read.
    pub read_receipts: bool,
    /// Whether contacts see that we are typing to them.
    pub typing: bool,
    /// How we appear to contacts while the node runs.
    pub status: Availability,
    /// What we say about it; empty for nothing.
    pub status_line: String,
    /// What other peers place and look for in our place, so that holders do not see who we are.
    pub pass_on: PassOn,
}

/// What other peers place and look for in our place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassOn {
    /// Nothing.
    Off,
    /// Our directory entries, account record and bundle, and our searches.
    Directory,
    /// Besides that letters, contact requests, our locator, and what we read of contacts.
    All,
}

/// How one appears while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// There.
    Online,
    /// Connected, but not at the keyboard.
    Away,
    /// There, and not to be disturbed.
    Busy,
}

/// Change settings; absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRequest {
    /// Whether authors learn that their messages were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
    /// Whether contacts see that we are typing to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing: Option<bool>,
    /// How we appear to contacts while the node runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Availability>,
    /// What we say about it, at most 128 bytes; empty for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_line: Option<String>,
    /// What other peers place and look for in our place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_on: Option<PassOn>,
}

/// Tell a contact that we are typing to them, or have stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypingRequest {
    /// A petname, an account id, or 8 letters or more of the beginning of a contact's.
    pub who: String,
    /// Whether we are. It is believed for ten seconds: say it again while it lasts.
    pub typing: bool,
}

impl From<settings::Settings> for Settings {
    fn from(settings: settings::Settings) -> Self {
        Self {
            read_receipts: settings.read_receipts,
            typing: settings.typing,
            status: match settings.status {
                PresenceStatus::Online => Availability::Online,
                PresenceStatus::Away => Availability::Away,
                PresenceStatus::Busy => Availability::Busy,
            },
            status_line: settings.line,
            pass_on: match settings.pass_on {
                settings::PassOn::Off => PassOn::Off,
                settings::PassOn::Directory => PassOn::Directory,
                settings::PassOn::All => PassOn::All,
            },
        }
    }
}

impl From<Availability> for PresenceStatus {
    fn from(status: Availability) -> Self {
        match status {
            Availability::Online => Self::Online,
            Availability::Away => Self::Away,
            Availability::Busy => Self::Busy,
        }
    }
}

impl From<PassOn> for settings::PassOn {
    fn from(pass_on: PassOn) -> Self {
        match pass_on {
            PassOn::Off => Self::Off,
            PassOn::Directory => Self::Directory,
            PassOn::All => Self::All,
        }
    }
}

impl From<SettingsRequest> for Command {
    fn from(request: SettingsRequest) -> Self {
        Self::SetSettings(settings::Changes {
            read_receipts: request.read_receipts,
            typing: request.typing,
            status: request.status.map(Into::into),
            line: request.status_line,
            pass_on: request.pass_on.map(Into::into),
        })
    }
}

impl From<TypingRequest> for Command {
    fn from(request: TypingRequest) -> Self {
        Self::Typing { who: request.who, typing: request.typing }
    }
}
