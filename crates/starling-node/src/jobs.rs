//! Heavy work off the core's thread: one job at a time, so that it never takes more than one processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use starling_core::io::{Job, JobResult};
use starling_crypto::stamp::StampSearch;

use crate::limits;

/// Does heavy work; looks at the flag every few milliseconds and gives up with [`JobResult::Cancelled`] when it is set.
pub type Work = Arc<dyn Fn(&Job, &AtomicBool) -> JobResult + Send + Sync>;

/// Tries of a stamp search between two looks at the flag: about 4 ms.
const TRIES: u32 = 16;

/// What the product does: searches stamps.
#[must_use]
pub fn work() -> Work {
    Arc::new(|job, cancelled| match job {
        Job::Stamp { subject, month, policy, start } => {
            let mut search = StampSearch::new(*subject, *month, *policy, *start);
            while !cancelled.load(Ordering::Relaxed) {
                if let Some(stamp) = search.step(TRIES) {
                    return JobResult::Stamp(stamp);
                }
            }
            JobResult::Cancelled
        }
        _ => {
            tracing::error!("the core wants work that this shell does not know");
            JobResult::Cancelled
        }
    })
}

/// What to do with a result.
pub(crate) type Finish = Box<dyn FnOnce(JobResult) + Send>;

/// The thread that does the work.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// `None` once stopped: the thread ends when the last sender is gone.
    queue: Option<SyncSender<Queued>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Queued {
    job: Job,
    finish: Finish,
}

impl Jobs {
    pub(crate) fn start(work: Work) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(limits::JOBS);
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancelled);
        let thread = std::thread::Builder::new()
            .name("starling-jobs".into())
            .spawn(move || run(&jobs, &work, &flag))?;
        Ok(Self { queue: Some(queue), cancelled, thread: Some(thread) })
    }

    /// Queues a job; `finish` is called exactly once, with [`JobResult::Cancelled`] if the node ends first. `false` if
    /// there is no room: then it is not called.
    pub(crate) fn submit(&self, job: Job, finish: Finish) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.try_send(Queued { job, finish }).is_ok())
    }

    /// Cancels what runs and what waits, and waits for the thread.
    pub(crate) fn stop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the job thread panicked");
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(jobs: &Receiver<Queued>, work: &Work, cancelled: &AtomicBool) {
    while let Ok(queued) = jobs.recv() {
        let result = if cancelled.load(Ordering::Relaxed) {
            JobResult::Cancelled
        } else {
            work(&queued.job, cancelled)
        };
        (queued.finish)(result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use starling_crypto::stamp::{StampPolicy, StampSubject};
    use starling_proto::ids::PublisherKey;
    use starling_proto::record::Stamp;
    use starling_proto::time::Month;

    use super::*;

    fn job(start: u64) -> Job {
        let subject = StampSubject::Publisher(PublisherKey::new([0; 32]));
        Job::Stamp { subject, month: Month::new(1), policy: StampPolicy::main(), start }
    }

    #[test]
    fn a_stamp_is_found_and_a_cancelled_search_ends() {
        let subject = StampSubject::Publisher(PublisherKey::new([3; 32]));
        let policy = StampPolicy::for_network(&"test".parse().unwrap(), 1).unwrap();
        let month = Month::new(690);
        let job = Job::Stamp { subject, month, policy, start: 0 };
        let work = work();
        let JobResult::Stamp(stamp) = work(&job, &AtomicBool::new(false)) else { panic!("no stamp") };
        assert_eq!(policy.check(&stamp, &subject, month), Ok(()));
        assert_eq!(work(&job, &AtomicBool::new(true)), JobResult::Cancelled);
    }

    /// Works until cancelled, except for jobs that start at 0.
    fn endless() -> Work {
        Arc::new(|job, cancelled| {
            let Job::Stamp { month, policy, start, .. } = job else { panic!("another job") };
            while *start != 0 && !cancelled.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            if *start == 0 {
                JobResult::Stamp(Stamp { month: *month, bits: policy.bits(), nonce: *start })
            } else {
                JobResult::Cancelled
            }
        })
    }

    #[test]
    fn a_result_comes_back() {
        let jobs = Jobs::start(endless()).unwrap();
        let (send, receive) = sync_channel(1);
        assert!(jobs.submit(job(0), Box::new(move |result| send.send(result).unwrap())));
        assert!(matches!(receive.recv().unwrap(), JobResult::Stamp(_)));
    }

    #[test]
    fn the_end_cancels_what_runs_and_what_waits() {
        let mut jobs = Jobs::start(endless()).unwrap();
        let (send, receive) = sync_channel(100);
        let submit = || {
            let send = send.clone();
            jobs.submit(job(1), Box::new(move |result| send.send(result).unwrap()))
        };
        let taken = (0..limits::JOBS + 10).filter(|_| submit()).count();
        assert!((limits::JOBS..=limits::JOBS + 1).contains(&taken), "{taken}");
        jobs.stop();
        drop(send);
        assert_eq!(receive.iter().collect::<Vec<_>>(), vec![JobResult::Cancelled; taken]);
    }
}
