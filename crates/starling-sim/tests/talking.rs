//! People become contacts and talk, through the overlay alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

use starling_core::config::Config;
use starling_core::io::{Command, CommandOutput, ContactChange, ErrorCode, Event, MessageChange, Newcomer};
use starling_core::profile::Profile;
use starling_core::settings::Changes;
use starling_core::view::{Contact, ContactState, Message, MessageState, Reaction as Reacted};
use starling_proto::addr::JoinAddr;
use starling_proto::content::{MessageText, Reaction, Text};
use starling_proto::identity::Name;
use starling_proto::ids::{AccountKey, MessageId};
use starling_proto::time::Span;
use starling_sim::faults::partition::Partition;
use starling_sim::network::{Nat, Network, NodeIndex, World};
use starling_sim::node::NodeSetup;

const ADA: NodeIndex = NodeIndex(1);
const BOB: NodeIndex = NodeIndex(2);

fn setup(number: usize) -> NodeSetup {
    let profile = Profile::new(Name::new(format!("Person{number:03}")).unwrap());
    NodeSetup { profile, config: Config::of(&"test".parse().unwrap()), nat: Nat::None }
}

/// `count` nodes that joined through the first, and have had time to publish what they are.
fn network(seed: u64, count: usize) -> Network {
    let mut network = Network::new(World { seed, ..World::default() });
    let first = network.add(setup(0));
    let door = JoinAddr { key: network.node(first).key(), address: network.node(first).address() };
    for number in 1..count {
        let node = network.add(setup(number));
        network.command(node, Command::Join(vec![door]));
        network.run_for(Span::from_ms(200));
    }
    network.run_for(Span::from_secs(120));
    network
}

fn account(network: &Network, of: NodeIndex) -> AccountKey {
    network.node(of).account()
}

fn contacts(network: &mut Network, of: NodeIndex) -> Vec<Contact> {
    match network.run_command(of, Command::Contacts) {
        Ok(CommandOutput::Contacts(contacts)) => contacts,
        other => panic!("{other:?}"),
    }
}

fn state(network: &mut Network, of: NodeIndex, whom: NodeIndex) -> Option<ContactState> {
    let whom = account(network, whom);
    contacts(network, of).into_iter().find(|contact| contact.account == whom).map(|contact| contact.state)
}

fn ask(network: &mut Network, from: NodeIndex, whom: NodeIndex) {
    let whom = Newcomer::Account(account(network, whom));
    network.run_command(from, Command::AddContact { whom, note: "we met".into() }).unwrap();
}

fn change(network: &mut Network, of: NodeIndex, whom: NodeIndex, change: ContactChange) {
    let who = account(network, whom).to_string();
    network.run_command(of, Command::Contact { who, change }).unwrap();
}

fn wait(network: &mut Network, span: Span, what: &str, event: impl Fn(NodeIndex, &Event) -> bool) {
    let seen = |network: &Network| network.events().iter().any(|(_, node, happened)| event(*node, happened));
    assert!(network.run_until(span, seen), "{what} did not happen: {:#?}", network.events());
}

fn befriend(network: &mut Network, one: NodeIndex, other: NodeIndex) {
    ask(network, one, other);
    let asked = |node, event: &Event| node == other && matches!(event, Event::ContactRequest { .. });
    wait(network, Span::from_secs(300), "the request", asked);
    change(network, other, one, ContactChange::Accept);
    let agreed = |node, event: &Event| node == one && matches!(event, Event::ContactAccepted { .. });
    wait(network, Span::from_secs(120), "the answer", agreed);
}

