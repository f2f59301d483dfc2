//! Mail for somebody who is away: left at the mailbox, taken once, in order, whatever breaks.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::session::Vodozemac;
use starling_proto::time::Span;

use super::net::{ADA, BOB, Net, seed_of};
use super::{shown, texts};
use crate::candidate::Candidate;
use crate::memory::MemoryStore;
use crate::storage::{MessageState, OutboxRow, OutboxStore as _};
use crate::talking::acquaintance::{Acquaintance, Standing};
use crate::talking::fixture::restored;
use crate::talking::trace::{self, Step};

/// Bob is away, and Ada has written to him.
pub(super) fn written(seed: u64, count: usize) -> Net {
    let mut net = Net::new(seed);
    for side in [ADA, BOB] {
        net.publish_bundle(side);
    }
    net.run(Span::from_secs(30));
    net.cut();
    net.away[BOB] = true;
    for n in 0..count {
        net.say(ADA, &format!("ada {n}"));
    }
    net
}

pub(super) fn expected(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ada {n}")).collect()
}

pub(super) fn steps(net: &Net, id: &starling_proto::ids::MessageId) -> Vec<(Step, u32)> {
    let steps = trace::steps(&net.sides[ADA].store, id).unwrap();
    steps.iter().map(|step| (step.step, step.peers)).collect()
}

#[test]
fn a_message_for_somebody_away_is_stored_and_taken_later() {
    let mut net = written(1, 0);
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_secs(10));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Queued, "the straight way is tried first");
    net.run(Span::from_secs(10));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
    assert!(steps(&net, &id).contains(&(Step::Stored, 40)));
    assert_eq!(net.mail[BOB].len(), 1);
    assert_eq!(net.sides[ADA].store.outbox().unwrap().len(), 1, "until the receipt");
    // Ada is gone for good; Bob reads.
    assert_eq!(net.read_mail(BOB, true, |_| true), 1);
    assert_eq!(texts(&net, BOB, ADA), expected(1));
    net.run(Span::from_secs(300));
    assert_eq!(net.mail[ADA].len(), 1, "his receipt goes the same way");
    net.read_mail(ADA, true, |_| true);
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Delivered);
    assert!(net.sides.iter().all(|side| side.store.outbox().unwrap().is_empty()));
}

#[test]
fn a_message_on_a_link_that_does_not_answer_is_left_at_the_mailbox_too() {
    let mut net = Net::new(10);
    for side in [ADA, BOB] {
        net.publish_bundle(side);
    }
    net.run(Span::from_secs(30));
    net.say(ADA, "ada heard");
    net.run(Span::from_secs(60));
    assert_eq!(
        (texts(&net, BOB, ADA).len(), net.mail[BOB].len()),
        (1, 0),
        "a link that answers needs no mail"
    );
    net.mute = true;
    net.say(ADA, "ada unheard");
    net.run(Span::from_secs(9));
    assert_eq!(net.mail[BOB].len(), 0);
    net.run(Span::from_secs(2));
    assert_eq!(shown(&net, ADA)[1].1, MessageState::Stored);
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), ["ada heard", "ada unheard"]);
}

#[test]
fn where_mail_can_be_left_is_used_as_soon_as_it_is_known() {
    let mut net = written(11, 0);
    net.forget_mailboxes(ADA);
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_hours(3));
    assert_eq!(steps(&net, &id).iter().filter(|(step, _)| *step == Step::NoMailbox).count(), 1);
    net.meet(ADA, Standing::Accepted);
    net.run(Span::from_secs(20));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored, "not only when the next try is due");
}

#[test]
fn many_share_envelopes_and_come_once_and_in_order() {
    let mut net = written(2, 200);
    net.run(Span::from_secs(120));
    let letters = net.mail[BOB].len();
    assert!(letters <= 8, "{letters} envelopes for 200 texts");
    // The last half first: what is missing in between is not skipped over.
    let taken = net.read_mail(BOB, false, |n| n >= letters / 2);
    assert_eq!((taken, texts(&net, BOB, ADA).len()), (0, 0), "held back for what lies beside it");
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(200));
    assert_eq!(net.mail[BOB].len(), 0);
}

