//! What a user says about themselves.

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::view;
use utoipa::ToSchema;

/// The profile as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// The name.
    pub name: String,
    /// The about text.
    pub about: String,
    /// The keywords.
    pub keywords: Vec<String>,
    /// Whether it is in the directory.
    pub listed: bool,
}

/// Change the profile; absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// The name, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The about text, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The keywords: they replace those that were there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<String>>,
}

/// Appear in the directory, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedRequest {
    /// Whether to be listed.
    pub listed: bool,
}

impl From<view::Profile> for Profile {
    fn from(view: view::Profile) -> Self {
        Self { name: view.name, about: view.about, keywords: view.keywords, listed: view.listed }
    }
}

impl From<ProfileRequest> for Command {
    fn from(request: ProfileRequest) -> Self {
        Self::SetProfile { name: request.name, about: request.about, keywords: request.keywords }
    }
}

impl From<ListedRequest> for Command {
    fn from(request: ListedRequest) -> Self {
        Self::SetListed(request.listed)
    }
}
