//! Which connected owners want to hear of deposits.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use starling_proto::ids::{MailboxAddress, NodeKey, RecordKey};
use starling_proto::message::Refusal;
use starling_proto::record::RecordKind;

use super::{Notice, limits};
use crate::storage::HeldRecord;

/// Subscriptions last as long as the connection they came on, so they are not kept on disk.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// By mailbox, the oldest first.
    mailboxes: BTreeMap<RecordKey, Vec<Notice>>,
    /// How many each peer has.
    peers: BTreeMap<NodeKey, usize>,
    total: usize,
}

impl Subscriptions {
    /// Tells `to` of deposits at `address` from now on. Of too many at one mailbox the oldest goes: all are its owner's.
    pub(super) fn subscribe(&mut self, to: NodeKey, address: MailboxAddress) -> Result<(), Refusal> {
        let key = RecordKey::for_mailbox(&address);
        let notice = Notice { to, address };
        let there = self.mailboxes.get(&key).map_or(&[][..], Vec::as_slice);
        if there.contains(&notice) {
            return Ok(());
        }
        if self.peers.get(&to).copied().unwrap_or(0) >= limits::PEER_SUBSCRIPTIONS {
            return Err(Refusal::RateLimited);
        }
        let oldest = there.first().copied().filter(|_| there.len() >= limits::MAILBOX_SUBSCRIBERS);
        if oldest.is_none() && self.total >= limits::SUBSCRIPTIONS {
            return Err(Refusal::Busy);
        }
        if let Some(oldest) = oldest {
            self.drop_where(&key, |other| *other == oldest);
        }
        self.mailboxes.entry(key).or_default().push(notice);
        let has = self.peers.entry(to).or_default();
        *has = has.saturating_add(1);
        self.total = self.total.saturating_add(1);
        Ok(())
    }

    /// Forgets what a peer subscribed to: its last connection has ended.
    pub(super) fn disconnect(&mut self, peer: &NodeKey) {
        if !self.peers.contains_key(peer) {
            return;
        }
        let keys: Vec<RecordKey> = self.mailboxes.keys().copied().collect();
        for key in keys {
            self.drop_where(&key, |notice| notice.to == *peer);
        }
    }

    /// Whom to tell of a new row.
    pub(super) fn notices(&self, held: &HeldRecord) -> Vec<Notice> {
        if held.kind != RecordKind::Deposit {
            return Vec::new();
        }
        self.mailboxes.get(&held.key).cloned().unwrap_or_default()
    }

    fn drop_where(&mut self, key: &RecordKey, goes: impl Fn(&Notice) -> bool) {
        let Some(notices) = self.mailboxes.get_mut(key) else { return };
        for gone in notices.extract_if(.., |notice| goes(notice)) {
            self.total = self.total.saturating_sub(1);
            if let Some(has) = self.peers.get_mut(&gone.to) {
                *has = has.saturating_sub(1);
            }
        }
        self.peers.retain(|_, has| *has > 0);
        if notices.is_empty() {
            self.mailboxes.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeKey {
        NodeKey::new([number; 32])
    }

    fn mailbox(number: usize) -> MailboxAddress {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        MailboxAddress::new(bytes)
    }

    fn told(subscriptions: &Subscriptions, address: &MailboxAddress) -> Vec<NodeKey> {
        let notices = subscriptions.mailboxes.get(&RecordKey::for_mailbox(address));
        notices.into_iter().flatten().map(|notice| notice.to).collect()
    }

    #[test]
    fn the_oldest_of_a_mailbox_makes_way() {
        let mut subscriptions = Subscriptions::default();
        for number in [1, 2, 2, 3] {
            assert_eq!(subscriptions.subscribe(node(number), mailbox(0)), Ok(()));
        }
        assert_eq!(told(&subscriptions, &mailbox(0)), [node(2), node(3)]);
        assert_eq!(subscriptions.total, 2);
    }

    #[test]
    fn a_peer_has_its_share_and_a_disconnected_one_nothing() {
        let mut subscriptions = Subscriptions::default();
        for number in 0..limits::PEER_SUBSCRIPTIONS {
            assert_eq!(subscriptions.subscribe(node(1), mailbox(number)), Ok(()));
        }
        let one_more = mailbox(limits::PEER_SUBSCRIPTIONS);
        assert_eq!(subscriptions.subscribe(node(1), one_more), Err(Refusal::RateLimited));
        assert_eq!(subscriptions.subscribe(node(2), one_more), Ok(()));
        subscriptions.disconnect(&node(1));
        assert_eq!(subscriptions.total, 1);
        assert_eq!(subscriptions.mailboxes.len(), 1);
        assert_eq!(subscriptions.subscribe(node(1), mailbox(0)), Ok(()));
    }

    #[test]
    fn all_together_are_bounded() {
        let mut subscriptions = Subscriptions::default();
        for number in 0..limits::SUBSCRIPTIONS {
            let peer = u8::try_from(number / limits::PEER_SUBSCRIPTIONS).unwrap();
            assert_eq!(subscriptions.subscribe(node(peer), mailbox(number)), Ok(()));
        }
        let refused = subscriptions.subscribe(node(255), mailbox(limits::SUBSCRIPTIONS));
        assert_eq!(refused, Err(Refusal::Busy));
    }
}
