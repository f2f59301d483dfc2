//! Nodes as they stand: quotas, caps and bounds, counted anew from disks, tables and queues.

use std::collections::BTreeMap;
use std::net::IpAddr;

use starling_core::storage::{
    ContactState, ContactStore as _, OutboxStore as _, PeerStore as _, RecordStore as _,
};
use starling_overlay::storage::HeldRecord;
use starling_proto::ids::NodeKey;
use starling_proto::message::Mode;
use starling_proto::record::RecordKind;
use starling_proto::time::Span;

use super::{Rule, Violation};
use crate::network::{Network, NodeIndex};

/// Bytes of disk for others.
const DISK: u64 = 256 * 1024 * 1024;
/// Bytes that a record counts at least.
const CHARGE: u64 = 2 * 1024;
/// Bytes of one publisher at one holder, without an owner's leave.
const PUBLISHER: u64 = 256 * 1024;
/// Strangers' requests at one inbox.
const REQUESTS: usize = 32;
/// Entries under one index key.
const ENTRIES: usize = 4_096;
/// Contacts in a bucket; with fewer groups than this in all the caps relax.
const BUCKET: usize = 20;
/// Of one /24 in a bucket, and of one /16.
const STREET: usize = 2;
const TOWN: usize = 4;
/// Contacts up to which a node may take the dials of acquaintances for proof that it can be dialled: it does with eighty,
/// and a table grows and shrinks.
const FEW: usize = 85;
/// Requests of one node under way.
const CALLS: usize = 1_024;
/// Requests that one node owes an answer to, and how long at most.
const OWED: usize = 512;
const OWED_FOR: Span = Span::from_secs(60);

/// What is wrong with any node now.
#[must_use]
pub fn check(network: &Network) -> Vec<Violation> {
    let indices = network.indices();
    indices
        .flat_map(|index| quotas(network, index).chain(bounds(network, index)).collect::<Vec<_>>())
        .collect()
}

/// Whether each bucket keeps its caps. A table that has outgrown one street mends itself step by step, so that this is
/// for quiet times.
#[must_use]
pub fn group_caps(network: &Network) -> Vec<Violation> {
    let mut found = Vec::new();
    for index in network.indices() {
        let node = network.node(index);
        let Some(overlay) = node.overlay() else { continue };
        let peers: Vec<(NodeKey, IpAddr)> = overlay
            .known_peers()
            .filter_map(|peer| Some((peer.key(), peer.addresses().first()?.ip())))
            .collect();
        found
            .extend(crowded(node.key(), &peers).map(|what| violation(network, index, Rule::GroupCaps, what)));
    }
    found
}

/// Whether everybody who runs has somebody in their table.
#[must_use]
pub fn nobody_is_alone(network: &Network) -> Vec<Violation> {
    let mut found = Vec::new();
    for index in network.indices().filter(|_| network.nodes().len() > 1) {
        let node = network.node(index);
        if node.overlay().is_some_and(|overlay| overlay.peers() == 0) {
            let cached = node.disk().known_peers().expect("memory does not fail").len();
            let what = format!("nobody in the table, and {cached} on disk");
            found.push(violation(network, index, Rule::NobodyIsAlone, what));
        }
    }
    found
}

/// Whether those serve whom strangers can dial, and no others. Who knows few has only acquaintances to tell by, and may be
/// wrong; each finds out in its own time, so that a quarter of the others may be too, and a fiftieth of those who can be
/// dialled.
#[must_use]
pub fn servers_are_dialled(network: &Network) -> Vec<Violation> {
    let (mut clients, mut open, mut servers, mut behind) = (Vec::new(), 0, Vec::new(), 0);
    for index in network.indices() {
        let node = network.node(index);
        let Some(overlay) = node.overlay().filter(|overlay| overlay.peers() > 0) else { continue };
        let (mode, nat, knows) = (node.mode(), node.nat(), overlay.peers());
        let what = format!("a {mode:?} who knows {knows}, behind a router of kind {nat:?}");
        let violation = violation(network, index, Rule::ServersAreDialled, what);
        if nat.lets_strangers_in() {
            open += 1;
            clients.extend((mode == Mode::Client).then_some(violation));
        } else if knows > FEW {
            behind += 1;
            servers.extend((mode == Mode::Server).then_some(violation));
        }
    }
    let mut found = Vec::new();
    found.extend((clients.len() * 50 > open).then_some(clients).into_iter().flatten());
    found.extend((servers.len() * 4 > behind).then_some(servers).into_iter().flatten());
    found
}

