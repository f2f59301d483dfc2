//! Our mailboxes: read on a slow timer, at once when a holder says that something has come, and emptied by our word.
//!
//! A full reading looks the holders up, has each list what lies there, and takes every body once from whoever has it
//! ([`Reading`]). When a holder that was asked to says that something has come, that holder alone is read.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use starling_crypto::keys::MailboxSecret;
use starling_crypto::owner::sign_owner_request;
use starling_overlay::group::AddressGroup;
use starling_overlay::io::ChannelBinding;
use starling_proto::addr::Peer;
use starling_proto::ids::{MailboxAddress, NodeKey, RecordId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Operation, OwnerOperation, Request, Response};
use starling_proto::time::{Now, Span, Tick, UnixSeconds};

use super::errands::{Errand, Errands};
use super::mailboxes::Pace;
use super::reading::{Finished, Reading};
use crate::io::Way;
use crate::wish::Wish;

/// Between two full readings while holders tell us what comes, and of mailboxes where nothing is expected.
const SLOW: Span = Span::from_secs(30 * 60);
/// Between two readings while nobody does.
const UNTOLD: Span = Span::from_secs(60);
/// Before the next reading when no holder answered: we have not joined yet.
const ALONE: Span = Span::from_secs(5);
/// Between the beginnings of two readings of one mailbox, whatever wants the second.
const APART: Span = Span::from_secs(1);
/// How long what can go is collected before its holders are told: mail comes in bursts, and each deletion goes to all of
/// them.
const COLLECTED: Span = Span::from_secs(30);
/// Holders that are to tell us: of different address groups, so that one group cannot keep a request from us.
const TELLERS: usize = 3;
/// How often the holders that tell us are pinged: a connection that is not used is closed after 90 s, the subscription ends
/// with it, and the mailbox would have to be read anew.
const KEEP: Span = Span::from_secs(60);
/// Connections with one peer that are remembered, the newest of them.
const PER_PEER: usize = 4;
/// A request to a holder has failed after this long, as in a lookup: a reading waits for the slowest of them.
const DEADLINE: Span = Span::from_ms(4000);
/// The binding of requests to our own holder, which no connection carries.
pub const OWN_BINDING: ChannelBinding = [0; limits::CHANNEL_BINDING];

/// One mailbox.
#[derive(Debug)]
struct Mailbox {
    owner: MailboxSecret,
    pace: Pace,
    /// When it is read in full.
    due: Tick,
    /// When those who told us of something are read, and who they are.
    hint: Option<Tick>,
    hinted: BTreeSet<NodeKey>,
    /// When the last reading began.
    began: Option<Tick>,
    reading: Option<Reading>,
    /// Whether it has been read in full since all had been.
    complete: bool,
    holders: Vec<Peer>,
    /// Holders that tell us what comes, and on which connection.
    tellers: BTreeMap<NodeKey, ChannelBinding>,
    /// What is to go, and when its holders are told.
    unwanted: BTreeSet<RecordId>,
    tell: Option<Tick>,
    /// When it is forgotten, if it is no longer ours to read.
    ends: Option<Tick>,
}

impl Mailbox {
    const fn new(owner: MailboxSecret, pace: Pace, due: Tick) -> Self {
        Self {
            owner,
            pace,
            due,
            hint: None,
            hinted: BTreeSet::new(),
            began: None,
            reading: None,
            complete: false,
            holders: Vec::new(),
            tellers: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            tell: None,
            ends: None,
        }
    }

    /// A time, or as soon after it as may be.
    fn apart(&self, at: Tick) -> Tick {
        self.began.map_or(at, |began| at.max(began.after(APART)))
    }

    fn next(&self) -> Option<Tick> {
        let reading = self.reading.is_none().then_some(self.hint.map_or(self.due, |hint| hint.min(self.due)));
        reading.into_iter().chain(self.tell).chain(self.ends).min()
    }
}

