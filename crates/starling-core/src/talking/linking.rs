//! Building links: where is the device, dial it, prove ourselves and have it prove itself.

use alloc::vec::Vec;

use starling_crypto::proof::{prove_device, verify_device_proof};
use starling_crypto::session::OlmAccount;
use starling_overlay::io::{CallError, ChannelBinding, Remote};
use starling_proto::addr::Peer;
use starling_proto::identity::DeviceCert;
use starling_proto::ids::{DeviceKey, NodeKey};
use starling_proto::message::{DeviceProof, Refusal, Request, Response};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::acquaintance::Standing;
use super::links::{GRACE, State, Up};
use super::machine::Errand;
use super::mailing::Haste;
use super::trace::{self, Step};
use super::{Context, Notice, Talking, locator};
use crate::io::Way;
use crate::storage::StorageError;
use crate::wish::Wish;

/// How long a dial may take: three of the transport's tries.
const DIAL: Span = Span::from_secs(10);
/// How long an answer to a proof may take: a round trip and two signature checks, with room for slow links.
const PROVE: Span = Span::from_secs(10);
/// Messages whose trace says that a link could not be built; with more the first ones speak for all.
const TRACED: usize = 64;

impl<A: OlmAccount> Talking<A> {
    /// The next attempt at a link that is due: the last known addresses first, then the locator.
    pub(super) fn build(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        let wanted = self.standing_of(device) == Some(Standing::Accepted) || self.outbox.has_unsent(device);
        if !wanted {
            self.links.rest(device);
            return Ok(());
        }
        match self.links.peer(device).cloned() {
            Some(peer) => self.reach_out(context, device, peer, false),
            None => self.locate(context, device, 0),
        }
    }

    /// Proves ourselves where there is a connection, dials where there is none.
    fn reach_out(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        peer: Peer,
        located: bool,
    ) -> Result<(), StorageError> {
        if self.connections.newest(&peer.key()).is_some() {
            return self.prove(context, device, peer.key());
        }
        let question = self.ask(Errand::Dial(*device), |tag| Wish::Call {
            tag,
            to: peer,
            way: Way::Any,
            request: Request::Ping,
            deadline: DIAL,
        });
        self.links.set(device, State::Dialling { question, located });
        Ok(())
    }

    fn locate(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        place: usize,
    ) -> Result<(), StorageError> {
        let reach = self.circle.device(device).and_then(|(person, _)| person.reach.get(device));
        let Some(reach) = reach else {
            // It knows us and must come to us.
            self.links.rest(device);
            return Ok(());
        };
        let Some(key) = locator::places(reach, context.now.seconds()).get(place).copied() else {
            return self.failed(context, device, Step::NotLocated);
        };
        let question =
            self.ask(Errand::Locate(*device), |tag| Wish::Fetch { tag, key, kind: RecordKind::Locator });
        self.links.set(device, State::Locating { question, place });
        Ok(())
    }

    /// A locator was fetched, or not found.
    pub(super) fn looked_up(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        question: u64,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let Some(State::Locating { question: asked, place }) = self.links.state(device) else {
            return Ok(());
        };
        if asked != question {
            return Ok(());
        }
        let reach = self.circle.device(device).and_then(|(person, _)| person.reach.get(device));
        match reach.and_then(|reach| locator::read(records, device, reach)) {
            Some(peer) => {
                self.links.located(device, peer.clone());
                self.reach_out(context, device, peer, true)
            }
            None => self.locate(context, device, place.saturating_add(1)),
        }
    }

    /// A dial has ended.
    pub(super) fn dialled(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        question: u64,
        answered: bool,
    ) -> Result<(), StorageError> {
        let Some(State::Dialling { question: asked, located }) = self.links.state(device) else {
            return Ok(());
        };
        if asked != question {
            return Ok(());
        }
        match self.links.peer(device).map(Peer::key) {
            Some(node) if answered => self.prove(context, device, node),
            _ if located => self.failed(context, device, Step::NotReached),
            _ => self.locate_anew(context, device),
        }
    }

    /// The last known addresses are stale. Without a locator they are all there is.
    fn locate_anew(&mut self, context: &mut Context<'_>, device: &DeviceKey) -> Result<(), StorageError> {
        match self.circle.device(device) {
            Some((person, _)) if person.reach.contains_key(device) => self.locate(context, device, 0),
            _ => self.failed(context, device, Step::NotReached),
        }
    }

    fn prove(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        node: NodeKey,
    ) -> Result<(), StorageError> {
        let binding = self.connections.newest(&node);
        let proof = binding.and_then(|binding| self.own_proof(context, node, &binding).map(|p| (binding, p)));
        let Some((binding, proof)) = proof else { return self.failed(context, device, Step::NotReached) };
        let question = self.ask(Errand::Prove(*device), |tag| Wish::Call {
            tag,
            to: Peer::new(node, []),
            way: Way::Only(binding),
            request: Request::DeviceProof(proof),
            deadline: PROVE,
        });
        self.links.set(device, State::Proving { question, node, binding });
        Ok(())
    }

