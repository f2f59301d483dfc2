//! Why has it not arrived: the steps of one message, in words.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::ids::{DeviceKey, MessageId};
use starling_proto::time::{Now, UnixMillis};

use crate::storage::{StorageError, TalkStore, TraceRow};

/// Steps of one message that are kept for each device's copy, and after them only those that end it. Repeats of the last
/// step are written once. So a message that waits for a month does not fill the disk.
pub const STEPS: usize = 64;

/// Room beyond [`STEPS`] for the steps that end a copy.
const ENDS: usize = 8;

/// What happened to a message. The numbers are stored for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// Written into the outbox, in the transaction that wrote the history.
    Queued,
    /// There was no connection with the device when it was written; one is being looked for.
    NotLinked,
    /// The device's locator was looked for and not found.
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
    /// Thirty days have passed.
    Expired,
    /// The contact or the device is no longer one to be written to.
    Dropped,
    /// Received; the author's chain goes on from what we have.
    Received,
    /// Received; earlier messages of the author are missing and were asked for.
    ReceivedAfterGap,
    /// Received; it does not name the message that we have before it.
    ReceivedOffChain,
    /// Sealed at the device's mailbox, with as many peers as the step says.
    Stored,
    /// No peer would keep it for the device.
    NotStored,
    /// The peers say that the device's mailbox holds as much of ours as it may.
    MailboxFull,
    /// The device has not handed over where mail for it can be left.
    NoMailbox,
    /// Too few of the peers that said that they keep it could show it, about as many as the step says; it is left anew.
    Lost,
    /// Another device of ours sends it.
    SentElsewhere,
    /// Nobody would leave it at the device's mailbox in our place.
    NotPassed,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 24] = [
        Self::Queued,
        Self::NotLocated,
        Self::NotReached,
        Self::NotProven,
        Self::NoSession,
        Self::Sent,
        Self::Interrupted,
        Self::NotOpened,
        Self::OnTheirDisk,
        Self::Delivered,
        Self::Read,
        Self::Expired,
        Self::Dropped,
        Self::Received,
        Self::ReceivedAfterGap,
        Self::ReceivedOffChain,
        Self::NotLinked,
        Self::Stored,
        Self::NotStored,
        Self::MailboxFull,
        Self::NoMailbox,
        Self::Lost,
        Self::SentElsewhere,
        Self::NotPassed,
    ];

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Queued => 1,
            Self::NotLocated => 2,
            Self::NotReached => 3,
            Self::NotProven => 4,
            Self::NoSession => 5,
            Self::Sent => 6,
            Self::Interrupted => 7,
            Self::NotOpened => 8,
            Self::OnTheirDisk => 9,
            Self::Delivered => 10,
            Self::Read => 11,
            Self::Expired => 12,
            Self::Dropped => 13,
            Self::Received => 14,
            Self::ReceivedAfterGap => 15,
            Self::ReceivedOffChain => 16,
            Self::NotLinked => 17,
            Self::Stored => 18,
            Self::NotStored => 19,
            Self::MailboxFull => 20,
            Self::NoMailbox => 21,
            Self::Lost => 22,
            Self::SentElsewhere => 23,
            Self::NotPassed => 24,
        }
    }

    /// The step of a stored number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }

    /// Whether nothing is tried after it, so that there are few of them.
    const fn ends(self) -> bool {
        matches!(self, Self::Delivered | Self::Read | Self::Expired | Self::Dropped)
    }

    /// What happened, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Queued => "written down, waiting to be sent",
            Self::NotLinked => "the other device is not connected; it is being looked for",
            Self::NotLocated => {
                "the other device says nowhere where it can be reached; it may never have been online"
            }
            Self::NotReached => "the other device does not answer; it is probably offline",
            Self::NotProven => "whoever answered is not the other device; it is looked for again",
            Self::NoSession => "there is no key to start a private session with yet; one is being fetched",
            Self::Sent => "sent straight to the other device",
            Self::Interrupted => "the connection broke before the other device confirmed; it is sent again",
            Self::NotOpened => "the other device could not open it; it is sent again in a new session",
            Self::OnTheirDisk => "on the other device's disk",
            Self::Delivered => "the other device's receipt has come",
            Self::Read => "read",
            Self::Expired => "given up: the other device was not reached for 30 days",
            Self::Dropped => "given up: this device is not written to any more",
            Self::Received => "received",
            Self::ReceivedAfterGap => "received; earlier messages are missing and were asked for",
            Self::ReceivedOffChain => "received; it does not follow on the message before it",
            Self::Stored => "keep it, sealed, for 14 days; the other device takes it when it returns",
            Self::NotStored => "no peer could be found that keeps it for the other device; it is tried again",
            Self::MailboxFull => "the other device's mailbox is full; it is tried again",
            Self::NoMailbox => {
                "the other device has not said yet where mail for it can be left; it must come online once"
            }
            Self::Lost => "too few of the peers that kept it still do; it is left with others anew",
            Self::NotPassed => {
                "no peer could be found that leaves it for the other device in your place; it is tried again"
            }
            Self::SentElsewhere => "another device of yours has written it, and sends it",
        }
    }
}

