//! What comes back from our requests, handed to whatever waits for it.

use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::{Proof, Response};

use super::calls::{Open, Purpose};
use super::links::Link;
use super::tasks::{Stage, Task, TaskId, TaskKind};
use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::io::{CallError, CallId};
use crate::lookup::LookupInput;
use crate::storage::StorageError;
use crate::task::harvest::Conduct;
use crate::task::placing::PlacingInput;

impl Overlay {
    /// A request of ours has ended.
    pub(super) fn answered(
        &mut self,
        context: &mut Context<'_>,
        call: CallId,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(Open { to: key, purpose, telling }) = self.calls.close(call) else { return Ok(()) };
        if answer.is_err() {
            self.parted.note(key, context.now.tick);
        }
        match &answer {
            Ok(Response::Hello(hello)) if purpose == Purpose::Greet => {
                self.greeted(context, &key, hello.clone())?;
                self.heard(context, &key)?;
            }
            Ok(_) => self.heard(context, &key)?,
            // Our own queue says nothing about the peer; neither does a dial that somebody else asked for, nor one to where
            // others say that it is.
            Err(CallError::Overloaded) => {}
            Err(_) if purpose == Purpose::DialFor || !telling => {}
            Err(_) => self.not_heard(context, &key)?,
        }
        match purpose {
            Purpose::Lookup(task) => self.lookup_answered(context, task, key, answer),
            Purpose::Store(task) => self.store_answered(context, task, key, &answer),
            Purpose::Query(task) => self.query_answered(context, task, key, answer),
            Purpose::Sample(task) => self.sample_answered(context, task, key, &answer),
            Purpose::Show(task) => self.show_answered(context, task, key, &answer),
            Purpose::Pass(task) => self.pass_answered(context, task, key, answer),
            Purpose::AskDialBack => {
                if answer == Ok(Response::DialBack(true)) {
                    self.reach.promised(context.now.tick);
                    self.wake_for_upkeep(context.now.tick);
                }
                Ok(())
            }
            Purpose::PassDialBack(inbound) => {
                let accepted = answer == Ok(Response::DialBack(true));
                self.reply(inbound, Response::DialBack(accepted), true);
                Ok(())
            }
            Purpose::Check(record) => self.repair_checked(context, record, key, &answer),
            Purpose::Ping | Purpose::Greet | Purpose::DialFor | Purpose::Repair | Purpose::Notify => Ok(()),
        }
    }

    fn lookup_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(Task { kind, .. }) = self.tasks.get_mut(&id) else { return Ok(()) };
        let peers = match (kind, answer) {
            (_, Ok(Response::Nodes(peers))) => Some(peers),
            (TaskKind::Fetch(_, gathering), Ok(Response::Records(found))) => {
                let conduct = gathering.take(found.records, context);
                if conduct == Conduct::Lied {
                    self.caught_lying(context, &from)?;
                    None
                } else {
                    Some(found.peers)
                }
            }
            _ => None,
        };
        let input = match peers {
            Some(peers) => LookupInput::Answered {
                from,
                address: self.links.get(&from).map(Link::address),
                serves: self.serves(&from),
                peers: self.believable(context, &from, peers),
            },
            None => LookupInput::Failed(from),
        };
        if let Some(Task { stage: Stage::Looking(lookup), .. }) = self.tasks.get_mut(&id) {
            lookup.handle(input);
        }
        self.drive(context, id)
    }

    fn store_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: &Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(Task { stage: Stage::Placing(placing), .. }) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        placing.handle(match answer {
            Ok(Response::Stored(outcome)) => PlacingInput::Answered(from, *outcome),
            _ => PlacingInput::Failed(from),
        });
        self.drive(context, id)
    }

    fn query_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        let Some(Task { kind: TaskKind::Query(_, gathering), stage: Stage::Asking(asking) }) =
            self.tasks.get_mut(&id)
        else {
            return Ok(());
        };
        let mut conduct = Conduct::Honest;
        match answer {
            Ok(Response::Matches(found)) => {
                conduct = gathering.take_matching(found.records, context);
                match conduct {
                    Conduct::Honest => asking.answered(&from, found.left_out),
                    Conduct::Lied => asking.failed(&from),
                }
            }
            _ => asking.failed(&from),
        }
        if conduct == Conduct::Lied {
            self.caught_lying(context, &from)?;
        }
        self.drive(context, id)
    }

    fn sample_answered(
        &mut self,
        context: &mut Context<'_>,
        id: TaskId,
        from: NodeKey,
        answer: &Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        if let Some(Task { stage: Stage::Sampling(sampling), .. }) = self.tasks.get_mut(&id) {
            let proof = match answer {
                Ok(Response::Proof(proof)) => Some(*proof),
                Ok(_) => Some(Proof::Missing),
                Err(_) => None,
            };
            sampling.answered(from, proof);
        }
        self.drive(context, id)
    }

    /// Of those named by a peer, whom to look at: no known liars, and no inner addresses from outside.
    fn believable(&self, context: &Context<'_>, from: &NodeKey, peers: Vec<Peer>) -> Vec<Peer> {
        let Some(teller) = self.links.get(from).map(|link| AddressGroup::of(&link.address())) else {
            return Vec::new();
        };
        let ok = |address: &SocketAddr| AddressGroup::of(address).may_be_told_to(&teller);
        let sound = |peer: Peer| {
            if peer.addresses().iter().all(ok) {
                return peer;
            }
            Peer::new(peer.key(), peer.addresses().iter().copied().filter(ok))
        };
        let now = context.now.tick;
        peers.into_iter().filter(|peer| !self.liars.contains(&peer.key(), now)).map(sound).collect()
    }
}
