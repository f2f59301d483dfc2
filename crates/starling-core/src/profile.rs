//! What the user says about themselves.

use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::DecodeError;
use starling_proto::identity::{About, Keyword, Name};
use starling_proto::limits;

use crate::{view, wire};

/// A checked self-description: its parts fit where they are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name.
    pub name: Name,
    /// The about text.
    pub about: About,
    /// Words to be found by.
    pub keywords: Vec<Keyword>,
    /// Whether it is in the directory. Unlisted is the default: who wants to be found says so.
    pub listed: bool,
}

impl Profile {
    /// A name alone.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, about: About::default(), keywords: Vec::new(), listed: false }
    }

    /// Replaces the keywords.
    ///
    /// # Errors
    /// [`DecodeError`] if one is no keyword or there are too many.
    pub fn set_keywords(&mut self, keywords: Vec<String>) -> Result<(), DecodeError> {
        limits::at_most("keywords", keywords.len(), limits::WORDS)?;
        self.keywords = keywords.into_iter().map(Keyword::new).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The slot's content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = wire::Profile {
            name: self.name.as_str().into(),
            about: self.about.as_str().into(),
            keywords: self.keyword_texts(),
            listed: self.listed,
        };
        prost::Message::encode_to_vec(&stored)
    }

    /// Reads the slot's content. `None` if it holds something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let stored = <wire::Profile as prost::Message>::decode(bytes).ok()?;
        let mut profile = Self::new(Name::new(stored.name).ok()?);
        profile.about = About::new(stored.about).ok()?;
        profile.set_keywords(stored.keywords).ok()?;
        profile.listed = stored.listed;
        Some(profile)
    }

    /// The keywords as plain text.
    #[must_use]
    pub fn keyword_texts(&self) -> Vec<String> {
        self.keywords.iter().map(|word| word.as_str().into()).collect()
    }

    /// What the faces show.
    #[must_use]
    pub fn view(&self) -> view::Profile {
        view::Profile {
            name: self.name.as_str().into(),
            about: self.about.as_str().into(),
            keywords: self.keyword_texts(),
            listed: self.listed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let mut profile = Profile::new(Name::new("Ada").unwrap());
        profile.about = About::new("engines").unwrap();
        profile.set_keywords(vec!["chess".into()]).unwrap();
        profile.listed = true;
        assert_eq!(Profile::decode(&profile.encode()), Some(profile));
    }

    #[test]
    fn a_keyword_too_many_is_refused() {
        let mut profile = Profile::new(Name::new("Ada").unwrap());
        assert!(profile.set_keywords(vec!["w".into(); limits::WORDS + 1]).is_err());
        assert!(profile.set_keywords(vec!["two words".into()]).is_err());
    }
}
