//! A peer that says everything twice, and all of it again whenever it is told to.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part of what stands here")]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking, and computes small known numbers"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use rand::CryptoRng;
use starling_core::Core;
use starling_core::config::Config;
use starling_core::identity::IdentityError;
use starling_core::io::{CallId, Command, CommandId, CommandOutput, Input, Output, Way};
use starling_core::storage::{CoreStore, StorageError};
use starling_crypto::session::Vodozemac;
use starling_node::Machine;
use starling_overlay::io::ChannelBinding;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::{Request, Response, Sealed};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Now, Span, Tick};

/// For an answer to something said again.
const DEADLINE: Span = Span::from_secs(20);

/// Everything that somebody ever said, and what was answered when it was said again. Outlives restarts.
#[derive(Debug, Default)]
pub struct Tape {
    sent: Mutex<Vec<(Peer, Request)>>,
    answers: Mutex<Vec<Answer>>,
    opened: Mutex<Vec<Sealed>>,
    opened_twice: Mutex<Vec<Sealed>>,
}

/// What was said again, and what came of it.
#[derive(Debug)]
pub struct Answer {
    pub to: NodeKey,
    pub request: Request,
    /// Nothing if there was no answer.
    pub response: Option<Response>,
}

impl Answer {
    /// Whether something was left with this peer for somebody.
    pub fn is_deposit_at(&self, peer: NodeKey) -> bool {
        let is_deposit = |record: &Record| record.body().kind == RecordKind::Deposit;
        self.to == peer && matches!(&self.request, Request::Store(record) if is_deposit(record))
    }
}

impl Tape {
    /// What was said, and to whom.
    pub fn sent(&self) -> Vec<(Peer, Request)> {
        self.sent.lock().unwrap().clone()
    }

    /// What was said again since this was last asked.
    pub fn answers(&self) -> Vec<Answer> {
        std::mem::take(&mut self.answers.lock().unwrap())
    }

    /// Messages that were opened when they came again.
    pub fn opened_twice(&self) -> Vec<Sealed> {
        self.opened_twice.lock().unwrap().clone()
    }

    /// Notes how many of a batch, from its first, were opened.
    fn note(&self, request: &Request, response: Option<&Response>) {
        let (Request::Deliver(deliver), Some(Response::Delivered(count))) = (request, response) else {
            return;
        };
        let mut opened = self.opened.lock().unwrap();
        for sealed in deliver.messages.iter().take(usize::try_from(*count).unwrap()) {
            if opened.contains(sealed) {
                self.opened_twice.lock().unwrap().push(sealed.clone());
            } else {
                opened.push(sealed.clone());
            }
        }
    }
}

/// The product's core, with a tape between it and the shell.
///
/// Every request leaves a second time, on the same connection, as soon as the first has been answered: of two that leave
/// together the later one may arrive first, and would be the one that counts. `Join` of nobody has all of the tape sent
/// again, each request to whom it was sent before; its result counts the answers.
pub struct Repeater {
    core: Core<Vodozemac>,
    tape: Arc<Tape>,
    outputs: VecDeque<Output>,
    originals: BTreeMap<CallId, (Peer, Request, Way)>,
    copies: BTreeMap<CallId, (NodeKey, Request)>,
    number: u64,
    /// The newest connection with each peer.
    connections: BTreeMap<NodeKey, ChannelBinding>,
    again: Option<Again>,
}

/// The tape is being sent again.
struct Again {
    command: CommandId,
    waiting: BTreeSet<CallId>,
    answered: usize,
}

impl Machine for Repeater {
    type Config = (Config, Arc<Tape>);
    type LoadError = IdentityError;

    fn load(
        (config, tape): &Self::Config,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            core: Core::load(config.clone(), now, rng, store)?,
            tape: Arc::clone(tape),
            outputs: VecDeque::new(),
            originals: BTreeMap::new(),
            copies: BTreeMap::new(),
            number: 0,
            connections: BTreeMap::new(),
            again: None,
        })
    }

    fn handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError> {
        match &input {
            Input::PeerUp { remote, .. } => {
                self.connections.insert(remote.key, remote.binding);
            }
            Input::PeerDown(key) => {
                self.connections.remove(key);
            }
            Input::Answer { call, answer } if self.copies.contains_key(call) => {
                self.answered(*call, answer.clone().ok());
                return Ok(());
            }
            Input::Answer { call, answer } => {
                if let Some((to, request, way)) = self.originals.remove(call) {
                    self.tape.note(&request, answer.as_ref().ok());
                    self.say(to, request, way);
                }
            }
            Input::Command { id, command: Command::Join(addresses) } if addresses.is_empty() => {
                self.say_all_again(*id);
                return Ok(());
            }
            _ => {}
        }
        self.core.handle(now, rng, store, input)
    }

    fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let output = self.core.poll_output()?;
        if let Output::Call { call, to, request, way, .. } = &output {
            // How we greet on this connection is true of this connection alone.
            if !matches!(request, Request::Hello(_)) {
                self.tape.sent.lock().unwrap().push((to.clone(), request.clone()));
                self.originals.insert(*call, (to.clone(), request.clone(), *way));
            }
        }
        Some(output)
    }

    fn next_timeout(&self) -> Option<Tick> {
        self.core.next_timeout()
    }
}

impl Repeater {
    fn say(&mut self, to: Peer, request: Request, way: Way) -> CallId {
        self.number += 1;
        let call = CallId::Talk(u64::MAX - self.number);
        self.copies.insert(call, (to.key(), request.clone()));
        self.outputs.push_back(Output::Call { call, to, request, way, deadline: DEADLINE });
        call
    }

    fn say_all_again(&mut self, command: CommandId) {
        let mut waiting = BTreeSet::new();
        for (to, request) in self.tape.sent() {
            let way = self.connections.get(&to.key()).map_or(Way::Any, |binding| Way::Only(*binding));
            waiting.insert(self.say(to, request, way));
        }
        self.again = Some(Again { command, waiting, answered: 0 });
        self.end_if_all_answered();
    }

    fn answered(&mut self, call: CallId, response: Option<Response>) {
        let Some((to, request)) = self.copies.remove(&call) else { return };
        if let Some(again) = &mut self.again
            && again.waiting.remove(&call)
        {
            again.answered += usize::from(response.is_some());
        }
        self.tape.note(&request, response.as_ref());
        self.tape.answers.lock().unwrap().push(Answer { to, request, response });
        self.end_if_all_answered();
    }

    fn end_if_all_answered(&mut self) {
        if let Some(again) = self.again.take_if(|again| again.waiting.is_empty()) {
            let result = Ok(CommandOutput::Joined { peers: again.answered });
            self.outputs.push_back(Output::Result { id: again.command, result });
        }
    }
}
