//! The two clocks, read at one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starling_proto::time::{Now, Tick, UnixMillis};

/// Running time since the node began, and wall time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Both clocks now. A wall clock before 1970 reads 1970.
    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { tick: self.tick(), wall: UnixMillis::new(millis(wall)) }
    }

    /// Running time now.
    pub(crate) fn tick(&self) -> Tick {
        Tick::from_ms(millis(self.began.elapsed()))
    }

    /// When `tick` comes; `None` if that is beyond what the clock can count.
    pub(crate) fn instant(&self, tick: Tick) -> Option<Instant> {
        self.began.checked_add(Duration::from_millis(tick.as_ms()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
