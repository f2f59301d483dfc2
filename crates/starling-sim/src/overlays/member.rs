//! One overlay, and what it needs around it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use starling_overlay::memory::MemoryStore;
use starling_overlay::overlay::Overlay;
use starling_proto::addr::Peer;
use starling_proto::ids::NodeKey;
use starling_proto::message::Mode;
use starling_proto::time::Tick;

use super::OverlayIndex;

/// One overlay, its disk, its address and its connections.
#[derive(Debug)]
pub struct Member {
    pub(super) key: NodeKey,
    pub(super) address: SocketAddr,
    pub(super) overlay: Overlay,
    pub(super) disk: MemoryStore,
    pub(super) is_up: bool,
    /// How often it has begun anew.
    pub(super) life: u32,
    pub(super) greeting: (Mode, Vec<SocketAddr>),
    pub(super) links: BTreeMap<OverlayIndex, Standing>,
    /// When it will be woken.
    pub(super) timer: Option<Tick>,
}

/// A connection, as one of its ends has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Which one: the same at both ends.
    pub(super) number: u64,
    /// From when it may be used.
    pub(super) stands: Tick,
    /// When it was used last.
    pub(super) used: Tick,
}

impl Member {
    /// The machine.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// What it keeps for others.
    #[must_use]
    pub const fn disk(&self) -> &MemoryStore {
        &self.disk
    }

    /// The node key.
    #[must_use]
    pub const fn key(&self) -> NodeKey {
        self.key
    }

    /// How it is dialled.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::new(self.key, [self.address])
    }

    /// Whether it has not vanished.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.is_up
    }
}
