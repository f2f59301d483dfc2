//! One contact, as it is kept.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use starling_crypto::identity::VerifiedDeviceList;
use starling_proto::contact::ReadKey;
use starling_proto::content::{MailboxEpoch, MailboxGrant};
use starling_proto::identity::DeviceList;
use starling_proto::ids::{AccountKey, DeviceKey, LocatorKey, OlmKey};
use starling_proto::invite::InviteSecret;
use starling_proto::time::{UnixMillis, UnixSeconds};
use zeroize::Zeroizing;

use crate::storage::{ContactRow, ContactState, StorageError};
use crate::talking::acquaintance::{Acquaintance, Reach, Standing};
use crate::wire;

/// Somebody we know, asked, or were asked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub account: AccountKey,
    /// Where they stand.
    pub state: ContactState,
    /// What we call them.
    pub petname: Option<String>,
    /// What they call themselves; anybody may choose any name.
    pub name: String,
    /// What they said when they asked.
    pub note: String,
    /// Whether the safety number has been compared.
    pub verified: bool,
    /// When the row was made.
    pub added: UnixSeconds,
    /// When one of their devices was last connected.
    pub last_seen: Option<UnixSeconds>,
    /// The newest device list that we know, checked.
    pub list: Option<VerifiedDeviceList>,
    /// What we know of their devices.
    pub(super) devices: BTreeMap<DeviceKey, KnownDevice>,
    /// The request of ours that waits for an answer.
    pub(super) approach: Option<Plan>,
    /// The state before they were blocked.
    pub(super) before_block: Option<ContactState>,
    /// Whether it was we who declined: only then is a request of theirs ignored.
    pub(super) declined_by_us: bool,
    /// Zero bits of the work behind their request.
    pub(super) work_bits: u8,
    /// Whether they may know our present locator: we asked them, or told one of their devices.
    pub(super) can_find_us: bool,
    /// When the user last decided how they stand, on whatever device.
    pub(super) standing_at: UnixMillis,
    /// When the user last named or checked them, on whatever device.
    pub(super) named_at: UnixMillis,
}

/// What we know of a contact's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownDevice {
    /// Where it is to be found, and what opens that.
    pub(super) found_at: Option<(LocatorKey, ReadKey)>,
    /// One-time keys that it keeps for us, the next to be used first.
    pub(super) one_time_keys: Vec<OlmKey>,
    /// Whether it has been told where we are, or that we declined.
    pub(super) told: bool,
    /// The date of its newest request: what an older one says has been superseded.
    pub(super) asked_at: UnixSeconds,
    /// Leave to deposit at its mailboxes, checked.
    pub(super) mailboxes: Vec<MailboxGrant>,
    /// The first of the epochs whose mailboxes of ours it was told.
    pub(super) told_epoch: Option<MailboxEpoch>,
    /// Whether it cannot be dialled and has no mailbox that we know: what it is to be told waits here.
    pub(super) unheard: bool,
}

/// A request of ours, as far as it must outlive a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// A few words to them.
    pub(super) note: String,
    /// The invite that is answered.
    pub(super) invite: Option<Ticket>,
    /// When the user asked.
    pub(super) since: UnixSeconds,
    /// The one-time key made for each device: a request that is sent again is the same request.
    pub(super) asked: BTreeMap<DeviceKey, OlmKey>,
}

/// What an invite gives to the invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The device that invites.
    pub(super) device: DeviceKey,
    /// What replaces the work.
    pub(super) secret: InviteSecret,
    /// A one-time key of that device, reserved for us.
    pub(super) one_time_key: OlmKey,
}

impl KnownDevice {
    /// It is being told where we are, and of our mailboxes.
    pub(super) fn tell(&mut self, now: UnixSeconds) {
        self.told = true;
        self.told_epoch = Some(MailboxEpoch::of(now));
    }
}

impl Default for KnownDevice {
    fn default() -> Self {
        Self {
            found_at: None,
            one_time_keys: Vec::new(),
            told: false,
            asked_at: UnixSeconds::new(0),
            mailboxes: Vec::new(),
            told_epoch: None,
            unheard: false,
        }
    }
}

impl Contact {
    /// A contact of whom nothing is known.
    pub(crate) const fn new(account: AccountKey, state: ContactState, added: UnixSeconds) -> Self {
        Self {
            account,
            state,
            petname: None,
            name: String::new(),
            note: String::new(),
            verified: false,
            added,
            last_seen: None,
            list: None,
            devices: BTreeMap::new(),
            approach: None,
            before_block: None,
            declined_by_us: false,
            work_bits: 0,
            can_find_us: false,
            standing_at: UnixMillis::new(0),
            named_at: UnixMillis::new(0),
        }
    }

