//! What everybody wrote, and what became of it, as their users saw it.

use std::collections::{BTreeMap, BTreeSet};

use starling_core::io::Event;
use starling_core::storage::{MessageStore as _, TraceStore as _};
use starling_core::view::{Message, MessageState, Step};
use starling_proto::ids::MessageId;
use starling_proto::time::Tick;

use super::sometimes::{Reached, Sometimes};
use super::{Rule, Violation};
use crate::network::{Network, NodeIndex};

/// One message that somebody wanted to write: the `number`-th from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// Who writes.
    pub from: NodeIndex,
    /// To whom.
    pub to: NodeIndex,
    /// Counted from 0.
    pub number: usize,
}

impl Wish {
    /// Its text, by which it is known again wherever it comes up.
    #[must_use]
    pub fn text(self) -> String {
        format!("{} to {}: {}", self.from.0, self.to.0, self.number)
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Ledger {
    wishes: BTreeMap<String, Wish>,
    acknowledged: BTreeMap<Wish, MessageId>,
    shown: BTreeMap<(NodeIndex, Wish), u32>,
    delivered: BTreeSet<MessageId>,
    /// Who has wanted whom as a contact.
    wanted: BTreeSet<(NodeIndex, NodeIndex)>,
    /// Who has blocked whom.
    blocked: BTreeSet<(NodeIndex, NodeIndex)>,
    healing: bool,
    reached: Reached,
    violations: Vec<Violation>,
}

impl Ledger {
    /// Somebody is about to write this.
    pub fn wished(&mut self, wish: Wish) {
        self.wishes.insert(wish.text(), wish);
    }

    /// Somebody is about to ask another to be a contact, or to accept them.
    pub fn wanted(&mut self, who: NodeIndex, whom: NodeIndex) {
        self.wanted.insert((who, whom));
    }

    /// Somebody has been told that they have blocked another.
    pub fn blocked(&mut self, who: NodeIndex, whom: NodeIndex) {
        self.blocked.insert((who, whom));
    }

    /// All faults have ended.
    pub const fn heal(&mut self) {
        self.healing = true;
    }

    /// A writer has been told that it is written down.
    pub fn acknowledged(&mut self, network: &Network, wish: Wish, message: &Message) {
        self.acknowledged.insert(wish, message.id);
        let kept = network.node(wish.from).disk().message(&message.id).expect("memory does not fail");
        if kept.is_none_or(|row| row.text != wish.text()) {
            self.violate(network.now().tick, wish.from, Rule::AcknowledgedIsKept, wish.text());
        }
    }

    /// A user has been shown something.
    pub fn event(&mut self, network: &Network, (at, node, event): &(Tick, NodeIndex, Event)) {
        match event {
            Event::Message(message) if !message.mine => self.shown(network, (*at, *node), message),
            Event::MessageState { id, conversation, state, .. }
                if [MessageState::Delivered, MessageState::Read].contains(state) =>
            {
                self.delivered(network, (*at, *node), *id, network.node_of(conversation));
            }
            Event::ContactRequest { account, .. } | Event::ContactAccepted { account, .. } => {
                let wanted = network.node_of(account).is_some_and(|who| self.wanted.contains(&(who, *node)));
                if !wanted {
                    self.violate(*at, *node, Rule::NoStrangers, format!("{account} did not ask: {event:?}"));
                }
            }
            _ => {}
        }
    }

    /// Nasty paths that only users see.
    #[must_use]
    pub const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// What was acknowledged, and how much of it was delivered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.acknowledged.len(),
            self.acknowledged.values().filter(|id| self.delivered.contains(*id)).count(),
        )
    }

    /// Whether all that was acknowledged lies with its recipient, in order.
    #[must_use]
    pub fn all_has_arrived(&self, network: &Network) -> bool {
        self.pairs().iter().all(|pair| self.missing(network, *pair).is_none())
    }

