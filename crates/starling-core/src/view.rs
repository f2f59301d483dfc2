//! What the core shows to the faces: plain values, copied out of the machines.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::ids::{AccountKey, DeviceKey, NodeKey};

use crate::publisher::Progress;

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The overlay: peers, table, what is held for others.
    pub overlay: starling_overlay::overlay::Status,
    /// Our own directory entries: how many are to be placed, how many are.
    pub entries: Progress,
}

/// Answer to `whoami`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// The account.
    pub account: AccountKey,
    /// This installation.
    pub device: DeviceKey,
    /// This peer.
    pub node: NodeKey,
    /// The name.
    pub name: String,
    /// The short key tag that stands beside the name.
    pub tag: String,
}

/// What the user says about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// Answer to `search`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResults {
    /// People, best first.
    pub results: Vec<SearchHit>,
    /// How many more there are, as far as the holders said.
    pub left_out: u32,
    /// How many holders answered.
    pub asked_holders: usize,
}

/// A person found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Who.
    pub account: AccountKey,
    /// What they call themselves. Anybody may choose any name: the tag tells namesakes apart.
    pub name: String,
    /// What they say about themselves.
    pub about: String,
    /// How many of the searched words match.
    pub matched: usize,
    /// How many words were searched.
    pub total_words: usize,
    /// The short key tag.
    pub tag: String,
    /// Whether this is an accepted contact.
    pub contact: bool,
    /// Whether the name can be mistaken for a contact's, who is somebody else.
    pub look_alike: bool,
}
