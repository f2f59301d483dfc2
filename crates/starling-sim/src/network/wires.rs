//! Connections, and the requests and answers on them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use rand_core::Rng as _;
use starling_core::io::{CallId, Input, Way};
use starling_overlay::group::AddressGroup;
use starling_overlay::io::{CallError, ChannelBinding, InboundId, Remote};
use starling_overlay::seats::{Full, Seat, Seats, Standing};
use starling_proto::addr::Peer;
use starling_proto::message::{Hello, Request, Response, StoreOutcome};
use starling_proto::time::{Span, Tick};
use starling_proto::version::ProtocolVersion;

use super::connections::Connection;
use super::queue::{Cargo, Happening, Parcel};
use super::{Asked, Network, NodeIndex, Terrain, Waiting, globe};
use crate::adversary::idle;
use crate::checks::sometimes::Sometimes;
use crate::faults::link::{Remaining, SILENCE, Try};

/// A connection without a request for this long is closed by the side that dialled, as in `starling-node`.
const IDLE: Span = Span::from_secs(90);

impl Network {
    pub(super) fn call(&mut self, from: NodeIndex, call: CallId, to: &Peer, request: Request, way: Way) {
        let frame = request.to_frame().expect("a core asks within the bounds of the protocol");
        self.trace.frame(self.now, from, to.key().as_bytes(), &frame);
        let fresh = way == Way::Fresh;
        let Some(target) = self.reach(from, to, fresh) else { return };
        let standing = self.node(from).connections.get(target).copied();
        if matches!(way, Way::Only(binding) if standing.is_none_or(|standing| standing.binding != binding)) {
            return self.fail_soon(from, call, CallError::Closed, Span::ZERO);
        }
        let stands = match standing.filter(|_| !fresh) {
            Some(connection) => Ok(connection.stands),
            None => self.connect(from, target),
        };
        let stands = match stands {
            Ok(stands) => stands,
            Err((error, wait)) => return self.fail_soon(from, call, error, wait),
        };
        self.count_request(from, target, &request, frame.len());
        self.touch(from, target);
        let unanswered = way == Way::Any && self.links.faults.repeats.happens(&mut self.fault_dice);
        if unanswered {
            self.reached.note(Sometimes::AskedTwice);
            self.ask((from, target, call), request.clone(), (stands, frame.len(), true));
            self.end_connection(from, target);
            return match self.connect(from, target) {
                Ok(stands) => self.ask((from, target, call), request, (stands, frame.len(), false)),
                Err((error, wait)) => self.fail_soon(from, call, error, wait),
            };
        }
        self.ask((from, target, call), request, (stands, frame.len(), false));
    }

    fn ask(
        &mut self,
        (from, to, call): (NodeIndex, NodeIndex, CallId),
        request: Request,
        (stands, bytes, unanswered): (Tick, usize, bool),
    ) {
        let Some(&Asked { ticket, .. }) = self.calls.get(&(from, call)) else { return };
        let cargo = Cargo::Request { request, unanswered };
        self.send((from, to), (call, ticket), cargo, (stands.max(self.now), bytes));
    }

    /// Puts a frame on its way on the connection that stands, from `at` on.
    fn send(
        &mut self,
        (from, to): (NodeIndex, NodeIndex),
        (call, ticket): (CallId, u64),
        cargo: Cargo,
        (at, bytes): (Tick, usize),
    ) {
        let epoch = self.node(from).connections.get(to).map_or(0, |connection| connection.epoch);
        self.keep_open(from, to);
        let leaves = at.after(self.links.queue(from, bytes, at));
        let parcel = Parcel { from, to, epoch, sent: leaves, call, ticket, cargo };
        self.attempt(Box::new(parcel), Remaining::of(bytes), leaves);
    }

    fn attempt(&mut self, parcel: Box<Parcel>, left: Remaining, at: Tick) {
        let way = (parcel.from, parcel.to);
        let (latency, cut) = (self.latency(way.0, way.1), self.cuts.block(way.0, way.1));
        match self.links.attempt(way, (at, latency, cut), left, &mut self.fault_dice) {
            Try::Through(late) => {
                let arrives = at.after(latency).after(late);
                self.schedule(arrives.since(self.now), Happening::Arrive(parcel));
            }
            Try::Missing(missing, wait) => {
                self.schedule(at.after(wait).since(self.now), Happening::Again(parcel, missing));
            }
        }
    }