/// Whether both sides of each of these pairs say that they are contacts.
#[must_use]
pub fn contacts_agree(network: &Network, pairs: &[(NodeIndex, NodeIndex)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (one, other) in pairs.iter().flat_map(|&(one, other)| [(one, other), (other, one)]) {
        let rows = network.node(one).disk().contacts().expect("memory does not fail");
        let account = network.node(other).account();
        let state = rows.iter().find(|row| row.account == account).map(|row| row.state);
        if state != Some(ContactState::Accepted) {
            let what = format!("{state:?} of node {}", other.0);
            found.push(violation(network, one, Rule::ContactsAgree, what));
        }
    }
    found
}

/// Whether nobody has anything left to send.
#[must_use]
pub fn outboxes_are_empty(network: &Network) -> Vec<Violation> {
    let mut found = Vec::new();
    for index in network.indices() {
        let waiting = network.node(index).disk().outbox().expect("memory does not fail");
        if let Some(first) = waiting.first() {
            let what = format!("{} wait, the first since {:?}", waiting.len(), first.queued_at);
            found.push(violation(network, index, Rule::OutboxesEmpty, what));
        }
    }
    found
}

/// Whether all that a node has left to send lies at a mailbox.
#[must_use]
pub fn all_is_mailed(network: &Network, index: NodeIndex) -> bool {
    let waiting = network.node(index).disk().outbox().expect("memory does not fail");
    waiting.iter().all(|row| row.mailed.is_some())
}

fn violation(network: &Network, node: NodeIndex, rule: Rule, what: String) -> Violation {
    Violation { at: network.now().tick, node, rule, what }
}

fn quotas(network: &Network, index: NodeIndex) -> impl Iterator<Item = Violation> {
    let held = network.node(index).disk().held_records().expect("memory does not fail");
    let over = over_quota(&held);
    over.into_iter().map(move |what| violation(network, index, Rule::HolderQuotas, what))
}

fn over_quota(held: &[HeldRecord]) -> Vec<String> {
    let charge = |held: &HeldRecord| u64::from(held.size).max(CHARGE);
    let (mut publishers, mut requests, mut entries) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for held in held.iter().filter(|held| !held.tombstone) {
        if !held.welcome {
            *publishers.entry(held.publisher).or_insert(0) += charge(held);
        }
        match held.kind {
            RecordKind::Deposit if !held.welcome => *requests.entry(held.key).or_insert(0) += 1,
            RecordKind::Directory => *entries.entry(held.key).or_insert(0) += 1,
            _ => {}
        }
    }
    let all: u64 = held.iter().map(charge).sum();
    let mut over = Vec::new();
    over.extend((all > DISK).then(|| format!("{all} bytes in all")));
    over.extend(
        publishers.into_values().filter(|n| *n > PUBLISHER).map(|n| format!("{n} bytes of a publisher")),
    );
    over.extend(requests.into_values().filter(|n| *n > REQUESTS).map(|n: usize| format!("{n} requests")));
    over.extend(entries.into_values().filter(|n| *n > ENTRIES).map(|n: usize| format!("{n} entries")));
    over
}

fn bounds(network: &Network, index: NodeIndex) -> impl Iterator<Item = Violation> {
    let (calls, (owed, since)) = (network.calls_of(index), network.unanswered_of(index));
    let late = since.map(|since| network.now().tick.since(since)).filter(|late| *late > OWED_FOR);
    let mut over = Vec::new();
    over.extend((calls > CALLS).then(|| format!("{calls} calls under way")));
    over.extend((owed > OWED).then(|| format!("{owed} requests without an answer")));
    over.extend(late.map(|late| format!("a request waits for its answer for {} s", late.as_secs())));
    over.into_iter().map(move |what| violation(network, index, Rule::Bounds, what))
}

/// A prefix of which too many stand in one bucket around `me`.
fn crowded(me: NodeKey, peers: &[(NodeKey, IpAddr)]) -> Option<String> {
    let streets = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => Some(v4.octets()),
        IpAddr::V6(_) => None,
    };
    let mut buckets: BTreeMap<(u32, [u8; 3]), usize> = BTreeMap::new();
    let mut towns: BTreeMap<(u32, [u8; 2]), usize> = BTreeMap::new();
    let mut groups = std::collections::BTreeSet::new();
    for (key, ip) in peers {
        let Some([a, b, c, _]) = streets(ip) else { continue };
        let bucket = shared_bits(me, *key);
        groups.insert([a, b, c]);
        *buckets.entry((bucket, [a, b, c])).or_default() += 1;
        *towns.entry((bucket, [a, b])).or_default() += 1;
    }
    if groups.len() < BUCKET {
        return None;
    }
    let street = buckets.into_iter().find(|(_, count)| *count > STREET);
    let town = towns.into_iter().find(|(_, count)| *count > TOWN);
    let street = street.map(|((bucket, _), count)| format!("{count} of one /24 in bucket {bucket}"));
    street.or_else(|| town.map(|((bucket, _), count)| format!("{count} of one /16 in bucket {bucket}")))
}

