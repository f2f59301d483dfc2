//! Connections, and the requests and answers on them.

use starling_overlay::io::{CallError, CallId, InboundId, Input, Remote};
use starling_proto::addr::Peer;
use starling_proto::frame::FrameKind;
use starling_proto::ids::NodeId;
use starling_proto::message::{Hello, Request, Response};
use starling_proto::time::{Span, Tick};
use starling_proto::version::ProtocolVersion;

use super::member::Standing;
use super::queue::{Caller, Happening};
use super::{OverlayIndex, Overlays};
use crate::adversary::{Asked, Reaction};

/// A connection without a request for this long is closed by the side that dialled, as in `starling-node`.
const IDLE: Span = Span::from_secs(90);
/// A connection to somebody who has vanished ends after this long.
const GONE: Span = Span::from_secs(10);

/// A request that has been handed to its peer.
#[derive(Debug)]
pub(super) struct Waiting {
    caller: Caller,
    asked: Asked,
    kind: FrameKind,
}

impl Overlays {
    pub(super) fn call(&mut self, from: Caller, to: &Peer, request: Request, fresh: bool) {
        let bytes = request.to_frame().expect("an overlay asks within the bounds of the protocol").len();
        let kind = request.kind();
        self.note(from.index, kind, bytes);
        let traffic = self.by_kind.entry(kind).or_default();
        traffic.requests += 1;
        traffic.bytes_sent += bytes as u64;
        let Some(target) = self.reach(from.index, to, fresh) else {
            return self.fail(from, CallError::TimedOut, from.due);
        };
        let standing = self.member(from.index).links.get(&target).filter(|_| !fresh).copied();
        let stands = match standing {
            Some(standing) => standing.stands,
            None => self.connect(from.index, target),
        };
        self.touch(from.index, target);
        let arrives = stands.max(self.now).after(self.latency(from.index, target));
        self.queue.push(arrives, Happening::Arrive { from, to: target, request: Box::new(request) });
    }

    /// The overlay behind `to`, if it is up and has one of the addresses, or is connected already.
    fn reach(&self, from: OverlayIndex, to: &Peer, fresh: bool) -> Option<OverlayIndex> {
        let target = *self.by_key.get(&to.key())?;
        let member = self.member(target);
        let connected = !fresh && self.member(from).links.contains_key(&target);
        let dialable = to.addresses().contains(&member.address);
        (member.is_up && target != from && (connected || dialable)).then_some(target)
    }

    /// Gives the time from which the side that dials may use it: one round trip for the handshake, one for the greeting.
    fn connect(&mut self, from: OverlayIndex, to: OverlayIndex) -> Tick {
        let (latency, number) = (self.latency(from, to), self.fresh_number());
        for (here, there, dialled, wait) in [(to, from, false, 3), (from, to, true, 4)] {
            let stands = self.now.after(latency.times(wait));
            self.at(here).links.insert(there, Standing { number, stands, used: stands });
            let input = self.greeting(there, here, dialled);
            self.input(stands, here, input);
        }
        let idle = Happening::Idle { dialler: from, other: to, number };
        self.queue.push(self.now.after(IDLE), idle);
        self.now.after(latency.times(4))
    }

    /// What `to` hears when a connection with `from` stands.
    pub(super) fn greeting(&self, from: OverlayIndex, to: OverlayIndex, dialled: bool) -> Input {
        let (mode, addresses) = self.member(from).greeting.clone();
        let hello = Hello {
            version: ProtocolVersion::CURRENT,
            mode,
            coarse_time_min: self.now().seconds().get() / 60,
            observed: Some(self.member(to).address),
            addresses,
        };
        Input::PeerUp { remote: self.remote(from), hello, dialled }
    }

    fn remote(&self, of: OverlayIndex) -> Remote {
        let member = self.member(of);
        Remote { key: member.key, address: member.address, binding: [0; 32] }
    }

    fn touch(&mut self, one: OverlayIndex, other: OverlayIndex) {
        let now = self.now;
        for (here, there) in [(one, other), (other, one)] {
            if let Some(standing) = self.at(here).links.get_mut(&there) {
                standing.used = standing.used.max(now);
            }
        }
    }

    /// Closes a connection that has been idle, or looks again when it may have been.
    pub(super) fn close_idle(&mut self, dialler: OverlayIndex, other: OverlayIndex, number: u64) {
        let standing = self.member(dialler).links.get(&other).copied();
        let Some(standing) = standing.filter(|standing| standing.number == number) else { return };
        let due = standing.used.after(IDLE);
        if self.now < due {
            return self.queue.push(due, Happening::Idle { dialler, other, number });
        }
        let latency = self.latency(dialler, other);
        for (here, there, wait) in [(dialler, other, Span::ZERO), (other, dialler, latency)] {
            self.disconnect(here, there, wait);
        }
    }

    /// Ends all connections of one that has vanished.
    pub(super) fn cut_off(&mut self, index: OverlayIndex) {
        for other in std::mem::take(&mut self.at(index).links).into_keys() {
            self.disconnect(other, index, GONE);
        }
    }