    /// What is missing of a frame goes out again, unless its connection has ended, or ends for that.
    pub(super) fn try_again(&mut self, parcel: Box<Parcel>, left: Remaining) {
        let Parcel { from, to, epoch, sent, .. } = *parcel;
        let standing = self.node(from).connections.get(to);
        if standing.is_none_or(|connection| connection.epoch != epoch) {
            return self.perish(&parcel);
        }
        if self.now.since(sent) >= SILENCE {
            self.reached.note(Sometimes::FellSilent);
            return self.end_connection(from, to);
        }
        self.reached.note(Sometimes::SentAgain);
        self.attempt(parcel, left, self.now);
    }

    /// A frame whose connection has ended.
    fn perish(&mut self, parcel: &Parcel) {
        let whose = match parcel.cargo {
            Cargo::Request { unanswered: true, .. } => return,
            Cargo::Request { .. } => parcel.from,
            Cargo::Answer(_) => parcel.to,
        };
        self.fail(whose, (parcel.call, parcel.ticket), CallError::Closed);
    }

    /// A connection ends at both ends.
    fn end_connection(&mut self, one: NodeIndex, other: NodeIndex) {
        for (here, there) in [(one, other), (other, one)] {
            self.at(here).connections.remove(there);
            self.schedule(Span::ZERO, Happening::Down { at: here, peer: there });
        }
    }

    /// The node behind `to`, if it is up, has one of the addresses, and takes dials or is connected already.
    fn reach(&mut self, from: NodeIndex, to: &Peer, fresh: bool) -> Option<NodeIndex> {
        let target = *self.by_key.get(&to.key())?;
        let connected = !fresh && self.node(from).connections.get(target).is_some();
        let there = target != from
            && self.node(target).is_up()
            && (connected || self.gets_through(from, target, to.addresses()));
        let barred = there && !connected && self.cuts.bar_dials(from, target);
        if barred {
            self.reached.note(Sometimes::DialCut);
        }
        (there && !barred).then_some(target)
    }

    /// Whether a dial to one of these addresses gets through the routers between.
    fn gets_through(&mut self, from: NodeIndex, target: NodeIndex, addresses: &[SocketAddr]) -> bool {
        let (now, own) = (self.now, self.node(from).address());
        addresses.iter().for_each(|address| self.at(from).router.sends(*address, now));
        let (here, there) = (self.node(from), self.node(target));
        let comes = |to: &&SocketAddr| {
            there.router.lets_in(there.address(), here.router.outside(own, **to), **to, now)
        };
        let through = addresses.iter().any(|address| comes(&address));
        let filtered = !through && addresses.iter().any(|address| address.ip() == there.address().ip());
        let by_an_open_way = through && !there.router.nat().lets_strangers_in();
        self.reached.add(Sometimes::DialFiltered, u64::from(filtered));
        self.reached.add(Sometimes::WayLeftOpen, u64::from(by_an_open_way));
        through
    }

    /// A packet goes from one to another, and keeps the way back open.
    fn keep_open(&mut self, from: NodeIndex, to: NodeIndex) {
        let (now, other) = (self.now, self.seen_at(to, from));
        self.at(from).router.sends(other, now);
    }

    /// Where one is seen by another.
    fn seen_at(&self, who: NodeIndex, by: NodeIndex) -> SocketAddr {
        self.node(who).router.outside(self.node(who).address(), self.node(by).address())
    }

