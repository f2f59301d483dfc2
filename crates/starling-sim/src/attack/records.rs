//! Records are stored and fetched, or entries published and searched.

use starling_overlay::io::{Command, OpResult};
use starling_overlay::storage::RecordStore as _;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, RecordKey};
use starling_proto::limits;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::stage::Stage;
use super::{Interrupted, Task};
use crate::adversary::Conduct;
use crate::faults::churn::Coming;
use crate::overlays::OverlayIndex;

/// Places that are attacked at once: one for each hundred nodes, so that those who attack one are few for the others.
const NODES_PER_PLACE: usize = 100;
/// Most places: beyond these they tell nothing new.
const PLACES: usize = 20;
/// Kinds that are stored at each place that is attacked: each is placed and found by itself.
const KINDS: [RecordKind; 4] =
    [RecordKind::Account, RecordKind::Bundle, RecordKind::Directory, RecordKind::Locator];
/// Records stored before any is fetched.
const ROUND: usize = 500;
/// The same where nodes come and go.
const CHURN_ROUND: usize = 100;
/// How long after its storing a record is fetched where nodes come and go.
const APART: Span = Span::from_secs(30 * 60);
/// Holders that the owner of a mailbox looks for.
const HOLDERS: usize = limits::K;
/// The word under which entries are published.
const WORD: &str = "alice";

/// A record, and how often it is tried to find it.
struct Target {
    record: Record,
    by: OverlayIndex,
    tries: usize,
}

pub(super) fn run(stage: &mut Stage<'_>) -> Result<(), Interrupted> {
    stage.build()?;
    if stage.scenario.ground.is_some() { attacked(stage) } else { anywhere(stage) }
}

/// Every try has a record and a place of its own.
fn anywhere(stage: &mut Stage<'_>) -> Result<(), Interrupted> {
    stage.turn(&[]);
    stage.come_and_go()?;
    let round = match stage.scenario.coming {
        // Who vanishes must do so between all stores and all fetches.
        Coming::Steady if stage.scenario.vanish > 0 => stage.plan.trials,
        Coming::Steady => ROUND,
        // In small rounds: each meets another network.
        _ => CHURN_ROUND,
    };
    let mut left = stage.plan.trials;
    while left > 0 {
        let count = left.min(round);
        left -= count;
        let targets = (0..count).map(|number| {
            let (key, by) = (stage.anywhere(), stage.anybody());
            target(stage, (key, by), RecordKind::Locator, (number, 1))
        });
        let targets = targets.collect();
        find(stage, targets)?;
    }
    stage.note_presence();
    Ok(())
}

/// Some places are attacked by identities made for them; at each, some records are tried from many nodes.
fn attacked(stage: &mut Stage<'_>) -> Result<(), Interrupted> {
    let places = (stage.plan.nodes / NODES_PER_PLACE).clamp(1, PLACES);
    let keys: Vec<RecordKey> = (0..places).map(|_| stage.anywhere()).collect();
    let prey: Vec<NodeId> = keys.iter().map(RecordKey::as_node_id).collect();
    let gangs = stage.move_in(&prey)?;
    stage.settle()?;
    // Each gang attacks its own place, and is honest elsewhere; those who collude help all of them.
    stage.turn(&gangs.concat());
    let crowd = stage.crowd.clone();
    let frozen = stage.scenario.task == Task::FetchNewest;
    let conduct = if frozen { Conduct::Freezing } else { Conduct::Colluding };
    for (gang, place) in gangs.iter().zip(&prey) {
        let gang = stage.conspire(conduct, gang, &crowd);
        stage.net.adversary.aim(gang, *place);
    }
    stage.tally.note("keys", places as f64);
    stage.come_and_go()?;
    let tries = stage.plan.trials.div_ceil(places * KINDS.len());
    let mut targets = Vec::new();
    for key in keys {
        for kind in KINDS {
            let by = stage.anybody();
            targets.push(target(stage, (key, by), kind, (targets.len(), tries)));
        }
    }
    find(stage, targets)?;
    stage.note_presence();
    Ok(())
}

/// What is to be found: of one kind, but for searches, which find entries of the directory only.
fn target(
    stage: &mut Stage<'_>,
    (key, by): (RecordKey, OverlayIndex),
    kind: RecordKind,
    (number, tries): (usize, usize),
) -> Target {
    let search = stage.scenario.task == Task::Search;
    let kind = if search { RecordKind::Directory } else { kind };
    let record = stage.draft_at(key, kind, (1, &format!("{WORD} n{number}x")));
    Target { record, by, tries }
}

/// Stores all, and tries to find each.
fn find(stage: &mut Stage<'_>, mut targets: Vec<Target>) -> Result<(), Interrupted> {
    let stored = |targets: &[Target]| -> Vec<(OverlayIndex, Record)> {
        targets.iter().map(|target| (target.by, target.record.clone())).collect()
    };
    let mut placed = stage.try_store(&stored(&targets))?.into_iter();
    targets.retain(|_| placed.next().flatten().is_some());
    if stage.scenario.task == Task::FetchNewest {
        for target in &mut targets {
            target.record = newer(&target.record);
        }
        stage.store(&stored(&targets))?;
    }
    stage.vanish(stage.scenario.vanish);
    stage.let_them_come_and_go(APART, "waiting")?;
    let mut commands = Vec::new();
    let mut wanted = Vec::new();
    for target in &targets {
        for _ in 0..target.tries {
            commands.push((stage.anybody(), command(stage.scenario.task, &target.record)));
            wanted.push(&target.record);
        }
    }
    for (result, wanted) in stage.perform(commands, "finding")?.into_iter().zip(wanted) {
        let (success, requests) = match result {
            Some(
                OpResult::Fetched { records, requests, .. } | OpResult::Matched { records, requests, .. },
            ) => (records.contains(wanted), requests),
            Some(OpResult::Found { peers, requests }) => {
                // Each of those found is then asked what it has.
                let asked = u32::try_from(peers.len()).unwrap_or(u32::MAX);
                (peers.iter().any(|peer| keeps(stage, peer, wanted)), requests.saturating_add(asked))
            }
            // Whoever wanted it has gone in the middle of it.
            None if stage.scenario.coming != Coming::Steady => continue,
            other => panic!("nothing was fetched: {other:?}"),
        };
        stage.tally.tried(success, requests);
    }
    Ok(())
}

/// Whether a peer has a record and would show it.
fn keeps(stage: &Stage<'_>, peer: &Peer, record: &Record) -> bool {
    let place = record.body().key.as_node_id();
    let Some(index) = stage.net.index_of(&peer.key()) else { return false };
    let held = stage.net.member(index).disk().read_record(&record.id());
    !stage.net.adversary.attacks(index, &place) && held.is_ok_and(|held| held.is_some())
}

fn command(task: Task, record: &Record) -> Command {
    let body = record.body();
    match task {
        Task::Search => {
            let text = String::from_utf8_lossy(&body.payload);
            let words = text.split_whitespace().map(str::to_owned).collect();
            Command::Query { key: body.key, words }
        }
        Task::Collect => Command::Lookup { target: body.key.as_node_id(), width: HOLDERS },
        _ => Command::Fetch { key: body.key, kind: body.kind },
    }
}

/// The second version of a record.
fn newer(record: &Record) -> Record {
    let body = record.body().clone();
    let draft = crate::overlays::Draft {
        key: body.key,
        kind: body.kind,
        publisher: body.publisher,
        sequence: body.sequence + 1,
        payload: body.payload,
    };
    draft.seal(body.issued)
}