    /// The answer to our proof: theirs.
    pub(super) fn proven(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        question: u64,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(State::Proving { question: asked, node, binding }) = self.links.state(device) else {
            return Ok(());
        };
        if asked != question {
            return Ok(());
        }
        match answer {
            Ok(Response::DeviceProof(proof)) => {
                let prover = self.prover(context, (node, &binding), &proof);
                if prover == Some(*device) {
                    return self.came_up(context, device, (node, binding), Span::ZERO);
                }
                self.failed(context, device, Step::NotProven)
            }
            Ok(answer) => {
                if answer == Response::Refused(Refusal::NotAllowed) {
                    // Whoever does not take our proof may know a list of our account that does not name us.
                    self.notify(Notice::ListChanged { account: context.identity.account() });
                }
                self.failed(context, device, Step::NotProven)
            }
            Err(error) => {
                if error == CallError::Closed {
                    self.forget_connection(&node, &binding);
                }
                self.failed(context, device, Step::NotReached)
            }
        }
    }

    /// A peer's proof: answered with ours if it is a device of somebody that we talk with, and with nothing else.
    pub(super) fn check_proof(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        proof: &DeviceProof,
    ) -> Result<Response, StorageError> {
        let Some(device) = self.prover(context, (remote.key, &remote.binding), proof) else {
            return Ok(Response::Refused(Refusal::NotAllowed));
        };
        let Some(own) = self.own_proof(context, remote.key, &remote.binding) else {
            return Ok(Response::Refused(Refusal::NotAllowed));
        };
        self.came_up(context, &device, (remote.key, remote.binding), GRACE)?;
        Ok(Response::DeviceProof(own))
    }

    fn own_proof(
        &self,
        context: &Context<'_>,
        node: NodeKey,
        binding: &ChannelBinding,
    ) -> Option<DeviceProof> {
        let identity = context.identity;
        let connection = self.connections.as_prover(identity.node().public(), node, binding)?;
        let chain = identity.cert_chain();
        Some(prove_device(&connection, chain.first()?, identity.list().hash(), identity.device_secret()))
    }

    /// The device of somebody that we talk with which made this proof for this connection.
    fn prover(
        &mut self,
        context: &Context<'_>,
        (node, binding): (NodeKey, &ChannelBinding),
        proof: &DeviceProof,
    ) -> Option<DeviceKey> {
        let connection = self.connections.as_verifier(context.identity.node().public(), node, binding)?;
        let cert = DeviceCert::decode(&proof.device_cert).ok()?;
        let person = self.circle.person(&cert.body().account)?;
        let (account, current) = (person.account(), person.list.hash() == proof.device_list);
        let device = verify_device_proof(proof, &connection, &person.list).ok()?;
        if device.key() == context.identity.device() {
            return None;
        }
        // Only on the word of a device that we know: who cannot prove anything makes us ask nobody for anything, or
        // they would see in whom we are interested.
        if !current {
            self.notify(Notice::ListChanged { account });
        }
        Some(device.key())
    }

    fn came_up(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        on: (NodeKey, ChannelBinding),
        grace: Span,
    ) -> Result<(), StorageError> {
        if self.links.up(device).is_some_and(|up| up.binding != on.1) {
            // Who proves themselves on another connection has very likely lost the old one: what is under way there is
            // not waited for.
            for message in self.outbox.link_lost(device) {
                trace::note(context.store, context.now, message, Step::Interrupted, Some(*device))?;
            }
        }
        let was_down = self.links.came_up(*device, on, context.now.tick.after(grace));
        let account = self.circle.device(device).map(|(person, _)| person.account());
        if let Some(account) = account.filter(|_| was_down) {
            self.asked.remove(device);
            self.mail_freely(device);
            self.notify(Notice::Seen { account, at: context.now.seconds() });
        }
        Ok(())
    }

    /// A link that stood, or was about to, is gone.
    pub(super) fn link_lost(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
    ) -> Result<(), StorageError> {
        let stood: Option<Up> = self.links.up(device);
        for message in self.outbox.link_lost(device) {
            trace::note(context.store, context.now, message, Step::Interrupted, Some(*device))?;
        }
        self.links.failed(device, context.now.tick, context.rng.next_u32());
        if self.outbox.has_unposted(device) {
            self.mail_soon(context, device, Haste::Message);
        }
        let Some((person, _)) = self.circle.device(device) else { return Ok(()) };
        let account = person.account();
        if stood.is_some() {
            self.notify(Notice::Seen { account, at: context.now.seconds() });
        }
        if self.presence.gone(device, context.now.tick) {
            self.notice_presence(account, context.now);
        }
        Ok(())
    }

    /// A step towards a link failed: it is tried again later, and the messages that wait say why.
    pub(super) fn failed(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        why: Step,
    ) -> Result<(), StorageError> {
        self.links.failed(device, context.now.tick, context.rng.next_u32());
        let account = self.circle.device(device).map(|(person, _)| person.account());
        if let Some(account) = account.filter(|_| self.outbox.introduction_waits(device, context.now)) {
            self.notify(Notice::Unheard { account, device: *device });
        }
        self.explain(context, device, why)
    }

    /// The messages that wait for a device say why.
    pub(super) fn explain(
        &mut self,
        context: &mut Context<'_>,
        device: &DeviceKey,
        why: Step,
    ) -> Result<(), StorageError> {
        let waiting: Vec<_> = self.outbox.waiting(device).take(TRACED).collect();
        for message in waiting {
            trace::note(context.store, context.now, message, why, Some(*device))?;
        }
        Ok(())
    }
}
