//! Our mailboxes: read on a slow timer, at once when a holder says that something has come, and emptied by our word.
//!
//! Reading is an ordinary fetch of deposits: they are sealed, so holders give them to anybody. Subscribing and deleting
//! are signed for one holder and one connection.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use starling_crypto::keys::MailboxSecret;
use starling_crypto::owner::sign_owner_request;
use starling_overlay::group::AddressGroup;
use starling_overlay::io::ChannelBinding;
use starling_proto::addr::Peer;
use starling_proto::ids::{MailboxAddress, NodeKey, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Operation, OwnerOperation, Request, Response};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Span, Tick, UnixSeconds};

use super::Context;
use super::errands::{Errand, Errands};
use crate::io::Way;
use crate::wish::Wish;

/// Between two readings while holders tell us what comes.
const SLOW: Span = Span::from_secs(600);
/// Between two readings while nobody does.
const UNTOLD: Span = Span::from_secs(60);
/// Before the next reading when no holder answered: we have not joined yet.
const ALONE: Span = Span::from_secs(5);
/// Between the beginnings of two readings of one mailbox, whatever wants the second.
const APART: Span = Span::from_secs(1);
/// Holders that are to tell us: of different address groups, so that one group cannot keep a request from us.
const TELLERS: usize = 3;
/// How often the holders that tell us are pinged: a connection that is not used is closed after 90 s, the subscription ends
/// with it, and the mailbox would have to be read anew.
const KEEP: Span = Span::from_secs(60);
/// Connections with one peer that are remembered, the newest of them.
const PER_PEER: usize = 4;
/// A request to a holder has failed after this long.
const DEADLINE: Span = Span::from_secs(10);
/// The binding of requests to our own holder, which no connection carries.
pub const OWN_BINDING: ChannelBinding = [0; limits::CHANNEL_BINDING];

/// One mailbox.
#[derive(Debug)]
struct Mailbox {
    owner: MailboxSecret,
    due: Tick,
    /// When the last reading began.
    began: Option<Tick>,
    reading: bool,
    /// Something came while we were reading.
    again: bool,
    /// Whether it has been read since all had been.
    complete: bool,
    holders: Vec<Peer>,
    /// Holders that tell us what comes, and on which connection.
    tellers: BTreeMap<NodeKey, ChannelBinding>,
    /// What is to go, once the holders are known.
    unwanted: BTreeSet<RecordId>,
    /// When it is forgotten, if it is no longer ours to read.
    ends: Option<Tick>,
}

impl Mailbox {
    const fn new(owner: MailboxSecret, due: Tick) -> Self {
        Self {
            owner,
            due,
            began: None,
            reading: false,
            again: false,
            complete: false,
            holders: Vec::new(),
            tellers: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            ends: None,
        }
    }

    /// Is to be read at a time, or as soon after it as may be.
    fn read_at(&mut self, at: Tick) {
        self.due = self.began.map_or(at, |began| at.max(began.after(APART)));
    }
}

/// See the module's text. Bounded by the invites that we may give out, and by the peers that are connected.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    mailboxes: BTreeMap<MailboxAddress, Mailbox>,
    connections: BTreeMap<NodeKey, Vec<ChannelBinding>>,
    /// When those that tell us are pinged next.
    keep: Tick,
}

impl Inbox {
    /// Says which mailboxes there are. One that is no longer there is kept for a while: its holders are being told what
    /// is to go.
    pub(super) fn set(&mut self, mailboxes: impl Iterator<Item = MailboxSecret>, now: Tick) {
        let mut keep = BTreeSet::new();
        for owner in mailboxes {
            let address = owner.public();
            keep.insert(address);
            self.mailboxes.entry(address).or_insert_with(|| Mailbox::new(owner, now));
        }
        for (_, mailbox) in self.mailboxes.iter_mut().filter(|(address, _)| !keep.contains(address)) {
            mailbox.ends.get_or_insert(now.after(UNTOLD));
        }
        self.mailboxes.retain(|_, mailbox| mailbox.ends.is_none_or(|end| now < end));
    }

    /// A connection stands.
    pub(super) fn peer_up(&mut self, peer: NodeKey, binding: ChannelBinding) {
        let standing = self.connections.entry(peer).or_default();
        standing.retain(|known| *known != binding);
        standing.push(binding);
        if standing.len() > PER_PEER {
            standing.remove(0);
        }
    }

    /// The newest connection with a peer has turned out to be gone.
    pub(super) fn closed(&mut self, peer: &NodeKey) {
        if let Some(standing) = self.connections.get_mut(peer) {
            standing.pop();
        }
    }

    fn binding(&self, peer: &NodeKey) -> Option<ChannelBinding> {
        self.connections.get(peer)?.last().copied()
    }

