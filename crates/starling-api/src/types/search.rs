//! Finding people by words.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use starling_core::io::Command;
use starling_core::view;
use starling_proto::ids::AccountKey;
use utoipa::ToSchema;

use super::{count, text};

/// Find people by words or beginnings of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What the user typed, a word each.
    pub words: Vec<String>,
    /// How many results at most; 20 if absent.
    #[serde(default = "SearchRequest::default_limit")]
    pub limit: u16,
}

/// People found, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchReply {
    /// People, best first.
    pub results: Vec<SearchHit>,
    /// Whether there are more than these, as far as the holders said.
    pub truncated: bool,
    /// How many more.
    pub left_out: u32,
    /// How many peers answered, each counted once for all words together.
    pub asked_holders: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A person found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// The account id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// What they call themselves. Anybody may choose any name: the tag tells namesakes apart.
    pub name: String,
    /// What they say about themselves.
    pub about: String,
    /// How many of the searched words match.
    pub matched: u64,
    /// How many words were searched.
    pub total_words: u64,
    /// The short key tag.
    pub tag: String,
    /// Whether this is an accepted contact.
    pub contact: bool,
    /// Whether the name can be mistaken for that of a contact who is somebody else.
    pub look_alike: bool,
}

impl SearchRequest {
    /// Results if no limit is given: a screenful.
    pub const DEFAULT_LIMIT: u16 = 20;

    const fn default_limit() -> u16 {
        Self::DEFAULT_LIMIT
    }
}

impl From<SearchRequest> for Command {
    fn from(request: SearchRequest) -> Self {
        Self::Search { words: request.words, limit: usize::from(request.limit) }
    }
}

impl SearchReply {
    pub(crate) fn new(view: view::SearchResults, took: Duration) -> Self {
        Self {
            results: view.results.into_iter().map(Into::into).collect(),
            truncated: view.left_out > 0,
            left_out: view.left_out,
            asked_holders: count(view.asked_holders),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<view::SearchHit> for SearchHit {
    fn from(view: view::SearchHit) -> Self {
        Self {
            account: view.account,
            name: view.name,
            about: view.about,
            matched: count(view.matched),
            total_words: count(view.total_words),
            tag: view.tag,
            contact: view.contact,
            look_alike: view.look_alike,
        }
    }
}
