//! Two people who talk through a network that loses connections, and devices that lose power.

mod mail;
mod net;
mod watched;

use std::collections::BTreeSet;

use starling_proto::content::PresenceStatus;
use starling_proto::message::{Refusal, Request, Response};
use starling_proto::time::Span;

use super::acquaintance::Standing;
use super::trace::Step;
use super::view::Page;
use super::*;
use crate::settings::Settings;
use crate::storage::{MessageStore as _, OutboxStore as _};
use net::{ADA, BOB, Net};

/// Everything of the conversation in the order in which a side shows it: author's word for it, and state.
fn shown(net: &Net, side: usize) -> Vec<(String, MessageState)> {
    let rows = net.sides[side].store.messages(&net.account(1 - side), None, 10_000, None).unwrap();
    rows.into_iter().map(|row| (row.text, row.state)).collect()
}

/// The texts that `from` wrote, as `side` shows them.
fn texts(net: &Net, side: usize, from: usize) -> Vec<String> {
    let name = ["ada", "bob"][from];
    shown(net, side).into_iter().map(|(text, _)| text).filter(|text| text.starts_with(name)).collect()
}

#[test]
fn a_message_and_its_receipts_take_the_straight_way() {
    let mut net = Net::new(1);
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_secs(30));
    assert_eq!(shown(&net, BOB), [("ada 0".into(), MessageState::Delivered)]);
    assert_eq!(shown(&net, ADA), [("ada 0".into(), MessageState::Delivered)]);
    let page = Page { conversation: net.account(ADA), before: None, limit: 10, text: None };
    net.with(BOB, |talking, context| talking.messages(context, page));
    net.run(Span::from_secs(30));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Read);
    assert_eq!(shown(&net, BOB)[0].1, MessageState::Read);
    let steps = trace::steps(&net.sides[ADA].store, &id).unwrap();
    let steps: Vec<Step> = steps.iter().map(|step| step.step).collect();
    let way = [Step::Queued, Step::Sent, Step::Delivered, Step::Read];
    assert!(way.iter().all(|step| steps.contains(step)), "{steps:?}");
    assert!(net.sides.iter().all(|side| side.store.outbox().unwrap().is_empty()), "nothing waits any more");
}

/// 1,000 messages, connections cut and machines rebuilt from their stores in between, some of them before the commit.
#[test]
fn everything_is_shown_once_and_in_order_whatever_breaks() {
    let mut net = Net::new(2);
    let each = 500;
    for n in 0..each {
        net.say(ADA, &format!("ada {n}"));
        net.say(BOB, &format!("bob {n}"));
        match n % 25 {
            3 => net.run_some(3),
            7 => net.cut(),
            11 => net.restart(ADA),
            13 => net.crash_next = Some(BOB),
            17 => net.run_some(5),
            19 => net.crash_next = Some(ADA),
            23 => net.run(Span::from_secs(40)),
            _ => {}
        }
    }
    net.run(Span::from_secs(600));
    for side in [ADA, BOB] {
        for from in [ADA, BOB] {
            let name = ["ada", "bob"][from];
            let expected: Vec<String> = (0..each).map(|n| format!("{name} {n}")).collect();
            assert_eq!(texts(&net, side, from), expected, "{name} at {side}");
        }
        assert!(net.sides[side].store.outbox().unwrap().is_empty(), "all receipts came back");
        assert!(shown(&net, side).iter().all(|(_, state)| *state == MessageState::Delivered));
        // What was told to the faces, too: each message once, if no crash came between the commit and the telling.
        let told = net.sides[side].messages_told();
        assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len());
    }
}

#[test]
fn two_who_have_written_much_to_each_other_confirm_all_of_it() {
    let mut net = Net::new(14);
    net.away = [true, true];
    let each = 2_000;
    for n in 0..each {
        net.say(ADA, &format!("ada {n}"));
        net.say(BOB, &format!("bob {n}"));
    }
    net.away = [false, false];
    net.run(Span::from_secs(30));
    for side in [ADA, BOB] {
        assert_eq!((texts(&net, side, ADA).len(), texts(&net, side, BOB).len()), (each, each));
        let waits = net.sides[side].store.outbox().unwrap().len();
        assert_eq!(waits, 0, "no receipt is lost among so many texts");
    }
}

