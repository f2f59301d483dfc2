//! Mail for those who are away: through the whole overlay, with real cores that come and go.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use std::collections::BTreeSet;

use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput, ContactChange, Event, Newcomer};
use starling_core::profile::Profile;
use starling_core::storage::RecordStore as _;
use starling_core::view::{Message, MessageState, Step, Trace};
use starling_proto::addr::JoinAddr;
use starling_proto::content::MessageText;
use starling_proto::frame::FrameKind;
use starling_proto::identity::Name;
use starling_proto::ids::RecordKey;
use starling_proto::record::RecordKind;
use starling_proto::time::Span;
use starling_sim::network::{Nat, Network, NodeIndex, World};
use starling_sim::node::NodeSetup;

const ADA: NodeIndex = NodeIndex(1);
const BOB: NodeIndex = NodeIndex(2);

fn setup(number: usize) -> NodeSetup {
    let profile = Profile::new(Name::new(format!("Person{number:03}")).unwrap());
    NodeSetup { profile, config: Config::of(&"test".parse().unwrap()), nat: Nat::None }
}

/// `count` nodes, of whom Ada and Bob are contacts and have talked.
fn network(seed: u64, count: usize) -> Network {
    let mut network = Network::new(World { seed, ..World::default() });
    let first = network.add(setup(0));
    let door = JoinAddr { key: network.node(first).key(), address: network.node(first).address() };
    for number in 1..count {
        let node = network.add(setup(number));
        network.command(node, Command::Join(vec![door]));
        network.run_for(Span::from_ms(500));
    }
    network.run_for(Span::from_secs(180));
    let whom = Newcomer::Account(network.node(BOB).account());
    network.run_command(ADA, Command::AddContact { whom, note: String::new() }).unwrap();
    let asked = |node, event: &Event| node == BOB && matches!(event, Event::ContactRequest { .. });
    wait(&mut network, Span::from_secs(600), "the request", asked);
    let who = network.node(ADA).account().to_string();
    network.run_command(BOB, Command::Contact { who, change: ContactChange::Accept }).unwrap();
    let agreed = |node, event: &Event| node == ADA && matches!(event, Event::ContactAccepted { .. });
    wait(&mut network, Span::from_secs(300), "the answer", agreed);
    network.run_for(Span::from_secs(120));
    network
}

fn wait(network: &mut Network, span: Span, what: &str, event: impl Fn(NodeIndex, &Event) -> bool) {
    let seen = |network: &Network| network.events().iter().any(|(_, node, happened)| event(*node, happened));
    assert!(network.run_until(span, seen), "{what} did not happen: {:#?}", network.events());
}