    fn disconnect(&mut self, here: OverlayIndex, there: OverlayIndex, wait: Span) {
        self.at(here).links.remove(&there);
        let down = Input::PeerDown(self.member(there).key);
        self.input(self.now.after(wait), here, down);
    }

    pub(super) fn arrive(&mut self, from: Caller, to: OverlayIndex, request: Request) {
        let member = self.member(to);
        if !member.is_up || !member.links.contains_key(&from.index) {
            return self.fail(from, CallError::TimedOut, from.due);
        }
        let (kind, asked) = (request.kind(), Asked::of(&request));
        let inbound = InboundId(self.fresh_number());
        let reaction = self.adversary.react(to, &request, &mut self.dice);
        self.inbound.insert(inbound, Waiting { caller: from, asked, kind });
        match reaction {
            Reaction::AsWritten => {
                let remote = self.remote(from.index);
                self.hand_over(to, Input::Request { remote, inbound, request });
            }
            Reaction::Says(response) => self.send_answer(to, inbound, response),
            Reaction::Silence => {
                self.inbound.remove(&inbound);
                self.fail(from, CallError::TimedOut, from.due);
            }
        }
    }

    /// What an overlay answers leaves it: here those that do not behave as written change it.
    pub(super) fn reply(&mut self, from: OverlayIndex, inbound: InboundId, response: Response) {
        let asked = self.inbound.get(&inbound).map_or(Asked::Otherwise, |waiting| waiting.asked);
        let response = self.adversary.alter(from, &asked, response);
        let response = match response {
            Response::Nodes(mut peers) => {
                peers.truncate(self.terrain.names);
                Response::Nodes(peers)
            }
            Response::Records(mut found) => {
                found.peers.truncate(self.terrain.names);
                Response::Records(found)
            }
            other => other,
        };
        self.send_answer(from, inbound, response);
    }

    fn send_answer(&mut self, from: OverlayIndex, inbound: InboundId, response: Response) {
        let Some(Waiting { caller, kind, .. }) = self.inbound.remove(&inbound) else {
            panic!("seed {}: {from:?} replied twice, or to nothing", self.terrain.seed);
        };
        let bytes = response.frame_len().expect("an overlay answers within the bounds of the protocol");
        self.note(from, response.kind(), bytes);
        self.by_kind.entry(kind).or_default().bytes_received += bytes as u64;
        self.touch(from, caller.index);
        let Some(call) = caller.call else { return };
        let at = self.now.after(self.latency(from, caller.index));
        if at > caller.due {
            return self.fail(caller, CallError::TimedOut, caller.due);
        }
        let input = Box::new(Input::Answer { call, answer: Ok(response) });
        self.queue.push(at, Happening::Input { to: caller.index, life: caller.life, input });
    }

    fn fail(&mut self, caller: Caller, error: CallError, at: Tick) {
        let Some(call) = caller.call else { return };
        let input = Box::new(Input::Answer { call, answer: Err(error) });
        let answer = Happening::Input { to: caller.index, life: caller.life, input };
        self.queue.push(at.max(self.now), answer);
    }

    /// A request of an overlay that waits for its answer.
    pub(super) fn caller(&self, index: OverlayIndex, call: CallId, deadline: Span) -> Caller {
        let life = self.member(index).life;
        Caller { index, life, call: Some(call), due: self.now.after(deadline) }
    }

    /// Something reaches an overlay then.
    fn input(&mut self, at: Tick, to: OverlayIndex, input: Input) {
        let (life, input) = (self.member(to).life, Box::new(input));
        self.queue.push(at, Happening::Input { to, life, input });
    }

    /// Whether this is news of the end of a connection in whose place another stands by now.
    pub(super) fn is_overtaken(&self, at: OverlayIndex, input: &Input) -> bool {
        let Input::PeerDown(key) = input else { return false };
        self.index_of(key).is_some_and(|peer| self.member(at).links.contains_key(&peer))
    }

    /// Sends a request that no overlay has asked for, and that nobody waits for.
    pub fn flood(&mut self, from: OverlayIndex, to: OverlayIndex, request: Request) {
        let peer = self.member(to).peer();
        let life = self.member(from).life;
        self.call(Caller { index: from, life, call: None, due: self.now }, &peer, request, false);
    }

    /// One-way latency of a pair: the same in every run with the same seed, and in both directions.
    fn latency(&self, a: OverlayIndex, b: OverlayIndex) -> Span {
        let (low, high) = (a.0.min(b.0) as u64, a.0.max(b.0) as u64);
        let range = self.terrain.latency_max.as_ms().saturating_sub(self.terrain.latency_min.as_ms());
        let dice = scattered(self.terrain.seed ^ scattered(low.rotate_left(32) ^ high));
        let extra = dice.checked_rem(range.saturating_add(1)).unwrap_or(0);
        Span::from_ms(self.terrain.latency_min.as_ms().saturating_add(extra))
    }
}

/// SplitMix64: every bit of the number tells on every bit of the result.
const fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The place that a request is about.
pub(crate) fn target_of(request: &Request) -> Option<NodeId> {
    match request {
        Request::FindNode(find) => Some(find.target),
        Request::Fetch(fetch) => Some(fetch.key.as_node_id()),
        _ => None,
    }
}