#[test]
fn rpl_01_everything_ever_sent_sent_again_changes_nothing() {
    let mut net = Net::new(3);
    for n in 0..60 {
        net.say(ADA, &format!("ada {n}"));
        net.say(BOB, &format!("bob {n}"));
        net.run(Span::from_ms(300));
    }
    net.run(Span::from_secs(30));
    for restarted in [false, true] {
        if restarted {
            net.restart(ADA);
            net.restart(BOB);
            net.run(Span::from_secs(30));
        }
        let before = [shown(&net, ADA), shown(&net, BOB)];
        let sent = net.sent.clone();
        assert!(sent.len() > 10);
        for (to, deliver) in sent {
            let response = net.request(to, Request::Deliver(deliver));
            assert_eq!(response, Response::Delivered(0));
        }
        assert_eq!([shown(&net, ADA), shown(&net, BOB)], before);
        assert!(net.sides.iter().all(|side| side.store.outbox().unwrap().is_empty()), "no receipt either");
    }
}

#[test]
fn a_crash_before_the_commit_loses_nothing_and_shows_nothing_twice() {
    for crash_at in 0..12 {
        let mut net = Net::new(4);
        net.say(ADA, "ada 0");
        net.run_some(crash_at);
        net.crash_next = Some(BOB);
        net.run(Span::from_secs(60));
        net.say(ADA, "ada 1");
        net.run(Span::from_secs(60));
        assert_eq!(texts(&net, BOB, ADA), ["ada 0", "ada 1"], "{crash_at}");
        assert_eq!(net.sides[BOB].messages_told().len(), 2, "{crash_at}");
        assert!(shown(&net, ADA).iter().all(|(_, state)| *state == MessageState::Delivered), "{crash_at}");
    }
}

#[test]
fn ida_05_our_own_message_is_not_taken_from_whoever_sends_it_back() {
    let mut net = Net::new(5);
    net.say(ADA, "ada 0");
    net.run(Span::from_secs(30));
    let (to_bob, mine) = net.sent.iter().find(|(to, _)| *to == BOB).unwrap().clone();
    assert_eq!(to_bob, BOB);
    assert_eq!(net.request(ADA, Request::Deliver(mine)), Response::Delivered(0));
    assert_eq!(shown(&net, ADA).len(), 1);
}

#[test]
fn strangers_get_neither_proof_nor_ear() {
    let mut net = Net::new(6);
    net.say(ADA, "ada 0");
    net.run(Span::from_secs(30));
    // Whoever proved first; the other one checked it.
    let (checker, proof) = net.proofs[0].clone();
    let prover = 1 - checker;
    let deliver = net.sent.iter().find(|(to, _)| *to == checker).unwrap().1.clone();
    let refused = Response::Refused(Refusal::NotAllowed);
    let reflected = net.request(prover, Request::DeviceProof(proof.clone()));
    assert_eq!(reflected, refused, "one's own proof, sent back");
    let stranger = net.account(prover);
    net.with(checker, |talking, context| talking.remove_person(context, &stranger));
    assert_eq!(net.request(checker, Request::Deliver(deliver)), refused);
    assert_eq!(net.request(checker, Request::DeviceProof(proof)), refused);
}

#[test]
fn somebody_whom_we_asked_may_answer_and_say_nothing_else() {
    let mut net = Net::new(7);
    net.meet(BOB, Standing::Requested);
    let (account, device) = (net.account(BOB), net.sides[BOB].identity.device());
    net.say(ADA, "ada 0");
    net.run(Span::from_secs(30));
    assert!(shown(&net, BOB).is_empty(), "a text before the answer");
    let hand_over = net.hand_over(ADA);
    net.with(ADA, |talking, context| talking.queue(context, (account, device), hand_over.clone())).unwrap();
    net.run(Span::from_secs(30));
    let answers = |net: &Net| {
        let of = |notice: &&Notice| matches!(notice, Notice::HandOver { .. });
        net.sides[BOB].notices.iter().filter(of).count()
    };
    assert_eq!(answers(&net), 1);
    net.cut();
    net.run(Span::from_secs(60));
    assert_eq!((answers(&net), texts(&net, BOB, ADA).len()), (1, 1), "what waited is said now");
}

#[test]
fn presence_comes_with_the_link_and_goes_with_it() {
    let mut net = Net::new(8);
    net.run(Span::from_secs(100));
    let status = |net: &Net| net.sides[BOB].talking.presence(&net.account(ADA), net.now).status;
    assert_eq!(status(&net), Some(PresenceStatus::Online));
    net.with(ADA, |talking, context| {
        let settings = Settings { status: PresenceStatus::Busy, line: "tea".into(), ..Settings::default() };
        talking.set_settings(context, &settings)
    });
    net.run(Span::from_secs(300));
    assert_eq!(status(&net), Some(PresenceStatus::Busy), "kept alive");
    net.with(ADA, |talking, context| talking.sign_off(context));
    net.run_some(10);
    assert_eq!(status(&net), None, "goodbye");
    net.run(Span::from_secs(100));
    assert_eq!(status(&net), Some(PresenceStatus::Busy));
    net.cut();
    assert_eq!(status(&net), None, "the connection ended");
}