/// See the module's text. Bounded by the invites that we may give out, and by the peers that are connected.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Our own node, which may hold our mail as well.
    own: Option<NodeKey>,
    mailboxes: BTreeMap<MailboxAddress, Mailbox>,
    connections: BTreeMap<NodeKey, Vec<ChannelBinding>>,
    /// When those that tell us are pinged next.
    keep: Tick,
    finished: VecDeque<(MailboxAddress, Finished)>,
}

impl Inbox {
    pub(super) fn new(own: NodeKey) -> Self {
        Self { own: Some(own), ..Self::default() }
    }

    /// Says which mailboxes there are. One that is no longer there is kept for a while: its holders are being told what
    /// is to go.
    pub(super) fn set(&mut self, mailboxes: impl Iterator<Item = (MailboxSecret, Pace)>, now: Tick) {
        let mut keep = BTreeSet::new();
        for (owner, pace) in mailboxes {
            let address = owner.public();
            keep.insert(address);
            let mailbox = self.mailboxes.entry(address).or_insert_with(|| Mailbox::new(owner, pace, now));
            mailbox.pace = pace;
            mailbox.ends = None;
        }
        for (_, mailbox) in self.mailboxes.iter_mut().filter(|(address, _)| !keep.contains(address)) {
            mailbox.ends.get_or_insert(now.after(UNTOLD));
        }
    }

    /// A connection stands.
    pub(super) fn peer_up(&mut self, peer: NodeKey, binding: ChannelBinding) {
        let standing = self.connections.entry(peer).or_default();
        standing.retain(|known| *known != binding);
        // Nearly all peers have one connection: no room for more than there are.
        standing.reserve_exact(1);
        standing.push(binding);
        if standing.len() > PER_PEER {
            standing.remove(0);
        }
    }

    /// One connection with a peer has turned out to be gone, and with it what the peer was to tell us on it: of that
    /// nobody hears while another connection with the peer stands.
    pub(super) fn closed(&mut self, peer: &NodeKey, binding: &ChannelBinding, now: Tick) {
        if let Some(standing) = self.connections.get_mut(peer) {
            standing.retain(|known| known != binding);
        }
        self.not_told(peer, |on| on == binding, now);
    }

    /// A peer tells us no longer what comes, if it did on such a connection: another is looked for.
    fn not_told(&mut self, peer: &NodeKey, on: impl Fn(&ChannelBinding) -> bool, now: Tick) {
        for mailbox in self.mailboxes.values_mut() {
            if mailbox.tellers.get(peer).is_some_and(&on) {
                mailbox.tellers.remove(peer);
                mailbox.due = mailbox.due.min(now.after(UNTOLD));
            }
        }
    }

    fn binding(&self, peer: &NodeKey) -> Option<ChannelBinding> {
        if self.own == Some(*peer) {
            return Some(OWN_BINDING);
        }
        self.connections.get(peer)?.last().copied()
    }

    /// The last connection with a peer ended.
    pub(super) fn peer_down(&mut self, peer: &NodeKey, now: Tick) {
        self.connections.remove(peer);
        self.not_told(peer, |_| true, now);
    }

