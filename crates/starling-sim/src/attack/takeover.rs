//! Peers that begin with a table full of attackers (BYZ-05).

use starling_overlay::io::{Command, OpResult};
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::stage::Stage;
use super::{Interrupted, Tables};
use crate::overlays::OverlayIndex;

/// One of so many nodes begins so.
const NODES_PER_VICTIM: usize = 20;
/// Within this time they are to have recovered.
const RECOVERY: Span = Span::from_secs(600);
/// Records that are stored before and fetched by all of them.
const RECORDS: usize = 100;

pub(super) fn run(stage: &mut Stage<'_>, percent: usize) -> Result<(), Interrupted> {
    stage.plan.tables = Tables::Filled;
    let victims = (stage.plan.nodes / NODES_PER_VICTIM).max(5);
    let victims = stage.fill(victims, percent)?;
    let records = stored(stage)?;
    stage.turn(&[]);
    let before = hostile_share(stage, &victims);
    let at_once = fetch_all(stage, &victims, &records)?;
    let (trials, successes) = (stage.tally.trials, stage.tally.successes);
    debug_assert_eq!(trials, at_once);
    stage.tally.trials = 0;
    stage.tally.successes = 0;
    stage.net.run_for(RECOVERY);
    let after = hostile_share(stage, &victims);
    fetch_all(stage, &victims, &records)?;
    stage.tally.note("hostile_at_start_percent", percent as f64);
    stage.tally.note("success_at_once", successes as f64 / trials as f64);
    stage.tally.note("hostile_share_at_once", before);
    stage.tally.note("hostile_share_after", after);
    Ok(())
}

fn stored(stage: &mut Stage<'_>) -> Result<Vec<Record>, Interrupted> {
    let mut records = Vec::new();
    for number in 0..RECORDS as u64 {
        let record = stage.draft(RecordKind::Locator, number);
        records.push((stage.anybody(), record));
    }
    stage.store(&records)?;
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// How much of these tables is of those who have turned.
fn hostile_share(stage: &Stage<'_>, victims: &[OverlayIndex]) -> f64 {
    let (mut all, mut hostile) = (0_usize, 0_usize);
    for victim in victims {
        for peer in stage.net.member(*victim).overlay().known_peers() {
            let index = stage.net.index_of(&peer.key());
            all += 1;
            hostile += usize::from(index.is_some_and(|index| !stage.net.adversary.is_honest(index)));
        }
    }
    hostile as f64 / all.max(1) as f64
}

/// Each fetches records in turn, as often as is to be tried; gives how often that was.
fn fetch_all(
    stage: &mut Stage<'_>,
    victims: &[OverlayIndex],
    records: &[Record],
) -> Result<usize, Interrupted> {
    let pairs = records.iter().cycle().zip(victims.iter().cycle()).take(stage.plan.trials);
    let pairs: Vec<(Record, OverlayIndex)> =
        pairs.map(|(record, victim)| (record.clone(), *victim)).collect();
    let command = |record: &Record| Command::Fetch { key: record.body().key, kind: record.body().kind };
    let commands = pairs.iter().map(|(record, victim)| (*victim, command(record))).collect();
    for (result, (record, _)) in stage.perform(commands, "finding")?.into_iter().zip(&pairs) {
        let Some(OpResult::Fetched { records, requests, .. }) = result else { panic!("{result:?}") };
        stage.tally.tried(records.contains(record), requests);
    }
    Ok(pairs.len())
}
