//! One way between two nodes: what happens to the packets of a frame on it.
//!
//! QUIC sends lost packets again, so the core sees loss as delay. A frame is [`PACKET`] bytes to a packet. After a try
//! some packets may be missing: if others came, their acknowledgements show it after about one round trip, and only the
//! missing are sent again; if none came, the sender waits for a probe time-out of a round trip and a half, twice as long
//! after each (RFC 9002). A connection on which something is under way and nothing came through for [`SILENCE`] ends.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use starling_proto::time::{Span, Tick};

use super::{Chance, LinkFaults};
use crate::network::NodeIndex;

/// Bytes of a frame in one packet: QUIC's smallest path, less its headers.
const PACKET: usize = 1_150;
/// A connection on which nothing came through for so long ends: iroh's own limit.
pub(crate) const SILENCE: Span = Span::from_secs(30);
/// Never probed sooner.
const PROBE_MIN: Span = Span::from_ms(30);
/// The wait for the first answer of a handshake, before a round trip is known (RFC 9002).
const INITIAL_PROBE: Span = Span::from_ms(999);
/// Flights of a dial: handshake and greeting, there and back.
const FLIGHTS: u32 = 4;
/// After this many doublings the wait is longer than [`SILENCE`].
const DOUBLINGS: u32 = 10;

/// Which packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each for itself.
    Random(Chance),
    /// In bursts, by two states with a loss of their own whose lengths are exponential (Gilbert 1960, Elliott 1963).
    Bursty {
        /// Of packets in the good state.
        good: Chance,
        /// Of packets in the bad state.
        bad: Chance,
        /// How long the good state lasts on average.
        good_for: Span,
        /// How long the bad state lasts on average.
        bad_for: Span,
    },
}

/// What is left of a frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remaining {
    packets: u32,
    /// Tries in a row in which nothing came through.
    silent: u32,
}

impl Remaining {
    pub(crate) fn of(bytes: usize) -> Self {
        Self { packets: u32::try_from(bytes.div_ceil(PACKET)).unwrap_or(u32::MAX).max(1), silent: 0 }
    }
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// All of it is there, so much later than the latency says.
    Through(Span),
    /// This is missing, and is sent again after this wait.
    Missing(Remaining, Span),
}

/// The state of one way.
#[derive(Debug, Clone, Copy)]
struct Weather {
    bad: bool,
    until: Tick,
}

/// All links of a world.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) faults: LinkFaults,
    weather: BTreeMap<(NodeIndex, NodeIndex), Weather>,
    /// Until when each node's way out is taken, in microseconds.
    taken_us: BTreeMap<NodeIndex, u64>,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self { faults: LinkFaults::default(), weather: BTreeMap::new(), taken_us: BTreeMap::new() }
    }

    /// How long a frame waits until all of it has left its node.
    pub(crate) fn queue(&mut self, from: NodeIndex, bytes: usize, now: Tick) -> Span {
        let Some(rate) = self.faults.bytes_per_second else { return Span::ZERO };
        let now_us = now.as_ms().saturating_mul(1_000);
        let takes = (bytes as u64).saturating_mul(1_000_000).div_ceil(rate.get());
        let taken = self.taken_us.entry(from).or_default();
        *taken = now_us.max(*taken).saturating_add(takes);
        Span::from_ms((*taken - now_us) / 1_000)
    }

    /// Sends what is left of a frame at `at`; `cut` if nobody can get through.
    pub(crate) fn attempt(
        &mut self,
        way: (NodeIndex, NodeIndex),
        (at, latency, cut): (Tick, Span, bool),
        left: Remaining,
        dice: &mut ChaCha8Rng,
    ) -> Try {
        let chance = if cut { Chance::percent(100) } else { self.loss(way, at, dice) };
        let lost = if chance == Chance::NEVER { 0 } else { lost(left.packets, chance, dice) };
        if lost == 0 {
            return Try::Through(self.jitter(dice));
        }
        let round_trip = latency.times(2);
        if lost < left.packets {
            return Try::Missing(Remaining { packets: lost, silent: 0 }, round_trip);
        }
        let probe = Span::from_ms(round_trip.as_ms() + round_trip.as_ms() / 2).max(PROBE_MIN);
        let wait = probe.times(1 << left.silent.min(DOUBLINGS));
        Try::Missing(Remaining { packets: lost, silent: left.silent + 1 }, wait)
    }

    /// How much longer a dial takes for what is lost of it.
    pub(crate) fn dial_delay(
        &mut self,
        way: (NodeIndex, NodeIndex),
        now: Tick,
        dice: &mut ChaCha8Rng,
    ) -> Span {
        let mut delay = Span::ZERO;
        for _ in 0..FLIGHTS {
            let chance = self.loss(way, now, dice);
            let mut probe = INITIAL_PROBE;
            while chance.happens(dice) && delay < SILENCE {
                delay = Span::from_ms(delay.as_ms() + probe.as_ms());
                probe = probe.times(2);
            }
        }
        delay
    }

    fn jitter(&self, dice: &mut ChaCha8Rng) -> Span {
        let most = self.faults.jitter.as_ms();
        if most == 0 { Span::ZERO } else { Span::from_ms(dice.next_u64() % (most + 1)) }
    }

    /// What a packet's chance to be lost is at a time, which must not go back.
    fn loss(&mut self, way: (NodeIndex, NodeIndex), at: Tick, dice: &mut ChaCha8Rng) -> Chance {
        match self.faults.loss {
            Loss::None => Chance::NEVER,
            Loss::Random(chance) => chance,
            Loss::Bursty { good, bad, good_for, bad_for } => {
                let first = Weather { bad: true, until: Tick::ZERO };
                let weather = self.weather.entry(way).or_insert(first);
                while weather.until <= at {
                    weather.bad = !weather.bad;
                    let mean = if weather.bad { bad_for } else { good_for };
                    weather.until = weather.until.after(exponential(mean, dice).max(Span::from_ms(1)));
                }
                if weather.bad { bad } else { good }
            }
        }
    }
}

