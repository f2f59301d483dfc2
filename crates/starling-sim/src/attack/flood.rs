//! One word, or one region of the network, is flooded with records that are in order (BYZ-13, SPM-06).

use starling_overlay::io::{Command, OpResult};
use starling_proto::ids::{NodeId, RecordKey};
use starling_proto::limits;
use starling_proto::message::Request;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::Span;

use super::Interrupted;
use super::stage::Stage;
use crate::overlays::OverlayIndex;

/// Holders that are flooded: the closest.
const HOLDERS: usize = limits::K;
/// Entries of honest people under the word, and records of honest people in the region.
const HONEST: usize = 40;
/// Entries of the flood. The catalogue says 100,000; a key takes 4,096, so that 4,600 show what happens beyond.
const ENTRIES: usize = 4_600;
/// Most searches: each has twenty holders compare a thousand entries.
const SEARCHES: usize = 200;
/// Records of the flood of a region, of the largest size.
const LARGE: usize = 1_500;
/// Bytes of disk of each holder in a flooded region, in place of 256 MiB: two hundred of the largest records.
const DISK: u64 = 8 << 20;
/// Records sent to every holder in one virtual second.
const RATE: usize = 250;
/// The word.
const WORD: &str = "alice";

/// A word that `sources` publish under.
pub(super) fn crowd(stage: &mut Stage<'_>, sources: usize) -> Result<(), Interrupted> {
    stage.build()?;
    let key = RecordKey::for_token(WORD);
    let honest = publish(stage, |stage, number| {
        stage.draft_at(key, RecordKind::Directory, (1, &format!("{WORD} n{number}x")))
    })?;
    let sources = newcomers(stage, sources);
    flood(stage, (&sources, key, ENTRIES), |stage, number| {
        stage.draft_at(key, RecordKind::Directory, (1, &format!("{WORD} buy{number}")))
    })?;
    let mut commands = Vec::new();
    let mut wanted = Vec::new();
    for number in 0..stage.plan.trials.min(SEARCHES) {
        let words = vec![WORD.to_owned(), format!("n{}x", number % HONEST)];
        commands.push((stage.anybody(), Command::Query { key, words }));
        wanted.extend(honest.get(number % HONEST));
    }
    for (result, wanted) in stage.perform(commands, "searching")?.into_iter().zip(wanted) {
        let Some(OpResult::Matched { records, requests, .. }) = result else { panic!("{result:?}") };
        stage.tally.tried(records.contains(wanted), requests);
    }
    by_one_word(stage, key, &honest)?;
    stage.tally.note("entries", ENTRIES as f64);
    stage.tally.note("sources", sources.len() as f64);
    stage.tally.note("holders_flooded", HOLDERS as f64);
    Ok(())
}

/// Searches by the word alone: how many of the honest are shown, and whether it is said that there are more.
fn by_one_word(stage: &mut Stage<'_>, key: RecordKey, honest: &[Record]) -> Result<(), Interrupted> {
    let query = Command::Query { key, words: vec![WORD.to_owned()] };
    let commands = (0..HONEST).map(|_| (stage.anybody(), query.clone())).collect();
    let (mut shown, mut said, mut all) = (0, 0, 0);
    for result in stage.perform(commands, "searching")? {
        let Some(OpResult::Matched { records, left_out, .. }) = result else { panic!("{result:?}") };
        shown += honest.iter().filter(|record| records.contains(record)).count();
        said += usize::from(left_out > 0);
        all += records.len();
    }
    let each = |count: usize| count as f64 / HONEST as f64;
    stage.tally.note("shown_by_one_word", each(shown) / honest.len().max(1) as f64);
    stage.tally.note("results_by_one_word", each(all));
    stage.tally.note("truncation_said", each(said));
    Ok(())
}

