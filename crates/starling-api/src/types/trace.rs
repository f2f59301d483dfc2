//! Why has it not arrived: the steps of one message.

use serde::{Deserialize, Serialize};
use starling_core::view;
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use utoipa::ToSchema;

use super::{MessageState, Time, text};

/// The steps of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// The message's id.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The account of the contact with whom the conversation is.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub conversation: AccountKey,
    /// Whether the message is ours.
    pub mine: bool,
    /// When it was written, by the author's clock.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Time,
    /// How far it has come.
    pub state: MessageState,
    /// How many peers keep it for the contact, while it waits there; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<u32>,
    /// What happened to it, oldest first.
    pub steps: Vec<TraceStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceStep {
    /// When.
    #[serde(with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// For programs.
    pub step: Step,
    /// For people: what happened, and the likely cause.
    pub text: String,
    /// To which device's copy; null if to all.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceKey>,
    /// How many peers had to do with it.
    pub peers: u32,
}

/// What happened to a message. More come; a reader shows the text of those it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Written into the outbox.
    Queued,
    /// There was no connection with the device when it was written; one is being looked for.
    NotLinked,
    /// Where the device can be reached was looked for and not found.
    NotLocated,
    /// The device was found and did not answer.
    NotReached,
    /// Whoever answered could not prove to be the device.
    NotProven,
    /// There is no session with the device, and no key to start one with yet.
    NoSession,
    /// Handed to the device over a connection of its own.
    Sent,
    /// The connection ended before the device had confirmed; it is sent again.
    Interrupted,
    /// The device could not open it; it is sent again, in a new session.
    NotOpened,
    /// The device says that it is on its disk.
    OnTheirDisk,
    /// The device's receipt has come.
    Delivered,
    /// Its user has seen it.
    Read,
    /// Given up after thirty days.
    Expired,
    /// Given up: the contact or the device is no longer one to be written to.
    Dropped,
    /// Received; it goes on from what we have of its author.
    Received,
    /// Received; earlier messages of the author are missing and were asked for.
    ReceivedAfterGap,
    /// Received; it does not name the message that we have before it.
    ReceivedOffChain,
    /// As many peers as said keep it, sealed, for the device.
    Stored,
    /// No peer would keep it for the device.
    NotStored,
    /// The device's mailbox holds as much of ours as it may.
    MailboxFull,
    /// The device has not said yet where mail for it can be left.
    NoMailbox,
    /// Too few of the peers that said that they keep it could show it; it is left anew.
    Lost,
    /// Another device of ours has written it, and sends it.
    SentElsewhere,
    /// Nobody would leave it at the device's mailbox in our place, as the settings want it.
    NotPassed,
    /// A step that this version has no name for.
    #[serde(other)]
    Other,
}

impl From<view::Trace> for Trace {
    fn from(view: view::Trace) -> Self {
        Self {
            id: view.message.id,
            conversation: view.message.conversation,
            mine: view.message.mine,
            sent_at: view.message.sent_at.into(),
            state: view.message.state.into(),
            holders: view.message.holders,
            steps: view.steps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<view::TraceStep> for TraceStep {
    fn from(view: view::TraceStep) -> Self {
        Self {
            time: view.at.into(),
            step: view.step.into(),
            text: view.text,
            device: view.device,
            peers: view.peers,
        }
    }
}

impl From<view::Step> for Step {
    fn from(step: view::Step) -> Self {
        match step {
            view::Step::Queued => Self::Queued,
            view::Step::NotLinked => Self::NotLinked,
            view::Step::NotLocated => Self::NotLocated,
            view::Step::NotReached => Self::NotReached,
            view::Step::NotProven => Self::NotProven,
            view::Step::NoSession => Self::NoSession,
            view::Step::Sent => Self::Sent,
            view::Step::Interrupted => Self::Interrupted,
            view::Step::NotOpened => Self::NotOpened,
            view::Step::OnTheirDisk => Self::OnTheirDisk,
            view::Step::Delivered => Self::Delivered,
            view::Step::Read => Self::Read,
            view::Step::Expired => Self::Expired,
            view::Step::Dropped => Self::Dropped,
            view::Step::Received => Self::Received,
            view::Step::ReceivedAfterGap => Self::ReceivedAfterGap,
            view::Step::ReceivedOffChain => Self::ReceivedOffChain,
            view::Step::Stored => Self::Stored,
            view::Step::NotStored => Self::NotStored,
            view::Step::MailboxFull => Self::MailboxFull,
            view::Step::NoMailbox => Self::NoMailbox,
            view::Step::NotPassed => Self::NotPassed,
            view::Step::Lost => Self::Lost,
            view::Step::SentElsewhere => Self::SentElsewhere,
            // Whatever the core learns to say before this table does: its text is told all the same.
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_name() {
        for step in view::Step::ALL {
            assert_ne!(Step::from(step), Step::Other, "{step:?}");
        }
        assert_eq!(serde_json::from_str::<Step>("\"of_next_year\"").unwrap(), Step::Other);
    }
}