    /// What to call them: the petname, or else their own name.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.petname.as_deref().unwrap_or(&self.name)
    }

    /// What the machine of talking is to know; `None` where nothing may pass.
    pub(super) fn acquaintance(&self) -> Option<Acquaintance> {
        let standing = match self.state {
            ContactState::Requested => Standing::Requested,
            ContactState::Accepted => Standing::Accepted,
            // Also where they declined: the receipt for it must reach them, or they go on telling us for a month.
            ContactState::Declined => Standing::Declined,
            ContactState::Incoming | ContactState::Blocked => return None,
        };
        let reach = self.devices.iter().filter_map(|(key, device)| {
            let (locator, read_key) = device.found_at.clone()?;
            let one_time_keys = device.one_time_keys.clone();
            Some((*key, Reach { locator, read_key, one_time_keys, mailboxes: device.mailboxes.clone() }))
        });
        Some(Acquaintance { standing, list: self.list.clone()?, reach: reach.collect() })
    }

    /// The devices that wait for a word of ours which found no room when it was to be said.
    pub(super) fn untold(&self) -> impl Iterator<Item = &DeviceKey> {
        let owed = match self.state {
            ContactState::Accepted => true,
            ContactState::Declined => self.declined_by_us,
            ContactState::Requested | ContactState::Incoming | ContactState::Blocked => false,
        };
        let waiting = self.devices.iter().filter(|(_, device)| !device.told && device.found_at.is_some());
        waiting.map(|(key, _)| key).filter(move |_| owed)
    }

    /// Their active devices, other than `own`, to which we know no way that leads there.
    pub(super) fn unreached(&self, own: DeviceKey) -> impl Iterator<Item = DeviceKey> + '_ {
        let listed = self.list.iter().flat_map(VerifiedDeviceList::devices).map(|device| device.key());
        let leads = |known: &KnownDevice| known.found_at.is_some() && !known.unheard;
        listed.filter(move |key| *key != own && !self.devices.get(key).is_some_and(leads))
    }

    /// What was told before says nothing any more.
    pub(super) fn forget_telling(&mut self) {
        self.devices.values_mut().for_each(|device| device.told = false);
    }

    /// What goes into a backup: no way to anybody, and no key. `None` for somebody whose request waits, which only this
    /// device can open.
    pub(crate) fn for_backup(mut self) -> Option<Self> {
        self.devices.clear();
        self.approach = None;
        self.can_find_us = false;
        (self.state != ContactState::Incoming).then_some(self)
    }

    /// Whoever was a contact, or was to be one, is asked by this new device.
    pub(crate) fn restored(mut self, now: UnixSeconds) -> Self {
        let plan = || Plan { note: String::new(), invite: None, since: now, asked: BTreeMap::new() };
        let was_wanted = |state| matches!(state, ContactState::Accepted | ContactState::Requested);
        if was_wanted(self.state) {
            self.state = ContactState::Requested;
            self.approach = Some(plan());
        } else if self.before_block.is_some_and(was_wanted) {
            // Once they are unblocked.
            self.before_block = Some(ContactState::Requested);
            self.approach = Some(plan());
        }
        self
    }

    /// The same person, to a device that the account has linked: the others go on talking with them, and this one has still
    /// to find its way to them.
    pub(crate) fn linked(mut self, now: UnixSeconds) -> Self {
        if matches!(self.state, ContactState::Accepted | ContactState::Requested) {
            self.approach =
                Some(Plan { note: String::new(), invite: None, since: now, asked: BTreeMap::new() });
        }
        self
    }

    /// The row to be stored.
    pub(crate) fn to_row(&self) -> ContactRow {
        let body = wire::ContactBody {
            note: self.note.clone(),
            device_list: self.list.as_ref().map_or_else(Vec::new, |list| list.list().encode()),
            devices: self.devices.iter().map(device_to_wire).collect(),
            before_block: self.before_block.map_or(0, ContactState::number),
            declined_by_us: self.declined_by_us,
            approach: self.approach.as_ref().map(Plan::to_wire),
            work_bits: u32::from(self.work_bits),
            can_find_us: self.can_find_us,
            standing_at_ms: self.standing_at.get(),
            named_at_ms: self.named_at.get(),
        };
        ContactRow {
            account: self.account,
            state: self.state,
            petname: self.petname.clone(),
            name: self.name.clone(),
            verified: self.verified,
            added: self.added,
            last_seen: self.last_seen,
            body: prost::Message::encode_to_vec(&body),
        }
    }

    /// Reads what [`Self::to_row`] gave.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it did not.
    pub(crate) fn from_row(row: ContactRow) -> Result<Self, StorageError> {
        let bytes = Zeroizing::new(row.body);
        let decoded = <wire::ContactBody as prost::Message>::decode(bytes.as_slice());
        let body = decoded.map_err(|_| StorageError::Corrupt("contact"))?;
        let mut contact = Self::new(row.account, row.state, row.added);
        contact.fill(body).ok_or(StorageError::Corrupt("contact"))?;
        contact.petname = row.petname;
        contact.name = row.name;
        contact.verified = row.verified;
        contact.last_seen = row.last_seen;
        Ok(contact)
    }

    fn fill(&mut self, body: wire::ContactBody) -> Option<()> {
        if !body.device_list.is_empty() {
            let list = DeviceList::decode(&body.device_list).ok()?;
            self.list = Some(VerifiedDeviceList::verify(list, &self.account).ok()?);
        }
        self.devices = body.devices.iter().map(device_from_wire).collect::<Option<_>>()?;
        self.before_block = match body.before_block {
            0 => None,
            number => Some(ContactState::from_number(number)?),
        };
        self.approach = match &body.approach {
            None => None,
            Some(plan) => Some(Plan::from_wire(plan)?),
        };
        self.note = body.note;
        self.declined_by_us = body.declined_by_us;
        self.work_bits = u8::try_from(body.work_bits).ok()?;
        self.can_find_us = body.can_find_us;
        self.standing_at = UnixMillis::new(body.standing_at_ms);
        self.named_at = UnixMillis::new(body.named_at_ms);
        Some(())
    }
}

