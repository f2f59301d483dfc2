//! Connections, and the requests and answers on them.

use rand_core::Rng as _;
use starling_core::io::{CallId, Input, Way};
use starling_overlay::io::{CallError, ChannelBinding, InboundId, Remote};
use starling_proto::addr::Peer;
use starling_proto::message::{Hello, Request, Response};
use starling_proto::time::{Span, Tick};
use starling_proto::version::ProtocolVersion;

use super::queue::Happening;
use super::{Network, NodeIndex, Waiting};
use crate::node::Connection;

/// A connection without a request for this long is closed by the side that dialled, as in `starling-node`.
const IDLE: Span = Span::from_secs(90);

impl Network {
    pub(super) fn call(&mut self, from: NodeIndex, call: CallId, to: &Peer, request: Request, way: Way) {
        let frame = request.to_frame().expect("a core asks within the bounds of the protocol");
        self.trace.frame(self.now, from, to.key().as_bytes(), &frame);
        let fresh = way == Way::Fresh;
        let Some(target) = self.reach(from, to, fresh) else { return };
        let standing = self.node(from).connections.get(&target).copied();
        if matches!(way, Way::Only(binding) if standing.is_none_or(|standing| standing.binding != binding)) {
            return self.fail_soon(from, call, CallError::Closed);
        }
        let stands = match standing.filter(|_| !fresh) {
            Some(connection) => connection.stands,
            None => self.connect(from, target),
        };
        let arrives = stands.max(self.now).after(self.latency(from, target));
        self.count_request(from, target, &request, frame.len());
        self.touch(from, target);
        self.schedule(arrives.since(self.now), Happening::Arrive { from, to: target, call, request });
    }

    /// The node behind `to`, if it is up, has one of the addresses, and takes dials or is connected already.
    fn reach(&self, from: NodeIndex, to: &Peer, fresh: bool) -> Option<NodeIndex> {
        let target = *self.by_key.get(&to.key())?;
        let node = self.node(target);
        let connected = !fresh && self.node(from).connections.contains_key(&target);
        let dialable = node.reachable && to.addresses().contains(&node.address());
        (node.is_up() && target != from && (connected || dialable)).then_some(target)
    }

    /// Gives the time from which the side that dials may use it.
    fn connect(&mut self, from: NodeIndex, to: NodeIndex) -> Tick {
        let mut binding: ChannelBinding = [0; 32];
        self.dice.fill_bytes(&mut binding);
        let latency = self.latency(from, to);
        for (here, there, dialled, wait) in [(to, from, false, 3), (from, to, true, 4)] {
            let stands = self.now.after(latency.times(wait));
            let connection = Connection { binding, stands, used: stands };
            self.at(here).connections.insert(there, connection);
            let hello = self.hello(there, here);
            let remote = self.remote(there, binding);
            let input = Input::PeerUp { remote, hello, dialled };
            self.schedule(latency.times(wait), Happening::Input(here, input));
        }
        self.at(from).traffic.handshakes += 1;
        self.schedule(IDLE, Happening::Idle { dialler: from, other: to, binding });
        self.now.after(latency.times(4))
    }

    /// Notes that a connection is in use.
    fn touch(&mut self, one: NodeIndex, other: NodeIndex) {
        let now = self.now;
        for (here, there) in [(one, other), (other, one)] {
            if let Some(connection) = self.at(here).connections.get_mut(&there) {
                connection.used = now;
            }
        }
    }

    /// Closes a connection that has been idle, or looks again when it may have been.
    pub(super) fn close_idle(&mut self, dialler: NodeIndex, other: NodeIndex, binding: &ChannelBinding) {
        let standing = self.node(dialler).connections.get(&other).copied();
        let Some(connection) = standing.filter(|connection| connection.binding == *binding) else { return };
        let due = connection.used.after(IDLE);
        if self.now < due {
            let idle = Happening::Idle { dialler, other, binding: *binding };
            return self.schedule(due.since(self.now), idle);
        }
        let latency = self.latency(dialler, other);
        for (here, there, wait) in [(dialler, other, Span::ZERO), (other, dialler, latency)] {
            self.at(here).connections.remove(&there);
            let key = self.node(there).key();
            self.schedule(wait, Happening::Input(here, Input::PeerDown(key)));
        }
    }

