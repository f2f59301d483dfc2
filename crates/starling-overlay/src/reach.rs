//! Whether we can be dialled, and so whether we serve.
//!
//! A peer of another address group that dials us proves it, unless something has gone out to it lately: most routers let
//! in whoever was sent to within the last minutes, and nobody else (RFC 4787, section 5). Who knows few knows no others,
//! so that such a dial must do for a while. A client asks peers to have it dialled; a server asks now and then too, soon if
//! nothing is proven, and stops serving when dials that were promised do not arrive.

use starling_proto::message::Mode;
use starling_proto::time::{Span, Tick};

use crate::config::UpkeepConfig;

/// Checks in a row without the promised dial after which a server no longer serves.
const FAILED_CHECKS: u8 = 3;

/// Who has dialled us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// Somebody to whom nothing has gone out lately: anybody can dial us.
    Stranger,
    /// Somebody who may be let in for what went out to them.
    Acquaintance,
}

/// Our mode, and when to have it checked.
#[derive(Debug, Clone)]
pub struct Reach {
    mode: Mode,
    config: UpkeepConfig,
    /// When to ask next; nothing while we know nobody to ask.
    next: Option<Tick>,
    pause: Span,
    /// Since when a promised dial is awaited.
    promised: Option<Tick>,
    failed: u8,
    /// Whether a stranger has dialled us since we began to serve.
    proven: bool,
}

impl Reach {
    /// A client that has asked nobody yet.
    #[must_use]
    pub const fn new(config: UpkeepConfig) -> Self {
        let pause = config.dial_back;
        Self { mode: Mode::Client, config, next: None, pause, promised: None, failed: 0, proven: false }
    }

    /// Whether we serve.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// There is somebody to ask now.
    pub fn knows_servers(&mut self, now: Tick) {
        if self.next.is_none() {
            self.next = Some(now.after(self.first_pause()));
        }
    }

    /// Somebody of another address group has dialled us; true if that makes us a server.
    pub fn dialled(&mut self, now: Tick, random: u32, witness: Witness) -> bool {
        let was = core::mem::replace(&mut self.mode, Mode::Server);
        self.failed = 0;
        self.proven |= witness == Witness::Stranger;
        self.promised = None;
        if self.next.is_some() {
            self.next = Some(now.after(self.check_after().jittered(random)));
        }
        was == Mode::Client
    }

    /// An acquaintance has dialled us where strangers could have: the dial that was promised may have been this one, so
    /// that it is asked for once more, later.
    pub fn tried(&mut self, now: Tick) {
        if self.promised.take().is_some() && self.mode == Mode::Server {
            self.next = Some(now.after(self.config.dial_back_unproven));
        }
    }

    /// Whether it is time to ask somebody; then the next time is set.
    pub fn is_due(&mut self, now: Tick, random: u32) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        let pause = match self.mode {
            // Once a promise was broken, ask again soon, and somebody else.
            Mode::Server if self.failed == 0 => self.check_after(),
            Mode::Server => self.config.dial_back_within.times(4),
            Mode::Client => self.pause,
        };
        self.pause = self.pause.times(2).min(self.config.dial_back_max);
        self.next = Some(now.after(pause.jittered(random)));
        true
    }

    /// Somebody promised that we will be dialled.
    pub const fn promised(&mut self, now: Tick) {
        if self.promised.is_none() {
            self.promised = Some(now);
        }
    }

    /// Looks whether a promise was broken; true if we serve no longer.
    pub fn check(&mut self, now: Tick) -> bool {
        if self.promised.is_none_or(|since| now.since(since) < self.config.dial_back_within) {
            return false;
        }
        self.promised = None;
        if self.mode == Mode::Client {
            return false;
        }
        self.failed = self.failed.saturating_add(1);
        self.next = Some(now);
        if self.failed < FAILED_CHECKS {
            return false;
        }
        self.mode = Mode::Client;
        (self.failed, self.proven) = (0, false);
        self.pause = self.first_pause();
        true
    }

    /// When [`Self::is_due`] or [`Self::check`] is worth calling.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        let broken = self.promised.map(|since| since.after(self.config.dial_back_within));
        [self.next, broken].into_iter().flatten().min()
    }

    const fn check_after(&self) -> Span {
        if self.proven { self.config.dial_back_server } else { self.config.dial_back_unproven }
    }

    const fn first_pause(&self) -> Span {
        self.config.dial_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Tick {
        Tick::from_ms(s * 1000)
    }

    #[test]
    fn a_client_asks_in_growing_pauses_until_it_is_dialled() {
        let mut reach = Reach::new(UpkeepConfig::default());
        assert_eq!(reach.next_timeout(), None);
        reach.knows_servers(at(0));
        let mut asked = Vec::new();
        for second in 0..3600 {
            if reach.is_due(at(second), 0) {
                asked.push(second);
            }
        }
        assert!(asked[0] <= 2 && asked.len() > 8 && asked.len() < 25, "{asked:?}");
        assert!(reach.dialled(at(3600), 0, Witness::Stranger));
        assert!(!reach.dialled(at(3601), 0, Witness::Stranger), "only the first dial changes anything");
        assert_eq!(reach.mode(), Mode::Server);
    }

    #[test]
    fn a_server_that_promised_dials_do_not_reach_stops_serving() {
        let mut reach = Reach::new(UpkeepConfig::default());
        reach.knows_servers(at(0));
        reach.dialled(at(1), 0, Witness::Stranger);
        let mut now = at(2);
        let mut checks = 0;
        while reach.mode() == Mode::Server {
            now = reach.next_timeout().unwrap().max(now);
            if reach.is_due(now, 0) {
                checks += 1;
                reach.promised(now);
            }
            reach.check(now);
        }
        assert_eq!(checks, 3);
        assert!(now >= at(3600), "not before the first check");
    }

    #[test]
    fn a_server_that_is_reached_goes_on() {
        let mut reach = Reach::new(UpkeepConfig::default());
        reach.knows_servers(at(0));
        reach.dialled(at(1), 0, Witness::Stranger);
        for hour in 1..100 {
            let now = at(hour * 3600);
            if reach.is_due(now, 0) {
                reach.promised(now);
                reach.dialled(now.after(Span::from_secs(1)), 0, Witness::Stranger);
            }
            assert!(!reach.check(now.after(Span::from_secs(60))));
        }
    }

    #[test]
    fn net_08_whom_only_acquaintances_have_dialled_is_checked_within_minutes() {
        let mut reach = Reach::new(UpkeepConfig::default());
        reach.knows_servers(at(0));
        assert!(reach.dialled(at(1), 0, Witness::Acquaintance));
        let until = (2..7_200).find(|second| {
            if reach.is_due(at(*second), 0) {
                reach.promised(at(*second));
            }
            reach.check(at(*second))
        });
        assert!(until.is_some_and(|second| second < 900), "{until:?}");
        reach.dialled(at(8_000), 0, Witness::Acquaintance);
        reach.dialled(at(8_001), 0, Witness::Stranger);
        reach.dialled(at(8_002), 0, Witness::Acquaintance);
        assert!(reach.next_timeout() > Some(at(8_002 + 3_600)), "what is proven stays so");
    }
}
