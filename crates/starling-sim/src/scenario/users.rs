//! People who write to one another and do not give up: what a crash has swallowed they ask for again, under the same
//! name; who asks to be a contact is accepted.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use starling_core::io::{
    Command, CommandError, CommandId, CommandOutput, ContactChange, ErrorCode, Newcomer,
};
use starling_core::storage::{ContactState, ContactStore as _};
use starling_proto::content::MessageText;
use starling_proto::time::{Span, Tick};

use crate::checks::sometimes::{Reached, Sometimes};
use crate::checks::{Ledger, Wish};
use crate::faults::below;
use crate::network::{Network, NodeIndex};

/// A refusal makes somebody wait so long.
const AGAIN: Span = Span::from_secs(5);

/// Something that somebody wants until they are told that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Write(Wish),
    Ask(NodeIndex, NodeIndex),
    Accept(NodeIndex, NodeIndex),
}

impl Want {
    const fn who(self) -> NodeIndex {
        match self {
            Self::Write(wish) => wish.from,
            Self::Ask(who, _) | Self::Accept(who, _) => who,
        }
    }
}

/// How far a want is.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Said to the core of this life.
    Said { command: CommandId, life: u32 },
    /// To be said, not before this.
    Waits(Tick),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Users {
    wants: BTreeMap<Want, State>,
    /// How many each has written to each.
    written: BTreeMap<(NodeIndex, NodeIndex), usize>,
    /// Who has been told that their request is on its way.
    asked: BTreeSet<(NodeIndex, NodeIndex)>,
    reached: Reached,
}

impl Users {
    /// Somebody wants another as a contact.
    pub(crate) fn ask(&mut self, ledger: &mut Ledger, who: NodeIndex, whom: NodeIndex) {
        let known = [(who, whom), (whom, who)]
            .iter()
            .any(|pair| self.asked.contains(pair) || self.wants.contains_key(&Want::Ask(pair.0, pair.1)));
        if who != whom && !known {
            ledger.wanted(who, whom);
            self.wants.insert(Want::Ask(who, whom), State::Waits(Tick::ZERO));
        }
    }

    /// Somebody writes to one of their contacts, unless they are still writing to them.
    pub(crate) fn write(&mut self, network: &Network, ledger: &mut Ledger, dice: &mut ChaCha8Rng) {
        let from = NodeIndex(below(dice, network.nodes().len()));
        let friends = friends(network, from);
        let Some(&to) = friends.get(below(dice, friends.len())) else { return };
        self.write_to(ledger, from, to);
    }

    /// Somebody writes to another, unless they are still writing to them; says whether they do.
    pub(crate) fn write_to(&mut self, ledger: &mut Ledger, from: NodeIndex, to: NodeIndex) -> bool {
        let writes = |want: &Want| matches!(want, Want::Write(wish) if (wish.from, wish.to) == (from, to));
        if self.wants.keys().any(writes) {
            return false;
        }
        let count = self.written.entry((from, to)).or_default();
        let wish = Wish { from, to, number: *count };
        *count += 1;
        ledger.wished(wish);
        self.wants.insert(Want::Write(wish), State::Waits(Tick::ZERO));
        true
    }

    /// Everybody looks at what came of what they wanted, says it again where nothing did, and accepts who asks.
    pub(crate) fn step(&mut self, network: &mut Network, ledger: &mut Ledger) {
        self.accept(network, ledger);
        for (want, state) in self.wants.clone() {
            let after = match state {
                State::Said { command, life } => match network.take_result(command) {
                    Some(result) => self.told(network, ledger, want, result),
                    None if network.node(want.who()).life == life => Some(state),
                    None => {
                        self.reached.note(Sometimes::UserAskedAgain);
                        Some(State::Waits(network.now().tick))
                    }
                },
                State::Waits(until) if until <= network.now().tick && network.node(want.who()).is_up() => {
                    Some(say(network, want))
                }
                waits @ State::Waits(_) => Some(waits),
            };
            match after {
                Some(after) => self.wants.insert(want, after),
                None => self.wants.remove(&want),
            };
        }
    }

    /// Whether nobody wants anything.
    pub(crate) fn are_content(&self) -> bool {
        self.wants.is_empty()
    }

    /// What somebody still wants, and whether they have said so to a core that runs and does not answer.
    pub(crate) fn unserved(&self) -> Vec<(NodeIndex, String)> {
        self.wants.iter().map(|(want, state)| (want.who(), format!("{want:?}: {state:?}"))).collect()
    }

    /// Those who have been told that their request is on its way, and whom they asked.
    pub(crate) fn pairs(&self) -> Vec<(NodeIndex, NodeIndex)> {
        self.asked.iter().copied().collect()
    }

    pub(crate) const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// What somebody makes of an answer: nothing more to be done, or to say it again.
    fn told(
        &mut self,
        network: &Network,
        ledger: &mut Ledger,
        want: Want,
        result: Result<CommandOutput, CommandError>,
    ) -> Option<State> {
        let again = State::Waits(network.now().tick.after(AGAIN));
        match (want, result) {
            (Want::Write(wish), Ok(CommandOutput::Sent(message))) => {
                ledger.acknowledged(network, wish, &message);
                None
            }
            (Want::Ask(who, whom), Ok(_)) => {
                self.asked.insert((who, whom));
                None
            }
            (Want::Accept(..), Ok(_)) => None,
            // They are a contact already, or have asked meanwhile, or somebody has accepted them before.
            (Want::Ask(who, whom), Err(error)) if error.code == ErrorCode::Conflict => {
                self.asked.insert((who, whom));
                None
            }
            (Want::Accept(..), Err(error)) if error.code == ErrorCode::Conflict => None,
            (_, Err(_)) => Some(again),
            (want, Ok(other)) => panic!("{want:?} gave {other:?}"),
        }
    }

    /// Who is asked accepts.
    fn accept(&mut self, network: &Network, ledger: &mut Ledger) {
        for who in network.indices().filter(|who| network.node(*who).is_up()) {
            for whom in standing(network, who, ContactState::Incoming) {
                ledger.wanted(who, whom);
                self.wants.entry(Want::Accept(who, whom)).or_insert(State::Waits(Tick::ZERO));
            }
        }
    }
}

fn say(network: &mut Network, want: Want) -> State {
    let account = |network: &Network, of: NodeIndex| network.node(of).account();
    let command = match want {
        Want::Write(wish) => Command::Send {
            who: account(network, wish.to).to_string(),
            text: MessageText::new(wish.text()).expect("a short text").into(),
            request: Some(wish.text()),
        },
        Want::Ask(_, whom) => {
            let whom = Newcomer::Account(account(network, whom));
            Command::AddContact { whom, note: "we met".into() }
        }
        Want::Accept(_, whom) => {
            Command::Contact { who: account(network, whom).to_string(), change: ContactChange::Accept }
        }
    };
    let life = network.node(want.who()).life;
    State::Said { command: network.command(want.who(), command), life }
}

/// Whom somebody may write to.
fn friends(network: &Network, of: NodeIndex) -> Vec<NodeIndex> {
    standing(network, of, ContactState::Accepted)
}

fn standing(network: &Network, of: NodeIndex, state: ContactState) -> Vec<NodeIndex> {
    let rows = network.node(of).disk().contacts().expect("memory does not fail");
    let those = rows.into_iter().filter(|row| row.state == state);
    those.filter_map(|row| network.node_of(&row.account)).collect()
}