    fn count_request(&mut self, from: NodeIndex, to: NodeIndex, request: &Request, bytes: usize) {
        let traffic = &mut self.at(from).traffic;
        traffic.requests += 1;
        *self.by_kind.entry(request.kind()).or_default() += 1;
        self.count_bytes(from, to, bytes);
    }

    fn count_bytes(&mut self, from: NodeIndex, to: NodeIndex, bytes: usize) {
        self.at(from).traffic.bytes_sent += bytes as u64;
        self.at(to).traffic.bytes_received += bytes as u64;
    }

    fn hello(&self, from: NodeIndex, to: NodeIndex) -> Hello {
        let (mode, addresses) = self.node(from).greeting.clone();
        Hello {
            version: ProtocolVersion::CURRENT,
            mode,
            coarse_time_min: self.now().seconds().get() / 60,
            observed: Some(self.node(to).address()),
            addresses,
        }
    }

    fn remote(&self, of: NodeIndex, binding: ChannelBinding) -> Remote {
        Remote { key: self.node(of).key(), address: self.node(of).address(), binding }
    }

    pub(super) fn arrive(&mut self, from: NodeIndex, to: NodeIndex, call: CallId, request: Request) {
        let Some(&Connection { binding, .. }) = self.node(from).connections.get(&to) else {
            return self.fail(from, call, CallError::Closed);
        };
        let inbound = InboundId(self.fresh_id());
        self.inbound.insert((to, inbound), Waiting { caller: from, call });
        let remote = self.remote(from, binding);
        self.hand_over(to, Input::Request { remote, inbound, request });
    }

    pub(super) fn reply(&mut self, from: NodeIndex, inbound: InboundId, response: Response) {
        let Some(waiting) = self.inbound.remove(&(from, inbound)) else {
            panic!("seed {}: {from:?} replied twice, or to nothing", self.world.seed);
        };
        let frame = response.to_frame().expect("a core answers within the bounds of the protocol");
        self.trace.frame(self.now, from, &inbound.0.to_be_bytes(), &frame);
        self.count_bytes(from, waiting.caller, frame.len());
        self.touch(from, waiting.caller);
        if self.calls.remove(&(waiting.caller, waiting.call)) {
            let latency = self.latency(from, waiting.caller);
            let input = Input::Answer { call: waiting.call, answer: Ok(response) };
            self.schedule(latency, Happening::Input(waiting.caller, input));
        }
    }

    pub(super) fn fail(&mut self, from: NodeIndex, call: CallId, error: CallError) {
        if self.calls.remove(&(from, call)) {
            self.hand_over(from, Input::Answer { call, answer: Err(error) });
        }
    }

    /// Fails a call with the next batch, since the one that asked is still being carried out.
    fn fail_soon(&mut self, from: NodeIndex, call: CallId, error: CallError) {
        if self.calls.remove(&(from, call)) {
            self.schedule(Span::ZERO, Happening::Input(from, Input::Answer { call, answer: Err(error) }));
        }
    }

    /// One-way latency of a pair: the same in every run with the same seed, and in both directions.
    fn latency(&self, a: NodeIndex, b: NodeIndex) -> Span {
        let (low, high) = (a.0.min(b.0) as u64, a.0.max(b.0) as u64);
        let range = self.world.latency_max.as_ms().saturating_sub(self.world.latency_min.as_ms());
        let dice = scattered(self.world.seed ^ scattered(low.rotate_left(32) ^ high));
        let extra = dice.checked_rem(range.saturating_add(1)).unwrap_or(0);
        Span::from_ms(self.world.latency_min.as_ms().saturating_add(extra))
    }
}

/// SplitMix64: every bit of the number tells on every bit of the result.
const fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