    /// What was acknowledged and is, by its writer's own disk, not yet with its recipient: who wrote it, and how far it is.
    #[must_use]
    pub fn unconfirmed(&self, network: &Network) -> Vec<(NodeIndex, String)> {
        let state = |wish: &Wish, id| {
            let row = network.node(wish.from).disk().message_status(id).expect("memory does not fail");
            row.map(|row| row.state)
        };
        let arrived = [Some(MessageState::Delivered), Some(MessageState::Read)];
        let states = self.acknowledged.iter().map(|(wish, id)| (wish, state(wish, id)));
        let unconfirmed = states.filter(|(_, state)| !arrived.contains(state));
        unconfirmed.map(|(wish, state)| (wish.from, format!("{} is {state:?}", wish.text()))).collect()
    }

    /// What is not as it must be in the end.
    pub fn conclude(&mut self, network: &Network) {
        let at = network.now().tick;
        for pair in self.pairs() {
            if let Some(what) = self.missing(network, pair) {
                self.violate(at, pair.1, Rule::AllArrives, what);
            }
            if let Some(what) = self.lost(network, pair) {
                self.violate(at, pair.0, Rule::AcknowledgedIsKept, what);
            }
        }
        self.count_paths(network);
    }

    /// What must never be and was.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// One more.
    pub fn violate(&mut self, at: Tick, node: NodeIndex, rule: Rule, what: impl Into<String>) {
        self.violations.push(Violation { at, node, rule, what: what.into() });
    }

    fn shown(&mut self, network: &Network, (at, node): (Tick, NodeIndex), message: &Message) {
        let from = network.node_of(&message.from);
        let wish = self.wishes.get(&message.text).copied();
        let Some(wish) = wish.filter(|wish| wish.to == node && Some(wish.from) == from) else {
            let what = format!("{:?} by {from:?}", message.text);
            return self.violate(at, node, Rule::NothingInvented, what);
        };
        let times = self.shown.entry((node, wish)).or_default();
        *times += 1;
        if *times > 1 {
            self.violate(at, node, Rule::ShownOnce, wish.text());
        }
        let both_want = self.wanted.contains(&(node, wish.from)) && self.wanted.contains(&(wish.from, node));
        if !both_want || self.blocked.contains(&(node, wish.from)) {
            self.violate(at, node, Rule::NoStrangers, wish.text());
        }
        self.check_order(network, (at, node), wish, message);
    }

    /// The first that goes beyond what its recipient has, and leaves some out, is marked so.
    fn check_order(
        &mut self,
        network: &Network,
        (at, node): (Tick, NodeIndex),
        wish: Wish,
        message: &Message,
    ) {
        let Some(before) = wish.number.checked_sub(1).map(|number| Wish { number, ..wish }) else { return };
        let has = history(network, node, wish.from, false);
        let was_shown = |other: &Wish| self.shown.contains_key(&(node, *other));
        let later = |text: &String| self.wishes.get(text).is_some_and(|other| other.number > wish.number);
        if was_shown(&before) || has.contains(&before.text()) || has.iter().any(later) {
            return;
        }
        let steps = steps(network, node, &message.id);
        if steps.iter().any(|step| [Step::ReceivedAfterGap, Step::ReceivedOffChain].contains(step)) {
            self.reached.note(Sometimes::GapShown);
        } else {
            let what = format!("{} before {}; its steps: {steps:?}", wish.text(), before.text());
            self.violate(at, node, Rule::OrderOrGap, what);
        }
    }

    fn delivered(
        &mut self,
        network: &Network,
        (at, node): (Tick, NodeIndex),
        id: MessageId,
        to: Option<NodeIndex>,
    ) {
        let kept = to
            .is_some_and(|to| network.node(to).disk().message(&id).expect("memory does not fail").is_some());
        if !kept {
            self.violate(at, node, Rule::DeliveredIsThere, format!("{id:?} to {to:?}"));
        }
        if self.delivered.insert(id) && self.healing {
            self.reached.note(Sometimes::DeliveredAfterHealing);
        }
    }

    fn pairs(&self) -> BTreeSet<(NodeIndex, NodeIndex)> {
        let pairs = self.acknowledged.keys().map(|wish| (wish.from, wish.to));
        pairs.filter(|(from, to)| !self.blocked.contains(&(*to, *from))).collect()
    }