    /// Gives the time from which the side that dials may use it, or why there is no connection and when that is known.
    fn connect(&mut self, from: NodeIndex, to: NodeIndex) -> Result<Tick, (CallError, Span)> {
        let latency = self.latency(from, to);
        let late = self.links.dial_delay((from, to), self.now, &mut self.fault_dice);
        let Ok(ours) = self.seat_for_dial(from) else { return Err((CallError::Overloaded, Span::ZERO)) };
        let Ok(theirs) = self.seat_for(to, from) else {
            self.at(from).connections.seats().free(ours);
            self.at(from).traffic.refused += 1;
            self.reached.note(Sometimes::DialRefused);
            let known = Span::from_ms(latency.times(2).as_ms().saturating_add(late.as_ms()));
            return Err((CallError::Unreachable, known));
        };
        let mut binding: ChannelBinding = [0; 32];
        self.dice.fill_bytes(&mut binding);
        let epoch = self.node(from).connections.get(to).map(|connection| connection.epoch);
        let epoch = epoch.unwrap_or_else(|| self.fresh_ticket());
        for (here, there, seat, flights) in [(to, from, theirs, 3), (from, to, ours, 4)] {
            self.keep_open(here, there);
            let (stands, dialled) = (self.now.after(latency.times(flights)).after(late), here == from);
            let connection = Connection { binding, epoch, dialled, stands, used: stands, heard: stands };
            self.at(here).connections.insert(there, connection, seat);
            let hello = self.hello(there, here);
            let remote = self.remote(there, here, binding);
            let life = self.node(here).life;
            let input = Box::new(Input::PeerUp { remote, hello, dialled });
            self.schedule(stands.since(self.now), Happening::Owed { to: here, life, input });
        }
        self.at(from).traffic.handshakes += 1;
        self.schedule(IDLE, Happening::Idle { dialler: from, other: to, binding });
        Ok(self.now.after(latency.times(4)).after(late))
    }

    /// A seat for a dial; the connection that has been idle longest makes room if there is none.
    fn seat_for_dial(&mut self, index: NodeIndex) -> Result<Seat, Full> {
        if let Ok(seat) = self.at(index).connections.seats().outgoing() {
            return Ok(seat);
        }
        let idlest = Seats::room_for_dial(self.standing(index)).ok_or(Full)?;
        self.make_seat(index, idlest);
        self.at(index).connections.seats().outgoing()
    }

    /// A seat for a connection from somebody; one that has been idle makes room if there is none.
    fn seat_for(&mut self, index: NodeIndex, from: NodeIndex) -> Result<Seat, Full> {
        let group = AddressGroup::of(&self.node(from).address());
        if let Ok(seat) = self.at(index).connections.seats().incoming(group) {
            return Ok(seat);
        }
        let standing = self.standing(index);
        let idlest = self.at(index).connections.seats().room_for(group, standing).ok_or(Full)?;
        self.make_seat(index, idlest);
        self.at(index).connections.seats().incoming(group)
    }

    fn make_seat(&mut self, index: NodeIndex, idlest: NodeIndex) {
        self.reached.note(Sometimes::RoomMade);
        self.close(index, idlest);
    }

    /// A node's connections, and whether there is a request on them.
    fn standing(&self, index: NodeIndex) -> Vec<Standing<NodeIndex>> {
        let first = CallId::Overlay(starling_overlay::io::CallId(0));
        let asked = self.calls.range((index, first)..).take_while(|((of, _), _)| *of == index);
        let asked = asked.filter_map(|(_, asked)| asked.to);
        let asking = self.inbound.range((index, InboundId(0))..=(index, InboundId(u64::MAX)));
        let busy: BTreeSet<NodeIndex> = asked.chain(asking.map(|(_, waiting)| waiting.caller)).collect();
        self.node(index).connections.standing(self.now, &busy)
    }

    /// Notes that a connection is in use.
    fn touch(&mut self, one: NodeIndex, other: NodeIndex) {
        let now = self.now;
        for (here, there) in [(one, other), (other, one)] {
            if let Some(connection) = self.at(here).connections.get_mut(there) {
                connection.used = now;
            }
        }
    }

    /// Closes a connection that has been idle, or looks again when it may have been.
    pub(super) fn close_idle(&mut self, dialler: NodeIndex, other: NodeIndex, binding: &ChannelBinding) {
        let standing = self.node(dialler).connections.get(other).copied();
        let Some(connection) = standing.filter(|connection| connection.binding == *binding) else { return };
        let due = connection.used.after(IDLE);
        if self.now < due {
            let idle = Happening::Idle { dialler, other, binding: *binding };
            return self.schedule(due.since(self.now), idle);
        }
        self.close(dialler, other);
    }