    /// Something has come to a mailbox, as this peer says: believed only of a holder that was asked to tell us of it.
    /// `false` if it was not.
    pub(super) fn notified_by(&mut self, address: &MailboxAddress, from: &NodeKey, now: Tick) -> bool {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return false };
        let tells = mailbox.tellers.contains_key(from);
        if tells {
            mailbox.hinted.insert(*from);
            mailbox.hint = Some(mailbox.apart(now));
        }
        tells
    }

    /// Who tells us of any of our mailboxes.
    pub(super) fn tellers(&self) -> impl Iterator<Item = NodeKey> {
        self.mailboxes.values().flat_map(|mailbox| mailbox.tellers.keys().copied())
    }

    /// Something has come to our own holder.
    pub(super) fn kept_here(&mut self, key: &RecordKey, now: Tick) {
        let ours = |address: &MailboxAddress| RecordKey::for_mailbox(address) == *key;
        let mailbox = self.mailboxes.iter_mut().find(|(address, _)| ours(address));
        if let Some(((_, mailbox), own)) = mailbox.zip(self.own) {
            mailbox.hinted.insert(own);
            mailbox.hint = Some(mailbox.apart(now));
        }
    }

    /// The network has been entered: mailboxes that nobody tells us of are read now.
    pub(super) fn joined(&mut self, now: Tick) {
        for mailbox in self.mailboxes.values_mut().filter(|mailbox| mailbox.tellers.is_empty()) {
            mailbox.due = mailbox.apart(mailbox.due.min(now));
        }
    }

    /// Reads a mailbox in full, soon.
    pub(super) fn read_in_full(&mut self, address: &MailboxAddress, now: Tick) {
        if let Some(mailbox) = self.mailboxes.get_mut(address) {
            mailbox.due = mailbox.apart(mailbox.due.min(now));
        }
    }

    /// When a mailbox is due.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        let told = self.mailboxes.values().any(|mailbox| !mailbox.tellers.is_empty());
        let mailboxes = self.mailboxes.values().filter_map(Mailbox::next).min();
        mailboxes.into_iter().chain(told.then_some(self.keep)).min()
    }

    /// The next reading that has ended.
    pub(super) fn poll_finished(&mut self) -> Option<(MailboxAddress, Finished)> {
        self.finished.pop_front()
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
            errands.send(Errand::Keep(teller, binding), |tag| Wish::Call {
                tag,
                to: Peer::new(teller, []),
                way: Way::Only(binding),
                request: Request::Ping,
                deadline: DEADLINE,
            });
        }
    }

    /// Begins the readings that are due, and tells holders what can go.
    pub(super) fn tick(&mut self, now: Now, errands: &mut Errands) {
        self.mailboxes.retain(|_, mailbox| mailbox.ends.is_none_or(|end| now.tick < end));
        self.keep_up(now.tick, errands);
        let due = |mailbox: &&MailboxAddress| {
            self.mailboxes.get(mailbox).and_then(Mailbox::next).is_some_and(|at| at <= now.tick)
        };
        let due: Vec<MailboxAddress> = self.mailboxes.keys().filter(due).copied().collect();
        for address in due {
            self.begin(now, errands, &address);
            let tell = |mailbox: &Mailbox| mailbox.tell.is_some_and(|at| at <= now.tick);
            if self.mailboxes.get(&address).is_some_and(tell) {
                self.tell_holders(now, errands, &address);
            }
        }
    }

    fn begin(&mut self, now: Now, errands: &mut Errands, address: &MailboxAddress) {
        let Some(mailbox) = self.mailboxes.get_mut(address).filter(|mailbox| mailbox.reading.is_none())
        else {
            return;
        };
        let full = mailbox.due <= now.tick;
        if !full && mailbox.hint.is_none_or(|hint| now.tick < hint) {
            return;
        }
        mailbox.began = Some(now.tick);
        mailbox.hint = None;
        let hinted = core::mem::take(&mut mailbox.hinted);
        mailbox.reading = Some(Reading::new(full));
        if full {
            // Nothing else is due before this has ended.
            mailbox.due = now.tick.after(SLOW);
            let target = RecordKey::for_mailbox(address).as_node_id();
            let width = limits::K;
            errands.send(Errand::Holders(*address), |tag| Wish::Lookup { tag, target, width });
        } else {
            self.list(now, errands, address, hinted.into_iter().collect());
        }
    }

    /// The holders of a mailbox are known: all are to list what they have and to let go what is unwanted, some are to tell
    /// us what comes.
    pub(super) fn holders(
        &mut self,
        now: Now,
        errands: &mut Errands,
        address: &MailboxAddress,
        peers: Vec<Peer>,
    ) {
        let own = self.own;
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        mailbox.holders = peers;
        let connections = &self.connections;
        mailbox
            .tellers
            .retain(|peer, binding| connections.get(peer).is_some_and(|all| all.contains(binding)));
        let lacking = match mailbox.pace {
            Pace::Told => TELLERS.saturating_sub(mailbox.tellers.len()),
            Pace::Seldom => 0,
        };
        let asked: Vec<NodeKey> = tellers(mailbox).take(lacking).map(Peer::key).collect();
        let all: Vec<NodeKey> = own.into_iter().chain(mailbox.holders.iter().map(Peer::key)).collect();
        for holder in asked {
            self.ask(now, errands, (holder, *address, Operation::Subscribe));
        }
        self.tell_holders(now, errands, address);
        self.list(now, errands, address, all);
    }

    fn list(&mut self, now: Now, errands: &mut Errands, address: &MailboxAddress, holders: Vec<NodeKey>) {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        let Some(reading) = &mut mailbox.reading else { return };
        holders.iter().for_each(|holder| reading.asked(*holder));
        for holder in holders {
            self.ask(now, errands, (holder, *address, Operation::List));
        }
        self.go_on(now, errands, address);
    }

    /// Takes what was listed, and ends the reading when nothing is left.
    fn go_on(&mut self, now: Now, errands: &mut Errands, address: &MailboxAddress) {
        loop {
            let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
            let Some(reading) = &mut mailbox.reading else { return };
            if let Some((holder, ids)) = reading.next_take() {
                self.ask(now, errands, (holder, *address, Operation::Take(ids)));
                continue;
            }
            if let Some(finished) = reading.finished() {
                mailbox.reading = None;
                self.finished.push_back((*address, finished));
            }
            return;
        }
    }

    /// Plans the next reading after one has ended. True if every mailbox has been read since this was last true.
    pub(super) fn read(
        &mut self,
        address: &MailboxAddress,
        finished: &Finished,
        now: Tick,
        random: u32,
    ) -> bool {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return false };
        let wait = match (finished.answered, mailbox.tellers.len()) {
            _ if finished.more => Span::ZERO,
            _ if finished.missed => ALONE,
            (0, _) => ALONE,
            (_, 0) if mailbox.pace == Pace::Told => UNTOLD,
            _ => SLOW,
        };
        if finished.full || finished.more || finished.missed {
            mailbox.due = mailbox.apart(now.after(wait.jittered(random)));
        }
        let whole = finished.full && finished.answered > 0 && !finished.more && !finished.missed;
        mailbox.complete |= whole;
        let complete = self.mailboxes.values().all(|mailbox| mailbox.complete);
        if complete {
            self.mailboxes.values_mut().for_each(|mailbox| mailbox.complete = false);
        }
        complete
    }

    /// These can go: they are on our disk, or worth nothing. Our own holder is told at once, the others soon.
    pub(super) fn delete(
        &mut self,
        now: Now,
        errands: &mut Errands,
        address: &MailboxAddress,
        records: &[RecordId],
    ) {
        let Some(mailbox) = self.mailboxes.get_mut(address).filter(|_| !records.is_empty()) else { return };
        mailbox.unwanted.extend(records);
        mailbox.tell.get_or_insert(now.tick.after(COLLECTED));
        let Some(own) = self.own else { return };
        for ids in records.chunks(limits::RECORD_IDS) {
            self.ask(now, errands, (own, *address, Operation::Delete(ids.to_vec())));
        }
    }

    fn tell_holders(&mut self, now: Now, errands: &mut Errands, address: &MailboxAddress) {
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return };
        mailbox.tell = None;
        if mailbox.holders.is_empty() {
            // They come with the next full reading, or there are none but us.
            return;
        }
        let unwanted: Vec<RecordId> = core::mem::take(&mut mailbox.unwanted).into_iter().collect();
        let holders: Vec<NodeKey> = mailbox.holders.iter().map(Peer::key).collect();
        for ids in unwanted.chunks(limits::RECORD_IDS) {
            for holder in &holders {
                self.ask(now, errands, (*holder, *address, Operation::Delete(ids.to_vec())));
            }
        }
    }

    /// Asks a holder what only a mailbox's owner may: over the connection that stands, or a new one.
    fn ask(&mut self, now: Now, errands: &mut Errands, what: (NodeKey, MailboxAddress, Operation)) {
        if let Some(binding) = self.binding(&what.0) {
            return self.sign(now, errands, what, binding);
        }
        let Some(to) = self.holder(&what.1, &what.0) else {
            return self.failed(now, errands, &what);
        };
        errands.send(Errand::Connect(what.0, what.1, what.2), |tag| Wish::Call {
            tag,
            to,
            way: Way::Any,
            request: Request::Ping,
            deadline: DEADLINE,
        });
    }

    /// The connection for a question stands.
    pub(super) fn connected(
        &mut self,
        now: Now,
        errands: &mut Errands,
        what: (NodeKey, MailboxAddress, Operation),
    ) {
        match self.binding(&what.0) {
            Some(binding) => self.sign(now, errands, what, binding),
            None => self.failed(now, errands, &what),
        }
    }

    fn sign(
        &mut self,
        now: Now,
        errands: &mut Errands,
        (holder, address, operation): (NodeKey, MailboxAddress, Operation),
        binding: ChannelBinding,
    ) {
        let Some(mailbox) = self.mailboxes.get(&address) else { return };
        let issued: UnixSeconds = now.seconds();
        let body = OwnerOperation {
            operation: operation.clone(),
            address,
            holder,
            channel_binding: binding,
            issued,
        };
        let Ok(request) = sign_owner_request(&body, &mailbox.owner) else { return };
        let to = self.holder(&address, &holder).unwrap_or_else(|| Peer::new(holder, []));
        errands.send(Errand::Own(holder, address, operation, binding), |tag| Wish::Call {
            tag,
            to,
            way: Way::Only(binding),
            request: Request::Owner(request),
            deadline: DEADLINE,
        });
    }

    /// A holder has answered its owner.
    pub(super) fn owned(
        &mut self,
        now: Now,
        errands: &mut Errands,
        (holder, address, operation): (NodeKey, MailboxAddress, Operation),
        (binding, answer): (ChannelBinding, Response),
    ) {
        let other = self.own != Some(holder);
        let Some(mailbox) = self.mailboxes.get_mut(&address) else { return };
        match (answer, mailbox.reading.as_mut()) {
            (Response::Subscribed, _) => {
                mailbox.tellers.insert(holder, binding);
                return;
            }
            (Response::Listed(ids), Some(reading)) => {
                reading.listed(holder, &ids, other, |id| !mailbox.unwanted.contains(id));
            }
            (Response::Records(found), Some(reading)) => {
                reading.taken(&holder, found.records, found.left_out);
            }
            _ => return self.failed(now, errands, &(holder, address, operation)),
        }
        self.go_on(now, errands, &address);
    }

    /// What was asked of a holder came to nothing. What was not deleted comes up at the next reading, and another holder
    /// is asked to tell us.
    pub(super) fn failed(
        &mut self,
        now: Now,
        errands: &mut Errands,
        (holder, address, operation): &(NodeKey, MailboxAddress, Operation),
    ) {
        if !matches!(operation, Operation::List | Operation::Take(_)) {
            return;
        }
        let reading = self.mailboxes.get_mut(address).and_then(|mailbox| mailbox.reading.as_mut());
        if let Some(reading) = reading {
            reading.failed(holder);
            self.go_on(now, errands, address);
        }
    }

    /// A connection turned out to be gone when a holder was asked on it: it is asked on another, if one stands.
    pub(super) fn connection_gone(
        &mut self,
        now: Now,
        errands: &mut Errands,
        what: &(NodeKey, MailboxAddress, Operation),
        binding: &ChannelBinding,
    ) {
        self.closed(&what.0, binding, now.tick);
        match self.binding(&what.0) {
            Some(_) => self.ask(now, errands, what.clone()),
            None => self.failed(now, errands, what),
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

#[cfg(test)]
mod tests;
