//! Peers that do not behave as written.
//!
//! Each runs the shipping overlay like everybody else: it joins, serves, keeps its table. What differs is what it answers:
//! some requests never reach its overlay, some answers are changed when they leave it. All that they can do on the wire
//! is in here; what they know of one another, they know at once and for nothing.

mod grind;

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use starling_proto::addr::Peer;
use starling_proto::ids::{NodeId, NodeKey, RecordId};
use starling_proto::message::{
    Matches, PassOn, Passed, Placed, Proof, Records, Request, Response, StoreOutcome,
};
use starling_proto::record::Record;

pub use self::grind::{Band, Ground, grind};
use crate::overlays::crowd::Crowd;
use crate::overlays::{OverlayIndex, below, cut, street, target_of};

/// Peers that an answer has room for when a lie chooses how many.
const NAMED: usize = 80;
/// Members of a gang among whom those who attack a place are looked for, the closest.
const LOOKED_AT: usize = 320;
/// Holders of which an idle go-between says that they keep a record: as many as should.
const IDLE_HOLDERS: u8 = 40;
/// Holders that it says have shown one.
const SHOWN: usize = 8;
/// Invented peers in one answer.
const INVENTED: usize = 20;

/// How a peer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conduct {
    /// Takes connections and answers nothing.
    Silent,
    /// Names nobody, has nothing, and refuses what it is to keep; what it is to do in others' place it says it has done.
    Empty,
    /// Names those of its gang that are closest, says that it keeps what it drops, and has nothing. As a go-between it says
    /// that it has done what it has not, and that holders have shown what another of its gang has dropped.
    Colluding,
    /// The same, but it keeps and shows the first version of every record, so that later ones are hidden behind a record
    /// that is in order.
    Freezing,
    /// Names peers that do not exist, with identities ground to be closest, at addresses where nobody is.
    Inventing,
    /// Answers whatever is asked for with a record of somewhere else.
    Foreign,
    /// Cuts the records that it hands out.
    Cutting,
}

/// What was asked, as far as those who lie need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Who is closest to a place, or what is there.
    Place(NodeId),
    /// Anything else.
    Otherwise,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        target_of(request).map_or(Self::Otherwise, Self::Place)
    }
}

/// What becomes of a request that reaches a peer.
#[derive(Debug)]
pub(crate) enum Reaction {
    /// Its overlay sees to it.
    AsWritten,
    /// It says this instead.
    Says(Response),
    /// It says nothing.
    Silence,
}

/// Those who collude, know one another and answer for one another.
#[derive(Debug, Clone, Default)]
struct Gang {
    /// They, by their places.
    members: Crowd<(OverlayIndex, Peer)>,
}

/// Which gang: several can be at work in one network, each on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GangId(pub usize);

/// Everybody who does not behave as written, and what they share.
#[derive(Debug, Clone, Default)]
pub struct Adversary {
    roles: BTreeMap<OverlayIndex, (Conduct, GangId)>,
    gangs: Vec<Gang>,
    /// What a gang attacks; it behaves as written elsewhere. Nothing for everything.
    prey: BTreeMap<GangId, NodeId>,
    invented: Crowd<NodeKey>,
    /// Something to hand out in place of what is asked for.
    foreign: Option<Record>,
    /// What those who collude were to place in others' place, and have given one another.
    passed: BTreeMap<RecordId, Record>,
}

impl Adversary {
    /// Has these behave so from now on, as one gang; they name `friends` of other gangs beside their own.
    pub fn turn(
        &mut self,
        conduct: Conduct,
        members: &[(OverlayIndex, Peer)],
        friends: &[(OverlayIndex, Peer)],
    ) -> GangId {
        let gang = GangId(self.gangs.len());
        let all = members.iter().chain(friends);
        let places = all.map(|(index, peer)| (peer.key().node_id(), (*index, peer.clone())));
        self.gangs.push(Gang { members: Crowd::new(places) });
        self.roles.extend(members.iter().map(|(index, _)| (*index, (conduct, gang))));
        gang
    }

    /// Has a gang attack one place only.
    pub fn aim(&mut self, gang: GangId, place: NodeId) {
        self.prey.insert(gang, place);
    }

    /// What [`Conduct::Inventing`] names.
    pub fn invent(&mut self, identities: Crowd<NodeKey>) {
        self.invented = identities;
    }

    /// What [`Conduct::Foreign`] hands out.
    pub fn hand_out(&mut self, record: Record) {
        self.foreign = Some(record);
    }

    /// Whether a peer behaves as written.
    #[must_use]
    pub fn is_honest(&self, index: OverlayIndex) -> bool {
        !self.roles.contains_key(&index)
    }

    /// Whether a peer does not behave as written when it is asked about a place.
    #[must_use]
    pub fn attacks(&self, index: OverlayIndex, place: &NodeId) -> bool {
        let gang = self.roles.get(&index).map(|(_, gang)| gang);
        gang.is_some_and(|gang| self.prey.get(gang).is_none_or(|prey| prey == place))
    }

