//! What a mailbox's owner may do here: list, take, delete, subscribe.

use alloc::vec::Vec;
use core::cmp::Reverse;

use starling_proto::ids::{NodeKey, RecordId, RecordKey};
use starling_proto::limits as proto_limits;
use starling_proto::message::{Operation, OwnerRequest, Records, Refusal, Response};
use starling_proto::record::RecordKind;
use starling_proto::time::Now;

use super::deletions::Keep;
use super::{Holder, Tools, work};
use crate::group::AddressGroup;
use crate::io::Remote;
use crate::storage::{DeletedRecord, StorageError};

impl Holder {
    /// Does what a mailbox's owner asks, if the request is signed for us and for this connection.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn owner(
        &mut self,
        now: Now,
        tools: &mut Tools<'_>,
        remote: &Remote,
        request: &OwnerRequest,
    ) -> Result<Response, StorageError> {
        let body = request.body();
        let for_us = body.holder == self.config.node && body.channel_binding == remote.binding;
        if !for_us || !tools.verify.owner(request, &self.config.node, &remote.binding) {
            return Ok(Response::Refused(Refusal::NotAllowed));
        }
        let key = RecordKey::for_mailbox(&body.address);
        match &body.operation {
            Operation::List => Ok(Response::Listed(self.list(now, key))),
            Operation::Take(ids) => {
                let found = self.take(now, tools.store, key, ids)?;
                let (records, left_out) = (found.records, found.left_out);
                Ok(Response::Records(Records { records, peers: Vec::new(), left_out }))
            }
            Operation::Delete(ids) => {
                let group = AddressGroup::of(&remote.address);
                Ok(Response::Deleted(self.delete(now, tools, (key, group), ids)?))
            }
            Operation::Subscribe => Ok(match self.subscriptions.subscribe(remote.key, body.address) {
                Ok(()) => Response::Subscribed,
                Err(refusal) => Response::Refused(refusal),
            }),
        }
    }

    /// Forgets what a peer subscribed to: its last connection has ended.
    pub fn disconnected(&mut self, peer: &NodeKey) {
        self.subscriptions.disconnect(peer);
    }

    /// What lies there: deposits with leave first, the oldest first, as [`Self::fetch`] gives them. Who has more than
    /// one answer holds deletes what it has read and lists again.
    fn list(&mut self, now: Now, key: RecordKey) -> Vec<RecordId> {
        let mut rows: Vec<_> = self.live(now, key, RecordKind::Deposit).map(|entry| &entry.held).collect();
        rows.sort_by_key(|held| (Reverse(held.welcome), held.received, held.id));
        let all = rows.len();
        let ids = rows.into_iter().take(proto_limits::RECORD_IDS).map(|held| held.id).collect();
        work::add(&mut self.work.rows, all);
        ids
    }

    /// Deletes from one mailbox, and remembers ids that are not here as well: repair may be bringing them just now.
    fn delete(
        &mut self,
        now: Now,
        tools: &mut Tools<'_>,
        (key, group): (RecordKey, AddressGroup),
        ids: &[RecordId],
    ) -> Result<u32, StorageError> {
        let mut count: u32 = 0;
        let at_most = now.seconds().after(proto_limits::MAIL_LIFE).after(proto_limits::CLOCK_SLACK);
        for id in ids.iter().take(proto_limits::RECORD_IDS) {
            if let Some(entry) = self.index.get(id) {
                if entry.held.key != key || entry.held.kind != RecordKind::Deposit {
                    continue;
                }
                self.forget(tools.store, id)?;
                count = count.saturating_add(1);
            }
            let deleted = DeletedRecord { key, id: *id, deleted: now.seconds(), keep_until: at_most, group };
            work::add(&mut self.work.deleted, 1);
            let keep = if self.full { Keep::InMemory } else { Keep::OnDisk };
            self.deletions.remember(now, tools, &deleted, keep)?;
        }
        Ok(count)
    }
}
