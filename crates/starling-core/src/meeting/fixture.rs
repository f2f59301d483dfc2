//! People and an overlay that is a map: everything but the network is real.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::envelope::{
    Destination, InboxKeys, VerifiedRequest, WallClock, open_request, seal_request,
};
use starling_crypto::identity::VerifiedDeviceList;
use starling_crypto::owner::verify_owner_request;
use starling_crypto::phrase::RecoveryPhrase;
use starling_crypto::session::Vodozemac;
use starling_crypto::stamp::{StampPolicy, StampSearch};
use starling_overlay::io::Placement;
use starling_overlay::sampling::Samples;
use starling_overlay::verify::Verify as _;
use starling_proto::addr::Peer;
use starling_proto::contact::{ContactRequestBody, ReadKey};
use starling_proto::content::{ContentKind, HandOver};
use starling_proto::identity::Name;
use starling_proto::ids::{
    AccountKey, DeviceKey, DeviceListHash, LocatorKey, MailboxAddress, NodeKey, OlmKey, RecordId, RecordKey,
};
use starling_proto::message::{Operation, Records, Request, Response, StoreOutcome};
use starling_proto::record::{Record, RecordKind, Stamp};
use starling_proto::time::{Now, Span, Tick, UnixMillis};
use starling_proto::version::NetworkName;

use super::*;
use crate::candidate::Candidate;
use crate::directory;
use crate::io::Way;
use crate::memory::MemoryStore;
use crate::profile::Profile;
use crate::publisher::Due;
use crate::storage::ContactState;
use crate::talking::acquaintance::Standing;
use crate::verify::Verifier;
use crate::wish::Tag;

pub(super) const HOLDER: NodeKey = NodeKey::new([200; 32]);
pub(super) const START_MS: u64 = 1_767_225_600_000;

pub(super) fn at(seconds: u64) -> Now {
    Now { tick: Tick::ZERO.after(Span::from_secs(seconds)), wall: UnixMillis::new(START_MS + seconds * 1000) }
}

pub(super) fn policy() -> StampPolicy {
    StampPolicy::for_network(&network(), 2).unwrap()
}

pub(super) fn network() -> NetworkName {
    "village".parse().unwrap()
}

/// A request of person `n` to a device that is nobody's here.
pub(super) fn request_of(n: u8) -> VerifiedRequest {
    request_and_list_of(n).0
}

/// The same, and the device list of that person.
pub(super) fn request_and_list_of(n: u8) -> (VerifiedRequest, VerifiedDeviceList) {
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(n));
    let mut store = MemoryStore::default();
    let profile = Profile::new(Name::new("Somebody").unwrap());
    let (identity, _) = Identity::create::<Vodozemac>(&mut store, &profile, at(0), &mut rng).unwrap();
    let keys = InboxKeys::new(WallClock { now: at(0).seconds(), confirmed: true }, &mut rng);
    let (epoch, key) = keys.current();
    let (device, mailbox) = (DeviceKey::new([9; 32]), MailboxAddress::new([8; 32]));
    let body = ContactRequestBody {
        recipient: device,
        account: identity.account(),
        device_certs: identity.cert_chain().iter().map(|cert| cert.encode()).collect(),
        device_list: DeviceListHash::new([0; 32]),
        reply_inbox: mailbox,
        locator: LocatorKey::new([1; 32]),
        read_key: ReadKey::new([2; 32]),
        name: "Somebody".into(),
        note: String::new(),
        one_time_key: OlmKey::new([n; 32]),
        issued: at(0).seconds(),
    };
    let to = Destination { device, mailbox, epoch, key: &key };
    let envelope = seal_request(&body, identity.device_secret(), to, &mut rng).unwrap();
    (open_request(&keys, &device, &mailbox, &envelope).unwrap(), identity.list().clone())
}

/// The overlay: one holder that keeps everything it can verify.
#[derive(Default)]
pub(super) struct World {
    pub(super) records: BTreeMap<(RecordKey, RecordKind), Vec<Record>>,
    pub(super) deposits: usize,
    pub(super) stamps: usize,
    pub(super) down: bool,
    /// Holders that refuse whatever they are given.
    pub(super) refusing: usize,
    /// How often the holder has begun anew, and with it the connection.
    pub(super) anew: u8,
}

impl World {
    /// The connection with the holder that stands.
    pub(super) const fn binding(&self) -> [u8; 32] {
        [7 + self.anew; 32]
    }

