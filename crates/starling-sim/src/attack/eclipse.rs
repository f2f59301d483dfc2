//! Identities ground onto the places of a few peers surround them.

use starling_overlay::io::{Command, OpResult};
use starling_proto::ids::NodeId;
use starling_proto::record::{Record, RecordKind};

use super::Interrupted;
use super::stage::Stage;
use crate::adversary::Conduct;
use crate::overlays::OverlayIndex;

/// One of so many nodes is surrounded.
const NODES_PER_VICTIM: usize = 200;
/// Most of them.
const VICTIMS: usize = 20;
/// Records that are stored before.
const RECORDS: usize = 100;
/// Peers that a lookup wants.
const WIDTH: usize = 20;

pub(super) fn run(stage: &mut Stage<'_>) -> Result<(), Interrupted> {
    stage.build()?;
    let count = (stage.plan.nodes / NODES_PER_VICTIM).clamp(1, VICTIMS);
    let victims: Vec<OverlayIndex> = (0..count).map(|_| stage.anybody()).collect();
    let mut records = Vec::new();
    for number in 0..RECORDS as u64 {
        let record = stage.draft(RecordKind::Locator, number);
        records.push((stage.anybody(), record));
    }
    stage.store(&records)?;
    let places: Vec<NodeId> =
        victims.iter().map(|victim| stage.net.member(*victim).key().node_id()).collect();
    let gangs = stage.move_in(&places)?.concat();
    stage.conspire(Conduct::Colluding, &gangs, &[]);
    let records: Vec<Record> = records.into_iter().map(|(_, record)| record).collect();
    let own = finds(stage, &victims, &records)?;
    let found = is_found(stage, &victims)?;
    stage.tally.note("victims", count as f64);
    stage.tally.note("finds_records", own);
    stage.tally.note("is_found", found);
    Ok(())
}

/// The surrounded fetch records; the share that they find.
fn finds(stage: &mut Stage<'_>, victims: &[OverlayIndex], records: &[Record]) -> Result<f64, Interrupted> {
    let pairs = records.iter().cycle().zip(victims.iter().cycle()).take(stage.plan.trials / 2);
    let pairs: Vec<(Record, OverlayIndex)> =
        pairs.map(|(record, victim)| (record.clone(), *victim)).collect();
    let command = |record: &Record| Command::Fetch { key: record.body().key, kind: record.body().kind };
    let commands = pairs.iter().map(|(record, victim)| (*victim, command(record))).collect();
    let before = stage.tally.successes;
    for (result, (record, _)) in stage.perform(commands, "finding")?.into_iter().zip(&pairs) {
        let Some(OpResult::Fetched { records, requests, .. }) = result else { panic!("{result:?}") };
        stage.tally.tried(records.contains(record), requests);
    }
    Ok((stage.tally.successes - before) as f64 / pairs.len().max(1) as f64)
}

/// Others look them up; the share that is found.
fn is_found(stage: &mut Stage<'_>, victims: &[OverlayIndex]) -> Result<f64, Interrupted> {
    let wanted: Vec<OverlayIndex> = victims.iter().copied().cycle().take(stage.plan.trials / 2).collect();
    let mut commands = Vec::new();
    for victim in &wanted {
        let target = stage.net.member(*victim).key().node_id();
        let mut asker = stage.anybody();
        while asker == *victim {
            asker = stage.anybody();
        }
        commands.push((asker, Command::Lookup { target, width: WIDTH }));
    }
    let before = stage.tally.successes;
    for (result, victim) in stage.perform(commands, "looking up")?.into_iter().zip(&wanted) {
        let Some(OpResult::Found { peers, requests }) = result else { panic!("{result:?}") };
        let key = stage.net.member(*victim).key();
        stage.tally.tried(peers.iter().any(|peer| peer.key() == key), requests);
    }
    Ok((stage.tally.successes - before) as f64 / wanted.len().max(1) as f64)
}
