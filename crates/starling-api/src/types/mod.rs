//! The JSON of the API: one type for each request, answer and event.
//!
//! They are not the core's types: the core may change its own at will, these only with a note in the changelog.
//! Requests refuse fields they do not know, so that a typing error is no silent default; answers may gain fields.
//! Ids and times are typed here and text on the wire: what has been parsed once is not parsed again.

mod contact;
mod device;
mod error;
mod event;
mod identity;
mod invite;
mod message;
mod network;
mod profile;
mod search;
mod settings;
mod status;
mod text;
mod time;
mod trace;

pub use contact::{
    AddContactRequest, ChangeContactRequest, Contact, ContactChange, ContactState, Contacts, Presence,
    SafetyNumber, SafetyRequest,
};
pub use device::{Device, Devices, LinkDeviceRequest, RevokeDeviceRequest};
pub use error::{Code, ErrorBody, ErrorReply};
pub use event::{EventBody, EventLine, Ready, WarningCode};
pub use identity::WhoAmI;
pub use invite::{InviteReply, InviteRequest};
pub use message::{
    ChangeMessageRequest, Message, MessageChange, MessageState, Messages, MessagesRequest, Reaction,
    SendReply, SendRequest,
};
pub use network::{JoinReply, JoinRequest};
pub use profile::{ListedRequest, Profile, ProfileRequest};
pub use search::{SearchHit, SearchReply, SearchRequest};
pub use settings::{Availability, PassOn, Settings, SettingsRequest, TypingRequest};
pub use status::{Bucket, ContactCounts, Entries, Held, Mode, RoutingTable, Served, Status};
pub use time::{Time, TimeError};
pub use trace::{Step, Trace, TraceStep};

/// Counts in JSON are 64 bits wide on every machine.
fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