fn say(network: &mut Network, from: NodeIndex, to: NodeIndex, text: &str) -> Message {
    let (who, text) = (account(network, to).to_string(), MessageText::new(text).unwrap().into());
    match network.run_command(from, Command::Send { who, text, request: None }) {
        Ok(CommandOutput::Sent(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn history(network: &mut Network, of: NodeIndex, with: NodeIndex) -> Vec<Message> {
    let who = account(network, with).to_string();
    match network.run_command(of, Command::Messages { who, before: None, limit: 500, text: None }) {
        Ok(CommandOutput::Messages(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

fn delivered(network: &mut Network, message: &Message) {
    let id = message.id;
    let arrived = move |_, event: &Event| matches!(event, Event::MessageState { id: of, state: MessageState::Delivered, .. } if *of == id);
    wait(network, Span::from_secs(120), "the receipt", arrived);
}

#[test]
fn strangers_become_contacts_and_talk_both_ways() {
    for count in [3, 12, 30] {
        let mut network = network(count as u64, count);
        befriend(&mut network, ADA, BOB);
        assert_eq!(state(&mut network, ADA, BOB), Some(ContactState::Accepted));
        assert_eq!(state(&mut network, BOB, ADA), Some(ContactState::Accepted));
        let said: Vec<Message> =
            (0..40).map(|n| say(&mut network, ADA, BOB, &format!("ada {n:02}"))).collect();
        delivered(&mut network, said.last().unwrap());
        let answer = say(&mut network, BOB, ADA, "bob");
        delivered(&mut network, &answer);
        let (here, there) = (history(&mut network, ADA, BOB), history(&mut network, BOB, ADA));
        let expected: Vec<String> =
            (0..40).map(|n| format!("ada {n:02}")).chain(["bob".to_owned()]).collect();
        assert_eq!(texts(&here), expected, "{count} nodes");
        assert_eq!(texts(&there), expected, "{count} nodes");
        network.run_for(Span::from_secs(60));
        let here = history(&mut network, ADA, BOB);
        assert!(
            here.iter().filter(|message| message.mine).all(|message| message.state == MessageState::Read)
        );
    }
}

#[test]
fn the_first_message_of_a_link_does_not_wait() {
    for seed in 20..30 {
        let mut network = network(seed, 4);
        befriend(&mut network, ADA, BOB);
        for (from, to) in [(ADA, BOB), (BOB, ADA)] {
            let id = say(&mut network, from, to, "now").id;
            let arrived = |network: &Network| {
                let confirmed = |event: &Event| matches!(event, Event::MessageState { id: of, state: MessageState::Delivered, .. } if *of == id);
                network.events().iter().any(|(_, _, event)| confirmed(event))
            };
            assert!(network.run_until(Span::from_secs(5), arrived), "seed {seed}: {from:?} waits");
        }
        network.kill(BOB);
        network.run_for(Span::from_secs(30));
        let id = say(&mut network, ADA, BOB, "later").id;
        network.restart(BOB, None);
        let read = |network: &Network| {
            let came = |event: &Event| matches!(event, Event::Message(message) if message.id == id);
            network.events().iter().any(|(_, _, event)| came(event))
        };
        assert!(network.run_until(Span::from_secs(10), read), "seed {seed}: what waited goes on waiting");
    }
}

#[test]
fn what_was_under_way_to_somebody_who_crashed_is_sent_on_their_new_connection() {
    for seed in 40..45 {
        let mut network = network(seed, 4);
        befriend(&mut network, ADA, BOB);
        let warm = say(&mut network, ADA, BOB, "warm");
        delivered(&mut network, &warm);
        let id = say(&mut network, ADA, BOB, "in the air").id;
        network.kill(BOB);
        network.restart(BOB, None);
        let came = |network: &Network| {
            let is = |event: &Event| matches!(event, Event::Message(message) if message.id == id);
            network.events().iter().any(|(_, _, event)| is(event))
        };
        assert!(network.run_until(Span::from_secs(4), came), "seed {seed}: it waits for the dead connection");
    }
}

#[test]
fn somebody_away_hears_when_they_are_back_at_another_address() {
    let mut network = network(5, 10);
    befriend(&mut network, ADA, BOB);
    network.kill(BOB);
    let waiting: Vec<Message> = (0..5).map(|n| say(&mut network, ADA, BOB, &n.to_string())).collect();
    network.run_for(Span::from_secs(3600));
    assert_eq!(history(&mut network, ADA, BOB)[0].state, MessageState::Stored);
    network.restart(BOB, Some("77.1.2.3:99".parse().unwrap()));
    delivered(&mut network, waiting.last().unwrap());
    assert_eq!(texts(&history(&mut network, BOB, ADA)), ["0", "1", "2", "3", "4"]);
}

#[test]
fn both_restart_and_the_conversation_goes_on() {
    let mut network = network(6, 10);
    befriend(&mut network, ADA, BOB);
    for round in 0..3 {
        let there = say(&mut network, ADA, BOB, &format!("to {round}"));
        delivered(&mut network, &there);
        let back = say(&mut network, BOB, ADA, &format!("from {round}"));
        delivered(&mut network, &back);
        network.kill(ADA);
        network.kill(BOB);
        network.run_for(Span::from_secs(60));
        network.restart(BOB, None);
        network.restart(ADA, None);
        network.run_for(Span::from_secs(60));
    }
    let expected = ["to 0", "from 0", "to 1", "from 1", "to 2", "from 2"];
    assert_eq!(texts(&history(&mut network, ADA, BOB)), expected);
    assert_eq!(texts(&history(&mut network, BOB, ADA)), expected);
}

#[test]
fn a_request_waits_for_somebody_who_is_away() {
    let mut network = network(7, 25);
    network.kill(BOB);
    ask(&mut network, ADA, BOB);
    let kept = |node, event: &Event| {
        node == ADA && matches!(event, Event::RequestStored { holders, .. } if *holders > 1)
    };
    wait(&mut network, Span::from_secs(300), "a deposit", kept);
    network.restart(BOB, None);
    let asked = |node, event: &Event| node == BOB && matches!(event, Event::ContactRequest { .. });
    wait(&mut network, Span::from_secs(300), "the request", asked);
}

#[test]
fn an_invite_needs_no_further_consent() {
    let mut network = network(8, 10);
    let address = network.node(ADA).address();
    let made =
        network.run_command(ADA, Command::Invite { life: Span::from_days(7), addresses: vec![address] });
    let Ok(CommandOutput::Invite(invite)) = made else { panic!("{made:?}") };
    assert_eq!(invite.peers()[0].addresses(), [address], "it names who invites, first");
    let text = invite.to_string();
    let newcomer = network.add(setup(99));
    let whom = Newcomer::Invite(Box::new(text.parse().unwrap()));
    network.run_command(newcomer, Command::AddContact { whom, note: String::new() }).unwrap();
    let agreed = |node, event: &Event| node == newcomer && matches!(event, Event::ContactAccepted { .. });
    wait(&mut network, Span::from_secs(300), "the answer", agreed);
    let hello = say(&mut network, newcomer, ADA, "hello");
    delivered(&mut network, &hello);
    assert_eq!(texts(&history(&mut network, ADA, newcomer)), ["hello"]);
}

#[test]
fn a_refusal_arrives_once_and_nothing_else_passes() {
    let mut network = network(9, 10);
    ask(&mut network, ADA, BOB);
    let asked = |node, event: &Event| node == BOB && matches!(event, Event::ContactRequest { .. });
    wait(&mut network, Span::from_secs(300), "the request", asked);
    change(&mut network, BOB, ADA, ContactChange::Decline);
    let declined = |node, event: &Event| node == ADA && matches!(event, Event::ContactDeclined { .. });
    wait(&mut network, Span::from_secs(120), "the refusal", declined);
    network.run_for(Span::from_secs(3600));
    for node in [ADA, BOB] {
        let status = network.run_command(node, Command::Status);
        let Ok(CommandOutput::Status(status)) = status else { panic!("{status:?}") };
        assert_eq!(status.queued, 0, "the refusal was confirmed, so nothing waits at {node:?}");
    }
    let who = account(&network, BOB).to_string();
    let text = MessageText::new("but").unwrap().into();
    let refused = network.run_command(ADA, Command::Send { who, text, request: None });
    assert_eq!(refused.unwrap_err().code, ErrorCode::Conflict);
}

#[test]
fn who_is_blocked_hears_nothing_and_says_nothing() {
    let mut network = network(10, 10);
    befriend(&mut network, ADA, BOB);
    change(&mut network, BOB, ADA, ContactChange::Block);
    let lost = say(&mut network, ADA, BOB, "are you there?");
    network.run_for(Span::from_secs(600));
    assert!(history(&mut network, BOB, ADA).is_empty());
    change(&mut network, BOB, ADA, ContactChange::Unblock);
    delivered(&mut network, &lost);
    assert_eq!(texts(&history(&mut network, BOB, ADA)), ["are you there?"]);
}

#[test]
fn the_same_wish_under_the_same_name_is_one_message() {
    let mut network = network(11, 6);
    befriend(&mut network, ADA, BOB);
    let wish = |network: &mut Network, text: &str| {
        let (who, text) = (account(network, BOB).to_string(), MessageText::new(text).unwrap().into());
        network.run_command(ADA, Command::Send { who, text, request: Some("one".into()) })
    };
    let Ok(CommandOutput::Sent(first)) = wish(&mut network, "hello") else { panic!("sent") };
    network.kill(ADA);
    network.restart(ADA, None);
    let Ok(CommandOutput::Sent(again)) = wish(&mut network, "hello") else { panic!("sent") };
    assert_eq!(first.id, again.id);
    assert_eq!(wish(&mut network, "other").unwrap_err().code, ErrorCode::Conflict);
    network.run_for(Span::from_secs(120));
    assert_eq!(texts(&history(&mut network, BOB, ADA)), ["hello"]);
}

fn change_message(network: &mut Network, of: NodeIndex, id: MessageId, change: MessageChange) -> Message {
    match network.run_command(of, Command::Change { id, change }) {
        Ok(CommandOutput::Sent(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// While one was away the other wrote, thought better of it, and left for good: what the one reads is the end of it.
#[test]
fn what_is_said_about_a_text_comes_by_mail_like_the_text() {
    let mut network = network(12, 40);
    befriend(&mut network, ADA, BOB);
    let before = say(&mut network, BOB, ADA, "which day?");
    delivered(&mut network, &before);
    network.kill(BOB);
    let [first, second] = ["on Monday", "or never"].map(|text| say(&mut network, ADA, BOB, text).id);
    network.run_for(Span::from_secs(3600));
    let edited = MessageChange::Edit(MessageText::new("on Friday").unwrap());
    let reaction = MessageChange::React(Reaction::new("?").unwrap());
    change_message(&mut network, ADA, first, edited);
    change_message(&mut network, ADA, second, MessageChange::Delete);
    change_message(&mut network, ADA, before.id, reaction);
    network.run_for(Span::from_secs(3600));
    network.kill(ADA);
    network.restart(BOB, None);
    let gone = |node, event: &Event| matches!(event, Event::Changed(text) if node == BOB && text.deleted);
    wait(&mut network, Span::from_secs(300), "the deletion", gone);
    network.run_for(Span::from_secs(60));
    let read = history(&mut network, BOB, ADA);
    assert_eq!(texts(&read), ["which day?", "on Friday", ""]);
    assert_eq!(read[0].reactions, [Reacted { from: account(&network, ADA), reaction: "?".into() }]);
    assert!(read[1].edited_at.is_some() && read[2].deleted);
    network.restart(ADA, None);
    assert_eq!(texts(&history(&mut network, ADA, BOB)), texts(&read), "and the author has the same");
    let late = MessageChange::Edit(MessageText::new("perhaps").unwrap());
    let refused = network.run_command(ADA, Command::Change { id: second, change: late });
    assert_eq!(refused.unwrap_err().code, ErrorCode::Conflict);
    change_message(&mut network, ADA, second, MessageChange::Delete);
    let others = network.run_command(BOB, Command::Change { id: first, change: MessageChange::Delete });
    assert_eq!(others.unwrap_err().code, ErrorCode::Conflict);
}

#[test]
fn a_text_disappears_on_both_sides_each_by_its_own_time() {
    let mut network = network(13, 6);
    befriend(&mut network, ADA, BOB);
    let text = MessageText::new("the code is 4711").unwrap();
    let text = Text { lives: Some(Span::from_secs(600)), ..text.into() };
    let who = account(&network, BOB).to_string();
    let sent = network.run_command(ADA, Command::Send { who, text, request: None });
    let Ok(CommandOutput::Sent(sent)) = sent else { panic!("{sent:?}") };
    delivered(&mut network, &sent);
    network.run_for(Span::from_secs(500));
    let read = history(&mut network, BOB, ADA);
    assert!(
        texts(&read) == ["the code is 4711"] && read[0].ends.is_some(),
        "its time begins when it is read"
    );
    network.run_for(Span::from_secs(200));
    assert!(history(&mut network, ADA, BOB).is_empty(), "its author's began when it was written");
    assert_eq!(texts(&history(&mut network, BOB, ADA)), ["the code is 4711"]);
    // Who was not running when it ended forgets it at once.
    network.kill(BOB);
    network.run_for(Span::from_secs(500));
    network.restart(BOB, None);
    let gone = |node, event: &Event| matches!(event, Event::Changed(text) if node == BOB && text.deleted);
    wait(&mut network, Span::from_secs(10), "the end", gone);
    assert!(history(&mut network, BOB, ADA).is_empty());
    let next = say(&mut network, ADA, BOB, "and what follows arrives");
    delivered(&mut network, &next);
    assert_eq!(texts(&history(&mut network, BOB, ADA)), ["and what follows arrives"]);
}

#[test]
fn who_does_not_tell_is_not_seen_typing_and_reading() {
    let mut network = network(14, 6);
    befriend(&mut network, ADA, BOB);
    let set = |network: &mut Network, changes| {
        network.run_command(BOB, Command::SetSettings(changes)).unwrap();
    };
    let typing = |network: &mut Network| {
        let who = account(network, ADA).to_string();
        network.run_command(BOB, Command::Typing { who, typing: true }).unwrap();
        network.run_for(Span::from_secs(3));
        let who = account(network, BOB);
        contacts(network, ADA).into_iter().any(|contact| contact.account == who && contact.presence.typing)
    };
    let read = |network: &mut Network, text: &str| {
        let said = say(network, ADA, BOB, text);
        delivered(network, &said);
        history(network, BOB, ADA);
        network.run_for(Span::from_secs(3));
        history(network, ADA, BOB).last().unwrap().state
    };
    let warm = say(&mut network, ADA, BOB, "warm");
    delivered(&mut network, &warm);
    assert!(typing(&mut network));
    assert_eq!(read(&mut network, "one"), MessageState::Read);
    network.run_for(Span::from_secs(20));

    set(&mut network, Changes { typing: Some(false), read_receipts: Some(false), ..Changes::default() });
    assert!(!typing(&mut network));
    assert_eq!(read(&mut network, "two"), MessageState::Delivered);
    network.kill(BOB);
    network.restart(BOB, None);
    assert_eq!(read(&mut network, "three"), MessageState::Delivered, "and so after a restart");
    assert!(!typing(&mut network));

    let changes = Changes { read_receipts: Some(true), line: Some("tea".into()), ..Changes::default() };
    set(&mut network, changes);
    assert_eq!(read(&mut network, "four"), MessageState::Read);
    let states: Vec<MessageState> =
        history(&mut network, ADA, BOB).into_iter().map(|message| message.state).collect();
    let unseen = MessageState::Delivered;
    assert_eq!(states[1..], [MessageState::Read, unseen, unseen, MessageState::Read], "and it stays so");
    let who = account(&network, BOB);
    let lines = contacts(&mut network, ADA).into_iter().find(|contact| contact.account == who);
    assert_eq!(lines.unwrap().presence.line, "tea");
}

/// Two devices of one account, one of which is cut off while both are used: what was written and decided on each is on both
/// once they are together again, in the same order as with the contact.
#[test]
fn par_02_two_devices_of_one_account_that_were_apart_agree_again() {
    let mut network = network(23, 6);
    befriend(&mut network, ADA, BOB);
    let phone = network.add_device(BOB, setup(7));
    let door = JoinAddr { key: network.node(ADA).key(), address: network.node(ADA).address() };
    network.command(phone, Command::Join(vec![door]));
    let connected = |network: &mut Network, of| match network.run_command(of, Command::Devices) {
        Ok(CommandOutput::Devices(devices)) => devices.devices.iter().any(|device| device.connected),
        other => panic!("{other:?}"),
    };
    network.run_for(Span::from_secs(180));
    assert!(connected(&mut network, phone) && connected(&mut network, BOB), "the devices have met");

    network.part(Some(Partition::Sides([phone].into())));
    network.run_for(Span::from_secs(120));
    for n in 0..5 {
        say(&mut network, BOB, ADA, &format!("desk {n}"));
        say(&mut network, phone, ADA, &format!("phone {n}"));
        say(&mut network, ADA, BOB, &format!("ada {n}"));
        network.run_for(Span::from_secs(30));
    }
    change(&mut network, phone, ADA, ContactChange::Rename(Some("Countess".into())));
    network.run_for(Span::from_secs(5));
    change(&mut network, BOB, ADA, ContactChange::SetVerified(true));
    network.run_for(Span::from_secs(600));
    network.part(None);
    network.run_for(Span::from_secs(600));

    let whole = history(&mut network, ADA, BOB);
    assert_eq!(whole.len(), 15, "{:?}", texts(&whole));
    for device in [BOB, phone] {
        let seen = history(&mut network, device, ADA);
        assert_eq!(texts(&seen), texts(&whole), "one conversation on {device:?}");
        let all_there = seen.iter().all(|message| !message.mine || message.state >= MessageState::Delivered);
        assert!(all_there, "each device knows what has arrived: {seen:#?}");
        let known = contacts(&mut network, device);
        assert_eq!(known.len(), 1);
        assert!(known[0].verified, "decided at the desk: {known:?}");
        assert_eq!(known[0].petname, None, "of two changes of names the later one counts, whole");
    }
}
