//! Random operations against a naive model: what holds after every step, whatever came before.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use starling_proto::ids::RecordId;
use starling_proto::message::{Operation, StoreOutcome};
use starling_proto::record::RecordKind;
use starling_proto::time::{Span, Tick};

use crate::holder::limits;
use crate::holder::testing::{DAY, Desk, Maker, START};
use crate::storage::{HeldRecord, RecordStore as _};

/// Pools of 32 of the smallest records: small enough that every bound but the directory's is met.
const DISK: u64 = 64 * limits::LEAST_CHARGE;

#[derive(Debug, Clone)]
enum Step {
    Put { maker: Maker, from: u16 },
    Delete { at: u64, mail: Vec<u64> },
    Pass { secs: u64, trusted: bool },
    Jump { secs: u64 },
    Restart,
}

fn maker() -> impl Strategy<Value = Maker> {
    let life = (0u64..20).prop_map(|days| days * DAY);
    let kind = prop_oneof![
        (0u64..6).prop_map(Maker::directory),
        (0u64..60).prop_map(Maker::locator),
        (0u64..4, 0u64..8).prop_map(|(at, text)| Maker::mail(at, text)),
        (0u64..2, 0u64..60, 10u8..16).prop_map(|(at, from, bits)| Maker::request(at, from, bits)),
    ];
    (kind, 0u64..5, life, 0u8..10).prop_map(|(mut maker, sequence, life, odd)| {
        if maker.body.kind != RecordKind::Deposit {
            maker = maker.sequence(sequence).dated(START, START + life);
        }
        match odd {
            0 => maker.bad(),
            1 => maker.tombstone(),
            2 => maker.sized(900),
            _ => maker,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (maker(), 0u16..4).prop_map(|(maker, from)| Step::Put { maker, from }),
        3 => (0u64..4, prop::collection::vec(0u64..8, 0..4)).prop_map(|(at, mail)| Step::Delete { at, mail }),
        3 => (0u64..400_000, any::<bool>()).prop_map(|(secs, trusted)| Step::Pass { secs, trusted }),
        1 => (0u64..100_000_000).prop_map(|secs| Step::Jump { secs }),
        1 => Just(Step::Restart),
    ]
}

/// What a reader of the protocol would remember.
#[derive(Debug, Default)]
struct Model {
    accepted: BTreeSet<RecordId>,
    /// When each was deleted.
    deleted: BTreeMap<RecordId, u64>,
}

impl Model {
    fn put(&mut self, desk: &mut Desk, maker: &Maker, from: u16) {
        let record = maker.make();
        let (id, body) = (record.id(), record.body());
        let before = desk.ids();
        let held = before.contains(&id);
        let rows = desk.store.held_records().unwrap();
        let outcome = desk.put_from(maker, from);
        if outcome != StoreOutcome::Stored {
            assert_eq!(desk.ids(), before, "{outcome:?} changed something");
            return;
        }
        assert!(maker.good || held, "accepted what is invalid");
        assert!(!self.deleted.contains_key(&id), "accepted what its owner had deleted");
        assert!(desk.ids().contains(&id));
        self.accepted.insert(id);
        if body.kind != RecordKind::Deposit {
            let same = |row: &&HeldRecord| {
                (row.key, row.kind, row.publisher) == (body.key, body.kind, body.publisher)
            };
            let old = rows.iter().find(same);
            let newer = old.is_none_or(|old| old.id == id || old.sequence < body.sequence);
            assert!(newer, "an older sequence replaced a newer");
        }
    }

    fn delete(&mut self, desk: &mut Desk, at: u64, mail: &[u64]) {
        let ids: Vec<RecordId> = mail.iter().map(|text| Maker::mail(at, *text).make().id()).collect();
        desk.owner(5, at, Operation::Delete(ids.clone()));
        let now = desk.now.seconds().get();
        self.deleted.extend(ids.into_iter().map(|id| (id, now)));
    }

    fn sweep(&mut self, desk: &mut Desk, trusted: bool) {
        let (now, watched) = (desk.now.seconds(), desk.now.tick.since(Tick::ZERO));
        let before = desk.store.held_records().unwrap();
        desk.sweep(trusted);
        let after = desk.ids();
        for row in &before {
            let due = now >= row.keep_until;
            let life = row.keep_until.since(row.received);
            if after.contains(&row.id) {
                assert!(!trusted || !due, "kept beyond its time");
            } else {
                assert!(due || watched >= life, "destroyed before its time");
            }
        }
        // Fifteen days after a deletion its deposit has ended everywhere.
        self.deleted.retain(|_, at| now.get() < *at + 15 * DAY && watched < Span::from_days(15));
    }

    fn holds(&self, desk: &Desk) {
        let rows = desk.store.held_records().unwrap();
        let index: Vec<HeldRecord> = desk.holder.index.rows().map(|entry| entry.held.clone()).collect();
        assert_eq!(index, rows, "index and disk differ");
        let mut reloaded = Desk::with_disk(DISK);
        reloaded.store = desk.store.clone();
        reloaded.restart();
        assert_eq!(reloaded.holder.usage(), desk.holder.usage());
        let mut places = BTreeSet::new();
        for row in &rows {
            assert!(self.accepted.contains(&row.id), "nobody gave us this");
            assert!(!self.deleted.contains_key(&row.id), "resurrected");
            assert!(row.expires <= row.keep_until && row.received < row.expires);
            let one = row.kind == RecordKind::Deposit || places.insert((row.key, row.kind, row.publisher));
            assert!(one, "two versions");
        }
        self.quotas(&rows);
    }

    fn quotas(&self, rows: &[HeldRecord]) {
        let sum = |select: &dyn Fn(&HeldRecord) -> bool| -> u64 {
            rows.iter().filter(|row| select(row)).map(|row| u64::from(row.size).max(2048)).sum()
        };
        assert!(sum(&|row| row.welcome) <= DISK / 2);
        assert!(sum(&|row| !row.welcome) <= DISK / 2);
        for row in rows {
            let requests = |other: &&HeldRecord| other.key == row.key && !other.welcome;
            assert!(row.kind != RecordKind::Deposit || rows.iter().filter(requests).count() <= 32);
            assert!(sum(&|other| other.publisher == row.publisher) <= 256 * 1024);
            assert!(sum(&|other| other.welcome && other.key == row.key) <= DISK / 16);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_the_rules_hold(steps in prop::collection::vec(step(), 1..150)) {
        let mut desk = Desk::with_disk(DISK);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Put { maker, from } => model.put(&mut desk, &maker, from),
                Step::Delete { at, mail } => model.delete(&mut desk, at, &mail),
                Step::Pass { secs, trusted } => {
                    desk.pass(secs);
                    model.sweep(&mut desk, trusted);
                }
                Step::Jump { secs } => desk.set_wall(START + secs),
                Step::Restart => desk.restart(),
            }
            model.holds(&desk);
        }
    }
}