    /// The last connection with a peer ended. If it was to tell us what comes, another is looked for.
    pub(super) fn peer_down(&mut self, peer: &NodeKey, now: Tick) {
        self.connections.remove(peer);
        for mailbox in self.mailboxes.values_mut() {
            if mailbox.tellers.remove(peer).is_some() {
                mailbox.due = mailbox.due.min(now.after(UNTOLD));
            }
        }
    }

    /// Something has come to a mailbox, as a holder says. `false` if it is none of ours.
    pub(super) fn notified(&mut self, address: &MailboxAddress, now: Tick) -> bool {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return false };
        mailbox.again = mailbox.reading;
        mailbox.read_at(mailbox.due.min(now));
        true
    }

    /// The same, as this peer says: believed only of a holder that was asked to tell us of this mailbox.
    pub(super) fn notified_by(&mut self, address: &MailboxAddress, from: &NodeKey, now: Tick) -> bool {
        let tells = self.mailboxes.get(address).is_some_and(|mailbox| mailbox.tellers.contains_key(from));
        tells && self.notified(address, now)
    }

    /// Something has come to our own holder.
    pub(super) fn kept_here(&mut self, key: &RecordKey, now: Tick) {
        let address = self.mailboxes.keys().find(|address| RecordKey::for_mailbox(address) == *key).copied();
        if let Some(address) = address {
            self.notified(&address, now);
        }
    }

    /// When a mailbox is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        let told = self.mailboxes.values().any(|mailbox| !mailbox.tellers.is_empty());
        self.next_reading().into_iter().chain(told.then_some(self.keep)).min()
    }

    fn next_reading(&self) -> Option<Tick> {
        self.mailboxes.values().filter(|mailbox| !mailbox.reading).map(|mailbox| mailbox.due).min()
    }

    /// Keeps the connections open on which we are told what comes.
    fn keep_up(&mut self, now: Tick, errands: &mut Errands) {
        if now < self.keep {
            return;
        }
        self.keep = now.after(KEEP);
        let tellers = self.mailboxes.values().flat_map(|mailbox| &mailbox.tellers);
        let tellers: BTreeMap<NodeKey, ChannelBinding> =
            tellers.map(|(teller, binding)| (*teller, *binding)).collect();
        for (teller, binding) in tellers {
            errands.send(Errand::Keep, |tag| Wish::Call {
                tag,
                to: Peer::new(teller, []),
                way: Way::Only(binding),
                request: Request::Ping,
                deadline: DEADLINE,
            });
        }
    }

    /// Begins the readings that are due.
    pub(super) fn tick(&mut self, now: Tick, errands: &mut Errands) {
        self.keep_up(now, errands);
        let due = |mailbox: &Mailbox| !mailbox.reading && mailbox.due <= now;
        for (address, mailbox) in self.mailboxes.iter_mut().filter(|(_, mailbox)| due(mailbox)) {
            mailbox.reading = true;
            mailbox.began = Some(now);
            let key = RecordKey::for_mailbox(address);
            errands.send(Errand::Holders(*address), |tag| Wish::Lookup {
                tag,
                target: key.as_node_id(),
                width: limits::K,
            });
            errands.send(Errand::Read(*address), |tag| Wish::Fetch { tag, key, kind: RecordKind::Deposit });
        }
    }

    /// The holders of a mailbox are known: some are to tell us, all are to let go what is unwanted.
    pub(super) fn holders(
        &mut self,
        context: &Context<'_>,
        errands: &mut Errands,
        address: &MailboxAddress,
        peers: Vec<Peer>,
    ) {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        mailbox.holders = peers;
        let connections = &self.connections;
        mailbox
            .tellers
            .retain(|peer, binding| connections.get(peer).is_some_and(|all| all.contains(binding)));
        let lacking = TELLERS.saturating_sub(mailbox.tellers.len());
        let asked: Vec<Peer> = tellers(mailbox).take(lacking).cloned().collect();
        for peer in asked {
            self.ask(context, errands, (peer.key(), *address, Operation::Subscribe));
        }
        self.delete(context, errands, address, &[]);
    }

    /// Notes how many holders answered a reading. True if every mailbox has been read since this was last true.
    pub(super) fn read(&mut self, address: &MailboxAddress, holders: usize, now: Tick, random: u32) -> bool {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return false };
        mailbox.reading = false;
        let wait = match (holders, mailbox.tellers.len()) {
            _ if core::mem::take(&mut mailbox.again) => Span::ZERO,
            (0, _) => ALONE,
            (_, 0) => UNTOLD,
            _ => SLOW,
        };
        mailbox.read_at(now.after(wait.jittered(random)));
        mailbox.complete |= holders > 0;
        let complete = self.mailboxes.values().all(|mailbox| mailbox.complete);
        if complete {
            self.mailboxes.values_mut().for_each(|mailbox| mailbox.complete = false);
        }
        complete
    }

    /// Tells every holder, our own among them, that these can go: they are on our disk, or worth nothing.
    pub(super) fn delete(
        &mut self,
        context: &Context<'_>,
        errands: &mut Errands,
        address: &MailboxAddress,
        records: &[RecordId],
    ) {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        mailbox.unwanted.extend(records);
        if mailbox.holders.is_empty() || mailbox.unwanted.is_empty() {
            // The holders come with the next lookup, or there are none but us.
            self.delete_here(context, errands, address, records);
            return;
        }
        let unwanted: Vec<RecordId> = core::mem::take(&mut mailbox.unwanted).into_iter().collect();
        let holders: Vec<NodeKey> = mailbox.holders.iter().map(Peer::key).collect();
        for ids in unwanted.chunks(limits::RECORD_IDS) {
            for holder in &holders {
                self.ask(context, errands, (*holder, *address, Operation::Delete(ids.to_vec())));
            }
        }
        self.delete_here(context, errands, address, &unwanted);
    }

    fn delete_here(
        &self,
        context: &Context<'_>,
        errands: &mut Errands,
        address: &MailboxAddress,
        records: &[RecordId],
    ) {
        let own = context.me.identity.node().public();
        for ids in records.chunks(limits::RECORD_IDS) {
            self.own(context, errands, (own, *address, Operation::Delete(ids.to_vec())), OWN_BINDING);
        }
    }

    /// Asks a holder what only a mailbox's owner may: over the connection that stands, or a new one.
    fn ask(&self, context: &Context<'_>, errands: &mut Errands, what: (NodeKey, MailboxAddress, Operation)) {
        match self.binding(&what.0) {
            Some(binding) => self.own(context, errands, what, binding),
            None => {
                let Some(to) = self.holder(&what.1, &what.0) else { return };
                errands.send(Errand::Connect(what.0, what.1, what.2), |tag| Wish::Call {
                    tag,
                    to,
                    way: Way::Any,
                    request: Request::Ping,
                    deadline: DEADLINE,
                });
            }
        }
    }

    /// The connection for a question stands, or not.
    pub(super) fn connected(
        &mut self,
        context: &Context<'_>,
        errands: &mut Errands,
        what: (NodeKey, MailboxAddress, Operation),
    ) {
        if let Some(binding) = self.binding(&what.0) {
            self.own(context, errands, what, binding);
        }
    }

    fn own(
        &self,
        context: &Context<'_>,
        errands: &mut Errands,
        (holder, address, operation): (NodeKey, MailboxAddress, Operation),
        binding: ChannelBinding,
    ) {
        let Some(mailbox) = self.mailboxes.get(&address) else { return };
        let issued: UnixSeconds = context.now.seconds();
        let body = OwnerOperation {
            operation: operation.clone(),
            address,
            holder,
            channel_binding: binding,
            issued,
        };
        let Ok(request) = sign_owner_request(&body, &mailbox.owner) else { return };
        let to = self.holder(&address, &holder).unwrap_or_else(|| Peer::new(holder, []));
        errands.send(Errand::Own(holder, address, operation), |tag| Wish::Call {
            tag,
            to,
            way: Way::Only(binding),
            request: Request::Owner(request),
            deadline: DEADLINE,
        });
    }

    /// A holder has answered its owner.
    pub(super) fn owned(&mut self, holder: NodeKey, address: &MailboxAddress, answer: &Response) {
        let binding = self.binding(&holder);
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        if let (Response::Subscribed, Some(binding)) = (answer, binding) {
            mailbox.tellers.insert(holder, binding);
        }
    }

    fn holder(&self, address: &MailboxAddress, key: &NodeKey) -> Option<Peer> {
        self.mailboxes.get(address)?.holders.iter().find(|peer| peer.key() == *key).cloned()
    }
}

/// Holders that could tell us, best first: one of each address group, closest first, then the others.
fn tellers(mailbox: &Mailbox) -> impl Iterator<Item = &Peer> {
    let mut groups = BTreeSet::new();
    let free = mailbox.holders.iter().filter(|peer| !mailbox.tellers.contains_key(&peer.key()));
    let (first, others): (Vec<&Peer>, Vec<&Peer>) =
        free.partition(|peer| peer.addresses().first().is_some_and(|at| groups.insert(AddressGroup::of(at))));
    first.into_iter().chain(others)
}

/// Deposits among records that were fetched for a mailbox.
pub(super) fn deposits<'a>(
    address: &MailboxAddress,
    records: &'a [Record],
) -> impl Iterator<Item = &'a Record> {
    let key = RecordKey::for_mailbox(address);
    let here = move |record: &&Record| {
        let body = record.body();
        body.kind == RecordKind::Deposit && body.key == key
    };
    records.iter().filter(here)
}

#[cfg(test)]
mod tests;
