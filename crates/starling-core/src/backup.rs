//! What a backup keeps, and what becomes of it on another device.
//!
//! Never a session, nor a key: whoever is restored is a new device, and whom they talked with is asked anew.

use alloc::vec::Vec;

use starling_proto::identity::DeviceList;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::time::UnixSeconds;

use crate::meeting::Contact;
use crate::storage::{ContactRow, MessageKind, MessageRow, MessageState, Slot, StorageError};
use crate::wire;

/// Slots that go along as they are.
pub const SLOTS: [Slot; 2] = [Slot::Profile, Slot::Settings];

/// Whose backup it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The account.
    pub account: AccountKey,
    /// The device that made it.
    pub device: DeviceKey,
    /// When.
    pub made: UnixSeconds,
    /// For a device that is being linked: the account's list, which names it.
    pub list: Option<DeviceList>,
}

impl Origin {
    /// The content of [`Slot::Origin`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stored = wire::Origin {
            account: self.account.as_bytes().to_vec(),
            device: self.device.as_bytes().to_vec(),
            made_s: self.made.get(),
            device_list: self.list.as_ref().map_or_else(Vec::new, DeviceList::encode),
        };
        prost::Message::encode_to_vec(&stored)
    }

    /// Reads what [`Self::encode`] gave. `None` for something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let stored = <wire::Origin as prost::Message>::decode(bytes).ok()?;
        Some(Self {
            account: AccountKey::from_slice(&stored.account).ok()?,
            device: DeviceKey::from_slice(&stored.device).ok()?,
            made: UnixSeconds::new(stored.made_s),
            list: match stored.device_list.as_slice() {
                [] => None,
                list => Some(DeviceList::decode(list).ok()?),
            },
        })
    }
}

/// What a backup keeps of a contact: who it is, and no way to it. Nothing of somebody whose request waits: they ask again.
///
/// # Errors
/// [`StorageError::Corrupt`] if the row holds something else.
pub fn kept_contact(row: ContactRow) -> Result<Option<ContactRow>, StorageError> {
    Ok(Contact::from_row(row)?.for_backup().map(|contact| contact.to_row()))
}

/// The contact on the restored device: whoever was one is asked anew. The peer of somebody who had accepted answers at
/// once.
///
/// # Errors
/// [`StorageError::Corrupt`] if the row holds something else.
pub fn restored_contact(row: ContactRow, now: UnixSeconds) -> Result<ContactRow, StorageError> {
    Ok(Contact::from_row(row)?.restored(now).to_row())
}

/// The contact on a device that the account has linked: it stands as before, and the device has to find its way to it.
///
/// # Errors
/// [`StorageError::Corrupt`] if the row holds something else.
pub fn linked_contact(row: ContactRow, now: UnixSeconds) -> Result<ContactRow, StorageError> {
    Ok(Contact::from_row(row)?.linked(now).to_row())
}

/// What a backup keeps of a message: of one that is to disappear its place and no word, since a backup is kept for longer.
#[must_use]
pub fn kept_message(mut row: MessageRow) -> MessageRow {
    if row.kind == MessageKind::Text && row.lives.is_some() {
        row.kind = MessageKind::Ended;
        row.text.clear();
        row.ends = None;
    }
    row
}

/// The message on the restored device. What had not arrived is not tried further: the outbox stayed behind.
#[must_use]
pub fn restored_message(mut row: MessageRow) -> MessageRow {
    if row.mine && row.state < MessageState::Delivered {
        row.state = MessageState::Failed;
    }
    row
}

#[cfg(test)]
mod tests {
    use starling_proto::ids::MessageId;
    use starling_proto::time::{Span, UnixMillis};

    use super::*;

    fn row(mine: bool, state: MessageState) -> MessageRow {
        MessageRow {
            id: MessageId::new([1; 16]),
            conversation: AccountKey::new([2; 32]),
            author: DeviceKey::new([3; 32]),
            mine,
            sequence: 1,
            hash: [4; 32],
            position: 5,
            sent_at: UnixMillis::new(6),
            received_at: UnixMillis::new(7),
            state,
            kind: MessageKind::Text,
            about: None,
            edited_at: None,
            lives: None,
            ends: Some(UnixSeconds::new(8)),
            text: "hello".into(),
        }
    }

    #[test]
    fn what_had_not_arrived_has_failed() {
        use MessageState::{Delivered, Failed, Queued, Read, Stored};
        for (state, after) in
            [(Queued, Failed), (Stored, Failed), (Delivered, Delivered), (Read, Read), (Failed, Failed)]
        {
            assert_eq!(restored_message(row(true, state)), row(true, after));
            assert_eq!(restored_message(row(false, state)), row(false, state));
        }
    }

    #[test]
    fn what_is_to_disappear_is_not_kept() {
        let lasting = row(true, MessageState::Read);
        assert_eq!(kept_message(lasting.clone()), lasting);
        let kept = kept_message(MessageRow { lives: Some(Span::from_secs(9)), ..lasting });
        assert_eq!((kept.kind, kept.text.as_str(), kept.ends), (MessageKind::Ended, "", None));
    }

    #[test]
    fn an_origin_round_trips() {
        let (account, device) = (AccountKey::new([1; 32]), DeviceKey::new([2; 32]));
        let origin = Origin { account, device, made: UnixSeconds::new(3), list: None };
        assert_eq!(Origin::decode(&origin.encode()), Some(origin));
        assert_eq!(Origin::decode(b"else"), None);
    }
}
