//! The people we talk with, as far as talking is concerned.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_crypto::identity::{VerifiedDevice, VerifiedDeviceList};
use starling_proto::contact::ReadKey;
use starling_proto::content::{ContentKind, MailboxGrant};
use starling_proto::ids::{AccountKey, DeviceKey, LocatorKey, OlmKey};

/// What may pass between a person and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// We asked, they have not answered: only their answer is taken.
    Requested,
    /// Both agreed: everything is taken.
    Accepted,
    /// One of both said no: the other is told so, and nothing but that and the receipt for it is taken.
    Declined,
}

impl Standing {
    /// Whether content of this kind is taken from a person of this standing.
    #[must_use]
    pub const fn admits(self, kind: &ContentKind) -> bool {
        match self {
            // What devices of one account tell each other is not for anybody else to say.
            Self::Accepted => !matches!(kind, ContentKind::Own(_)),
            Self::Requested => {
                matches!(kind, ContentKind::HandOver(_) | ContentKind::Decline | ContentKind::Receipt { .. })
            }
            Self::Declined => matches!(kind, ContentKind::Decline | ContentKind::Receipt { .. }),
        }
    }
}

/// Where and how one device can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where its addresses are found.
    pub locator: LocatorKey,
    /// What reads them.
    pub read_key: ReadKey,
    /// Olm one-time keys that the device keeps for us, the next to be used first.
    pub one_time_keys: Vec<OlmKey>,
    /// Leave to deposit at its mailboxes.
    pub mailboxes: Vec<MailboxGrant>,
}

/// A person that we talk with. The machine of contacts keeps it on disk and tells us of each change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// What may pass.
    pub standing: Standing,
    /// The newest device list that we know, checked.
    pub list: VerifiedDeviceList,
    /// How its devices can be reached. A device that is missing here must come to us.
    pub reach: BTreeMap<DeviceKey, Reach>,
}

impl Acquaintance {
    /// Who.
    #[must_use]
    pub const fn account(&self) -> AccountKey {
        self.list.account()
    }
}

/// Everybody that we talk with.
#[derive(Debug)]
pub struct Circle {
    people: BTreeMap<AccountKey, Acquaintance>,
    /// This device: of our own account it is the one that nothing is said to.
    own: DeviceKey,
}

impl Circle {
    /// Nobody.
    #[must_use]
    pub const fn new(own: DeviceKey) -> Self {
        Self { people: BTreeMap::new(), own }
    }

    /// Takes in a person, or what has changed about one.
    pub fn set(&mut self, person: Acquaintance) {
        self.people.insert(person.account(), person);
    }

    /// Forgets a person; gives what was known.
    pub fn remove(&mut self, account: &AccountKey) -> Option<Acquaintance> {
        self.people.remove(account)
    }

    /// One person.
    #[must_use]
    pub fn person(&self, account: &AccountKey) -> Option<&Acquaintance> {
        self.people.get(account)
    }

    /// The person to whom an active device belongs, and the device.
    #[must_use]
    pub fn device(&self, key: &DeviceKey) -> Option<(&Acquaintance, VerifiedDevice)> {
        let of = |person: &Acquaintance| person.list.device(key).ok().filter(|_| *key != self.own);
        self.people.values().find_map(|person| of(person).map(|device| (person, device)))
    }

    /// Every active device of everybody, with its owner.
    pub fn devices<'a>(&'a self) -> impl Iterator<Item = (&'a Acquaintance, VerifiedDevice)> {
        let others =
            |person: &'a Acquaintance| person.list.devices().filter(|device| device.key() != self.own);
        self.people.values().flat_map(move |person| others(person).map(move |device| (person, device)))
    }

    /// The active devices of a person.
    #[must_use]
    pub fn devices_of(&self, account: &AccountKey) -> Vec<DeviceKey> {
        let devices = self.person(account).into_iter().flat_map(|person| person.list.devices());
        devices.map(|device| device.key()).filter(|device| *device != self.own).collect()
    }

    /// Somebody stands differently; the machine of contacts will say so too.
    pub(super) fn set_standing(&mut self, account: &AccountKey, standing: Standing) {
        if let Some(person) = self.people.get_mut(account) {
            person.standing = standing;
        }
    }

    /// Takes the next one-time key of a device, so that none is used twice.
    pub(super) fn take_one_time_key(&mut self, device: &DeviceKey) -> Option<OlmKey> {
        let reach = self.people.values_mut().find_map(|person| person.reach.get_mut(device))?;
        (!reach.one_time_keys.is_empty()).then(|| reach.one_time_keys.remove(0))
    }
}
