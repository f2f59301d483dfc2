//! What this process uses.

use std::fs;
use std::time::{Duration, Instant};

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};
use starling_sim::scale::Meter;

/// The operating system's view of this process.
pub(super) struct ProcessMeter(Instant);

impl ProcessMeter {
    /// A meter whose clock begins now.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Meter for ProcessMeter {
    fn cpu(&self) -> Duration {
        // A clock that the system has and that is never negative.
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
    }

    fn wall(&self) -> Duration {
        self.0.elapsed()
    }

    /// Resident memory, where there is a `/proc`.
    fn memory(&self) -> Option<u64> {
        let statm = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        pages.checked_mul(u64::try_from(page_size()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_grows() {
        let meter = ProcessMeter::new();
        let (cpu, wall) = (meter.cpu(), meter.wall());
        assert!((0..1000).map(|n| vec![n; 1000].len()).sum::<usize>() == 1_000_000);
        assert!(meter.cpu() >= cpu && meter.wall() >= wall);
        if cfg!(target_os = "linux") {
            assert!(meter.memory().unwrap() > 1 << 20, "no process is smaller");
        }
    }
}
