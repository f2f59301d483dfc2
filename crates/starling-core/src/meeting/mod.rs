//! How strangers become contacts: requests, invites, answers, and the list of everybody we know.
//!
//! [`Meeting`] is made of small machines, each in a file of its own: the [`Contacts`], the approaches to those whom we
//! ask, and the inbox of those who ask us. What comes in is handed to a method with a [`Context`]; what is to be done
//! comes out as [`Output`]s. All writes of a call go to the storage in the context: the caller commits them before an
//! output leaves, and builds the machine anew from the storage if it cannot.
//!
//! The specification is `docs/protocol/contacts.md`.

mod answers;
mod approach;
mod arrivals;
mod asking;
mod commands;
mod contact;
mod contacts;
mod errands;
#[cfg(test)]
mod fixture;
mod inbox;
mod invite;
mod keys;
mod lists;
mod machine;
mod mail;
mod mailboxes;
mod own;
mod reading;
mod refresh;
mod telling;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::envelope::WallClock;
use starling_crypto::identity::VerifiedDeviceList;
use starling_overlay::io::{CallError, NotPassed, Placement};
use starling_proto::addr::Peer;
use starling_proto::contact::ReadKey;
use starling_proto::content::ContentKind;
use starling_proto::identity::Name;
use starling_proto::ids::{AccountKey, DeviceKey, LocatorKey};
use starling_proto::message::Response;
use starling_proto::record::{Record, Stamp};
use starling_proto::time::Now;
use starling_proto::version::NetworkName;

pub use contact::Contact;
pub use contacts::{CONTACTS, Contacts, INCOMING};
pub use inbox::OWN_BINDING;
pub use invite::{DEFAULT_LIFE as INVITE_LIFE, INVITES, LONGEST_LIFE as LONGEST_INVITE_LIFE};
pub use machine::Meeting;
pub use mail::Mail;
pub use own::Decided;

use crate::identity::Identity;
use crate::publisher::Wanted;
use crate::storage::{StorageError, TalkStore};
use crate::talking::acquaintance::Acquaintance;
use crate::wish::Wish;

/// What the machine works with during one call.
pub struct Context<'a> {
    /// Both clocks.
    pub now: Now,
    /// Whether other peers confirm the wall clock: without that no key is destroyed.
    pub clock_confirmed: bool,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    /// Where everything is written.
    pub store: &'a mut dyn TalkStore,
    /// Who we are.
    pub me: Myself<'a>,
}

impl Context<'_> {
    pub(super) const fn clock(&self) -> WallClock {
        WallClock { now: self.now.seconds(), confirmed: self.clock_confirmed }
    }
}

/// Who we are, and what we tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Myself<'a> {
    /// Account, device and node.
    pub identity: &'a Identity,
    /// What we call ourselves.
    pub name: &'a Name,
    /// Where our addresses are found.
    pub locator: LocatorKey,
    /// What opens them.
    pub read_key: &'a ReadKey,
    /// The network that we are on.
    pub network: &'a NetworkName,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// For the overlay, the transport or a worker. A call to our own node is to be answered by our own holder.
    Wish(Wish),
    /// For the publisher: all that is to be published of kind bundle. [`Meeting::published`] follows once it is placed.
    Publish(Wanted),
    /// For the machine of talking: somebody with whom something may pass, or what has changed about one.
    Acquaint(Acquaintance),
    /// For the machine of talking: nothing may pass with this account any more.
    Forget(AccountKey),
    /// For the machine of talking: to be said to this device.
    Say {
        /// To whom.
        account: AccountKey,
        /// To which device.
        device: DeviceKey,
        /// What.
        kind: ContentKind,
    },
    /// For the machine of talking: what a contact's device left for us. [`Meeting::mail_taken`] follows.
    Mail(Mail),
    /// Somebody was blocked or removed who can read our locator: it is to be replaced, and [`Meeting::locator_replaced`] called.
    ReplaceLocator,
    /// Somebody has become a contact by what the user has decided before: the other devices are to know.
    Decided(AccountKey),
    /// Our own account has another device list.
    OwnList(VerifiedDeviceList),
    /// For the faces.
    Event(Event),
}

/// Something that the user may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody asks to be a contact.
    Requested {
        /// Who.
        account: AccountKey,
        /// What they call themselves.
        name: String,
        /// What they say.
        note: String,
    },
    /// Both agree now.
    Accepted(AccountKey),
    /// They do not want to.
    Declined(AccountKey),
    /// Our request lies where they will find it.
    Sent {
        /// Whom we asked.
        account: AccountKey,
        /// How many peers keep it.
        holders: usize,
    },
    /// A contact's devices have changed.
    DevicesChanged {
        /// Whose.
        account: AccountKey,
        /// How many are new.
        added: usize,
        /// Whether the account began anew, without regard for the list that was known.
        reset: bool,
    },
}

/// How something that was wanted has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// To [`Wish::Fetch`].
    Fetched {
        /// Verified records.
        records: Vec<Record>,
        /// How many holders answered.
        holders: usize,
    },
    /// To [`Wish::Store`].
    Stored(Placement),
    /// To [`Wish::Lookup`].
    Found(Vec<Peer>),
    /// To [`Wish::Call`].
    Answered(Result<Response, CallError>),
    /// To [`Wish::Stamp`].
    Stamped(Stamp),
    /// To [`Wish::Fetch`] and [`Wish::Store`]: nobody would do it in our place. It may be wanted again later.
    NotPassed(NotPassed),
    /// To any: it could not be done. It may be wanted again later.
    Failed,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// Neither a petname nor an account id nor the beginning of one.
    #[error("nobody is known as {0:?}")]
    Unknown(String),
    /// The beginning of several contacts' ids.
    #[error("several contacts' ids begin with {0:?}")]
    Ambiguous(String),
    /// Our own account.
    #[error("this is your own account")]
    Oneself,
    /// They are a contact already.
    #[error("already a contact")]
    Exists,
    /// They are blocked.
    #[error("this account is blocked")]
    Blocked,
    /// They are not blocked.
    #[error("this account is not blocked")]
    NotBlocked,
    /// They have not asked.
    #[error("no request of theirs is waiting")]
    NotAsked,
    /// No more contacts, or no more invites, can be kept.
    #[error("there are too many {0}")]
    TooMany(&'static str),
    /// Name and note together do not fit into a request.
    #[error("the note is {over} bytes too long")]
    NoteTooLong {
        /// How much is to be cut off.
        over: usize,
    },
    /// Empty, too long, with control characters, or like an account id.
    #[error("not usable as a petname")]
    BadPetname,
    /// Another contact has it, or one that looks like it.
    #[error("another contact is called {0:?} or almost so")]
    PetnameTaken(String),
    /// The invite is for another network.
    #[error("the invite is for the network {0:?}")]
    OtherNetwork(String),
    /// The invite has ended.
    #[error("the invite has expired")]
    Expired,
    /// This device is too far from its account: another device of the account is to ask.
    #[error("this device's certificates do not fit into a request")]
    ChainTooLong,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