    /// What one wrote to another, in order.
    fn written(&self, (from, to): (NodeIndex, NodeIndex)) -> Vec<String> {
        let first = Wish { from, to, number: 0 };
        let of_pair =
            self.acknowledged.range(first..).take_while(|(wish, _)| (wish.from, wish.to) == (from, to));
        of_pair.map(|(wish, _)| wish.text()).collect()
    }

    /// How the recipient's history differs from what was written.
    fn missing(&self, network: &Network, pair: (NodeIndex, NodeIndex)) -> Option<String> {
        let (wanted, found) = (self.written(pair), history(network, pair.1, pair.0, false));
        let what = difference(&wanted, &found)?;
        let first = wanted.iter().find(|text| !found.contains(text)).and_then(|text| self.wishes.get(text));
        let steps = first.and_then(|wish| self.acknowledged.get(wish)).map(|id| steps(network, pair.0, id));
        Some(format!("{what}; its steps: {:?}", steps.unwrap_or_default()))
    }

    /// How the writer's own history differs from what they were told is written down.
    fn lost(&self, network: &Network, pair: (NodeIndex, NodeIndex)) -> Option<String> {
        let (wanted, found) = (self.written(pair), history(network, pair.0, pair.1, true));
        difference(&wanted, &found)
    }

    fn count_paths(&mut self, network: &Network) {
        for (wish, id) in &self.acknowledged {
            let steps = steps(network, wish.from, id);
            for (step, path) in [
                (Step::NotOpened, Sometimes::SessionRenewed),
                (Step::Interrupted, Sometimes::MessageInterrupted),
                (Step::Stored, Sometimes::LeftAtHolders),
            ] {
                self.reached.add(path, steps.iter().filter(|one| **one == step).count() as u64);
            }
        }
    }
}

/// The steps of a message that a node has written down.
fn steps(network: &Network, of: NodeIndex, id: &MessageId) -> Vec<Step> {
    let rows = network.node(of).disk().trace(id).expect("memory does not fail");
    rows.into_iter().filter_map(|row| Step::from_number(row.step)).collect()
}

/// The texts in a node's history with another: its own, or the other's.
fn history(network: &Network, of: NodeIndex, with: NodeIndex, mine: bool) -> Vec<String> {
    let with = network.node(with).account();
    let rows = network.node(of).disk().messages(&with, None, usize::MAX, None).expect("memory does not fail");
    rows.into_iter().filter(|row| row.mine == mine).map(|row| row.text).collect()
}

/// What is in one list and not in the other, or that their order differs. What was never acknowledged may be there or
/// not, so that only what was is looked for.
fn difference(wanted: &[String], found: &[String]) -> Option<String> {
    let found: Vec<&String> = found.iter().filter(|text| wanted.contains(text)).collect();
    if found.iter().copied().eq(wanted) {
        return None;
    }
    let missing: Vec<&String> = wanted.iter().filter(|text| !found.contains(text)).collect();
    Some(match missing.first() {
        Some(first) => format!("{} of {} are missing, the first: {first}", missing.len(), wanted.len()),
        None => format!("out of order or twice: {found:?}"),
    })
}

#[cfg(test)]
mod tests {
    use starling_core::config::Config;
    use starling_core::profile::Profile;
    use starling_proto::identity::Name;
    use starling_proto::ids::AccountKey;
    use starling_proto::time::UnixMillis;

    use super::*;
    use crate::network::{Nat, World};
    use crate::node::NodeSetup;

    const ADA: NodeIndex = NodeIndex(0);
    const BOB: NodeIndex = NodeIndex(1);
    const WISH: Wish = Wish { from: ADA, to: BOB, number: 0 };

    fn pair() -> Network {
        let mut network = Network::new(World::default());
        for _ in 0..2 {
            let profile = Profile::new(Name::new("Person").unwrap());
            let config = Config::of(&"test".parse().unwrap());
            network.add(NodeSetup { profile, config, nat: Nat::None });
        }
        network
    }