/// A region into which `sources` store the largest records that there are.
pub(super) fn disks(stage: &mut Stage<'_>, sources: usize) -> Result<(), Interrupted> {
    stage.shrink_disks(DISK);
    stage.build()?;
    let middle = stage.anywhere();
    let honest = publish(stage, |stage, number| {
        let key = near(&middle, number);
        stage.draft_at(key, RecordKind::Locator, (1, "here"))
    })?;
    let sources = newcomers(stage, sources);
    let text = "x".repeat(RecordKind::Account.payload_limit().min(limits::RECORD_PAYLOAD));
    let holders = flood(stage, (&sources, middle, LARGE), |stage, number| {
        // Every third belongs far away, where these are no holders.
        let key = if number % 3 == 0 { stage.anywhere() } else { near(&middle, number) };
        stage.draft_at(key, RecordKind::Account, (1, &text))
    })?;
    let quotas_hold = quotas(stage, &holders);
    let wanted: Vec<&Record> = honest.iter().cycle().take(stage.plan.trials).collect();
    let mut commands = Vec::new();
    for record in &wanted {
        let body = record.body();
        commands.push((stage.anybody(), Command::Fetch { key: body.key, kind: body.kind }));
    }
    for (result, wanted) in stage.perform(commands, "finding")?.into_iter().zip(wanted) {
        let Some(OpResult::Fetched { records, requests, .. }) = result else { panic!("{result:?}") };
        stage.tally.tried(quotas_hold && records.contains(wanted), requests);
    }
    stage.tally.note("records", LARGE as f64);
    stage.tally.note("sources", sources.len() as f64);
    Ok(())
}

/// Whether what each of these holds is within its bounds.
fn quotas(stage: &mut Stage<'_>, holders: &[OverlayIndex]) -> bool {
    let held = holders.iter().map(|index| stage.net.member(*index).overlay().status().held);
    let fullness = held.map(|held| held.open_bytes.max(held.welcome_bytes) as f64 / held.pool_bytes as f64);
    let fullness: Vec<f64> = fullness.collect();
    let within = fullness.iter().filter(|full| **full <= 1.0).count();
    stage.tally.note("holders_within_quota", within as f64 / holders.len().max(1) as f64);
    stage.tally.note("fullest_pool", fullness.into_iter().fold(0.0, f64::max));
    within == holders.len()
}

/// What honest people have published before.
fn publish(
    stage: &mut Stage<'_>,
    mut draft: impl FnMut(&mut Stage<'_>, usize) -> Record,
) -> Result<Vec<Record>, Interrupted> {
    let mut records = Vec::new();
    for number in 0..HONEST {
        let record = draft(stage, number);
        records.push((stage.anybody(), record));
    }
    stage.store(&records)?;
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// Peers that nobody knows yet, each in a /16 of its own.
fn newcomers(stage: &mut Stage<'_>, count: usize) -> Vec<OverlayIndex> {
    (0..count).map(|_| stage.net.add()).collect()
}

/// Sends records to all holders around a place, from each source in turn; gives the holders.
fn flood(
    stage: &mut Stage<'_>,
    (sources, middle, count): (&[OverlayIndex], RecordKey, usize),
    mut draft: impl FnMut(&mut Stage<'_>, usize) -> Record,
) -> Result<Vec<OverlayIndex>, Interrupted> {
    let target: NodeId = middle.as_node_id();
    let flooding = |index: OverlayIndex| sources.binary_search(&index).is_err();
    let holders = stage.net.crowd(flooding).closest(&target, HOLDERS);
    for number in 0..count {
        if number % RATE == 0 {
            stage.told("flooding", number, count)?;
            stage.net.run_for(Span::from_secs(1));
        }
        let record = draft(stage, number);
        let Some(from) = sources.get(number % sources.len().max(1)) else { break };
        for holder in &holders {
            stage.net.flood(*from, *holder, Request::Store(record.clone()));
        }
    }
    stage.net.run_for(Span::from_secs(10));
    Ok(holders)
}

/// A place that differs from `middle` in its last bytes only.
fn near(middle: &RecordKey, number: usize) -> RecordKey {
    let mut bytes = *middle.as_bytes();
    let tail = (number as u64).to_be_bytes();
    bytes.iter_mut().rev().zip(tail.iter().rev()).for_each(|(byte, number)| *byte ^= number);
    RecordKey::new(bytes)
}
