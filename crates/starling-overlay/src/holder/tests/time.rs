//! Nothing is destroyed on the word of our own clock.

use crate::holder::limits;
use crate::holder::testing::{DAY, Desk, Maker, START};

#[test]
fn clk_02_a_year_ahead_destroys_nothing_until_peers_agree() {
    let mut desk = Desk::new();
    desk.put(&Maker::directory(1));
    assert_eq!(desk.sweep(true), 0);
    desk.set_wall(START + 365 * DAY);
    assert_eq!(desk.sweep(false), 0);
    desk.set_wall(START);
    assert_eq!(desk.sweep(false), 0);
    desk.set_wall(START + 365 * DAY);
    assert_eq!(desk.sweep(true), 1, "peers say that a year has gone by");
}

#[test]
fn clk_02_an_hour_back_is_harmless() {
    let mut desk = Desk::new();
    desk.sweep(true);
    desk.put(&Maker::directory(1));
    desk.set_wall(START - 3600);
    assert_eq!(desk.sweep(false), 0);
    desk.put(&Maker::directory(2));
    assert_eq!(desk.ids().len(), 2);
}

#[test]
fn after_a_restart_peers_have_to_agree_again() {
    let mut desk = Desk::new();
    desk.put(&Maker::directory(1));
    desk.sweep(true);
    desk.pass(20 * DAY);
    desk.restart();
    assert_eq!(desk.sweep(false), 0);
    assert_eq!(desk.sweep(true), 1);
}

#[test]
fn a_whole_life_of_running_time_is_enough_without_peers() {
    let mut desk = Desk::new();
    desk.put(&Maker::directory(1));
    desk.pass(10 * DAY - 1);
    assert_eq!(desk.sweep(false), 0);
    desk.pass(1);
    desk.set_wall(START - DAY);
    assert_eq!(desk.sweep(false), 1);
}

#[test]
fn one_sweep_is_bounded() {
    let mut desk = Desk::new();
    let many = u64::try_from(limits::SWEEP).unwrap() + 10;
    for n in 0..many {
        desk.put(&Maker::locator(n));
    }
    desk.pass(10 * DAY);
    let first = desk.holder.sweep(desk.now, &mut desk.store, true).unwrap();
    assert_eq!((first.removed, first.more), (limits::SWEEP, true));
    let second = desk.holder.sweep(desk.now, &mut desk.store, true).unwrap();
    assert_eq!((second.removed, second.more), (10, false));
}
