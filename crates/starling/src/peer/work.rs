//! Heavy work that the core hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use starling_core::io::{Job, JobResult};
use starling_crypto::stamp::StampSearch;
use starling_node::Work;

/// Tries between two looks at the flag: 4 ms.
const TRIES: u32 = 16;

/// Does what the core asks for.
pub(super) fn work() -> Work {
    Arc::new(|job, cancelled| match job {
        Job::Stamp { subject, month, policy, start } => {
            search(StampSearch::new(*subject, *month, *policy, *start), cancelled)
        }
        // The core asks for nothing that this program's version of it does not know.
        _ => JobResult::Cancelled,
    })
}

fn search(mut search: StampSearch, cancelled: &AtomicBool) -> JobResult {
    while !cancelled.load(Ordering::Relaxed) {
        if let Some(stamp) = search.step(TRIES) {
            return JobResult::Stamp(stamp);
        }
    }
    JobResult::Cancelled
}

#[cfg(test)]
mod tests {
    use starling_crypto::stamp::{StampPolicy, StampSubject};
    use starling_proto::ids::PublisherKey;
    use starling_proto::time::Month;
    use starling_proto::version::NetworkName;

    use super::*;

    fn job(bits: u8) -> Job {
        let policy = StampPolicy::for_network(&"test".parse::<NetworkName>().unwrap(), bits).unwrap();
        Job::Stamp {
            subject: StampSubject::Publisher(PublisherKey::new([1; 32])),
            month: Month::new(1),
            policy,
            start: 0,
        }
    }

    #[test]
    fn a_stamp_is_found() {
        let JobResult::Stamp(stamp) = work()(&job(2), &AtomicBool::new(false)) else { panic!("no stamp") };
        assert_eq!(stamp.bits, 2);
    }

    #[test]
    fn a_search_can_be_given_up() {
        assert_eq!(work()(&job(12), &AtomicBool::new(true)), JobResult::Cancelled);
    }
}
