//! Who is connected, and what that says about whom to know.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::limits;
use starling_proto::message::{Hello, Mode, Request};
use starling_proto::time::{Span, Tick};

use super::calls::Purpose;
use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::io::{Event, Remote};
use crate::reach::Witness;
use crate::storage::StorageError;
use crate::table::{Change, Contact};

/// A connection that comes up within this time after our mode has changed may have begun before.
const GREETING_ON_ITS_WAY: Span = Span::from_secs(10);

/// A peer that says on one connection that it serves, and that it does not, is believed once in this time. A peer changes
/// within seconds once, when it has just come; then it takes minutes to find out that it cannot be dialled any more.
const MODE_STANDS: Span = Span::from_secs(10);

/// A connected peer.
#[derive(Debug)]
pub(super) struct Link {
    address: SocketAddr,
    mode: Mode,
    /// The mode that it greeted with last.
    claimed: Mode,
    /// When it last changed from one mode to the other, as far as we believed it.
    changed: Option<Tick>,
    claims: Vec<SocketAddr>,
    /// Whether it has answered us.
    answered: bool,
    since: Tick,
}

impl Link {
    const fn new(address: SocketAddr, mode: Mode, since: Tick) -> Self {
        let claims = Vec::new();
        Self { address, mode, claimed: mode, changed: None, claims, answered: false, since }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn serves(&self) -> bool {
        self.mode == Mode::Server
    }

    pub(super) fn peer(&self, key: NodeKey) -> Peer {
        Peer::new(key, [self.address])
    }

    /// When what it says of its mode will be believed, if it is not yet.
    pub(super) fn next_timeout(&self) -> Option<Tick> {
        let stands = |changed: Tick| changed.after(MODE_STANDS);
        (self.claimed != self.mode).then(|| self.changed.map_or(Tick::ZERO, stands))
    }

    /// Believes what it says of its mode, if it is time; whether that changes anything.
    fn believe(&mut self, now: Tick) -> bool {
        let due = self.next_timeout().is_some_and(|at| at <= now);
        if due {
            self.mode = self.claimed;
            self.changed = Some(now);
        }
        due
    }
}

impl Overlay {
    pub(super) fn peer_up(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        hello: Hello,
        dialled: bool,
    ) -> Result<(), StorageError> {
        let Remote { key, address, .. } = *remote;
        if key == self.me {
            return Ok(());
        }
        let met = self.links.contains_key(&key)
            || self.calls.are_to(&key)
            || self.parted.lately(&key, context.now.tick);
        if !self.links.contains_key(&key) {
            self.event(Event::PeerUp(key));
        }
        let link = self.links.entry(key).or_insert_with(|| Link::new(address, hello.mode, context.now.tick));
        link.address = address;
        link.answered |= dialled;
        let before = self.mode_changed;
        if !dialled {
            let witness = if met { Witness::Acquaintance } else { Witness::Stranger };
            self.was_dialled(context, address, witness);
        }
        self.greeted(context, &key, hello)?;
        // The shell may have greeted with the mode that we had when the handshake began.
        let lately = |at: Tick| context.now.tick.since(at) <= GREETING_ON_ITS_WAY;
        if self.mode_changed == before && before.is_some_and(lately) {
            self.greet(context, key);
        }
        Ok(())
    }

    pub(super) fn peer_down(&mut self, key: &NodeKey, now: Tick) {
        if self.links.remove(key).is_some() {
            self.parted.note(*key, now);
            self.unbelieved.remove(key);
            self.holder.disconnected(key);
            self.event(Event::PeerDown(*key));
        }
    }

    /// A greeting, of a new connection or on a standing one.
    pub(super) fn greeted(
        &mut self,
        context: &mut Context<'_>,
        key: &NodeKey,
        hello: Hello,
    ) -> Result<(), StorageError> {
        let Some(link) = self.links.get_mut(key) else { return Ok(()) };
        let address = link.address;
        link.claimed = hello.mode;
        link.believe(context.now.tick);
        link.claims = hello.addresses;
        self.clock.vote(AddressGroup::of(&address), hello.coarse_time_min, context.now);
        if let Some(observed) = hello.observed {
            for new in self.observed.vote(&address, observed) {
                self.event(Event::AddressObserved(new));
            }
        }
        self.announce(context);
        if let Some(at) = self.links.get(key).and_then(Link::next_timeout) {
            self.unbelieved.insert(*key);
            self.wake_for_upkeep(at);
        }
        self.consider(context, key)
    }

    /// Believes the peers whose word on their mode came too soon after another.
    pub(super) fn believe_late(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let (now, links) = (context.now.tick, &mut self.links);
        let mut late = Vec::new();
        self.unbelieved.retain(|key| {
            let Some(link) = links.get_mut(key) else { return false };
            if link.believe(now) {
                late.push(*key);
            }
            link.next_timeout().is_some()
        });
        for key in late {
            self.consider(context, &key)?;
        }
        Ok(())
    }

    /// When the first of them will be believed.
    pub(super) fn next_belief(&self) -> Option<Tick> {
        let links = self.unbelieved.iter().filter_map(|key| self.links.get(key));
        links.filter_map(Link::next_timeout).min()
    }