#[test]
fn what_is_lost_is_shown_as_a_gap_and_sent_again_on_the_straight_way() {
    let mut net = written(3, 200);
    net.run(Span::from_secs(120));
    net.mail[BOB].remove(0);
    net.read_mail(BOB, true, |_| true);
    assert!(texts(&net, BOB, ADA).len() < 200 && !texts(&net, BOB, ADA).is_empty());
    net.away[BOB] = false;
    net.run(Span::from_secs(1200));
    assert_eq!(texts(&net, BOB, ADA), expected(200));
    assert!(shown(&net, ADA).iter().all(|(_, state)| *state == MessageState::Delivered));
}

#[test]
fn what_came_both_ways_is_shown_once() {
    let mut net = written(4, 20);
    net.run(Span::from_secs(60));
    assert!(!net.mail[BOB].is_empty());
    net.away[BOB] = false;
    net.run(Span::from_secs(1200));
    assert_eq!(texts(&net, BOB, ADA), expected(20));
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(20));
    assert_eq!(net.mail[BOB].len(), 0, "what is worth nothing can go");
}

#[test]
fn a_crash_before_the_commit_takes_the_mail_again() {
    let mut net = written(5, 30);
    net.run(Span::from_secs(60));
    net.crash_next = Some(BOB);
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA).len(), 0);
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(30));
}

#[test]
fn what_lies_there_is_not_left_again_after_a_restart_but_before_it_ends() {
    let mut net = written(6, 5);
    net.run(Span::from_secs(60));
    let letters = net.mail[BOB].len();
    net.restart(ADA);
    net.run(Span::from_secs(600));
    assert_eq!(net.mail[BOB].len(), letters);
    net.mail[BOB].clear();
    net.run(Span::from_days(13));
    assert!(!net.mail[BOB].is_empty(), "its holders let it go after fourteen days");
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(5));
}

#[test]
fn stored_is_said_only_of_what_enough_peers_keep() {
    let mut net = written(7, 0);
    net.holders = (23, 40);
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_secs(20));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Queued);
    assert!(steps(&net, &id).contains(&(Step::Stored, 23)), "the trace says how many");
    net.holders = (24, 40);
    net.run(Span::from_secs(120));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
    assert_eq!(net.mail[BOB].len(), 1, "the same envelope, offered again");
}

/// Where nobody else is, whoever writes keeps it themselves: that is not stored, for it goes when they go.
#[test]
fn what_its_writer_alone_keeps_is_not_stored() {
    let mut net = written(13, 0);
    net.alone = true;
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_secs(600));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Queued);
    let steps_now = steps(&net, &id);
    let count = |of: Step| steps_now.iter().filter(|(step, _)| *step == of).count();
    assert_eq!((count(Step::Stored), count(Step::NotStored)), (0, 1), "{steps_now:?}");
    net.alone = false;
    net.run(Span::from_secs(1200));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
    assert_eq!(net.mail[BOB].len(), 1, "one envelope");
}

/// A letter that lies with its writer alone for so long ends, and no holder would take it.
#[test]
fn what_waits_for_longer_than_a_letter_lives_is_sealed_anew() {
    let mut net = written(15, 0);
    net.alone = true;
    net.say(ADA, "ada 0");
    net.run(Span::from_days(15));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Queued);
    let written = net.mail[BOB].len();
    assert!((1..=2).contains(&written), "once in thirteen days, not at every try: {written}");
    net.alone = false;
    net.run(Span::from_hours(2));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(1));
}

