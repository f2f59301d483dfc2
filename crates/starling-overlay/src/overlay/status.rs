//! What `status` shows of the overlay.

use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_proto::addr::Peer;
use starling_proto::message::Mode;

use super::Overlay;
use crate::holder::{Turnover, Usage};
use crate::table::Contact;

/// The overlay at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether we serve.
    pub mode: Mode,
    /// Where several peers agree to see us.
    pub addresses: Vec<SocketAddr>,
    /// Peers in the routing table.
    pub peers: usize,
    /// The same by bucket, those that share no bit with us first.
    pub buckets: Vec<usize>,
    /// Connected peers.
    pub connected: usize,
    /// Lookups, stores, fetches and queries at work.
    pub running: usize,
    /// Commands that wait for one of those to end.
    pub waiting: usize,
    /// What is held for others.
    pub held: Usage,
    /// What of that came, and what had to go, since this machine was built.
    pub turnover: Turnover,
    /// Whether the disk is full, so that no new record is taken ([`Overlay::set_disk_full`]).
    pub disk_full: bool,
}

impl Overlay {
    /// The overlay at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            mode: self.reach.mode(),
            addresses: self.observed.announced().to_vec(),
            peers: self.table.len(),
            buckets: self.table.bucket_sizes().collect(),
            connected: self.links.len(),
            running: self.tasks.len(),
            waiting: self.waiting.len(),
            held: self.holder.usage(),
            turnover: self.holder.turnover(),
            disk_full: self.holder.is_full(),
        }
    }

    /// Whether we serve.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.reach.mode()
    }

    /// Peers in the routing table.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.table.len()
    }

    /// Everybody in the routing table, to name in an invite or to keep for a restart.
    pub fn known_peers(&self) -> impl Iterator<Item = Peer> {
        self.table.contacts().map(Contact::peer)
    }
}
