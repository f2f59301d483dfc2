//! What the devices of one account tell each other, so that their user finds the same on each.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

use super::{Content, ContentKind};
use crate::identity::Name;
use crate::ids::AccountKey;
use crate::time::UnixMillis;
use crate::{DecodeError, limits, wire};

/// What a device tells the other devices of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// What it has said to somebody.
    Copy {
        /// To whom.
        with: AccountKey,
        /// With its place in the device's chain. Always a part of the conversation.
        content: Box<Content>,
    },
    /// What its user has decided about somebody.
    Card(Card),
    /// What the devices have in common.
    Kept(Kept),
}

/// How somebody stands with the account, and what its user calls them. Of two cards about somebody the one where each of
/// the two was changed last counts for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Who.
    pub account: AccountKey,
    /// How.
    pub standing: CardStanding,
    /// When that was decided, by the clock of that device.
    pub standing_at: UnixMillis,
    /// What the user calls them.
    pub petname: Option<String>,
    /// Whether the safety number has been compared.
    pub verified: bool,
    /// When petname or check was changed, by the clock of that device.
    pub named_at: UnixMillis,
    /// What they call themselves; empty if it is not known.
    pub name: String,
}

/// What the user has decided about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardStanding {
    /// They are asked to be a contact.
    Requested,
    /// They are a contact.
    Accepted,
    /// They are not to be one.
    Declined,
    /// Nothing is wanted of them.
    Blocked,
    /// They are forgotten.
    Removed,
}

impl CardStanding {
    const ALL: [Self; 5] = [Self::Requested, Self::Accepted, Self::Declined, Self::Blocked, Self::Removed];

    const fn number(self) -> u32 {
        match self {
            Self::Requested => 1,
            Self::Accepted => 2,
            Self::Declined => 3,
            Self::Blocked => 4,
            Self::Removed => 5,
        }
    }
}

/// What the devices have in common, whole. Of two the one that was changed last counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is.
    pub what: KeptKind,
    /// Its encoding on disk, unchecked: at most [`limits::KEPT`] bytes.
    pub value: Vec<u8>,
    /// When it was changed, by the clock of that device.
    pub changed_at: UnixMillis,
}

/// What devices have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKind {
    /// What the user says about themselves.
    Profile,
    /// What others learn of them while they talk.
    Settings,
}

impl Own {
    pub(super) fn to_wire(&self) -> wire::content::Kind {
        use wire::content::Kind;
        match self {
            Self::Copy { with, content } => {
                Kind::Copy(wire::Copy { account: with.as_bytes().to_vec(), content: content.encode() })
            }
            Self::Card(card) => Kind::Card(wire::Card {
                account: card.account.as_bytes().to_vec(),
                standing: card.standing.number(),
                standing_at_ms: card.standing_at.get(),
                petname: card.petname.clone().unwrap_or_default(),
                verified: card.verified,
                named_at_ms: card.named_at.get(),
                name: card.name.clone(),
            }),
            Self::Kept(kept) => Kind::Kept(wire::Kept {
                what: match kept.what {
                    KeptKind::Profile => 1,
                    KeptKind::Settings => 2,
                },
                value: kept.value.clone(),
                changed_at_ms: kept.changed_at.get(),
            }),
        }
    }

    pub(super) fn copy_from_wire(copy: &wire::Copy) -> Result<Self, DecodeError> {
        use wire::content::Kind;
        let malformed = DecodeError::Malformed("copy");
        let content = wire::Content::decode(copy.content.as_slice()).map_err(|_| malformed.clone())?;
        // Before anything inside is read: a copy of a copy of a copy would be read as deep as it was written.
        let is_said =
            matches!(content.kind, Some(Kind::Text(_) | Kind::Edit(_) | Kind::Delete(_) | Kind::Reaction(_)));
        if !is_said {
            return Err(malformed);
        }
        let content = Content::from_wire(content)?;
        debug_assert!(matches!(content.kind, ContentKind::Said(_)), "as its kind says");
        Ok(Self::Copy { with: AccountKey::from_slice(&copy.account)?, content: Box::new(content) })
    }
}