    pub(super) fn keep(&mut self, record: Record, now: Now) -> bool {
        if self.down || Verifier::new(policy()).record(&record, now.seconds()).is_err() {
            return false;
        }
        let body = record.body();
        self.deposits += usize::from(body.kind == RecordKind::Deposit);
        let kept = self.records.entry((body.key, body.kind)).or_default();
        if body.kind != RecordKind::Deposit {
            kept.clear();
        }
        kept.push(record);
        true
    }

    pub(super) fn at(&self, key: RecordKey, kind: RecordKind) -> Vec<Record> {
        self.records.get(&(key, kind)).cloned().unwrap_or_default()
    }

    pub(super) fn waiting(&self) -> usize {
        self.records
            .iter()
            .filter(|((_, kind), _)| *kind == RecordKind::Deposit)
            .map(|(_, kept)| kept.len())
            .sum()
    }

    pub(super) fn answer(&mut self, request: &Request) -> Response {
        let Request::Owner(owner) = request else { return Response::Pong };
        verify_owner_request(owner, &owner.body().holder, &owner.body().channel_binding).unwrap();
        let own = owner.body().holder != HOLDER;
        assert_eq!(owner.body().channel_binding, if own { OWN_BINDING } else { self.binding() });
        let key = RecordKey::for_mailbox(&owner.body().address);
        let kept = self.records.entry((key, RecordKind::Deposit)).or_default();
        match &owner.body().operation {
            Operation::List if own => Response::Listed(Vec::new()),
            Operation::List => Response::Listed(kept.iter().map(Record::id).collect()),
            Operation::Take(ids) => {
                let records = kept.iter().filter(|record| ids.contains(&record.id())).cloned().collect();
                Response::Records(Records { records, ..Records::default() })
            }
            Operation::Delete(_) if own => Response::Deleted(0),
            Operation::Delete(ids) => {
                kept.retain(|record| !ids.contains(&record.id()));
                Response::Deleted(0)
            }
            Operation::Subscribe => Response::Subscribed,
        }
    }
}

pub(super) struct Person {
    pub(super) store: MemoryStore,
    pub(super) rng: ChaCha8Rng,
    pub(super) identity: Identity,
    phrase: RecoveryPhrase,
    pub(super) name: Name,
    pub(super) locator: LocatorKey,
    pub(super) read_key: ReadKey,
    pub(super) clock_confirmed: bool,
    pub(super) network: NetworkName,
    pub(super) meeting: Option<Meeting<Vodozemac>>,
    pub(super) events: Vec<Event>,
    pub(super) said: Vec<(AccountKey, DeviceKey, ContentKind)>,
    pub(super) acquainted: Vec<AccountKey>,
    /// What the machine of talking believes.
    pub(super) standings: BTreeMap<AccountKey, Standing>,
    pub(super) replaced: usize,
    /// What contacts left for us.
    pub(super) mail: Vec<Mail>,
    /// Whether the account's list names this device no more.
    pub(super) revoked: bool,
    /// Who has become a contact without a command: what the other devices are to know.
    pub(super) decided: Vec<AccountKey>,
}

