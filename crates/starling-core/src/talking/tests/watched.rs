//! Holders of letters that are asked whether they keep them.

use starling_overlay::sampling::Shown;
use starling_proto::time::Span;

use super::mail::{expected, steps, written};
use super::net::{ADA, BOB, Net};
use super::{shown, texts};
use crate::storage::{MessageState, OutboxStore as _};
use crate::talking::trace::Step;

/// What the user sees.
fn holders(net: &Net) -> Option<u32> {
    let outbox = net.sides[ADA].store.outbox().unwrap();
    outbox.first().unwrap().mailed.map(|mailed| mailed.holders)
}

/// Bob is away, and a text for him lies with forty peers.
fn stored(seed: u64) -> Net {
    let mut net = written(seed, 1);
    net.run(Span::from_secs(60));
    assert_eq!((shown(&net, ADA)[0].1, holders(&net)), (MessageState::Stored, Some(40)));
    net
}

#[test]
fn honest_holders_cost_eight_requests_after_an_hour_and_then_daily() {
    let mut net = stored(20);
    net.run(Span::from_secs(40 * 60));
    assert_eq!(net.asked, 0);
    net.run(Span::from_secs(40 * 60));
    assert_eq!(net.asked, 8);
    net.run(Span::from_days(12));
    // A day is 18 to 30 hours.
    assert!((8 * 10..=8 * 14).contains(&net.asked), "{}", net.asked);
    assert_eq!((net.mail[BOB].len(), holders(&net)), (1, Some(40)), "nothing was left anew");
    net.read_mail(BOB, true, |_| true);
    net.run(Span::from_secs(600));
    net.read_mail(ADA, true, |_| true);
    let asked = net.asked;
    net.run(Span::from_days(3));
    assert_eq!(net.asked, asked, "nobody waits for it any more");
}

#[test]
fn holders_that_fail_count_no_more_and_too_few_mean_that_it_is_left_anew() {
    let mut net = stored(21);
    let id = net.sides[ADA].store.outbox().unwrap()[0].message;
    let told = net.sides[ADA].notices.len();
    // Three in four keep it: that is fewer than was said, and enough.
    net.shows = |n| if n % 4 == 0 { Shown::Nothing } else { Shown::Kept };
    net.run(Span::from_secs(80 * 60));
    let fewer = holders(&net).unwrap();
    assert!((24..40).contains(&fewer), "{fewer}");
    assert!(net.sides[ADA].notices.len() > told, "the faces are told");
    assert_eq!(net.mail[BOB].len(), 1);
    net.mail[BOB].clear();
    net.shows = |_| Shown::Nothing;
    for _ in 0..31 {
        net.run(Span::from_hours(1));
        if !net.mail[BOB].is_empty() {
            net.shows = |_| Shown::Kept;
        }
    }
    assert_eq!((net.mail[BOB].len(), holders(&net)), (1, Some(40)), "sealed afresh, under the same ids");
    assert_eq!(shown(&net, ADA)[0].1, MessageState::Stored);
    let of_mail = |step: &Step| *step != Step::NotReached;
    let steps: Vec<Step> = steps(&net, &id).into_iter().map(|(step, _)| step).filter(of_mail).collect();
    assert!(steps.ends_with(&[Step::Stored, Step::Lost, Step::Stored]), "{steps:?}");
    net.read_mail(BOB, true, |_| true);
    assert_eq!(texts(&net, BOB, ADA), expected(1));
}

/// Bob has taken it and is gone before his receipt is anywhere.
#[test]
fn what_was_taken_is_left_anew_a_few_times_and_not_for_ever() {
    let mut net = stored(22);
    net.mail[BOB].clear();
    net.shows = |_| Shown::Deleted;
    net.run(Span::from_hours(16));
    assert_eq!((net.asked, net.mail[BOB].len()), (8, 0), "its holders are believed for a day");
    net.run(Span::from_days(2));
    assert!((1..=2).contains(&net.mail[BOB].len()), "and no longer: {}", net.mail[BOB].len());
    net.run(Span::from_days(27));
    let copies = net.mail[BOB].len();
    assert!((2..=8).contains(&copies), "{copies}");
}

/// Every holder drops whatever it is given, for as long as the text waits.
#[test]
fn what_nobody_keeps_is_left_anew_ever_more_seldom() {
    let mut net = stored(23);
    net.shows = |_| Shown::Nothing;
    net.run(Span::from_days(29));
    let copies = net.mail[BOB].len();
    assert!((6..=14).contains(&copies), "{copies}");
}

#[test]
fn who_is_cut_off_leaves_nothing_anew() {
    let mut net = stored(24);
    net.cut_off = true;
    net.shows = |_| Shown::Nothing;
    net.run(Span::from_hours(10));
    assert_eq!((net.mail[BOB].len(), holders(&net)), (1, Some(40)));
    net.cut_off = false;
    net.run(Span::from_hours(2));
    assert_eq!(net.mail[BOB].len(), 2);
}

/// Nobody remembers after a restart who keeps a letter: it is left anew after a day, and watched from then on.
#[test]
fn what_lay_there_before_a_restart_is_left_anew_after_a_day() {
    let mut net = stored(25);
    net.restart(ADA);
    net.run(Span::from_hours(22));
    assert_eq!((net.asked, net.mail[BOB].len()), (0, 1));
    net.run(Span::from_hours(5));
    assert_eq!((net.asked, net.mail[BOB].len()), (8, 2));
    net.run(Span::from_days(3));
    assert_eq!(net.mail[BOB].len(), 2, "once: its holders keep it");
}
