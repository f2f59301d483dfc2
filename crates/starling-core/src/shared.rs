//! When what the account's devices have in common was changed: of two changes the later one counts, on whatever device it
//! was made.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::ids::AccountKey;
use starling_proto::limits;
use starling_proto::time::UnixMillis;

use crate::wire;

/// Removed contacts that are remembered: an older word of another device does not bring them back.
const REMOVED: usize = 256;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// The profile.
    pub profile: UnixMillis,
    /// The settings.
    pub settings: UnixMillis,
    /// Whether the account's list names this device no more.
    pub revoked: bool,
    removed: BTreeMap<AccountKey, UnixMillis>,
    latest: UnixMillis,
}

impl Shared {
    /// The date of what is changed now: later than all that this device knows of, so that a clock which is behind does not
    /// make a decision one that never was.
    pub fn date(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest = now.max(UnixMillis::new(self.latest.get().saturating_add(1)));
        self.latest
    }

    /// The date of what was changed on another device. A clock that is far ahead would have the last word for ever.
    pub fn seen(&mut self, at: UnixMillis, now: UnixMillis) -> UnixMillis {
        let at = at.min(UnixMillis::new(now.get().saturating_add(limits::CLOCK_SLACK.as_ms())));
        self.latest = self.latest.max(at);
        at
    }

    /// Somebody is known again.
    pub fn known(&mut self, account: &AccountKey) {
        self.removed.remove(account);
    }

    /// When somebody was removed, as far as it is remembered.
    #[must_use]
    pub fn removed(&self, account: &AccountKey) -> Option<UnixMillis> {
        self.removed.get(account).copied()
    }

    /// Somebody was removed.
    pub fn remove(&mut self, account: AccountKey, at: UnixMillis) {
        self.removed.insert(account, at);
        if self.removed.len() > REMOVED {
            let oldest = self.removed.iter().min_by_key(|(_, at)| **at).map(|(account, _)| *account);
            oldest.map(|account| self.removed.remove(&account));
        }
    }

    /// The slot's content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let removed = self.removed.iter().map(|(account, at)| wire::RemovedContact {
            account: account.as_bytes().to_vec(),
            at_ms: at.get(),
        });
        let stored = wire::Shared {
            profile_ms: self.profile.get(),
            settings_ms: self.settings.get(),
            removed: removed.collect(),
            revoked: self.revoked,
            latest_ms: self.latest.get(),
        };
        prost::Message::encode_to_vec(&stored)
    }

    /// Reads what [`Self::encode`] gave. `None` for something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let stored = <wire::Shared as prost::Message>::decode(bytes).ok()?;
        let removed = stored.removed.iter().map(|removed| {
            Some((AccountKey::from_slice(&removed.account).ok()?, UnixMillis::new(removed.at_ms)))
        });
        Some(Self {
            profile: UnixMillis::new(stored.profile_ms),
            settings: UnixMillis::new(stored.settings_ms),
            revoked: stored.revoked,
            latest: UnixMillis::new(stored.latest_ms),
            removed: removed.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_forward_whatever_the_clocks_say() {
        let mut shared = Shared::default();
        let at = UnixMillis::new;
        assert_eq!(shared.date(at(1000)), at(1000));
        assert_eq!(shared.date(at(10)), at(1001), "our own clock was set back");
        assert_eq!((shared.seen(at(5000), at(1000)), shared.date(at(1000))), (at(5000), at(5001)));
        let far = shared.seen(at(u64::MAX), at(1000));
        assert_eq!(far, at(1000 + limits::CLOCK_SLACK.as_ms()));
    }

    #[test]
    fn it_round_trips_and_remembers_the_newest() {
        let mut shared = Shared {
            profile: UnixMillis::new(1),
            settings: UnixMillis::new(2),
            revoked: true,
            ..Shared::default()
        };
        for n in 0..300_u16 {
            let mut account = [0; 32];
            account[..2].copy_from_slice(&n.to_be_bytes());
            shared.remove(AccountKey::new(account), UnixMillis::new(u64::from(n)));
        }
        assert_eq!(shared.removed.len(), REMOVED);
        assert_eq!(shared.removed(&AccountKey::new([0; 32])), None);
        assert_eq!(Shared::decode(&shared.encode()), Some(shared));
        assert_eq!(Shared::decode(b"else"), None);
    }
}
