//! What is placed and looked for through go-betweens: whole cores, and what those around them see.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use std::collections::{BTreeMap, BTreeSet};

use starling_core::config::Config;
use starling_core::io::{Command, CommandError, CommandOutput, ContactChange, Event, Newcomer, WarningCode};
use starling_core::profile::Profile;
use starling_core::settings::{Changes, PassOn};
use starling_core::view::{Message, MessageState, SearchResults, Status, Step};
use starling_proto::addr::JoinAddr;
use starling_proto::content::MessageText;
use starling_proto::frame::FrameKind;
use starling_proto::identity::Name;
use starling_proto::message::Request;
use starling_proto::record::RecordKind;
use starling_proto::time::Span;
use starling_sim::network::{Nat, Network, NodeIndex, World};
use starling_sim::node::NodeSetup;

/// Cannot be dialled: she holds nothing for others, so that all she asks is for herself.
const ADA: NodeIndex = NodeIndex(0);
const BOB: NodeIndex = NodeIndex(1);

fn setup(number: usize) -> NodeSetup {
    let mut profile = Profile::new(Name::new(format!("Person{number:03}")).unwrap());
    profile.listed = number < 3;
    NodeSetup {
        profile,
        config: Config::of(&"test".parse().unwrap()),
        nat: if number > 0 { Nat::None } else { Nat::Closed },
    }
}

fn choose(network: &mut Network, who: NodeIndex, pass_on: PassOn) {
    let changes = Changes { pass_on: Some(pass_on), ..Changes::default() };
    network.run_command(who, Command::SetSettings(changes)).unwrap();
}

/// `count` nodes, of which every `idle`-th does nothing of what others ask it to do in their place. Ada chooses before she
/// has said a word to anybody, and comes last.
fn network(seed: u64, count: usize, pass_on: PassOn, idle: usize) -> Network {
    let mut network = Network::new(World { seed, ..World::default() });
    for number in 0..count {
        let node = network.add(setup(number));
        if idle > 0 && number > 1 && number % idle == 0 {
            network.make_idler(node);
        }
    }
    network.watch(ADA);
    choose(&mut network, ADA, pass_on);
    let door = JoinAddr { key: network.node(BOB).key(), address: network.node(BOB).address() };
    for number in (2..count).chain([0]) {
        network.command(NodeIndex(number), Command::Join(vec![door]));
        network.run_for(Span::from_ms(500));
    }
    network
}

fn search(network: &mut Network, from: NodeIndex, words: &[&str]) -> Result<SearchResults, CommandError> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    match network.run_command(from, Command::Search { words, limit: 50 })? {
        CommandOutput::Search(results) => Ok(results),
        other => panic!("{other:?}"),
    }
}

