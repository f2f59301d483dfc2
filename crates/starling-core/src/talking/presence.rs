//! Who is there: soft state, kept alive by repetition and gone when it stops.

use alloc::collections::BTreeMap;
use alloc::string::String;

use starling_proto::content::{Presence, PresenceStatus};
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_proto::time::{Span, Tick};

/// How often a device says that it is there.
pub const KEEP_ALIVE: Span = Span::from_secs(60);
/// Silence after which a device counts as gone: two keep-alives may be lost, with half a minute for slow links.
pub const SILENCE: Span = Span::from_secs(150);
/// How long "typing" is believed without being repeated.
pub const TYPING: Span = Span::from_secs(10);

/// What one device last said.
#[derive(Debug)]
struct Said {
    account: AccountKey,
    presence: Presence,
    at: Tick,
}

/// How somebody appears, over all their devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresenceView {
    /// `None`: offline, as far as we know.
    pub status: Option<PresenceStatus>,
    /// The status line.
    pub line: String,
    /// Whether they are typing to us.
    pub typing: bool,
}

/// See the module's text. Bounded by the devices of accepted contacts.
#[derive(Debug)]
pub struct PresenceBook {
    own: Presence,
    others: BTreeMap<DeviceKey, Said>,
}

impl Default for PresenceBook {
    fn default() -> Self {
        let own = Presence { status: PresenceStatus::Online, line: String::new(), typing: false };
        Self { own, others: BTreeMap::new() }
    }
}

impl PresenceBook {
    /// What we say of ourselves; `typing` is left to [`Presence`]'s maker.
    #[must_use]
    pub const fn own(&self) -> &Presence {
        &self.own
    }

    /// Changes what we say of ourselves. Says whether it is another thing than before.
    pub fn set_own(&mut self, status: PresenceStatus, line: String) -> bool {
        let own = Presence { status, line, typing: false };
        let changed = self.own != own;
        self.own = own;
        changed
    }

    /// A device said something. Says whether its account appears different now.
    pub fn heard(&mut self, account: AccountKey, device: DeviceKey, presence: Presence, at: Tick) -> bool {
        let before = self.view(&account, at);
        self.others.insert(device, Said { account, presence, at });
        self.view(&account, at) != before
    }

    /// A device said goodbye, or its connection ended. Says whether its account appears different now.
    pub fn gone(&mut self, device: &DeviceKey, at: Tick) -> bool {
        let Some(account) = self.others.get(device).map(|said| said.account) else { return false };
        let before = self.view(&account, at);
        self.others.remove(device);
        self.view(&account, at) != before
    }

    /// How an account appears: as its most present device does, the latest of those.
    #[must_use]
    pub fn view(&self, account: &AccountKey, at: Tick) -> PresenceView {
        let alive = |said: &&Said| said.account == *account && at.since(said.at) < SILENCE;
        let best =
            self.others.values().filter(alive).min_by_key(|said| (said.presence.status, at.since(said.at)));
        best.map_or_else(PresenceView::default, |said| PresenceView {
            status: Some(said.presence.status),
            line: said.presence.line.clone(),
            typing: said.presence.typing && at.since(said.at) < TYPING,
        })
    }

    /// Forgets who has been silent too long; gives one of them, to be called until there is none.
    pub fn take_silent(&mut self, at: Tick) -> Option<(AccountKey, DeviceKey)> {
        let silent = self.others.iter().find(|(_, said)| at.since(said.at) >= SILENCE);
        let (device, account) = silent.map(|(device, said)| (*device, said.account))?;
        self.others.remove(&device);
        Some((account, device))
    }

    /// When somebody will have been silent too long.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        self.others.values().map(|said| said.at.after(SILENCE)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: AccountKey = AccountKey::new([1; 32]);
    const PHONE: DeviceKey = DeviceKey::new([2; 32]);
    const DESK: DeviceKey = DeviceKey::new([3; 32]);

    fn saying(status: PresenceStatus) -> Presence {
        Presence { status, line: "tea".into(), typing: true }
    }

    #[test]
    fn the_most_present_device_counts() {
        let mut book = PresenceBook::default();
        assert!(book.heard(ADA, PHONE, saying(PresenceStatus::Away), Tick::ZERO));
        assert!(book.heard(ADA, DESK, saying(PresenceStatus::Online), Tick::ZERO));
        assert_eq!(book.view(&ADA, Tick::ZERO).status, Some(PresenceStatus::Online));
        assert!(book.gone(&DESK, Tick::ZERO));
        assert_eq!(book.view(&ADA, Tick::ZERO).status, Some(PresenceStatus::Away));
        assert!(book.gone(&PHONE, Tick::ZERO) && !book.gone(&PHONE, Tick::ZERO));
    }

    #[test]
    fn silence_ends_it() {
        let mut book = PresenceBook::default();
        book.heard(ADA, PHONE, saying(PresenceStatus::Online), Tick::ZERO);
        let late = book.next_timeout().unwrap();
        assert!(book.view(&ADA, Tick::from_ms(9_999)).typing);
        assert!(!book.view(&ADA, Tick::from_ms(10_000)).typing, "typing ends sooner");
        assert_eq!(book.take_silent(Tick::from_ms(149_999)), None);
        assert_eq!(book.view(&ADA, late), PresenceView::default());
        assert_eq!(book.take_silent(late), Some((ADA, PHONE)));
        assert_eq!((book.take_silent(late), book.next_timeout()), (None, None));
    }
}
