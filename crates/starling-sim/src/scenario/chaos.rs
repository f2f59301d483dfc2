//! What befalls random nodes now and then.

use std::net::SocketAddr;
use std::num::NonZeroU64;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;
use starling_proto::time::{Span, Tick};

use super::Events;
use crate::faults::below;
use crate::faults::link::unit;
use crate::faults::partition::Partition;
use crate::network::{Network, NodeIndex};

/// How long what befalls somebody lasts at most.
const LASTS: u64 = 60_000;
/// Clocks that nodes jump to, in milliseconds ahead: right, a minute, an hour back, a day, and a year on.
const CLOCKS: [i64; 5] = [0, 60_000, -3_600_000, 86_400_000, 365 * 86_400_000];

/// Something that is to end.
#[derive(Debug)]
enum End {
    /// A node is back, at another address perhaps.
    Absence(NodeIndex, Option<SocketAddr>),
    /// The network is whole.
    Partition,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Chaos {
    events: Events,
    ends: Vec<(Tick, End)>,
}

impl Chaos {
    pub(super) const fn new(events: Events) -> Self {
        Self { events, ends: Vec::new() }
    }

    /// What happens in a slice of time. Gives whoever wants to make a new contact.
    pub(super) fn step(
        &mut self,
        network: &mut Network,
        slice: Span,
        dice: &mut ChaCha8Rng,
    ) -> Option<NodeIndex> {
        self.end_what_is_over(network);
        let events = self.events;
        let count = network.nodes().len();
        let mut befallen = |every: Option<NonZeroU64>| {
            every.filter(|every| happens(*every, slice, dice)).map(|_| NodeIndex(below(dice, count)))
        };
        let killed = befallen(events.kill_s);
        let parted = befallen(events.part_s);
        let cut = befallen(events.cut_s);
        let filled = befallen(events.fill_s);
        let jumps = befallen(events.clock_s);
        let damaged = befallen(events.damage_s);
        let asks = befallen(events.ask_s);
        if let Some(node) = killed.filter(|node| network.node(*node).is_up()) {
            self.kill(network, node, dice);
        }
        if parted.is_some() && network.partition().is_none() {
            network.part(Some(Partition::random(count, dice)));
            self.ends.push((network.now().tick.after(lasting(dice)), End::Partition));
        }
        if let Some(node) = cut {
            network.cut(node, NodeIndex(below(dice, count)));
        }
        if let Some(node) = filled.filter(|node| !network.node(*node).is_full()) {
            network.fill_disk(node, lasting(dice));
        }
        if let Some(node) = jumps {
            network.set_clock(node, CLOCKS.get(below(dice, CLOCKS.len())).copied().unwrap_or(0));
        }
        if let Some(node) = damaged {
            network.damage_record(node);
        }
        asks
    }

    /// Whatever has befallen anybody is over.
    pub(super) fn end(&mut self, network: &mut Network) {
        self.ends.clear();
        network.part(None);
        network.uncut();
        for node in network.indices() {
            network.set_clock(node, 0);
        }
    }

    fn kill(&mut self, network: &mut Network, node: NodeIndex, dice: &mut ChaCha8Rng) {
        network.kill(node);
        let [a, b, ..] = dice.next_u32().to_be_bytes();
        let elsewhere = SocketAddr::from(([101, a, b, 1], 4000));
        let address = dice.next_u32().is_multiple_of(3).then_some(elsewhere);
        self.ends.push((network.now().tick.after(lasting(dice)), End::Absence(node, address)));
    }

    fn end_what_is_over(&mut self, network: &mut Network) {
        let now = network.now().tick;
        let (over, lasting) = core::mem::take(&mut self.ends).into_iter().partition(|(at, _)| *at <= now);
        self.ends = lasting;
        let over: Vec<(Tick, End)> = over;
        for (_, end) in over {
            match end {
                End::Absence(node, address) if !network.node(node).is_up() => network.restart(node, address),
                End::Absence(..) => {}
                End::Partition => {
                    network.part(None);
                    network.uncut();
                }
            }
        }
    }
}

fn happens(every: NonZeroU64, slice: Span, dice: &mut ChaCha8Rng) -> bool {
    unit(dice) * (every.get() as f64) * 1_000.0 < slice.as_ms() as f64
}

fn lasting(dice: &mut ChaCha8Rng) -> Span {
    Span::from_ms(1 + dice.next_u64() % LASTS)
}