#[test]
fn a_message_to_somebody_who_is_away_says_why_it_waits_and_ends_after_thirty_days() {
    let mut net = Net::new(9);
    net.away[BOB] = true;
    let id = net.say(ADA, "ada 0");
    let at_once = trace::steps(&net.sides[ADA].store, &id).unwrap();
    assert_eq!(
        at_once.last().unwrap().step,
        Step::NotLinked,
        "the cause is known before the first dial has failed"
    );
    net.run(Span::from_secs(7200));
    let steps = trace::steps(&net.sides[ADA].store, &id).unwrap();
    let why = steps.last().unwrap();
    assert!(matches!(why.step, Step::NotReached | Step::NotLocated), "{steps:?}");
    assert!(why.text.contains("other device"), "{}", why.text);
    net.run(Span::from_days(31));
    assert_eq!(shown(&net, ADA), [("ada 0".into(), MessageState::Failed)]);
    assert!(net.sides[ADA].store.outbox().unwrap().is_empty());
}

#[test]
fn a_session_that_the_other_side_has_lost_is_started_anew() {
    let mut net = Net::new(10);
    net.say(ADA, "ada 0");
    net.run(Span::from_secs(30));
    net.lose_sessions(BOB);
    net.say(ADA, "ada 1");
    net.run(Span::from_secs(600));
    assert_eq!(texts(&net, BOB, ADA), ["ada 0", "ada 1"]);
}

/// More lost numbers than a session can step over: first in a session that stands, then before there is one.
#[test]
fn links_that_break_again_and_again_lose_nothing() {
    for settled in [true, false] {
        let mut net = Net::new(11);
        if settled {
            net.say(ADA, "ada before");
            net.run(Span::from_secs(30));
        }
        net.lost_deliveries = 100;
        let id = net.say(ADA, "ada 0");
        net.say(BOB, "bob 0");
        net.run(Span::from_secs(3 * 3600));
        assert_eq!(net.lost_deliveries, 0);
        let key_used = |notice: &&Notice| matches!(notice, Notice::KeyUsed { .. });
        let sessions = net.sides[ADA].notices.iter().filter(key_used).count();
        assert_eq!(sessions, if settled { 1 } else { 2 }, "a session that stands steps over what was lost");
        let steps = trace::steps(&net.sides[ADA].store, &id).unwrap();
        assert_eq!(steps.last().unwrap().step, Step::Delivered, "however many steps there were before");
        assert_eq!(texts(&net, BOB, ADA).last().map(String::as_str), Some("ada 0"), "{settled}");
        assert_eq!(texts(&net, ADA, BOB), ["bob 0"], "{settled}");
        assert!(net.sides.iter().all(|side| side.store.outbox().unwrap().is_empty()), "{settled}");
    }
}

#[test]
fn a_repeat_is_confirmed_again() {
    let mut net = Net::new(12);
    net.run(Span::from_secs(30));
    net.say(ADA, "ada 0");
    net.run_some(1);
    assert_eq!(net.sides[BOB].store.outbox().unwrap().len(), 1, "the receipt");
    // The receipt is lost with the rows of Bob's outbox.
    for row in net.sides[BOB].store.outbox().unwrap() {
        net.sides[BOB].store.remove_outbox(row.number).unwrap();
    }
    net.restart(BOB);
    net.run(Span::from_secs(60));
    assert_eq!(shown(&net, ADA), [("ada 0".into(), MessageState::Delivered)]);
    assert_eq!(shown(&net, BOB).len(), 1);
}

#[test]
fn whoever_answers_with_another_proof_is_not_linked() {
    let mut net = Net::new(13);
    net.impostor = true;
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_secs(60));
    for side in [ADA, BOB] {
        let device = net.sides[1 - side].identity.device();
        assert!(!net.sides[side].talking.is_linked(&device));
    }
    let steps = trace::steps(&net.sides[ADA].store, &id).unwrap();
    assert!(steps.iter().any(|step| step.step == Step::NotProven), "{steps:?}");
    assert!(net.sent.is_empty(), "nothing is said to them");
}
