//! The heavy work of all nodes, done in one place.

use starling_core::io::{Job, JobResult};
use starling_crypto::stamp::StampSearch;

/// Tries of a stamp search in one step; the virtual world does not count its cost.
const STAMP_TRIES: u32 = 1 << 20;

/// Searches stamps, all in one memory: a mebibyte that each node takes from the heap and gives back leaves a hole of
/// that size behind, in which small things settle, so that the next node's goes beyond it.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Option<StampSearch>);

impl Stamps {
    /// Does a job. Virtual time passes outside.
    pub(crate) fn work(&mut self, job: &Job) -> JobResult {
        let Job::Stamp { subject, month, policy, start } = job else { return JobResult::Cancelled };
        let (subject, month, policy, start) = (*subject, *month, *policy, *start);
        let search = match self.0.take() {
            Some(last) => last.then(subject, month, policy, start),
            None => StampSearch::new(subject, month, policy, start),
        };
        self.0.insert(search).step(STAMP_TRIES).map_or(JobResult::Cancelled, JobResult::Stamp)
    }
}