fn device_to_wire((key, device): (&DeviceKey, &KnownDevice)) -> wire::ContactDevice {
    let found_at = device.found_at.as_ref();
    wire::ContactDevice {
        device: key.as_bytes().to_vec(),
        locator: found_at.map_or_else(Vec::new, |(locator, _)| locator.as_bytes().to_vec()),
        read_key: found_at.map_or_else(Vec::new, |(_, read_key)| read_key.as_bytes().to_vec()),
        one_time_keys: device.one_time_keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        told: device.told,
        asked_s: device.asked_at.get(),
        mailboxes: device.mailboxes.iter().map(MailboxGrant::encode).collect(),
        told_epoch: device.told_epoch.map_or(0, MailboxEpoch::get),
        unheard: device.unheard,
    }
}

fn device_from_wire(stored: &wire::ContactDevice) -> Option<(DeviceKey, KnownDevice)> {
    let found_at = if stored.locator.is_empty() {
        None
    } else {
        let read_key = ReadKey::new(stored.read_key.as_slice().try_into().ok()?);
        Some((LocatorKey::from_slice(&stored.locator).ok()?, read_key))
    };
    let keys = stored.one_time_keys.iter().map(|key| OlmKey::from_slice(key).ok());
    let one_time_keys = keys.collect::<Option<_>>()?;
    let asked_at = UnixSeconds::new(stored.asked_s);
    let mailboxes = stored.mailboxes.iter().map(|grant| MailboxGrant::decode(grant).ok());
    let device = KnownDevice {
        found_at,
        one_time_keys,
        told: stored.told,
        asked_at,
        mailboxes: mailboxes.collect::<Option<_>>()?,
        told_epoch: (stored.told_epoch > 0).then(|| MailboxEpoch::new(stored.told_epoch)),
        unheard: stored.unheard,
    };
    Some((DeviceKey::from_slice(&stored.device).ok()?, device))
}

impl Plan {
    /// Makes another request of one that may have been read: the other side passes over what it has seen. An invite has
    /// been used up by then, so that an ordinary request follows. Says whether there was anything to renew.
    pub(super) fn renew(&mut self) -> bool {
        let asked = !self.asked.is_empty();
        if asked {
            self.asked.clear();
            self.invite = None;
        }
        asked
    }

    fn to_wire(&self) -> wire::Approach {
        let ticket = self.invite.as_ref();
        let asked = self.asked.iter().map(|(device, key)| wire::AskedDevice {
            device: device.as_bytes().to_vec(),
            one_time_key: key.as_bytes().to_vec(),
        });
        wire::Approach {
            note: self.note.clone(),
            invite_device: ticket.map_or_else(Vec::new, |ticket| ticket.device.as_bytes().to_vec()),
            invite_secret: ticket.map_or_else(Vec::new, |ticket| ticket.secret.as_bytes().to_vec()),
            invite_key: ticket.map_or_else(Vec::new, |ticket| ticket.one_time_key.as_bytes().to_vec()),
            since_s: self.since.get(),
            asked: asked.collect(),
        }
    }

