//! Talking with contacts: links, sessions, the outbox, the history, receipts and presence.
//!
//! [`Talking`] is one machine made of small ones, each in a file of its own. What comes in is handed to its `handle_…`
//! methods with a [`Context`]; what is to be done comes out as [`Wish`](crate::wish::Wish)es and [`Notice`]s. All
//! writes of a call go to the storage in the context: the caller commits them before a wish, a notice or a reply
//! leaves, and builds the machine anew from the storage if it cannot.
//!
//! Who is a contact is for the machine of contacts to say ([`Talking::set_person`]); it is told of hand-overs and
//! refusals by notices and answers through [`Talking::queue`]. The specification is `docs/protocol/messages.md`.

pub mod acquaintance;
pub mod connections;
mod ending;
#[cfg(test)]
mod fixture;
pub mod history;
mod linking;
pub mod links;
pub mod locator;
mod machine;
pub(crate) mod mailing;
pub mod outbox;
mod own;
pub mod presence;
mod receiving;
mod sending;
pub mod sessions;
mod starting;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod view;
mod watched;

use alloc::boxed::Box;

use rand_core::CryptoRng;
use starling_proto::content::{HandOver, Own};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, OlmKey};
use starling_proto::time::{Now, UnixSeconds};

pub use machine::Talking;
pub use outbox::Full;
pub use receiving::MailTaken;
pub use sending::SendError;

use crate::identity::Identity;
use crate::storage::{MessageRow, MessageState, TalkStore};
use presence::PresenceView;

/// What the machine works with during one call.
pub struct Context<'a> {
    /// Both clocks.
    pub now: Now,
    /// Whether other peers confirm the wall clock: without that nothing is given up for its age.
    pub clock_confirmed: bool,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    /// Where everything is written.
    pub store: &'a mut dyn TalkStore,
    /// Who we are.
    pub identity: &'a Identity,
}

/// Something that happened in a conversation: for the machine of contacts, or for the faces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// For contacts: a device says where it can be reached. The first one of somebody whom we asked accepts us.
    HandOver {
        /// Who.
        account: AccountKey,
        /// Which device.
        device: DeviceKey,
        /// What it hands over; its device list is unchecked.
        hand_over: Box<HandOver>,
    },
    /// For contacts: somebody does not want to be a contact.
    Decline {
        /// Who.
        account: AccountKey,
    },
    /// For contacts: a one-time key was used and must not be handed in again.
    KeyUsed {
        /// Whose device.
        account: AccountKey,
        /// Which device.
        device: DeviceKey,
        /// The key.
        key: OlmKey,
    },
    /// For contacts: one of their devices was connected at this time.
    Seen {
        /// Who.
        account: AccountKey,
        /// When.
        at: UnixSeconds,
    },
    /// For contacts: a device names another device list than the one we know; the account record is to be read again.
    ListChanged {
        /// Whose.
        account: AccountKey,
    },
    /// For contacts: a device cannot be reached and does not know where we are, since the hand-over that says so waits here
    /// and lies at no mailbox. It is to be told in another way.
    Unheard {
        /// Whose.
        account: AccountKey,
        /// Which.
        device: DeviceKey,
    },
    /// For whoever keeps it: what the user has decided or changed on another device of ours.
    Own(Box<Own>),
    /// For the faces: a message has come, or another device of ours has said one.
    Message(MessageRow),
    /// For the faces: a text reads otherwise, is no more, or somebody has said what they think of it.
    Changed(MessageRow),
    /// For the faces: a message of ours has come further.
    State {
        /// Which.
        id: MessageId,
        /// With whom.
        conversation: AccountKey,
        /// How far.
        state: MessageState,
    },
    /// For the faces: somebody appears different.
    Presence {
        /// Who.
        account: AccountKey,
        /// How.
        view: PresenceView,
    },
}
