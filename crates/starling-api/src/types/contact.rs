//! The people we know, asked, or were asked by.

use core::fmt;

use serde::{Deserialize, Serialize};
use starling_core::io::{self, Command, Newcomer};
use starling_core::view;
use starling_proto::ids::AccountKey;
use starling_proto::invite::Invite;
use utoipa::ToSchema;

use super::{Code, ErrorBody, Time, count, text};

/// Everybody who is a contact, asks to be one, or was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Contacts {
    /// In the core's order, which is that of their ids.
    pub contacts: Vec<Contact>,
}

/// Somebody we know, asked, or were asked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// The account id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountKey,
    /// What they call themselves. Anybody may choose any name: the tag tells namesakes apart.
    pub name: String,
    /// What we call them; null if we gave them no name of our own.
    pub petname: Option<String>,
    /// The short key tag.
    pub tag: String,
    /// How they stand to us.
    pub state: ContactState,
    /// What they said when they asked.
    pub note: String,
    /// Whether the user has compared the safety number.
    pub verified: bool,
    /// When we came to know of them.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub added: Time,
    /// How they appear now, over all their devices.
    pub presence: Presence,
    /// What they say about it; empty if nothing.
    pub status_line: String,
    /// Whether they are typing to us now.
    pub typing: bool,
    /// When one of their devices was last connected; null if none ever was.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Time>,
    /// Devices on their newest list that we know.
    pub devices: u64,
}

/// How somebody stands to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// We asked, they have not answered.
    Requested,
    /// They ask, we have not answered.
    Incoming,
    /// Both agreed.
    Accepted,
    /// One of both said no.
    Declined,
    /// We want nothing of them.
    Blocked,
}

/// Presence in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// There.
    Online,
    /// Connected, but not at the keyboard.
    Away,
    /// There, and not to be disturbed.
    Busy,
    /// Not there, as far as we know; so is everybody who is no accepted contact.
    Offline,
}

/// Ask somebody to be a contact; accept them if they have asked.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddContactRequest {
    /// An account id (`starling1…`) or an invite (`starling:invite1…`), as it was received.
    pub whom: String,
    /// A few words that go with the request, at most 256 bytes; none if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Change how somebody stands to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeContactRequest {
    /// A petname, an account id, or 8 letters or more of the beginning of a contact's.
    pub who: String,
    /// What to change.
    pub change: ContactChange,
    /// With `rename`: what to call them from now on; absent: by their own name again. With nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub petname: Option<String>,
}

/// A change of how somebody stands to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactChange {
    /// Accept their request.
    Accept,
    /// Decline their request; they are told.
    Decline,
    /// Forget them; messages stay.
    Remove,
    /// Want nothing of them any more.
    Block,
    /// Take the block back.
    Unblock,
    /// Call them something else, or by their own name again.
    Rename,
    /// The safety number was the same on both sides.
    Verify,
    /// It is not known to be the same any more.
    Unverify,
}

/// Whose safety number is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetyRequest {
    /// A petname, an account id, or 8 letters or more of the beginning of a contact's.
    pub who: String,
}

/// The digits that two people compare to know that nobody stands between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyNumber {
    /// With whom.
    pub contact: Contact,
    /// Twelve groups of five digits with a blank between them: the same on both sides.
    pub digits: String,
}

/// An invite is a secret, and it stands in `whom`.
impl fmt::Debug for AddContactRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddContactRequest").field("note", &self.note).finish_non_exhaustive()
    }
}

impl TryFrom<AddContactRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: AddContactRequest) -> Result<Self, ErrorBody> {
        Ok(Self::AddContact { whom: newcomer(request.whom.trim())?, note: request.note })
    }
}