/// Bob has lost his device, and everything that waited for it, and comes back on another.
#[test]
fn what_waited_for_a_lost_device_waits_for_the_one_that_replaces_it() {
    let mut net = written(14, 3);
    net.run(Span::from_secs(60));
    assert!(shown(&net, ADA).iter().all(|(_, state)| *state == MessageState::Stored));
    let before = net.sides[ADA].store.outbox().unwrap();
    let found = restored(seed_of(BOB));
    assert_eq!(found.account(), net.account(BOB));
    let (list, reach) = (found.list().clone(), BTreeMap::new());
    let person = Acquaintance { standing: Standing::Accepted, list, reach };
    net.with(ADA, |talking, context| talking.set_person(context, person));
    let after = net.sides[ADA].store.outbox().unwrap();
    assert!(after.iter().all(|row| row.device == found.device() && row.mailed.is_none()));
    let ids = |rows: &[OutboxRow]| rows.iter().map(|row| row.message).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before), "all of it, in order");
    assert!(shown(&net, ADA).iter().all(|(_, state)| *state == MessageState::Queued), "nobody keeps it");
    let steps = steps(&net, &after[0].message);
    assert_eq!(steps.last().map(|(step, _)| *step), Some(Step::Dropped), "{steps:?}");
}

#[test]
fn every_letter_that_too_few_keep_is_offered_again() {
    let mut net = written(12, 0);
    net.holders = (10, 40);
    for n in 0..250 {
        net.say(ADA, &format!("ada {n}"));
    }
    net.run(Span::from_secs(20));
    let letters = net.mail[BOB].len();
    assert!(letters >= 4, "{letters}");
    assert!(shown(&net, ADA).iter().all(|(_, state)| *state == MessageState::Queued));
    net.holders = (40, 40);
    net.run(Span::from_secs(120));
    let open = shown(&net, ADA).iter().filter(|(_, state)| *state != MessageState::Stored).count();
    assert_eq!(open, 0, "each of them, not the first alone");
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(250));
}

#[test]
fn what_nobody_keeps_is_tried_again_ever_more_slowly() {
    let mut net = written(8, 0);
    net.holders = (0, 40);
    let id = net.say(ADA, "ada 0");
    net.run(Span::from_hours(2));
    assert!(steps(&net, &id).iter().any(|(step, _)| *step == Step::NotStored));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Queued);
    net.holders = (3, 3);
    net.run(Span::from_hours(2));
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
}

#[test]
fn what_cannot_be_opened_is_asked_for_again_in_a_new_session() {
    let mut net = written(9, 5);
    net.run(Span::from_secs(60));
    net.away[BOB] = true;
    net.lose_sessions(BOB);
    net.read_mail(BOB, true, |_| true);
    net.run(Span::from_secs(300));
    net.read_mail(ADA, true, |_| true);
    net.run(Span::from_secs(300));
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(5));
}

/// Bob's desk is away when he links a phone: what waits for the desk waits for the phone too.
#[test]
fn what_waits_for_a_device_waits_for_one_that_is_new_beside_it() {
    let mut net = written(71, 1);
    net.run(Span::from_secs(60));
    let mut store = MemoryStore::default();
    let account = net.account(BOB);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let phone = Candidate::create::<Vodozemac>(&mut store, account, net.now, &mut rng).unwrap();
    let seconds = net.now.seconds();
    let mut own = MemoryStore::default();
    assert!(net.sides[BOB].identity.link(&mut own, phone.request(), seconds).unwrap());
    let list = net.sides[BOB].identity.list().clone();
    let before = net.sides[ADA].talking.queued();
    let person = Acquaintance { standing: Standing::Accepted, list, reach: BTreeMap::new() };
    net.with(ADA, |talking, context| talking.set_person(context, person));
    assert_eq!(net.sides[ADA].talking.queued(), before + 1);
    let devices: Vec<_> = net.sides[ADA].store.outbox().unwrap().into_iter().map(|row| row.device).collect();
    assert!(devices.contains(&phone.request().body.device), "{devices:?}");
}