/// An exponential time of this mean.
pub(crate) fn exponential(mean: Span, dice: &mut impl Rng) -> Span {
    scaled(mean, -unit(dice).ln())
}

/// Between 0 and 1, neither of them.
pub(crate) fn unit(dice: &mut impl Rng) -> f64 {
    (f64::from(dice.next_u32()) + 0.5) / (f64::from(u32::MAX) + 1.0)
}

/// A span times a number, to the millisecond.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float to an integer saturates, and times are short of 2^53 ms"
)]
pub(crate) fn scaled(span: Span, by: f64) -> Span {
    Span::from_ms((span.as_ms() as f64 * by) as u64)
}

fn lost(packets: u32, chance: Chance, dice: &mut ChaCha8Rng) -> u32 {
    (0..packets).map(|_| u32::from(chance.happens(dice))).sum()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use rand_core::SeedableRng as _;

    use super::*;

    const WAY: (NodeIndex, NodeIndex) = (NodeIndex(0), NodeIndex(1));
    const LATENCY: Span = Span::from_ms(40);

    fn links(faults: LinkFaults) -> (Links, ChaCha8Rng) {
        (Links { faults, ..Links::new() }, ChaCha8Rng::seed_from_u64(3))
    }

    /// Tries until a frame is through.
    fn tries(links: &mut Links, bytes: usize, dice: &mut ChaCha8Rng) -> u32 {
        let (mut left, mut count) = (Remaining::of(bytes), 1);
        let mut at = Tick::ZERO;
        while let Try::Missing(missing, wait) = links.attempt(WAY, (at, LATENCY, false), left, dice) {
            assert!(missing.packets <= left.packets);
            (left, at, count) = (missing, at.after(wait), count + 1);
        }
        count
    }

    #[test]
    fn nothing_is_lost_or_thrown_where_there_is_no_loss() {
        let (mut links, mut dice) = links(LinkFaults::default());
        let before = dice.clone().next_u64();
        assert_eq!(tries(&mut links, 36 * 1024, &mut dice), 1);
        assert_eq!(dice.next_u64(), before);
    }

    #[test]
    fn loss_is_delay_and_long_frames_feel_it_more() {
        let faults = LinkFaults { loss: Loss::Random(Chance::percent(30)), ..LinkFaults::default() };
        let (mut links, mut dice) = links(faults);
        let mut all = |bytes| (0..500).map(|_| tries(&mut links, bytes, &mut dice)).sum::<u32>();
        let (short, long) = (all(100), all(36 * 1024));
        assert!((600..850).contains(&short), "1 / 0.7 tries of each: {short}");
        assert!(long > 2 * short, "{long}");
    }

    #[test]
    fn probes_double_while_the_way_is_cut() {
        let (mut links, mut dice) = links(LinkFaults::default());
        let (mut left, mut waits) = (Remaining::of(1), Vec::new());
        for _ in 0..4 {
            let Try::Missing(missing, wait) =
                links.attempt(WAY, (Tick::ZERO, LATENCY, true), left, &mut dice)
            else {
                panic!("nothing passes a cut")
            };
            waits.push(wait.as_ms());
            left = missing;
        }
        assert_eq!(waits, [120, 240, 480, 960]);
    }

    #[test]
    fn bursts_are_bursts() {
        let loss = Loss::Bursty {
            good: Chance::NEVER,
            bad: Chance::percent(100),
            good_for: Span::from_secs(90),
            bad_for: Span::from_secs(10),
        };
        let (mut links, mut dice) = links(LinkFaults { loss, ..LinkFaults::default() });
        let bad: Vec<bool> = (0..100_000)
            .map(|n| links.loss(WAY, Tick::from_ms(n * 100), &mut dice) != Chance::NEVER)
            .collect();
        let share = bad.iter().filter(|bad| **bad).count() as f64 / bad.len() as f64;
        let changes = bad.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((0.07..0.13).contains(&share), "a tenth of the time: {share}");
        assert!(changes < 300, "two for each hundred seconds: {changes}");
    }

    #[test]
    fn a_narrow_way_out_makes_frames_wait_in_turn() {
        let faults = LinkFaults { bytes_per_second: NonZeroU64::new(10_000), ..LinkFaults::default() };
        let (mut links, _) = links(faults);
        let mut waits = || links.queue(NodeIndex(0), 1_000, Tick::from_ms(50)).as_ms();
        assert_eq!([waits(), waits(), waits()], [100, 200, 300]);
        assert_eq!(links.queue(NodeIndex(1), 1_000, Tick::from_ms(50)).as_ms(), 100);
    }
}