fn status(network: &mut Network, of: NodeIndex) -> Status {
    match network.run_command(of, Command::Status) {
        Ok(CommandOutput::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

fn wait(network: &mut Network, span: Span, what: &str, event: impl Fn(NodeIndex, &Event) -> bool) {
    let seen = |network: &Network| network.events().iter().any(|(_, node, happened)| event(*node, happened));
    assert!(network.run_until(span, seen), "{what} did not happen: {:#?}", network.events());
}

/// Ada and Bob are contacts, and have talked.
fn acquaint(network: &mut Network) {
    let whom = Newcomer::Account(network.node(BOB).account());
    network.run_command(ADA, Command::AddContact { whom, note: String::new() }).unwrap();
    let asked = |node, event: &Event| node == BOB && matches!(event, Event::ContactRequest { .. });
    wait(network, Span::from_secs(900), "the request", asked);
    let who = network.node(ADA).account().to_string();
    network.run_command(BOB, Command::Contact { who, change: ContactChange::Accept }).unwrap();
    let agreed = |node, event: &Event| node == ADA && matches!(event, Event::ContactAccepted { .. });
    wait(network, Span::from_secs(600), "the answer", agreed);
    network.run_for(Span::from_secs(120));
}

fn say(network: &mut Network, text: &str) -> Message {
    let (who, text) = (network.node(BOB).account().to_string(), MessageText::new(text).unwrap().into());
    match network.run_command(ADA, Command::Send { who, text, request: None }) {
        Ok(CommandOutput::Sent(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// What Ada has asked, by kind.
fn asked(network: &Network) -> BTreeMap<FrameKind, usize> {
    let mut kinds = BTreeMap::new();
    network.seen().iter().for_each(|(_, request)| *kinds.entry(request.kind()).or_default() += 1);
    kinds
}

#[test]
fn prv_07_who_lists_searches_and_writes_through_others_is_seen_by_no_holder() {
    let seed = 71;
    let mut network = network(seed, 40, PassOn::All, 0);
    network.run_for(Span::from_secs(300));
    let entries = status(&mut network, ADA).entries;
    assert_eq!((entries.placed, entries.wanted >= 3), (entries.wanted, true), "seed {seed}: {entries:?}");
    acquaint(&mut network);
    let found = search(&mut network, ADA, &["person002"]).unwrap();
    assert_eq!(found.results.len(), 1, "seed {seed}");
    let found = search(&mut network, NodeIndex(9), &["person000"]).unwrap();
    assert_eq!(found.results.len(), 1, "seed {seed}: others find her");
    network.kill(BOB);
    network.run_for(Span::from_secs(30));
    let message = say(&mut network, "to one who is away");
    let is_stored = |_, event: &Event| matches!(event, Event::MessageState { id, state: MessageState::Stored, .. } if *id == message.id);
    wait(&mut network, Span::from_secs(120), "that it is stored", is_stored);
    network.run_for(Span::from_secs(30));
    let asked = asked(&network);
    println!("seed {seed}: Ada has asked {asked:?}");
    for kind in [FrameKind::Store, FrameKind::Fetch, FrameKind::Query, FrameKind::Prove] {
        assert_eq!(asked.get(&kind), None, "seed {seed}: {kind:?}");
    }
    let (mut places, mut between) = (BTreeSet::new(), BTreeSet::new());
    for (to, request) in network.seen() {
        if let Request::PassOn(pass) = request {
            places.insert(*pass.key().as_bytes());
            between.insert(*to);
        }
    }
    let lookups = network.seen().iter().filter_map(|(_, request)| match request {
        Request::FindNode(find) => Some(*find.target.as_bytes()),
        _ => None,
    });
    assert!(!lookups.into_iter().any(|place| places.contains(&place)), "seed {seed}: a lookup tells as much");
    assert!(between.len() > 10, "seed {seed}: {} go-betweens", between.len());
    network.kill(ADA);
    network.run_for(Span::from_secs(600));
    network.restart(BOB, Some("200.1.2.3:4000".parse().unwrap()));
    let came = |node, event: &Event| {
        node == BOB && matches!(event, Event::Message(message) if message.text == "to one who is away")
    };
    wait(&mut network, Span::from_secs(300), "the mail", came);
}

#[test]
fn prv_07_only_what_is_chosen_goes_through_others() {
    let seed = 72;
    let mut network = network(seed, 24, PassOn::Directory, 0);
    network.run_for(Span::from_secs(300));
    search(&mut network, ADA, &["person002"]).unwrap();
    let public = [RecordKind::Directory, RecordKind::Account, RecordKind::Bundle];
    for (_, request) in network.seen() {
        match request {
            Request::Store(record) => assert!(!public.contains(&record.body().kind), "seed {seed}"),
            Request::PassOn(starling_proto::message::PassOn::Store(record)) => {
                assert!(public.contains(&record.body().kind), "seed {seed}");
            }
            Request::Query(_) => panic!("seed {seed}: a search went straight"),
            _ => {}
        }
    }
    let asked = asked(&network);
    assert!(asked.contains_key(&FrameKind::Store), "seed {seed}: the locator goes straight: {asked:?}");
}

#[test]
fn prv_07_with_nobody_who_may_be_asked_things_wait_and_it_is_said() {
    // The only other one tells Ada of her mailbox, so it is not asked.
    let seed = 73;
    let mut network = network(seed, 2, PassOn::All, 0);
    network.run_for(Span::from_secs(900));
    let warned = network.events().iter().filter(|(_, node, event)| {
        *node == ADA && matches!(event, Event::Warning { code: WarningCode::NotPassed, .. })
    });
    assert_eq!(warned.count(), 1, "seed {seed}: once an hour: {:#?}", network.events());
    let refused = search(&mut network, ADA, &["person001"]).unwrap_err();
    assert!(refused.hint.contains("--pass-on off"), "seed {seed}: {refused:?}");
    let sent = asked(&network);
    assert_eq!(sent.get(&FrameKind::Store), None, "seed {seed}: nothing went straight: {sent:?}");
    choose(&mut network, ADA, PassOn::Off);
    network.run_for(Span::from_secs(60));
    let entries = status(&mut network, ADA).entries;
    assert_eq!(entries.placed, entries.wanted, "seed {seed}: {entries:?}");
    assert_eq!(search(&mut network, ADA, &["person001"]).unwrap().results.len(), 1, "seed {seed}");
}

#[test]
fn a_letter_that_nobody_leaves_for_us_says_so() {
    let seed = 74;
    let mut network = network(seed, 3, PassOn::Off, 0);
    network.run_for(Span::from_secs(300));
    acquaint(&mut network);
    choose(&mut network, ADA, PassOn::All);
    network.kill(BOB);
    network.run_for(Span::from_secs(30));
    let message = say(&mut network, "waits");
    network.run_for(Span::from_secs(120));
    let Ok(CommandOutput::Trace(trace)) = network.run_command(ADA, Command::Trace(message.id)) else {
        panic!("seed {seed}: no trace")
    };
    let steps: Vec<Step> = trace.steps.iter().map(|step| step.step).collect();
    assert!(steps.contains(&Step::NotPassed) && !steps.contains(&Step::Stored), "seed {seed}: {steps:?}");
    choose(&mut network, ADA, PassOn::Off);
    let is_stored = |_, event: &Event| matches!(event, Event::MessageState { id, state: MessageState::Stored, .. } if *id == message.id);
    wait(&mut network, Span::from_secs(600), "that it is stored", is_stored);
}

#[test]
fn what_a_third_of_all_go_betweens_drop_is_placed_by_others() {
    let seed = 75;
    let mut network = network(seed, 40, PassOn::All, 3);
    let began = network.now();
    let all = |network: &mut Network| {
        let entries = status(network, ADA).entries;
        (entries.wanted > 0 && entries.placed == entries.wanted).then_some(entries.wanted)
    };
    let placed = (0..60).find_map(|_| {
        network.run_for(Span::from_secs(10));
        all(&mut network)
    });
    let took = network.now().tick.since(began.tick).as_secs();
    let passed = asked(&network).get(&FrameKind::PassOn).copied();
    println!("seed {seed}: {placed:?} entries placed within {took} s, {passed:?} requests to go-betweens");
    assert!(placed.is_some(), "seed {seed}: {:?}", status(&mut network, ADA).entries);
    let found = search(&mut network, NodeIndex(9), &["person000"]).unwrap();
    assert_eq!(found.results.len(), 1, "seed {seed}: what counts as placed is there");
}

#[test]
fn what_another_own_device_says_hides_more_and_never_less() {
    let mut network = network(31, 8, PassOn::Off, 0);
    let phone = network.add_device(BOB, setup(9));
    let door = JoinAddr { key: network.node(BOB).key(), address: network.node(BOB).address() };
    network.command(phone, Command::Join(vec![door]));
    let chosen = |network: &mut Network, of| match network.run_command(of, Command::ShowSettings) {
        Ok(CommandOutput::Settings(settings)) => (settings.pass_on, settings.read_receipts),
        other => panic!("{other:?}"),
    };
    network.run_for(Span::from_secs(180));
    assert_eq!(chosen(&mut network, phone), (PassOn::Off, true));
    choose(&mut network, BOB, PassOn::All);
    network.run_for(Span::from_secs(60));
    assert_eq!(chosen(&mut network, phone).0, PassOn::All, "what hides more is heard");
    let changes = Changes { pass_on: Some(PassOn::Off), read_receipts: Some(false), ..Changes::default() };
    network.run_command(phone, Command::SetSettings(changes)).unwrap();
    network.run_for(Span::from_secs(60));
    assert_eq!(chosen(&mut network, BOB), (PassOn::All, false), "the rest is heard, but not to hide less");
    assert_eq!(chosen(&mut network, phone), (PassOn::Off, false));
}