    /// One side closes a connection; the other hears of it.
    fn close(&mut self, one: NodeIndex, other: NodeIndex) {
        let latency = self.latency(one, other);
        for (here, there, wait) in [(one, other, Span::ZERO), (other, one, latency)] {
            self.at(here).connections.remove(there);
            self.schedule(wait, Happening::Down { at: here, peer: there });
        }
    }

    /// Tells a core that the last connection with a peer has ended, unless another stands by now.
    pub(super) fn tell_down(&mut self, at: NodeIndex, peer: NodeIndex) {
        let standing = self.node(at).connections.get(peer);
        if standing.is_none_or(|connection| connection.stands > self.now) {
            let key = self.node(peer).key();
            self.hand_over(at, Input::PeerDown(key));
        }
    }

    fn count_request(&mut self, from: NodeIndex, to: NodeIndex, request: &Request, bytes: usize) {
        let traffic = &mut self.at(from).traffic;
        traffic.requests += 1;
        *self.by_kind.entry(request.kind()).or_default() += 1;
        if self.watched == Some(from) {
            self.seen.push((to, request.clone()));
        }
        self.count_bytes(from, to, bytes);
    }

    fn count_bytes(&mut self, from: NodeIndex, to: NodeIndex, bytes: usize) {
        self.at(from).traffic.bytes_sent += bytes as u64;
        self.at(to).traffic.bytes_received += bytes as u64;
    }

    pub(super) fn hello(&self, from: NodeIndex, to: NodeIndex) -> Hello {
        let (mode, addresses) = self.node(from).greeting.clone();
        Hello {
            version: ProtocolVersion::CURRENT,
            mode,
            coarse_time_min: self.node(from).clocks(self.now()).seconds().get() / 60,
            observed: Some(self.seen_at(to, from)),
            addresses,
        }
    }

    pub(super) fn remote(&self, of: NodeIndex, by: NodeIndex, binding: ChannelBinding) -> Remote {
        Remote { key: self.node(of).key(), address: self.seen_at(of, by), binding }
    }

    pub(super) fn arrive(&mut self, parcel: Parcel) {
        let (now, epoch) = (self.now, parcel.epoch);
        if let Some(connection) = self.at(parcel.to).connections.get_mut(parcel.from) {
            if connection.epoch != epoch {
                return self.perish(&parcel);
            }
            connection.heard = now;
        }
        let Parcel { from, to, call, ticket, cargo, .. } = parcel;
        match cargo {
            Cargo::Request { request, unanswered } => {
                self.asked((from, to), (call, ticket), request, unanswered);
            }
            Cargo::Answer(response) => {
                if self.waits(to, (call, ticket)) {
                    self.calls.remove(&(to, call));
                    self.hand_over(to, Input::Answer { call, answer: Ok(response) });
                }
            }
        }
    }

    fn asked(
        &mut self,
        (from, to): (NodeIndex, NodeIndex),
        (call, ticket): (CallId, u64),
        request: Request,
        unanswered: bool,
    ) {
        let (here, there) = (self.node(to).connections.get(from), self.node(from).connections.get(to));
        let (Some(_), Some(&Connection { binding, .. })) = (here, there) else {
            // Of a machine that is down nothing is heard; one that runs again says that it knows no such connection.
            let unknown = there.map(|connection| connection.epoch);
            if self.node(to).is_up() {
                self.fail(from, (call, ticket), CallError::Closed);
                unknown.into_iter().for_each(|epoch| self.miss(from, to, epoch));
            }
            return;
        };
        let inbound = InboundId(self.fresh_id());
        let asked = request.kind();
        self.inbound.insert(
            (to, inbound),
            Waiting { caller: from, call, ticket, asked, unanswered, since: self.now },
        );
        if self.drops(to, &request) {
            return self.reply(to, inbound, Response::Stored(StoreOutcome::Stored));
        }
        if let Request::PassOn(pass) = &request
            && self.idlers.contains(&to)
        {
            return self.reply(to, inbound, Response::Passed(idle(pass)));
        }
        let remote = self.remote(from, to, binding);
        self.hand_over(to, Input::Request { remote, inbound, request });
    }

