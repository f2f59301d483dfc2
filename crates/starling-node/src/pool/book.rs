//! Which connections stand, and which peers are being dialled.

use std::collections::BTreeMap;
use std::sync::Arc;

use starling_overlay::io::CallError;
use starling_proto::ids::NodeKey;
use tokio::sync::watch;

use super::link::Link;
use crate::transport::Connection;

/// The connections by peer, oldest first, and the dials under way.
pub(crate) struct Book<C> {
    links: BTreeMap<NodeKey, Vec<Arc<Link<C>>>>,
    dials: BTreeMap<NodeKey, watch::Receiver<Option<CallError>>>,
}

impl<C> Default for Book<C> {
    fn default() -> Self {
        Self { links: BTreeMap::new(), dials: BTreeMap::new() }
    }
}

impl<C: Connection> Book<C> {
    /// Every connection.
    pub(crate) fn all(&self) -> Vec<Arc<Link<C>>> {
        self.links.values().flatten().cloned().collect()
    }

    /// A peer's connections, oldest first.
    pub(crate) fn of(&self, key: &NodeKey) -> &[Arc<Link<C>>] {
        self.links.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn add(&mut self, link: Arc<Link<C>>) {
        self.links.entry(link.remote().key).or_default().push(link);
    }

    /// Takes a connection out; whether it was in.
    pub(crate) fn remove(&mut self, link: &Arc<Link<C>>) -> bool {
        let key = link.remote().key;
        let Some(links) = self.links.get_mut(&key) else { return false };
        let Some(at) = links.iter().position(|other| Arc::ptr_eq(other, link)) else { return false };
        links.remove(at);
        if links.is_empty() {
            self.links.remove(&key);
        }
        true
    }

    /// The dial to a peer that is under way; its sender is dropped when it ends, with the error if it failed.
    pub(crate) fn dial(&self, key: &NodeKey) -> Option<watch::Receiver<Option<CallError>>> {
        self.dials.get(key).filter(|ended| ended.has_changed().is_ok()).cloned()
    }

    pub(crate) fn begin_dial(&mut self, key: NodeKey, ended: watch::Receiver<Option<CallError>>) {
        self.dials.insert(key, ended);
    }

    pub(crate) fn end_dial(&mut self, key: &NodeKey) {
        self.dials.remove(key);
    }
}