    /// A peer has answered a request of ours.
    pub(super) fn heard(&mut self, context: &mut Context<'_>, key: &NodeKey) -> Result<(), StorageError> {
        if let Some(link) = self.links.get_mut(key) {
            link.answered = true;
        }
        if self.table.answered(key, context.now.tick) { Ok(()) } else { self.consider(context, key) }
    }

    /// A peer has not answered a request of ours.
    pub(super) fn not_heard(&mut self, context: &mut Context<'_>, key: &NodeKey) -> Result<(), StorageError> {
        let change = self.table.failed(key, context.now.tick);
        self.changed(context, change)
    }

    /// Keeps a new contact on disk, as a way back in after a restart.
    ///
    /// Who goes is not forgotten for that: most come back, and who forgets the last ways back in, and cannot be dialled, is
    /// alone for ever. Where there is no room, [`Cached::leaves`] says who makes it: so neither do fresh identities push out
    /// old acquaintances, nor those who stay all others.
    fn keep_cached(&mut self, context: &mut Context<'_>, key: &NodeKey) -> Result<(), StorageError> {
        let room = self.config.upkeep.cached_peers;
        if self.holder.is_full() {
            return Ok(());
        }
        if self.cached.len() >= room && !self.cached.contains(key) {
            let Some(leaves) = self.cached.leaves(room) else { return Ok(()) };
            self.forget_cached(context, &leaves)?;
        }
        if let Some(contact) = self.table.get(key) {
            context.store.write_peer(&contact.peer(), context.now.seconds())?;
            self.cached.insert(*key, context.now.seconds());
        }
        Ok(())
    }

    fn forget_cached(&mut self, context: &mut Context<'_>, key: &NodeKey) -> Result<(), StorageError> {
        if self.cached.remove(key) { context.store.remove_peer(key) } else { Ok(()) }
    }

    /// The servers that have connected last.
    pub(super) fn newest(&self, count: usize) -> Vec<Peer> {
        let mut serving: Vec<(&NodeKey, &Link)> =
            self.links.iter().filter(|(_, link)| link.serves()).collect();
        serving.sort_by_key(|(_, link)| Reverse(link.since));
        serving.into_iter().take(count).map(|(key, link)| link.peer(*key)).collect()
    }

    /// Whether a peer serves, as far as we know.
    pub(super) fn serves(&self, key: &NodeKey) -> bool {
        match self.links.get(key) {
            Some(link) => link.serves(),
            None => self.table.get(key).is_some(),
        }
    }

    /// Whoever gave us something false is no contact any more.
    pub(super) fn caught_lying(
        &mut self,
        context: &mut Context<'_>,
        key: &NodeKey,
    ) -> Result<(), StorageError> {
        self.liars.caught(*key, context.now.tick);
        self.forget_cached(context, key)?;
        let change = self.table.remove(key);
        self.changed(context, change)
    }

    /// Brings the table up to date with what is known of a connected peer.
    fn consider(&mut self, context: &mut Context<'_>, key: &NodeKey) -> Result<(), StorageError> {
        let now = context.now.tick;
        let Some(link) = self.links.get(key) else { return Ok(()) };
        if !link.serves() {
            // Not forgotten for that: whoever has just come back serves nobody for the first seconds.
            let change = self.table.remove(key);
            return self.changed(context, change);
        }
        if self.liars.contains(key, now) {
            return Ok(());
        }
        let contact = Contact::new(*key, link.address, &link.claims, now);
        if link.answered {
            let change = self.table.offer(contact);
            return self.changed(context, change);
        }
        if self.table.would_take(&contact) && self.calls.may_ping(key) {
            let peer = link.peer(*key);
            self.call(peer, Request::Ping, Purpose::Ping);
        }
        Ok(())
    }

    /// What follows from a change of the table.
    fn changed(&mut self, context: &mut Context<'_>, change: Change) -> Result<(), StorageError> {
        let now = context.now.tick;
        if let Some(gone) = change.removed {
            self.repair.left(&gone, now);
            self.cached.note(&gone, false);
            if self.table.is_empty() {
                // Those that were met since the start stand on disk at their newest addresses.
                let mut known = context.store.known_peers()?;
                known.reverse();
                self.join.lost(known, now);
            }
        }
        if let Some(new) = change.added {
            if self.table.len() == 1 {
                self.event(Event::Acquainted);
            }
            self.repair.came(&new, now);
            // Whoever is the last of too many from one street enters and leaves at once.
            self.cached.note(&new, self.table.get(&new).is_some());
            self.reach.knows_servers(now);
            self.keep_cached(context, &new)?;
        }
        if change != Change::default() {
            self.wake_for_upkeep(now);
        }
        Ok(())
    }

    /// A peer has dialled us: if it is of another group, and not one whose way in we have opened ourselves, then
    /// anybody can, and we serve. Where there are no better witnesses, neighbours must do, and acquaintances: for a newcomer,
    /// who knows few as yet, until it is checked.
    fn was_dialled(&mut self, context: &mut Context<'_>, address: SocketAddr, witness: Witness) {
        let now = context.now.tick;
        let own = |group: &AddressGroup| self.observed.is_own_group(group);
        let strangers = self.table.contacts().any(|contact| !own(&contact.group()));
        if own(&AddressGroup::of(&address)) && strangers {
            return;
        }
        if witness == Witness::Acquaintance && self.table.len() > limits::WIDE {
            return self.reach.tried(now);
        }
        let random = context.random();
        self.reach.dialled(now, random, witness);
        self.announce(context);
    }
}
