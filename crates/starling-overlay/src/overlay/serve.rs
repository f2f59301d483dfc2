//! Answering what peers ask.

use alloc::vec::Vec;

use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, RecordKey};
use starling_proto::limits;
use starling_proto::message::{Fetch, Mode, Records, Refusal, Request, Response, StoreOutcome};
use starling_proto::record::{Record, RecordKind};

use super::calls::Purpose;
use super::{Context, Overlay};
use crate::group::AddressGroup;
use crate::holder::{Notice, Offer, Wanted};
use crate::io::{InboundId, Output, Remote};
use crate::leading::leading;
use crate::limiter;
use crate::storage::StorageError;
use crate::table::Contact;

/// Bytes of one peer in an answer, at most: key, two addresses, and what is around them.
const PEER_BYTES: usize = 96;
/// How many neighbours are counted to tell how dense the network is around us.
const DENSITY_SAMPLE: usize = limits::K;
/// How many times wider than a wide lookup's region we take a key to be ours: the density is an estimate from twenty
/// neighbours, which is off by a factor of two less than once in a thousand times.
const REGION_SLACK: u64 = 2;

impl Overlay {
    pub(super) fn serve(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        inbound: InboundId,
        request: Request,
    ) -> Result<(), StorageError> {
        if let Err(refusal) = self.admit(remote, &request, context.now.tick) {
            self.reply(inbound, Response::Refused(refusal), true);
            return Ok(());
        }
        match request {
            Request::Hello(hello) => {
                let ours = self.hello_for(context, remote.address);
                self.reply(inbound, Response::Hello(ours), true);
                self.greeted(context, &remote.key, hello)?;
            }
            Request::Ping => self.reply(inbound, Response::Pong, true),
            Request::FindNode(find) => {
                let peers = self.closest_for(remote, &find.target, usize::from(find.count));
                self.reply(inbound, Response::Nodes(peers), true);
            }
            Request::DialBack(request) => self.serve_dial_back(context, remote, inbound, &request),
            Request::PassOn(pass) => self.serve_pass_on(context, remote, inbound, pass)?,
            request => {
                let response = self.serve_held(context, remote, request)?;
                self.reply(inbound, response, false);
            }
        }
        Ok(())
    }

    /// Answers what concerns held records, and charges the asker for the work that it was.
    fn serve_held(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        request: Request,
    ) -> Result<Response, StorageError> {
        let group = AddressGroup::of(&remote.address);
        let before = self.holder.work();
        let response = match request {
            Request::Store(record) => Response::Stored(self.serve_store(context, group, record)?),
            // Mail is its owner's to read.
            Request::Fetch(fetch) if fetch.kind == RecordKind::Deposit => {
                Response::Refused(Refusal::NotAllowed)
            }
            Request::Fetch(fetch) => Response::Records(self.serve_fetch(context, remote, &fetch)?),
            Request::Query(query) => {
                Response::Matches(self.holder.query(context.now, &mut context.tools(), &query)?)
            }
            Request::Prove(prove) => Response::Proof(self.holder.prove(context.store, &prove)?),
            Request::Owner(owner) => self.holder.owner(context.now, &mut context.tools(), remote, &owner)?,
            // Between devices, not between peers: whoever knows devices answers these before they come here.
            _ => Response::Refused(Refusal::Unknown),
        };
        let work = limiter::cost_of_work(self.holder.work().since(before));
        self.limiter.charge(group, work, context.now.tick);
        Ok(response)
    }

    pub(super) fn reply(&mut self, inbound: InboundId, response: Response, stateless: bool) {
        self.outputs.push_back(Output::Reply { inbound, response, stateless });
    }

    /// Keeps a record ourselves, wherever its key is.
    pub(super) fn keep(
        &mut self,
        context: &mut Context<'_>,
        offer: &Offer,
    ) -> Result<StoreOutcome, StorageError> {
        let stored = self.holder.store(context.now, &mut context.tools(), offer)?;
        for Notice { to, address } in stored.notify {
            if let Some(peer) = self.links.get(&to).map(|link| link.peer(to)) {
                self.call(peer, Request::Notify(address), Purpose::Notify);
            }
        }
        if stored.outcome == StoreOutcome::Stored {
            self.wake_for_upkeep(context.now.tick);
        }
        Ok(stored.outcome)
    }

    fn serve_store(
        &mut self,
        context: &mut Context<'_>,
        from: AddressGroup,
        record: Record,
    ) -> Result<StoreOutcome, StorageError> {
        if self.reach.mode() == Mode::Client {
            return Ok(StoreOutcome::NotServing);
        }
        let near = self.is_near(&record.body().key);
        self.keep(context, &Offer { record, near, from })
    }

    fn serve_fetch(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        fetch: &Fetch,
    ) -> Result<Records, StorageError> {
        let peers = self.closest_for(remote, &fetch.key.as_node_id(), usize::from(fetch.peers));
        let reserved = peers.len().saturating_mul(PEER_BYTES);
        let wanted = Wanted { key: fetch.key, kind: fetch.kind, count: usize::from(fetch.count), reserved };
        let found = self.holder.fetch(context.now, context.store, wanted)?;
        Ok(Records { records: found.records, peers, left_out: found.left_out })
    }

    /// The contacts closest to `target` that the asker may hear of, itself left out.
    fn closest_for(&self, asker: &Remote, target: &NodeId, count: usize) -> Vec<Peer> {
        let to = AddressGroup::of(&asker.address);
        let tell = |contact: &Contact| contact.key() != asker.key && contact.group().may_be_told_to(&to);
        self.table.closest_among(target, count, tell).into_iter().map(|contact| contact.peer()).collect()
    }

    /// Whether we are plausibly among those that hold records under `key`: no farther from it than the region of a
    /// wide lookup reaches, by how far away our own neighbours are. Who knows only few peers cannot tell, and is
    /// near to everything.
    fn is_near(&self, key: &RecordKey) -> bool {
        if self.table.len() < DENSITY_SAMPLE.saturating_mul(2) {
            return true;
        }
        let neighbours = self.table.closest(&self.id, DENSITY_SAMPLE);
        let Some(farthest) = neighbours.last() else { return true };
        let reach = u128::from(leading(&self.id, farthest.id()));
        let regions = u128::try_from(limits::WIDE / DENSITY_SAMPLE).unwrap_or(1);
        let radius = reach.saturating_mul(regions).saturating_mul(u128::from(REGION_SLACK));
        u128::from(leading(&self.id, &key.as_node_id())) <= radius
    }
}
