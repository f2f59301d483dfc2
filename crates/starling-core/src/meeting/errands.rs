//! What the machines of meeting have under way, and what they want.

use alloc::collections::{BTreeMap, VecDeque};

use starling_overlay::io::ChannelBinding;
use starling_proto::ids::{AccountKey, DeviceKey, MailboxAddress, NodeKey};
use starling_proto::message::Operation;

use super::Output;
use crate::wish::{Tag, Wish};

/// Something under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// The account record of somebody whom we ask.
    Account(AccountKey),
    /// The bundle of one of their devices.
    Bundle(AccountKey, DeviceKey),
    /// The work behind our request to it.
    Stamp(AccountKey, DeviceKey),
    /// Our request, being placed.
    Deposit(AccountKey, DeviceKey),
    /// The account record of somebody who asks us.
    Requester(AccountKey),
    /// The account record of a contact, read again.
    Refresh(AccountKey),
    /// The peers that keep a mailbox of ours.
    Holders(MailboxAddress),
    /// A connection with a holder, for what is to be asked on it.
    Connect(NodeKey, MailboxAddress, Operation),
    /// A ping that keeps a holder's connection open, on which it tells us what comes.
    Keep(NodeKey, ChannelBinding),
    /// What its owner asks of a holder, and on which connection.
    Own(NodeKey, MailboxAddress, Operation, ChannelBinding),
}

/// Errands and outputs, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Errands {
    next: u64,
    running: BTreeMap<u64, Errand>,
    outputs: VecDeque<Output>,
}

impl Errands {
    /// Wants something that comes back.
    pub(super) fn send(&mut self, errand: Errand, wish: impl FnOnce(Tag) -> Wish) {
        self.next = self.next.saturating_add(1);
        self.running.insert(self.next, errand);
        self.outputs.push_back(Output::Wish(wish(Tag::Meet(self.next))));
    }

    /// Wants something that does not.
    pub(super) fn say(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// What an approach to this account has under way counts no more.
    pub(super) fn drop_approach(&mut self, account: &AccountKey) {
        let of_approach = |errand: &Errand| match errand {
            Errand::Account(of) | Errand::Bundle(of, _) | Errand::Stamp(of, _) | Errand::Deposit(of, _) => {
                of == account
            }
            _ => false,
        };
        self.running.retain(|_, errand| !of_approach(errand));
    }

    /// What has come back.
    pub(super) fn take(&mut self, number: u64) -> Option<Errand> {
        self.running.remove(&number)
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