/// Reads what people pass on to each other. No refusal quotes it: an invite is a secret, mistyped or not.
fn newcomer(whom: &str) -> Result<Newcomer, ErrorBody> {
    let bad = |message: &str, hint: &str| ErrorBody::new(Code::BadInput, message, hint);
    let begins = |start: &str| {
        whom.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    };
    if begins(Invite::SCHEME) || begins("invite1") {
        return whom.parse().map(|invite| Newcomer::Invite(Box::new(invite))).map_err(|_| {
            bad(
                "the invite cannot be read: a letter is wrong or missing",
                "copy the whole invite again, from starling:invite1 to its last letter, or ask for a new one",
            )
        });
    }
    if begins("starling1") {
        return whom.parse().map(Newcomer::Account).map_err(|_| {
            bad(
                "the account id cannot be read: a letter is wrong or missing",
                "copy the whole id again; `starling search` shows it, and its owner's `starling whoami`",
            )
        });
    }
    Err(bad(
        "this is neither an account id nor an invite",
        "an account id begins with starling1, an invite with starling:invite1; `starling search` finds people by words",
    ))
}

impl TryFrom<ChangeContactRequest> for Command {
    type Error = ErrorBody;

    fn try_from(request: ChangeContactRequest) -> Result<Self, ErrorBody> {
        let ChangeContactRequest { who, change, petname } = request;
        if petname.is_some() && change != ContactChange::Rename {
            return Err(ErrorBody::new(
                Code::BadInput,
                "a petname goes with the change \"rename\" only",
                "leave petname out, or send \"rename\" in a request of its own",
            ));
        }
        Ok(Self::Contact { who, change: change.with(petname) })
    }
}

impl ContactChange {
    fn with(self, petname: Option<String>) -> io::ContactChange {
        match self {
            Self::Accept => io::ContactChange::Accept,
            Self::Decline => io::ContactChange::Decline,
            Self::Remove => io::ContactChange::Remove,
            Self::Block => io::ContactChange::Block,
            Self::Unblock => io::ContactChange::Unblock,
            Self::Rename => io::ContactChange::Rename(petname),
            Self::Verify => io::ContactChange::SetVerified(true),
            Self::Unverify => io::ContactChange::SetVerified(false),
        }
    }
}

impl From<SafetyRequest> for Command {
    fn from(request: SafetyRequest) -> Self {
        Self::SafetyNumber { who: request.who }
    }
}

impl From<Vec<view::Contact>> for Contacts {
    fn from(view: Vec<view::Contact>) -> Self {
        Self { contacts: view.into_iter().map(Into::into).collect() }
    }
}

impl From<view::Contact> for Contact {
    fn from(view: view::Contact) -> Self {
        Self {
            account: view.account,
            name: view.name,
            petname: view.petname,
            tag: view.tag,
            state: view.state.into(),
            note: view.note,
            verified: view.verified,
            added: view.added.into(),
            presence: view.presence.status.into(),
            status_line: view.presence.line,
            typing: view.presence.typing,
            last_seen: view.last_seen.map(Into::into),
            devices: count(view.devices),
        }
    }
}

impl From<view::ContactState> for ContactState {
    fn from(state: view::ContactState) -> Self {
        match state {
            view::ContactState::Requested => Self::Requested,
            view::ContactState::Incoming => Self::Incoming,
            view::ContactState::Accepted => Self::Accepted,
            view::ContactState::Declined => Self::Declined,
            view::ContactState::Blocked => Self::Blocked,
        }
    }
}

impl From<Option<view::PresenceStatus>> for Presence {
    fn from(status: Option<view::PresenceStatus>) -> Self {
        match status {
            Some(view::PresenceStatus::Online) => Self::Online,
            Some(view::PresenceStatus::Away) => Self::Away,
            Some(view::PresenceStatus::Busy) => Self::Busy,
            None => Self::Offline,
        }
    }
}

impl From<view::SafetyNumber> for SafetyNumber {
    fn from(view: view::SafetyNumber) -> Self {
        Self { contact: view.contact.into(), digits: view.digits.to_string() }
    }
}
