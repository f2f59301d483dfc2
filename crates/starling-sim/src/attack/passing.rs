//! Records are stored and fetched through go-betweens, or straight, and what that costs the asker and the network.

use starling_overlay::io::{Command, Favour, OpId, OpResult};
use starling_proto::frame::FrameKind;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::Interrupted;
use super::stage::Stage;
use crate::overlays::OverlayIndex;
use crate::traffic::Traffic;

/// Wishes under way at one moment.
const BATCH: usize = 100;
/// A wish that takes longer has failed: three go-betweens that are silent, and two for each check, take 147 s.
const PATIENCE: Span = Span::from_secs(200);
/// How often a record is placed again that too few are known to keep, as its publisher does.
const AGAIN: usize = 3;
/// The first pause before that; doubles.
const PAUSE: Span = Span::from_secs(20);
/// How long the network is watched with nothing being wished, for what it sends by itself.
const QUIET: Span = Span::from_secs(60);
/// Of a hundred that should keep a record so many are enough.
const ENOUGH_PERCENT: usize = 60;

/// What some wishes have cost.
#[derive(Debug, Default)]
struct Cost {
    wishes: usize,
    /// Requests that the askers have made themselves.
    own: u64,
    /// What all have sent for them.
    network: Traffic,
    /// Bytes of what the askers have sent and received themselves.
    own_bytes: u64,
    /// How long all batches took together, in milliseconds.
    spent_ms: u64,
    took: Vec<Span>,
}

/// What a network sends by itself in a second.
#[derive(Debug, Clone, Copy)]
struct Background {
    requests: f64,
    bytes: f64,
}

pub(super) fn run(stage: &mut Stage<'_>, through: bool) -> Result<(), Interrupted> {
    stage.build()?;
    stage.turn(&[]);
    let before = stage.net.traffic_of_all();
    stage.net.run_for(QUIET);
    let quiet = stage.net.traffic_of_all() - before;
    let (seconds, sent) = (QUIET.as_secs() as f64, quiet.bytes_sent + quiet.bytes_received);
    let background = Background { requests: quiet.requests as f64 / seconds, bytes: sent as f64 / seconds };
    let trials = stage.plan.trials;
    let records: Vec<(OverlayIndex, Record)> =
        (0..trials).map(|n| (stage.anybody(), stage.draft(RecordKind::Locator, n as u64))).collect();
    let (first, placed) = store(stage, &records, (through, background))?;
    find(stage, &records, (through, background))?;
    stage.tally.note("placed_at_once_percent", percent(first, trials));
    stage.tally.note("placed_percent", percent(placed, trials));
    let kept = |record: &Record| stage.copies(record) > 0;
    let nowhere = records.iter().filter(|(_, record)| !kept(record)).count();
    stage.tally.note("stored_nowhere", nowhere as f64);
    Ok(())
}

/// Places all, and again what too few are known to keep. Gives how many were placed at once, and in the end.
fn store(
    stage: &mut Stage<'_>,
    records: &[(OverlayIndex, Record)],
    (through, background): (bool, Background),
) -> Result<(usize, usize), Interrupted> {
    let (mut left, mut first, mut pause) = (records.to_vec(), None, PAUSE);
    for again in 0..=AGAIN {
        let commands = left.iter().map(|(by, record)| (*by, to_store(record, through))).collect();
        let mut cost = Cost::default();
        let results = perform(stage, commands, "storing", &mut cost)?;
        if again == 0 {
            cost.note(stage, "store", background);
        }
        let lacks = results.into_iter().zip(left).filter(|(result, _)| !is_placed(result.as_ref()));
        left = lacks.map(|(_, record)| record).collect();
        first.get_or_insert(records.len() - left.len());
        if left.is_empty() {
            break;
        }
        stage.net.run_for(pause);
        pause = pause.times(2);
    }
    Ok((first.unwrap_or(0), records.len() - left.len()))
}

fn find(
    stage: &mut Stage<'_>,
    records: &[(OverlayIndex, Record)],
    (through, background): (bool, Background),
) -> Result<(), Interrupted> {
    let commands = records.iter().map(|(_, record)| (stage.anybody(), to_fetch(record, through))).collect();
    let mut cost = Cost::default();
    let results = perform(stage, commands, "finding", &mut cost)?;
    for (result, (_, record)) in results.into_iter().zip(records) {
        let success = matches!(&result, Some(OpResult::Fetched { records, .. }) if records.contains(record));
        stage.tally.tried(success, result.as_ref().map_or(0, requests_of));
    }
    cost.note(stage, "fetch", background);
    Ok(())
}