fn shared_bits(one: NodeKey, other: NodeKey) -> u32 {
    let (one, other) = (one.node_id(), other.node_id());
    let mut bits = 0;
    for (a, b) in one.as_bytes().iter().zip(other.as_bytes()) {
        bits += (a ^ b).leading_zeros();
        if a != b {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use starling_overlay::group::AddressGroup;
    use starling_proto::ids::{PublisherKey, RecordId, RecordKey};
    use starling_proto::time::UnixSeconds;

    use super::*;

    fn held(n: u8, kind: RecordKind, size: u32) -> HeldRecord {
        HeldRecord {
            id: RecordId::new([n; 32]),
            key: RecordKey::new([1; 32]),
            kind,
            publisher: PublisherKey::new([if kind == RecordKind::Deposit { n } else { 1 }; 32]),
            sequence: 1,
            size,
            received: UnixSeconds::new(1),
            expires: UnixSeconds::new(2),
            keep_until: UnixSeconds::new(2),
            tombstone: false,
            welcome: false,
            work: 0,
            group: AddressGroup::V4([1, 2, 3]),
        }
    }

    #[test]
    fn a_holder_over_its_quotas_is_seen() {
        let of_one =
            |count: u8| -> Vec<_> { (0..count).map(|n| held(n, RecordKind::Bundle, 20_000)).collect() };
        assert_eq!(over_quota(&of_one(13)), Vec::<String>::new());
        assert_eq!(over_quota(&of_one(14)), ["280000 bytes of a publisher"]);
        let requests =
            |count: u8| -> Vec<_> { (0..count).map(|n| held(n, RecordKind::Deposit, 1)).collect() };
        assert_eq!(over_quota(&requests(32)), Vec::<String>::new());
        assert_eq!(over_quota(&requests(33)), ["33 requests"]);
        let small: Vec<_> = (0..=128).map(|n| held(n, RecordKind::Directory, 1)).collect();
        assert_eq!(over_quota(&small), ["264192 bytes of a publisher"], "the least charge counts");
    }

    #[test]
    fn a_crowded_bucket_is_seen_where_groups_abound() {
        let me = NodeKey::new([0; 32]);
        let at = |n: u8, street: u8| (NodeKey::new([n; 32]), IpAddr::from([20, street, 0, n]));
        let elsewhere = |n: u8| (NodeKey::new([n; 32]), IpAddr::from([n, 0, 0, 1]));
        let far = |key: &NodeKey| shared_bits(me, *key) == 0;
        let mut keys = (1..=255).filter(|n| far(&NodeKey::new([*n; 32])));
        let mut peers: Vec<_> = keys.by_ref().take(20).map(elsewhere).collect();
        peers.extend(keys.by_ref().take(2).map(|n| at(n, 1)));
        assert_eq!(crowded(me, &peers), None);
        peers.extend(keys.by_ref().take(1).map(|n| at(n, 1)));
        assert_eq!(crowded(me, &peers).as_deref(), Some("3 of one /24 in bucket 0"));
        let few: Vec<_> = peers.split_off(10);
        assert_eq!(crowded(me, &few), None, "with few groups the caps relax");
    }
}