    fn message(network: &Network, text: &str) -> Message {
        let from = network.node(ADA).account();
        let at = UnixMillis::new(1);
        let (id, state) = (MessageId::new([1; 16]), MessageState::Delivered);
        let text = text.to_owned();
        Message {
            id,
            conversation: from,
            from,
            mine: false,
            text,
            sent_at: at,
            received_at: at,
            state,
            holders: None,
            reply_to: None,
            edited_at: None,
            deleted: false,
            lives: None,
            ends: None,
            reactions: Vec::new(),
        }
    }

    fn broken(ledger: &Ledger) -> Vec<Rule> {
        ledger.violations().iter().map(|violation| violation.rule).collect()
    }

    fn sees(ledger: &mut Ledger, network: &Network, who: NodeIndex, event: Event) {
        ledger.event(network, &(Tick::ZERO, who, event));
    }

    #[test]
    fn what_nobody_wrote_and_what_comes_twice_is_seen() {
        let (network, mut ledger) = (pair(), Ledger::default());
        ledger.wanted(ADA, BOB);
        ledger.wanted(BOB, ADA);
        ledger.wished(WISH);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, &WISH.text()))));
        assert_eq!(broken(&ledger), []);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, &WISH.text()))));
        assert_eq!(broken(&ledger), [Rule::ShownOnce]);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, "else"))));
        assert_eq!(broken(&ledger), [Rule::ShownOnce, Rule::NothingInvented]);
    }

    #[test]
    fn strangers_and_the_blocked_are_seen() {
        let (network, mut ledger) = (pair(), Ledger::default());
        ledger.wished(WISH);
        ledger.wanted(ADA, BOB);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, &WISH.text()))));
        assert_eq!(broken(&ledger), [Rule::NoStrangers], "he has not accepted");
        let asks =
            |account: AccountKey| Event::ContactRequest { account, name: "x".into(), note: "x".into() };
        sees(&mut ledger, &network, ADA, asks(network.node(BOB).account()));
        assert_eq!(broken(&ledger), [Rule::NoStrangers; 2], "he did not ask");
        let mut ledger = Ledger::default();
        ledger.wished(WISH);
        ledger.wanted(ADA, BOB);
        ledger.wanted(BOB, ADA);
        ledger.blocked(BOB, ADA);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, &WISH.text()))));
        assert_eq!(broken(&ledger), [Rule::NoStrangers]);
    }

    #[test]
    fn what_is_delivered_or_acknowledged_and_is_not_there_is_seen() {
        let (network, mut ledger) = (pair(), Ledger::default());
        let message = message(&network, &WISH.text());
        ledger.wished(WISH);
        ledger.acknowledged(&network, WISH, &message);
        assert_eq!(broken(&ledger), [Rule::AcknowledgedIsKept]);
        let conversation = network.node(BOB).account();
        let (id, state) = (message.id, MessageState::Delivered);
        let delivered = Event::MessageState { id, conversation, state, holders: None };
        sees(&mut ledger, &network, ADA, delivered);
        assert_eq!(broken(&ledger), [Rule::AcknowledgedIsKept, Rule::DeliveredIsThere]);
        ledger.conclude(&network);
        let rest = [Rule::AllArrives, Rule::AcknowledgedIsKept];
        assert_eq!(broken(&ledger)[2..], rest);
    }

    #[test]
    fn a_silent_gap_is_seen() {
        let (network, mut ledger) = (pair(), Ledger::default());
        ledger.wanted(ADA, BOB);
        ledger.wanted(BOB, ADA);
        let second = Wish { number: 1, ..WISH };
        ledger.wished(WISH);
        ledger.wished(second);
        sees(&mut ledger, &network, BOB, Event::Message(Box::new(message(&network, &second.text()))));
        assert_eq!(broken(&ledger), [Rule::OrderOrGap]);
    }

    #[test]
    fn differences_tell_missing_from_out_of_order() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        let wanted = of(&["a", "b", "c"]);
        assert_eq!(difference(&wanted, &of(&["a", "x", "b", "c"])), None);
        assert!(difference(&wanted, &of(&["a", "c"])).unwrap().contains("1 of 3 are missing, the first: b"));
        assert!(difference(&wanted, &of(&["a", "c", "b"])).unwrap().contains("out of order"));
        assert!(difference(&wanted, &of(&["a", "b", "b", "c"])).unwrap().contains("twice"));
    }
}