/// Carries these out, some at a time, and notes what they cost.
fn perform(
    stage: &mut Stage<'_>,
    commands: Vec<(OverlayIndex, Command)>,
    doing: &'static str,
    cost: &mut Cost,
) -> Result<Vec<Option<OpResult>>, Interrupted> {
    let all = commands.len();
    let mut results = Vec::with_capacity(all);
    let mut commands = commands.into_iter();
    loop {
        stage.told(doing, results.len(), all)?;
        let began = stage.net.now().tick;
        let before = stage.net.traffic_of_all();
        let passed_before = stage.net.traffic(FrameKind::PassOn);
        let batch: Vec<OpId> =
            commands.by_ref().take(BATCH).map(|(who, command)| stage.net.command(who, command)).collect();
        if batch.is_empty() {
            return Ok(results);
        }
        stage.net.settle(PATIENCE);
        let sent = stage.net.traffic_of_all() - before;
        cost.network = cost.network + sent;
        let passed = stage.net.traffic(FrameKind::PassOn) - passed_before;
        cost.own_bytes += passed.bytes_sent + passed.bytes_received;
        for op in batch {
            cost.wishes += 1;
            let ended = stage.net.ended(op).unwrap_or_else(|| stage.net.now().tick);
            cost.took.push(ended.since(began));
            let result = stage.net.take_result(op);
            cost.own += u64::from(result.as_ref().map_or(0, requests_of));
            results.push(result);
        }
        cost.spent_ms += stage.net.now().tick.since(began).as_ms();
    }
}

impl Cost {
    fn note(&mut self, stage: &mut Stage<'_>, what: &'static str, background: Background) {
        let seconds = self.spent_ms as f64 / 1000.0;
        let each = |sum: f64| sum / self.wishes.max(1) as f64;
        self.took.sort_unstable();
        let at = |percent: usize| {
            let place = self.took.len().saturating_sub(1) * percent / 100;
            self.took.get(place).map_or(0.0, |span| span.as_ms() as f64 / 1000.0)
        };
        let network = self.network.requests as f64 - background.requests * seconds;
        let sent = self.network.bytes_sent + self.network.bytes_received;
        let bytes = sent as f64 - background.bytes * seconds;
        let names = match what {
            "store" => [
                "store_asker_requests_mean",
                "store_asker_bytes_mean",
                "store_network_requests_mean",
                "store_network_bytes_mean",
                "store_median_s",
                "store_p95_s",
            ],
            _ => [
                "fetch_asker_requests_mean",
                "fetch_asker_bytes_mean",
                "fetch_network_requests_mean",
                "fetch_network_bytes_mean",
                "fetch_median_s",
                "fetch_p95_s",
            ],
        };
        // Who asks straight sends all of it.
        let own_bytes = if self.own_bytes > 0 { self.own_bytes as f64 } else { bytes };
        let values = [each(self.own as f64), each(own_bytes), each(network), each(bytes), at(50), at(95)];
        names.into_iter().zip(values).for_each(|(name, value)| stage.tally.note(name, value));
    }
}

fn to_store(record: &Record, through: bool) -> Command {
    let record = record.clone();
    if through { pass(Favour::Store(record)) } else { Command::Store(record) }
}

fn to_fetch(record: &Record, through: bool) -> Command {
    let (key, kind) = (record.body().key, record.body().kind);
    if through { pass(Favour::Fetch { key, kind }) } else { Command::Fetch { key, kind } }
}

const fn pass(favour: Favour) -> Command {
    Command::PassOn { favour, avoid: Vec::new() }
}

/// Whether enough are known to keep it, as its publisher counts.
fn is_placed(result: Option<&OpResult>) -> bool {
    matches!(result, Some(OpResult::Stored(placement))
        if placement.count() > 0 && placement.count() * 100 >= placement.wanted * ENOUGH_PERCENT)
}

const fn requests_of(result: &OpResult) -> u32 {
    match result {
        OpResult::Stored(placement) => placement.requests,
        OpResult::Fetched { requests, .. } => *requests,
        _ => 0,
    }
}

fn percent(part: usize, all: usize) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}