/// One step, for `trace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub step: Step,
    /// To which device's copy.
    pub device: Option<DeviceKey>,
    /// How many peers had to do with it.
    pub peers: u32,
    /// The step in words, with the device.
    pub text: String,
}

/// The steps of one message, oldest first.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn steps(store: &dyn TalkStore, message: &MessageId) -> Result<Vec<TraceStep>, StorageError> {
    let known = |row: TraceRow| {
        let step = Step::from_number(row.step)?;
        let sentence = match (step, row.peers) {
            (Step::Stored, 1) => format!("1 peer {}", step.sentence().replacen("keep", "keeps", 1)),
            (Step::Stored, peers) => format!("{peers} peers {}", step.sentence()),
            _ => step.sentence().into(),
        };
        let text = match &row.device {
            Some(device) => format!("{sentence} ({})", short(device)),
            None => sentence,
        };
        Some(TraceStep { at: row.at, step, device: row.device, peers: row.peers, text })
    };
    Ok(store.trace(message)?.into_iter().filter_map(known).collect())
}

/// Writes a step of a message of the history down, unless it repeats the last one of the same copy, or the copy has
/// more than [`STEPS`] and goes on. Nobody can ask for the steps of anything else.
///
/// # Errors
/// [`StorageError`] from beneath.
pub(super) fn note(
    store: &mut dyn TalkStore,
    now: Now,
    message: MessageId,
    step: Step,
    device: Option<DeviceKey>,
) -> Result<(), StorageError> {
    note_with(store, now, message, step, (device, u32::from(device.is_some())))
}

/// The same, of a step that as many peers had to do with.
///
/// # Errors
/// [`StorageError`] from beneath.
pub(super) fn note_with(
    store: &mut dyn TalkStore,
    now: Now,
    message: MessageId,
    step: Step,
    (device, peers): (Option<DeviceKey>, u32),
) -> Result<(), StorageError> {
    // What ends a copy comes a few times at most; a device that says so again and again is not written down for ever.
    let most = STEPS.saturating_add(if step.ends() { ENDS } else { 1 });
    store.append_trace(&TraceRow { message, at: now.wall, step: step.number(), device, peers }, most)
}

/// The first letters of a device's text form: enough to tell a person's devices apart.
fn short(device: &DeviceKey) -> String {
    format!("{device}").chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use starling_proto::content::{MessageText, Said};
    use starling_proto::ids::AccountKey;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::talking::history;

    #[test]
    fn numbers_are_one_to_one() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step.number() as usize, at + 1);
            assert_eq!(Step::from_number(step.number()), Some(step));
        }
        assert_eq!(Step::from_number(0), None);
    }

    #[test]
    fn repeats_are_written_once_and_all_is_bounded() {
        let mut store = MemoryStore::default();
        let us = (DeviceKey::new([1; 32]), AccountKey::new([3; 32]));
        let (id, text) = (MessageId::new([1; 16]), MessageText::new("traced").unwrap());
        history::write_own(&mut store, Now::default(), id, us, Said::Text(text.into())).unwrap();
        let device = Some(DeviceKey::new([2; 32]));
        for _ in 0..STEPS {
            note(&mut store, Now::default(), id, Step::NotReached, device).unwrap();
        }
        assert_eq!(steps(&store, &id).unwrap().len(), 1);
        for _ in 0..STEPS {
            note(&mut store, Now::default(), id, Step::Sent, device).unwrap();
            note(&mut store, Now::default(), id, Step::Interrupted, device).unwrap();
        }
        assert_eq!(steps(&store, &id).unwrap().len(), STEPS + 1);
        for _ in 0..STEPS {
            note(&mut store, Now::default(), id, Step::Delivered, device).unwrap();
            note(&mut store, Now::default(), id, Step::Read, device).unwrap();
        }
        let steps = steps(&store, &id).unwrap();
        assert_eq!(steps.len(), STEPS + ENDS, "receipts that alternate do not fill the disk");
        assert!(steps[1].text.starts_with("sent straight to the other device (stardev1"));
    }
}