    /// How many do not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roles.len()
    }

    /// Whether all behave as written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// What a peer makes of a request, before its overlay sees it.
    pub(crate) fn react(&mut self, who: OverlayIndex, request: &Request, dice: &mut ChaCha8Rng) -> Reaction {
        let Some((conduct, gang)) = self.roles.get(&who).copied() else { return Reaction::AsWritten };
        if !self.concerns(gang, request) {
            return Reaction::AsWritten;
        }
        match (conduct, request) {
            (Conduct::Silent, _) => Reaction::Silence,
            (Conduct::Empty, Request::FindNode(_) | Request::Fetch(_) | Request::Query(_)) => {
                nothing(request, Vec::new())
            }
            (Conduct::Empty, Request::Store(_)) => Reaction::Says(Response::Stored(StoreOutcome::NotServing)),
            (Conduct::Freezing, Request::Store(record)) if record.body().sequence == 1 => Reaction::AsWritten,
            (Conduct::Freezing, Request::Fetch(_) | Request::Query(_)) => Reaction::AsWritten,
            (Conduct::Colluding | Conduct::Freezing, Request::Store(_)) => {
                Reaction::Says(Response::Stored(StoreOutcome::Stored))
            }
            (
                Conduct::Colluding | Conduct::Freezing,
                Request::FindNode(_) | Request::Fetch(_) | Request::Query(_),
            ) => nothing(request, self.accomplices(gang, &Asked::of(request))),
            (Conduct::Colluding | Conduct::Freezing, Request::PassOn(pass)) => self.pretend(pass),
            (Conduct::Empty, Request::PassOn(pass)) => Reaction::Says(Response::Passed(idle(pass))),
            (Conduct::Inventing, Request::FindNode(_) | Request::Fetch(_)) => {
                nothing(request, self.inventions(&Asked::of(request), dice))
            }
            (Conduct::Foreign, Request::Fetch(_)) => {
                let records = self.foreign.iter().cloned().collect();
                let peers = self.accomplices(gang, &Asked::of(request));
                Reaction::Says(Response::Records(Records { records, peers, left_out: 0 }))
            }
            _ => Reaction::AsWritten,
        }
    }

    /// What a peer makes of what its overlay answers.
    pub(crate) fn alter(&self, who: OverlayIndex, asked: &Asked, mut response: Response) -> Response {
        let Some((conduct, gang)) = self.roles.get(&who).copied() else { return response };
        if let Response::Records(found) = &mut response {
            match conduct {
                Conduct::Cutting => {
                    found.records = found.records.iter().filter_map(cut).collect();
                }
                Conduct::Freezing => found.peers = self.accomplices(gang, asked),
                _ => {}
            }
        }
        response
    }

    /// What a go-between says who drops what it was to do and knows what the others of its gang have dropped.
    fn pretend(&mut self, pass: &PassOn) -> Reaction {
        if let PassOn::Store(record) = pass {
            self.passed.insert(record.id(), record.clone());
        }
        if let PassOn::Prove { prove, .. } = pass
            && let Some(record) = self.passed.get(&prove.record)
        {
            let proofs = vec![Proof::Held(record.proof(&prove.nonce)); SHOWN];
            return Reaction::Says(Response::Passed(Passed::Proofs(proofs)));
        }
        Reaction::Says(Response::Passed(idle(pass)))
    }

    /// Whether a request is about what a gang attacks.
    fn concerns(&self, gang: GangId, request: &Request) -> bool {
        let Some(prey) = self.prey.get(&gang) else { return true };
        match request {
            Request::FindNode(find) => find.target == *prey,
            Request::Fetch(fetch) => fetch.key.as_node_id() == *prey,
            Request::Query(query) => query.key.as_node_id() == *prey,
            Request::Store(record) => record.body().key.as_node_id() == *prey,
            Request::PassOn(pass) => pass.key().as_node_id() == *prey,
            _ => false,
        }
    }

    /// Those of a gang and its friends who attack what was asked for, the closest first.
    fn accomplices(&self, gang: GangId, asked: &Asked) -> Vec<Peer> {
        let (Asked::Place(target), Some(gang)) = (asked, self.gangs.get(gang.0)) else { return Vec::new() };
        let closest = gang.members.closest(target, LOOKED_AT);
        closest
            .into_iter()
            .filter(|(index, _)| self.attacks(*index, target))
            .take(NAMED)
            .map(|(_, peer)| peer)
            .collect()
    }

    fn inventions(&self, asked: &Asked, dice: &mut ChaCha8Rng) -> Vec<Peer> {
        let Asked::Place(target) = asked else { return Vec::new() };
        let nowhere = |dice: &mut ChaCha8Rng| {
            let mut address = street(below(dice, 1 << 15));
            address.set_port(6);
            address
        };
        let keys = self.invented.closest(target, INVENTED);
        keys.into_iter().map(|key| Peer::new(key, [nowhere(dice)])).collect()
    }
}

/// What somebody says who has done nothing of what it was to do in another's place.
pub(crate) fn idle(pass: &PassOn) -> Passed {
    let everybody = Placed { wanted: IDLE_HOLDERS, stored: IDLE_HOLDERS, full: 0 };
    match pass {
        PassOn::Store(_) => Passed::Placed(everybody),
        PassOn::Fetch(_) => Passed::Records(Records::default()),
        PassOn::Query(_) => Passed::Matches(Matches::default()),
        PassOn::Prove { .. } => Passed::Proofs(Vec::new()),
    }
}

/// An answer of the kind that was asked for which has nothing but `peers`.
fn nothing(request: &Request, mut peers: Vec<Peer>) -> Reaction {
    Reaction::Says(match request {
        Request::FindNode(find) => {
            peers.truncate(usize::from(find.count));
            Response::Nodes(peers)
        }
        Request::Fetch(fetch) => {
            peers.truncate(usize::from(fetch.peers));
            Response::Records(Records { records: Vec::new(), peers, left_out: 0 })
        }
        _ => Response::Matches(Matches { records: Vec::new(), left_out: 0 }),
    })
}