impl Card {
    pub(super) fn from_wire(card: wire::Card) -> Result<Self, DecodeError> {
        let standing = CardStanding::ALL.into_iter().find(|standing| standing.number() == card.standing);
        let bad = DecodeError::OutOfRange { what: "standing", got: u64::from(card.standing) };
        for name in [&card.petname, &card.name] {
            if !name.is_empty() {
                Name::new(name.as_str())?;
            }
        }
        Ok(Self {
            account: AccountKey::from_slice(&card.account)?,
            standing: standing.ok_or(bad)?,
            standing_at: UnixMillis::new(card.standing_at_ms),
            petname: (!card.petname.is_empty()).then_some(card.petname),
            verified: card.verified,
            named_at: UnixMillis::new(card.named_at_ms),
            name: card.name,
        })
    }
}

impl Kept {
    pub(super) fn from_wire(kept: wire::Kept) -> Result<Self, DecodeError> {
        limits::bytes_at_most("kept value", kept.value.len(), limits::KEPT)?;
        let what = match kept.what {
            1 => KeptKind::Profile,
            2 => KeptKind::Settings,
            other => return Err(DecodeError::OutOfRange { what: "kept kind", got: u64::from(other) }),
        };
        Ok(Self { what, value: kept.value, changed_at: UnixMillis::new(kept.changed_at_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{MessageText, Said};
    use crate::ids::MessageId;

    fn content(kind: ContentKind) -> Content {
        Content { id: MessageId::new([1; 16]), sent_at: UnixMillis::new(2), link: None, kind }
    }

    fn copy(of: Content) -> Own {
        Own::Copy { with: AccountKey::new([3; 32]), content: Box::new(of) }
    }

    fn card() -> Card {
        Card {
            account: AccountKey::new([4; 32]),
            standing: CardStanding::Blocked,
            standing_at: UnixMillis::new(5),
            petname: Some("Bob".into()),
            verified: true,
            named_at: UnixMillis::new(6),
            name: "Robert".into(),
        }
    }

    #[test]
    fn what_devices_tell_each_other_round_trips() {
        let text = content(MessageText::new("x".repeat(limits::TEXT)).unwrap().into());
        let kept =
            |what| Own::Kept(Kept { what, value: vec![6; limits::KEPT], changed_at: UnixMillis::new(7) });
        let bare = Card { petname: None, name: String::new(), ..card() };
        for own in [
            copy(text),
            copy(content(ContentKind::Said(Said::Delete { of: MessageId::new([9; 16]) }))),
            Own::Card(card()),
            Own::Card(bare),
            kept(KeptKind::Profile),
            kept(KeptKind::Settings),
        ] {
            let content = content(ContentKind::Own(own));
            assert_eq!(Content::decode(&content.encode()), Ok(content));
        }
    }

    #[test]
    fn a_copy_holds_a_part_of_a_conversation_and_nothing_else() {
        let decline = content(ContentKind::Own(copy(content(ContentKind::Decline))));
        assert_eq!(Content::decode(&decline.encode()), Err(DecodeError::Malformed("copy")));
        let text = content(MessageText::new("hello").unwrap().into());
        let mut nested = content(ContentKind::Own(copy(text)));
        for _ in 0..100 {
            nested = content(ContentKind::Own(copy(nested)));
            assert_eq!(Content::decode(&nested.encode()), Err(DecodeError::Malformed("copy")));
        }
    }

    #[test]
    fn bad_cards_and_values_are_refused() {
        let read = |own| Content::decode(&content(ContentKind::Own(own)).encode());
        let long = "x".repeat(limits::NAME + 1);
        assert!(read(Own::Card(Card { petname: Some(long.clone()), ..card() })).is_err());
        assert!(read(Own::Card(Card { name: long, ..card() })).is_err());
        let value = vec![0; limits::KEPT + 1];
        let kept = Kept { what: KeptKind::Profile, value, changed_at: UnixMillis::new(0) };
        assert!(read(Own::Kept(kept)).is_err());
        let card = wire::Card { account: vec![4; 32], standing: 6, ..wire::Card::default() };
        assert_eq!(Card::from_wire(card), Err(DecodeError::OutOfRange { what: "standing", got: 6 }));
    }
}