impl Person {
    pub(super) fn new(name: &str, seed: u64, world: &mut World) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = MemoryStore::default();
        let name = Name::new(name).unwrap();
        let profile = Profile::new(name.clone());
        let (identity, phrase) =
            Identity::create::<Vodozemac>(&mut store, &profile, at(0), &mut rng).unwrap();
        Self::begin((store, rng, identity), phrase, (name, seed), at(0), world)
    }

    /// Another device of the same account, which this one links.
    pub(super) fn link(&mut self, seed: u64, now: Now, world: &mut World) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut store = MemoryStore::default();
        let candidate = Candidate::create::<Vodozemac>(&mut store, self.account(), now, &mut rng).unwrap();
        assert!(self.identity.link(&mut self.store, candidate.request(), now.seconds()).unwrap());
        self.publish(directory::account_record(&self.identity), now, world);
        self.act(now, world, |meeting, context| meeting.own_list_made(context).unwrap());
        let (list, profile) = (self.identity.list().list().clone(), Profile::new(self.name.clone()));
        let identity = candidate.join(&mut store, list, &profile, now).unwrap();
        let phrase = RecoveryPhrase::parse(&self.phrase.to_text()).unwrap();
        Self::begin((store, rng, identity), phrase, (self.name.clone(), seed), now, world)
    }

    fn begin(
        (store, rng, identity): (MemoryStore, ChaCha8Rng, Identity),
        phrase: RecoveryPhrase,
        (name, seed): (Name, u64),
        now: Now,
        world: &mut World,
    ) -> Self {
        let mut person = Self {
            store,
            rng,
            identity,
            phrase,
            name,
            locator: LocatorKey::new([seed as u8; 32]),
            read_key: ReadKey::new([seed as u8; 32]),
            clock_confirmed: true,
            network: network(),
            meeting: None,
            events: Vec::new(),
            said: Vec::new(),
            acquainted: Vec::new(),
            standings: BTreeMap::new(),
            replaced: 0,
            mail: Vec::new(),
            revoked: false,
            decided: Vec::new(),
        };
        person.publish(directory::account_record(&person.identity), now, world);
        person.restart(now, world);
        person
    }

    /// Loses everything, and begins again with the recovery phrase.
    pub(super) fn restore(&mut self, now: Now, world: &mut World) {
        let (mut store, profile) = (MemoryStore::default(), Profile::new(self.name.clone()));
        self.identity =
            Identity::restore::<Vodozemac>(&mut store, &self.phrase, &profile, now, &mut self.rng).unwrap();
        self.store = store;
        self.locator = LocatorKey::new([10; 32]);
        self.publish(directory::account_record(&self.identity), now, world);
        self.restart(now, world);
    }

    pub(super) fn restart(&mut self, now: Now, world: &mut World) {
        self.meeting = None;
        let meeting = self.with_context(now, |_, context| Meeting::load(context).unwrap());
        self.meeting = Some(meeting);
        self.run(now, world);
    }

    pub(super) fn with_context<T>(
        &mut self,
        now: Now,
        act: impl FnOnce(Option<&mut Meeting<Vodozemac>>, &mut Context<'_>) -> T,
    ) -> T {
        let me = Myself {
            identity: &self.identity,
            name: &self.name,
            locator: self.locator,
            read_key: &self.read_key,
            network: &self.network,
        };
        let (rng, store) = (&mut self.rng, &mut self.store);
        let context = &mut Context { now, clock_confirmed: self.clock_confirmed, rng, store, me };
        act(self.meeting.as_mut(), context)
    }

    /// Lets the user or the machine of talking do something, and then everything that follows happen.
    pub(super) fn act<T>(
        &mut self,
        now: Now,
        world: &mut World,
        act: impl FnOnce(&mut Meeting<Vodozemac>, &mut Context<'_>) -> T,
    ) -> T {
        let result = self.with_context(now, |meeting, context| act(meeting.unwrap(), context));
        self.run(now, world);
        result
    }

    pub(super) fn run(&mut self, now: Now, world: &mut World) {
        while let Some(output) = self.meeting.as_mut().unwrap().poll_output() {
            match output {
                Output::Wish(wish) => self.grant(wish, now, world),
                Output::Publish(wanted) => {
                    let payload = wanted.payload.clone();
                    if self.publish(wanted, now, world) {
                        self.with_context(now, |meeting, context| {
                            meeting.unwrap().published(context, &payload).unwrap();
                        });
                    }
                }
                Output::Acquaint(person) => {
                    self.acquainted.push(person.account());
                    self.standings.insert(person.account(), person.standing);
                }
                Output::Forget(account) => {
                    self.acquainted.retain(|known| *known != account);
                    self.standings.remove(&account);
                }
                Output::Say { account, device, kind } => self.said.push((account, device, kind)),
                Output::Mail(mail) => {
                    let taken: Vec<RecordId> = mail.batches.iter().map(|(id, _)| *id).collect();
                    self.with_context(now, |meeting, context| {
                        meeting.unwrap().mail_taken(context, &mail.mailbox, &taken, false);
                    });
                    self.mail.push(mail);
                }
                Output::Decided(account) => self.decided.push(account),
                Output::OwnList(list) => {
                    if self.identity.adopt(&mut self.store, list).unwrap() {
                        self.with_context(now, |meeting, context| {
                            meeting.unwrap().own_devices_changed(context).unwrap();
                        });
                    } else {
                        self.revoked = true;
                    }
                }
                Output::ReplaceLocator => {
                    self.replaced += 1;
                    self.locator = LocatorKey::new([9 + self.replaced as u8; 32]);
                    self.with_context(now, |meeting, context| {
                        meeting.unwrap().locator_replaced(context).unwrap();
                    });
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub(super) fn grant(&mut self, wish: Wish, now: Now, world: &mut World) {
        let (tag, outcome) = match wish {
            Wish::Fetch { tag, key, kind } => {
                let holders = usize::from(!world.down);
                let records = if world.down { Vec::new() } else { world.at(key, kind) };
                (tag, Outcome::Fetched { records, holders })
            }
            Wish::Store { tag, record } => {
                let id = record.id();
                let holders = if world.keep(record, now) { vec![HOLDER] } else { Vec::new() };
                let refused = vec![(HOLDER, StoreOutcome::Invalid); world.refusing];
                let (unnamed, wanted, caps_relaxed, requests) = (0, 1 + refused.len(), false, 1);
                let samples = Samples::default();
                let placement =
                    Placement { id, holders, unnamed, wanted, refused, caps_relaxed, requests, samples };
                (tag, Outcome::Stored(placement))
            }
            Wish::Lookup { tag, .. } => {
                (tag, Outcome::Found(vec![Peer::new(HOLDER, ["10.0.0.1:1".parse().unwrap()])]))
            }
            Wish::Call { tag, .. } if world.down => (tag, Outcome::Answered(Err(CallError::Unreachable))),
            Wish::Call { tag, way: Way::Only(binding), .. }
                if ![OWN_BINDING, world.binding()].contains(&binding) =>
            {
                (tag, Outcome::Answered(Err(CallError::Closed)))
            }
            Wish::Call { tag, request, .. } => {
                self.meeting.as_mut().unwrap().peer_up(HOLDER, world.binding());
                (tag, Outcome::Answered(Ok(world.answer(&request))))
            }
            Wish::Stamp { tag, subject } => {
                world.stamps += 1;
                let mut search = StampSearch::new(subject, now.month(), policy(), 0);
                (tag, Outcome::Stamped(search.step(1000).unwrap()))
            }
            Wish::Sample { .. } => panic!("another machine's"),
            Wish::Event(_) => return,
        };
        let Tag::Meet(number) = tag else { panic!("another machine's") };
        self.with_context(now, |meeting, context| meeting.unwrap().done(context, number, outcome).unwrap());
    }

    pub(super) fn publish(&mut self, wanted: Wanted, now: Now, world: &mut World) -> bool {
        let subject = starling_crypto::stamp::StampSubject::Publisher(self.identity.publisher());
        let stamp: Stamp = StampSearch::new(subject, now.month(), policy(), 0).step(1000).unwrap();
        let due = Due {
            kind: wanted.kind,
            key: wanted.key,
            sequence: now.seconds().get(),
            expires: now.seconds().after(Span::from_days(30)),
            payload: Some(wanted.payload),
        };
        world.keep(self.identity.sign(due, Some(stamp), now).unwrap(), now)
    }

    pub(super) fn account(&self) -> AccountKey {
        self.identity.account()
    }

    pub(super) fn contact(&self, account: &AccountKey) -> &Contact {
        self.meeting.as_ref().unwrap().contacts().get(account).unwrap()
    }

    pub(super) fn state_of(&self, account: &AccountKey) -> Option<ContactState> {
        self.meeting.as_ref().unwrap().contacts().get(account).map(|contact| contact.state)
    }

    /// Reads every mailbox, and lets its holders know what can go.
    pub(super) fn tick(&mut self, now: Now, world: &mut World) {
        self.act(now, world, |meeting, context| {
            meeting.inbox.hurry(context.now.tick);
            meeting.tick(context).unwrap();
        });
        self.act(now, world, |meeting, context| {
            meeting.inbox.hurry_deletions(context.now.tick);
            meeting.tick(context).unwrap();
        });
    }

    pub(super) fn take_hand_over(&mut self, of: &AccountKey) -> HandOver {
        let at = self.said.iter().position(|(account, _, _)| account == of).expect("something was said");
        match self.said.remove(at).2 {
            ContentKind::HandOver(hand_over) => *hand_over,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn two() -> (Person, Person, World) {
    let mut world = World::default();
    let ada = Person::new("Ada", 1, &mut world);
    let bob = Person::new("Bob", 2, &mut world);
    (ada, bob, world)
}

/// Carries the hand-over that `from` has said to `to`.
pub(super) fn carry(from: &mut Person, to: &mut Person, now: Now, world: &mut World) {
    let hand_over = from.take_hand_over(&to.account());
    let (account, device) = (from.account(), from.identity.device());
    to.act(now, world, |meeting, context| meeting.hand_over(context, (account, device), hand_over).unwrap());
}

pub(super) fn add(from: &mut Person, to: &Person, now: Now, world: &mut World) {
    let account = to.account();
    from.act(now, world, |meeting, context| meeting.add(context, account, "we met").unwrap());
}