    pub(super) fn reply(&mut self, from: NodeIndex, inbound: InboundId, response: Response) {
        let Some(waiting) = self.inbound.remove(&(from, inbound)) else {
            panic!("seed {}: {from:?} replied twice, or to nothing", self.world.seed);
        };
        // As the shell does: an answer that does not fit the question is none.
        assert!(
            response.kind().answers(waiting.asked),
            "seed {}: {:?} was answered with {:?}",
            self.world.seed,
            waiting.asked,
            response.kind()
        );
        let frame = response.to_frame().expect("a core answers within the bounds of the protocol");
        self.trace.frame(self.now, from, &inbound.0.to_be_bytes(), &frame);
        self.note_refusals(&response);
        self.count_bytes(from, waiting.caller, frame.len());
        self.touch(from, waiting.caller);
        let Waiting { caller, call, ticket, unanswered, .. } = waiting;
        if !unanswered && self.waits(caller, (call, ticket)) {
            self.send((from, caller), (call, ticket), Cargo::Answer(response), (self.now, frame.len()));
        }
    }

    fn note_refusals(&mut self, response: &Response) {
        match response {
            Response::Stored(StoreOutcome::Stored | StoreOutcome::HaveNewer) => {}
            Response::Stored(_) => self.reached.note(Sometimes::StoreRefused),
            Response::Refused(_) => self.reached.note(Sometimes::RequestRefused),
            _ => {}
        }
    }

    /// A call has had no answer in time. A connection on which nothing at all came since it began is given up, as the
    /// shell does; the other end hears of it if it can.
    pub(super) fn run_out(
        &mut self,
        from: NodeIndex,
        call: (CallId, u64),
        began: Tick,
        to: Option<NodeIndex>,
    ) {
        let silent = |to: &NodeIndex| {
            let standing = self.node(from).connections.get(*to);
            standing.is_some_and(|connection| connection.heard < began && connection.stands < self.now)
        };
        if let Some(to) = to.filter(silent) {
            self.at(from).connections.remove(to);
            self.schedule(Span::ZERO, Happening::Down { at: from, peer: to });
            self.at(to).connections.remove(from);
            let heard = if self.cuts.block(from, to) { SILENCE } else { self.latency(from, to) };
            self.schedule(heard, Happening::Down { at: to, peer: from });
        }
        self.fail(from, call, CallError::TimedOut);
    }

    pub(super) fn fail(&mut self, from: NodeIndex, (call, ticket): (CallId, u64), error: CallError) {
        if self.waits(from, (call, ticket)) {
            self.calls.remove(&(from, call));
            self.hand_over(from, Input::Answer { call, answer: Err(error) });
        }
    }

    /// Fails a call with a later batch, since the one that asked is still being carried out.
    fn fail_soon(&mut self, from: NodeIndex, call: CallId, error: CallError, wait: Span) {
        if self.calls.remove(&(from, call)).is_some() {
            let input = Box::new(Input::Answer { call, answer: Err(error) });
            let life = self.node(from).life;
            self.schedule(wait, Happening::Owed { to: from, life, input });
        }
    }

    /// Whether a node waits for the answer to this call.
    pub(super) fn waits(&self, from: NodeIndex, (call, ticket): (CallId, u64)) -> bool {
        self.calls.get(&(from, call)).is_some_and(|asked| asked.ticket == ticket)
    }

    /// One-way latency of a pair: the same in every run with the same seed, and in both directions.
    pub(super) fn latency(&self, a: NodeIndex, b: NodeIndex) -> Span {
        match self.world.terrain {
            Terrain::Flat => self.flat_latency(a, b),
            Terrain::Globe => globe::latency(self.world.seed, a, b),
        }
    }

    fn flat_latency(&self, a: NodeIndex, b: NodeIndex) -> Span {
        let (low, high) = (a.0.min(b.0) as u64, a.0.max(b.0) as u64);
        let range = self.world.latency_max.as_ms().saturating_sub(self.world.latency_min.as_ms());
        let dice = scattered(self.world.seed ^ scattered(low.rotate_left(32) ^ high));
        let extra = dice.checked_rem(range.saturating_add(1)).unwrap_or(0);
        Span::from_ms(self.world.latency_min.as_ms().saturating_add(extra))
    }
}

/// SplitMix64: every bit of the number tells on every bit of the result.
pub(super) const fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