    fn from_wire(stored: &wire::Approach) -> Option<Self> {
        let invite = if stored.invite_secret.is_empty() {
            None
        } else {
            Some(Ticket {
                device: DeviceKey::from_slice(&stored.invite_device).ok()?,
                secret: InviteSecret::new(stored.invite_secret.as_slice().try_into().ok()?),
                one_time_key: OlmKey::from_slice(&stored.invite_key).ok()?,
            })
        };
        let asked = stored.asked.iter().map(|asked| {
            Some((DeviceKey::from_slice(&asked.device).ok()?, OlmKey::from_slice(&asked.one_time_key).ok()?))
        });
        Some(Self {
            note: stored.note.clone(),
            invite,
            since: UnixSeconds::new(stored.since_s),
            asked: asked.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;
    use crate::meeting::mailboxes::Mailboxes;

    #[test]
    fn a_backup_has_who_somebody_is_and_no_way_to_them() {
        let now = UnixSeconds::new(99);
        let kept = full().for_backup().unwrap();
        assert!(kept.devices.is_empty() && kept.approach.is_none() && !kept.can_find_us);
        assert_eq!((kept.petname.as_deref(), kept.verified), (Some("Ada"), true));
        let restored = kept.restored(now);
        assert_eq!(restored.state, ContactState::Blocked);
        assert_eq!(restored.before_block, Some(ContactState::Requested), "is asked when unblocked");
        let in_state = |state| Contact { state, before_block: None, ..full() };
        for (state, after) in [
            (ContactState::Accepted, Some((ContactState::Requested, true))),
            (ContactState::Requested, Some((ContactState::Requested, true))),
            (ContactState::Declined, Some((ContactState::Declined, false))),
            (ContactState::Incoming, None),
        ] {
            let restored = in_state(state).for_backup().map(|kept| kept.restored(now));
            let asks =
                |contact: Contact| (contact.state, contact.approach.is_some_and(|plan| plan.since == now));
            assert_eq!(restored.map(asks), after, "{state:?}");
        }
    }

    fn full() -> Contact {
        let device = DeviceKey::new([2; 32]);
        let key = OlmKey::new([3; 32]);
        let mut contact = Contact::new(AccountKey::new([1; 32]), ContactState::Blocked, UnixSeconds::new(9));
        contact.petname = Some("Ada".into());
        contact.name = "Ada L".into();
        contact.note = "hello".into();
        contact.verified = true;
        contact.last_seen = Some(UnixSeconds::new(10));
        let found_at = Some((LocatorKey::new([4; 32]), ReadKey::new([5; 32])));
        let asked_at = UnixSeconds::new(11);
        let mailboxes = Mailboxes::new(&mut ChaCha8Rng::seed_from_u64(1));
        let known = KnownDevice {
            found_at,
            one_time_keys: vec![key],
            told: true,
            asked_at,
            mailboxes: mailboxes.grants((&AccountKey::new([1; 32]), &device), asked_at).unwrap(),
            told_epoch: Some(MailboxEpoch::new(730)),
            unheard: true,
        };
        contact.devices.insert(device, known);
        contact.devices.insert(DeviceKey::new([8; 32]), KnownDevice::default());
        contact.approach = Some(Plan {
            note: "we met".into(),
            invite: Some(Ticket { device, secret: InviteSecret::new([6; 16]), one_time_key: key }),
            since: UnixSeconds::new(7),
            asked: BTreeMap::from([(device, key)]),
        });
        contact.before_block = Some(ContactState::Accepted);
        contact.declined_by_us = true;
        contact.work_bits = 12;
        contact.can_find_us = true;
        contact.standing_at = UnixMillis::new(12);
        contact.named_at = UnixMillis::new(13);
        contact
    }

    #[test]
    fn a_row_round_trips() {
        assert_eq!(Contact::from_row(full().to_row()), Ok(full()));
        let empty = Contact::new(AccountKey::new([1; 32]), ContactState::Incoming, UnixSeconds::new(9));
        assert_eq!(Contact::from_row(empty.to_row()), Ok(empty));
    }

    #[test]
    fn a_damaged_row_is_reported() {
        let mut row = full().to_row();
        row.body.truncate(row.body.len() / 2);
        assert_eq!(Contact::from_row(row), Err(StorageError::Corrupt("contact")));
    }

    #[test]
    fn talking_learns_only_of_those_with_whom_something_may_pass() {
        assert_eq!(full().acquaintance(), None);
        let unlisted = Contact { state: ContactState::Accepted, ..full() };
        assert_eq!(unlisted.acquaintance(), None, "without a device list nobody can be told from another");
    }
}