fn say(network: &mut Network, from: NodeIndex, to: NodeIndex, text: &str) -> Message {
    let (who, text) = (network.node(to).account().to_string(), MessageText::new(text).unwrap().into());
    match network.run_command(from, Command::Send { who, text, request: None }) {
        Ok(CommandOutput::Sent(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn history(network: &mut Network, of: NodeIndex, with: NodeIndex) -> Vec<Message> {
    let who = network.node(with).account().to_string();
    match network.run_command(of, Command::Messages { who, before: None, limit: 500, text: None }) {
        Ok(CommandOutput::Messages(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

fn texts(network: &mut Network, of: NodeIndex, with: NodeIndex) -> Vec<String> {
    history(network, of, with).into_iter().map(|message| message.text).collect()
}

fn trace(network: &mut Network, of: NodeIndex, message: &Message) -> Trace {
    match network.run_command(of, Command::Trace(message.id)) {
        Ok(CommandOutput::Trace(trace)) => trace,
        other => panic!("{other:?}"),
    }
}

fn stored(network: &mut Network, message: &Message) {
    let id = message.id;
    let is_stored = move |_, event: &Event| matches!(event, Event::MessageState { id: of, state: MessageState::Stored, .. } if *of == id);
    wait(network, Span::from_secs(120), "that it is stored", is_stored);
}

fn expected(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ada {n}")).collect()
}

/// The sender is gone for good before the recipient comes back, elsewhere.
#[test]
fn mail_reaches_who_was_away_when_its_sender_has_gone() {
    // Twenty nodes more than forty holders would take a minute of processor time: the simulator's scenarios have them.
    for (seed, count) in [(1, 4), (2, 12), (3, 24)] {
        let mut network = network(seed, count);
        network.kill(BOB);
        network.run_for(Span::from_secs(30));
        let said: Vec<Message> = (0..60).map(|n| say(&mut network, ADA, BOB, &format!("ada {n}"))).collect();
        stored(&mut network, said.last().unwrap());
        let trace = trace(&mut network, ADA, said.last().unwrap());
        let kept = trace.steps.iter().find(|step| step.step == Step::Stored).unwrap();
        // Everybody but Bob, of whom at most forty are wanted.
        let most = u32::try_from(count - 1).unwrap().min(40);
        assert!(kept.peers <= most && kept.peers * 10 >= most * 6, "{count} nodes: {kept:?}");
        assert_eq!(trace.message.holders, Some(kept.peers));
        network.run_for(Span::from_secs(60));
        network.kill(ADA);
        network.run_for(Span::from_hours(2));
        network.restart(BOB, Some("200.1.2.3:4000".parse().unwrap()));
        let last = move |node, event: &Event| {
            node == BOB && matches!(event, Event::Message(message) if message.text == "ada 59")
        };
        wait(&mut network, Span::from_secs(300), "the mail", last);
        network.run_for(Span::from_secs(60));
        assert_eq!(texts(&mut network, BOB, ADA), expected(60), "{count} nodes, seed {seed}");
        let shown = network.events().iter().filter(|(_, node, event)| {
            *node == BOB && matches!(event, Event::Message(message) if !message.mine)
        });
        assert_eq!(shown.count(), 60, "each once");
        // The sender comes back when the recipient has gone: the receipts wait for it.
        network.run_for(Span::from_secs(300));
        network.kill(BOB);
        network.restart(ADA, None);
        network.run_for(Span::from_secs(600));
        let states: Vec<MessageState> =
            history(&mut network, ADA, BOB).into_iter().map(|message| message.state).collect();
        let confirmed = states.iter().filter(|state| **state >= MessageState::Delivered).count();
        assert_eq!(confirmed, 60, "{count} nodes: {states:?}");
    }
}

/// Each comes when the other has gone: what they say, and the receipts for it, go through the mailboxes alone.
#[test]
fn two_devices_that_are_never_there_together_talk_by_mail() {
    let mut network = network(11, 8);
    network.kill(BOB);
    let (mut here, mut away) = (ADA, BOB);
    for turn in 0..6 {
        network.run_for(Span::from_secs(30));
        let said = say(&mut network, here, away, &format!("turn {turn}"));
        stored(&mut network, &said);
        network.run_for(Span::from_secs(300));
        network.kill(here);
        network.run_for(Span::from_hours(3));
        network.restart(away, None);
        (here, away) = (away, here);
        let came = move |node, event: &Event| {
            node == here && matches!(event, Event::Message(message) if message.id == said.id)
        };
        wait(&mut network, Span::from_secs(300), "the other's text", came);
    }
    let turns: Vec<String> = (0..6).map(|turn| format!("turn {turn}")).collect();
    assert_eq!(texts(&mut network, here, away), turns);
    network.run_for(Span::from_secs(300));
    network.kill(here);
    network.restart(away, None);
    network.run_for(Span::from_secs(300));
    let all = history(&mut network, away, here);
    assert_eq!(
        all.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(),
        turns,
        "each once, in order"
    );
    assert!(
        all.iter().filter(|message| message.mine).all(|message| message.state >= MessageState::Delivered)
    );
}

/// Two first starts: both try to publish before they know anybody, and the second leaves soon after it has come in.
#[test]
fn who_leaves_soon_after_a_first_start_has_left_what_others_need_to_write() {
    let mut network = Network::new(World { seed: 7, ..World::default() });
    let first = network.add(setup(0));
    let second = network.add(setup(1));
    network.run_for(Span::from_secs(2));
    let door = JoinAddr { key: network.node(first).key(), address: network.node(first).address() };
    network.command(second, Command::Join(vec![door]));
    network.run_for(Span::from_secs(3));
    for (one, other) in [(first, second), (second, first)] {
        let Ok(CommandOutput::WhoAmI(who)) = network.run_command(other, Command::WhoAmI) else { panic!() };
        let bundle = RecordKey::for_bundle(&who.device);
        let held = network.node(one).disk().held_records().unwrap();
        assert!(held.iter().any(|record| record.key == bundle), "{one:?} keeps the other's");
    }
}

/// Nobody at all is left for an hour; those who come back know each other by what is on their disks.
#[test]
fn when_all_holders_fail_at_once_and_return_all_mail_is_served() {
    for seed in [8, 9, 10] {
        let mut network = network(seed, 12);
        network.kill(BOB);
        network.run_for(Span::from_secs(30));
        let said: Vec<Message> = (0..30).map(|n| say(&mut network, ADA, BOB, &format!("ada {n}"))).collect();
        stored(&mut network, said.last().unwrap());
        let others: Vec<NodeIndex> = network.indices().filter(|node| *node != BOB).collect();
        others.iter().for_each(|node| network.kill(*node));
        network.run_for(Span::from_hours(1));
        others.iter().filter(|node| **node != ADA).for_each(|node| network.restart(*node, None));
        network.run_for(Span::from_secs(60));
        network.restart(BOB, Some("200.1.2.3:4000".parse().unwrap()));
        let last = move |node, event: &Event| {
            node == BOB && matches!(event, Event::Message(message) if message.text == "ada 29")
        };
        wait(&mut network, Span::from_secs(300), "the mail", last);
        network.run_for(Span::from_secs(60));
        assert_eq!(texts(&mut network, BOB, ADA), expected(30), "seed {seed}");
    }
}

#[test]
fn holders_let_go_what_was_taken() {
    let mut network = network(5, 12);
    // Bytes of deposits with leave: nothing else of what is held is mail.
    let held = |network: &Network| -> u64 {
        let running = network.nodes().filter_map(|node| node.overlay());
        running.map(|overlay| overlay.status().held.welcome_bytes).sum()
    };
    network.run_for(Span::from_secs(120));
    assert_eq!(held(&network), 0);
    network.kill(BOB);
    network.run_for(Span::from_secs(30));
    let message = say(&mut network, ADA, BOB, "ada 0");
    stored(&mut network, &message);
    assert!(held(&network) > 0, "it lies somewhere");
    network.restart(BOB, None);
    let came = |node, event: &Event| node == BOB && matches!(event, Event::Message(_));
    wait(&mut network, Span::from_secs(300), "the mail", came);
    network.run_for(Span::from_secs(900));
    assert_eq!(texts(&mut network, BOB, ADA), expected(1));
    assert_eq!(held(&network), 0, "what was taken is let go");
    let states: Vec<MessageState> =
        history(&mut network, ADA, BOB).into_iter().map(|message| message.state).collect();
    assert!(states[0] >= MessageState::Delivered);
}

#[test]
fn who_was_blocked_can_leave_nothing() {
    let mut network = network(6, 8);
    let who = network.node(ADA).account().to_string();
    network.run_command(BOB, Command::Contact { who, change: ContactChange::Block }).unwrap();
    network.run_for(Span::from_secs(60));
    network.kill(BOB);
    network.run_for(Span::from_secs(30));
    say(&mut network, ADA, BOB, "ada 0");
    network.run_for(Span::from_secs(120));
    network.forget_events();
    network.restart(BOB, None);
    network.run_for(Span::from_secs(2 * 3600));
    let came = network.events().iter().any(|(_, node, event)| {
        *node == BOB && matches!(event, Event::Message(_) | Event::ContactRequest { .. })
    });
    assert!(!came, "{:?}", network.events());
}

/// Everybody but Ada drops what she leaves, and says that it is kept. By the time that she asks they are honest, so that
/// what is left anew stays: her own copy is not what Bob gets, for she is gone.
#[test]
fn mail_that_holders_dropped_is_left_anew_and_reaches_who_was_away_when_its_sender_has_gone() {
    for seed in [31, 32, 33] {
        let mut network = network(seed, 16);
        network.kill(BOB);
        network.run_for(Span::from_secs(30));
        let droppers: Vec<NodeIndex> = network.indices().filter(|node| ![ADA, BOB].contains(node)).collect();
        droppers.iter().for_each(|node| network.make_dropper(*node));
        let message = say(&mut network, ADA, BOB, "ada 0");
        stored(&mut network, &message);
        assert_eq!(trace(&mut network, ADA, &message).message.holders, Some(15), "seed {seed}: they say so");
        network.run_for(Span::from_secs(600));
        assert_eq!(keepers(&network), BTreeSet::from([ADA]), "seed {seed}");
        droppers.iter().for_each(|node| network.reform(*node));
        network.run_for(Span::from_hours(2));
        let trace = trace(&mut network, ADA, &message);
        let steps: Vec<(Step, u32)> = trace.steps.iter().map(|step| (step.step, step.peers)).collect();
        assert!(steps.contains(&(Step::Lost, 1)), "seed {seed}: only she can show it: {steps:?}");
        assert_eq!(trace.message.holders, Some(15), "seed {seed}");
        network.kill(ADA);
        network.run_for(Span::from_hours(2));
        network.restart(BOB, Some("200.1.2.3:4000".parse().unwrap()));
        let came = |node, event: &Event| node == BOB && matches!(event, Event::Message(_));
        wait(&mut network, Span::from_secs(300), "the mail", came);
        network.run_for(Span::from_secs(60));
        assert_eq!(texts(&mut network, BOB, ADA), expected(1), "seed {seed}");
    }
}

/// Who has mail of a contact on disk.
fn keepers(network: &Network) -> BTreeSet<NodeIndex> {
    let keeps =
        |node: &NodeIndex| network.node(*node).disk().held_records().unwrap().iter().any(|held| held.welcome);
    network.indices().filter(keeps).collect()
}

/// Eight requests an hour after each placement, and eight a day.
#[test]
fn honest_holders_are_asked_no_more_often_than_is_stated() {
    let seed = 34;
    let mut network = network(seed, 12);
    network.kill(BOB);
    network.run_for(Span::from_secs(30));
    let message = say(&mut network, ADA, BOB, "ada 0");
    stored(&mut network, &message);
    // Where there are fewer than twenty peers, what is published is placed anew more and more seldom: after two days daily.
    network.run_for(Span::from_hours(48));
    let before = (network.requests_by_kind()[&FrameKind::Prove], network.traffic());
    network.run_for(Span::from_hours(24));
    let asked = network.requests_by_kind()[&FrameKind::Prove] - before.0;
    let all = (network.traffic() - before.1).requests;
    let disks = network.nodes().map(|node| node.disk().held_records().unwrap());
    let published: BTreeSet<_> = disks
        .flatten()
        .filter(|held| held.kind != RecordKind::Deposit)
        .map(|held| (held.kind, held.key, held.publisher))
        .collect();
    let steps = trace(&mut network, ADA, &message).steps;
    assert!(!steps.iter().any(|step| step.step == Step::Lost), "seed {seed}: {steps:?}");
    // Each at most an hour after it was placed, a day later, and once more where it was refreshed meanwhile.
    let most = 8 * 3 * (published.len() as u64 + 1);
    println!("seed {seed}: {asked} of {all} requests for {} records and a letter in a day", published.len());
    assert!((8 * published.len() as u64..=most).contains(&asked), "seed {seed}: {asked} of {most}");
}
