//! A network of two, with one connection at most, a virtual clock and disks that commit or do not.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_crypto::capability::issue_capability;
use starling_crypto::envelope::{InboxKeys, WallClock};
use starling_crypto::keys::{DepositorSecret, MailboxSecret, SigningSecret as _};
use starling_crypto::secret::Secret;
use starling_crypto::session::{OlmAccount as _, SessionBook, Vodozemac, VodozemacSession};
use starling_overlay::io::{CallError, ChannelBinding, Placement, Remote};
use starling_overlay::sampling::Shown;
use starling_proto::content::{ContentKind, HandOver, MailboxEpoch, MailboxGrant, MessageText, Said};
use starling_proto::identity::{Bundle, Envelope};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, NodeKey, OlmKey, RecordKey};
use starling_proto::message::{Deliver, DeviceProof, Request, Response};
use starling_proto::record::{Record, RecordKind};
use starling_proto::session::Party;
use starling_proto::time::{Now, Span, Tick};

use super::super::acquaintance::{Acquaintance, Reach, Standing};
use super::super::{Context, Notice, Talking, fixture};
use crate::identity::Identity;
use crate::io::Way;
use crate::meeting::Mail;
use crate::memory::MemoryStore;
use crate::publisher::Due;
use crate::sampling::fixture::placement_of;
use crate::storage::{SessionStore as _, Slot, SlotStore as _};
use crate::wish::{Tag, Wish};

pub(super) const ADA: usize = 0;
pub(super) const BOB: usize = 1;

type Machine = Talking<Vodozemac>;

pub(super) struct Side {
    pub(super) store: MemoryStore,
    pub(super) identity: Identity,
    pub(super) talking: Machine,
    pub(super) notices: Vec<Notice>,
    /// What the machine of contacts would keep.
    keys: Vec<OlmKey>,
    standing: Standing,
    inbox: InboxKeys,
}

impl Side {
    /// The messages that the faces were told of.
    pub(super) fn messages_told(&self) -> Vec<MessageId> {
        let told = self.notices.iter().filter_map(|notice| match notice {
            Notice::Message(row) => Some(row.id),
            _ => None,
        });
        told.collect()
    }
}

/// What travels.
enum Travel {
    Request { from: usize, question: u64, binding: ChannelBinding, request: Request },
    Answer { to: usize, question: u64, answer: Result<Response, CallError> },
    Fetched { to: usize, question: u64, records: Vec<Record> },
    Stored { to: usize, question: u64, placement: Placement },
    Sampled { to: usize, question: u64, shown: Vec<(NodeKey, Shown)> },
}

pub(super) struct Net {
    pub(super) sides: Vec<Side>,
    pub(super) now: Now,
    /// The connection that stands, and who dialled.
    connection: Option<(ChannelBinding, usize)>,
    bindings: u8,
    records: BTreeMap<RecordKey, Record>,
    queue: VecDeque<Travel>,
    rng: ChaCha8Rng,
    /// Every batch that ever left, and to whom.
    pub(super) sent: Vec<(usize, Deliver)>,
    /// Every proof that ever left, and to whom.
    pub(super) proofs: Vec<(usize, DeviceProof)>,
    /// This side loses power in its next step, before the commit.
    pub(super) crash_next: Option<usize>,
    pub(super) away: [bool; 2],
    /// Proofs are answered with themselves.
    pub(super) impostor: bool,
    /// Deliveries are neither answered nor refused: the link is dead and nobody has noticed.
    pub(super) mute: bool,
    /// So many deliveries are lost with their connection.
    pub(super) lost_deliveries: usize,
    /// What lies at each side's mailbox.
    pub(super) mail: [Vec<Record>; 2],
    /// Whether nobody but the writer keeps mail.
    pub(super) alone: bool,
    /// How many peers keep a deposit, and of how many that should.
    pub(super) holders: (usize, usize),
    /// What holders show when they are asked whether they keep a letter.
    pub(super) shows: fn(u8) -> Shown,
    /// Whether nobody can be asked.
    pub(super) cut_off: bool,
    /// How many were asked so far.
    pub(super) asked: usize,
}

pub(super) fn seed_of(side: usize) -> u64 {
    side as u64 + 1
}

fn remote(side: &Side, binding: ChannelBinding) -> Remote {
    Remote { key: side.identity.node().public(), address: "10.0.0.1:7".parse().unwrap(), binding }
}

impl Net {
    /// Two contacts; Ada has keys to start sessions with Bob.
    pub(super) fn new(seed: u64) -> Self {
        let now = Now { wall: fixture::START, tick: Tick::ZERO };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sides = (0..2).map(|side| new_side(side, now, &mut rng)).collect();
        let mut net = Self {
            sides,
            now,
            connection: None,
            bindings: 0,
            records: BTreeMap::new(),
            queue: VecDeque::new(),
            rng,
            sent: Vec::new(),
            proofs: Vec::new(),
            crash_next: None,
            away: [false; 2],
            impostor: false,
            mute: false,
            lost_deliveries: 0,
            mail: [Vec::new(), Vec::new()],
            holders: (40, 40),
            shows: |_| Shown::Kept,
            cut_off: false,
            asked: 0,
            alone: false,
        };
        let keys = reserve_keys(&mut net.sides[BOB].store, &mut net.rng);
        net.sides[ADA].keys = keys;
        for side in [ADA, BOB] {
            net.publish(side);
        }
        for side in [ADA, BOB] {
            net.meet(side, Standing::Accepted);
        }
        net
    }

    pub(super) fn account(&self, side: usize) -> AccountKey {
        self.sides[side].identity.account()
    }

    /// One step of a machine with its commit, or without one if the power fails.
    pub(super) fn with<T>(
        &mut self,
        side: usize,
        step: impl FnOnce(&mut Machine, &mut Context<'_>) -> Result<T, crate::storage::StorageError>,
    ) -> T {
        let it = &mut self.sides[side];
        let before = it.store.clone();
        let store = &mut it.store;
        let mut context = context(self.now, &mut self.rng, store, &it.identity);
        let result = step(&mut it.talking, &mut context).unwrap();
        if self.crash_next == Some(side) {
            self.crash_next = None;
            it.store = before;
            self.restart(side);
            return result;
        }
        while let Some(notice) = self.sides[side].talking.poll_notice() {
            if let Notice::KeyUsed { key, .. } = &notice {
                self.sides[side].keys.retain(|kept| kept != key);
            }
            self.sides[side].notices.push(notice);
        }
        while let Some(wish) = self.sides[side].talking.poll_wish() {
            self.grant(side, wish);
        }
        result
    }

    /// The machine of contacts says who the other one is.
    pub(super) fn meet(&mut self, side: usize, standing: Standing) {
        self.sides[side].standing = standing;
        let other = &mut self.sides[1 - side];
        let (list, device) = (other.identity.list().clone(), other.identity.device());
        let (locator, read_key) = (other.talking.locator().key(), other.talking.locator().read_key().clone());
        let one_time_keys = self.sides[side].keys.clone();
        let mailboxes = self.grants(1 - side);
        let reach = Reach { locator, read_key, one_time_keys, mailboxes };
        let person = Acquaintance { standing, list, reach: BTreeMap::from([(device, reach)]) };
        self.with(side, |talking, context| talking.set_person(context, person));
    }

    /// As if the other side had never handed over where its mail can be left.
    pub(super) fn forget_mailboxes(&mut self, side: usize) {
        let other = &self.sides[1 - side];
        let (list, device) = (other.identity.list().clone(), other.identity.device());
        let (locator, read_key) = (other.talking.locator().key(), other.talking.locator().read_key().clone());
        let reach = Reach { locator, read_key, one_time_keys: Vec::new(), mailboxes: Vec::new() };
        let reach = BTreeMap::from([(device, reach)]);
        let person = Acquaintance { standing: self.sides[side].standing, list, reach };
        self.with(side, |talking, context| talking.set_person(context, person));
    }

    pub(super) fn say(&mut self, side: usize, text: &str) -> MessageId {
        let (to, text) = (self.account(1 - side), MessageText::new(text).unwrap());
        let said = Said::Text(text.into());
        // What was not committed was not said: the user says it again.
        let crashes = self.crash_next == Some(side);
        let row = self
            .with(side, |talking, context| {
                let id = crate::talking::history::random_id(context.rng);
                talking.send(context, &to, id, said.clone())
            })
            .unwrap();
        if crashes {
            return self
                .with(side, |talking, context| {
                    let id = crate::talking::history::random_id(context.rng);
                    talking.send(context, &to, id, said.clone())
                })
                .unwrap()
                .id;
        }
        row.id
    }

    /// Leave to deposit at a side's mailbox.
    fn grants(&self, side: usize) -> Vec<MailboxGrant> {
        let depositor = DepositorSecret::from_seed(&Secret::copy_of(&[side as u8 + 60; 32]));
        let ends = self.now.seconds().after(Span::from_days(90));
        let capability = issue_capability(&mailbox(side), depositor.publisher(), ends, 1024).unwrap();
        let first = MailboxEpoch::of(self.now.seconds());
        let seed = *depositor.to_seed().expose();
        let grant =
            |n| MailboxGrant { epoch: first.later(n), capability: capability.clone(), depositor_seed: seed };
        (0..3).map(grant).collect()
    }

    /// A side reads its mailbox, as far as `reads` wants; what has been taken is let go. Gives how many were taken.
    pub(super) fn read_mail(&mut self, side: usize, complete: bool, reads: impl Fn(usize) -> bool) -> usize {
        let device = self.sides[side].identity.device();
        let address = mailbox(side).public();
        let mut batches = Vec::new();
        for (n, record) in self.mail[side].iter().enumerate().filter(|(n, _)| reads(*n)) {
            let envelope = Envelope::decode(&record.body().payload).unwrap();
            let plaintext = self.sides[side].inbox.open(&device, &address, &envelope).unwrap();
            assert!(n < 10_000);
            batches.push((record.id(), Deliver::decode(&plaintext).unwrap()));
        }
        let from = self.sides[1 - side].identity.device();
        let mail = Mail { mailbox: address, device: from, batches, complete };
        let crashes = self.crash_next == Some(side);
        let taken = self.with(side, |talking, context| talking.receive_mail(context, mail));
        if crashes {
            return 0;
        }
        self.mail[side].retain(|record| !taken.done.contains(&record.id()));
        taken.done.len()
    }

    pub(super) fn hand_over(&mut self, side: usize) -> ContentKind {
        let it = &mut self.sides[side];
        ContentKind::HandOver(Box::new(HandOver {
            locator: it.talking.locator().key(),
            read_key: it.talking.locator().read_key().clone(),
            ..fixture::hand_over(&it.identity)
        }))
    }

    /// Asks a side on the connection that stands, and gives its reply.
    pub(super) fn request(&mut self, to: usize, request: Request) -> Response {
        let (binding, _) = self.connection.expect("a connection stands");
        let remote = remote(&self.sides[1 - to], binding);
        self.with(to, |talking, context| talking.handle_request(context, &remote, request))
    }

    /// The power fails between two steps.
    pub(super) fn restart(&mut self, side: usize) {
        self.drop_connection();
        self.queue.retain(|travel| !is_for(travel, side));
        let it = &mut self.sides[side];
        let store = &mut it.store;
        let mut context = context(self.now, &mut self.rng, store, &it.identity);
        it.talking = Machine::load(&mut context).unwrap();
        let standing = it.standing;
        self.meet(side, standing);
        let other = 1 - side;
        let key = self.sides[side].identity.node().public();
        self.with(other, |talking, context| talking.handle_peer_down(context, &key));
    }

    /// The connection ends, with everything that was on it.
    pub(super) fn cut(&mut self) {
        self.drop_connection();
        for side in [ADA, BOB] {
            let key = self.sides[1 - side].identity.node().public();
            self.with(side, |talking, context| talking.handle_peer_down(context, &key));
        }
    }

    pub(super) fn lose_sessions(&mut self, side: usize) {
        let device: DeviceKey = self.sides[1 - side].identity.device();
        let rows = self.sides[side].store.sessions(&device).unwrap();
        let nobody = Party { account: self.account(side), device };
        let book = SessionBook::<VodozemacSession>::new(nobody, nobody, OlmKey::new([0; 32]));
        let book = book.with_rows(rows.iter().map(Vec::as_slice), []).unwrap();
        for session in book.sessions() {
            self.sides[side].store.remove_session(&device, &session).unwrap();
        }
        self.restart(side);
    }

    /// Runs until nothing travels and `span` has passed.
    pub(super) fn run(&mut self, span: Span) {
        let end = self.now.tick.after(span);
        loop {
            self.run_some(usize::MAX);
            let next = self.sides.iter().filter_map(|side| side.talking.next_timeout(self.now)).min();
            let next = next.unwrap().max(self.now.tick.after(Span::from_ms(1)));
            self.advance(next.min(end));
            if next > end {
                return;
            }
            for side in [ADA, BOB] {
                self.with(side, |talking, context| talking.handle_timer(context));
            }
        }
    }

    /// Lets at most `steps` things arrive.
    pub(super) fn run_some(&mut self, steps: usize) {
        for step in 0..steps {
            assert!(step < 100_000, "they never come to rest");
            let Some(travel) = self.queue.pop_front() else { return };
            let delivery = matches!(travel, Travel::Request { request: Request::Deliver(_), .. });
            if self.mute && delivery {
                continue;
            }
            if self.lost_deliveries > 0 && delivery {
                self.lost_deliveries -= 1;
                self.cut();
                continue;
            }
            self.arrive(travel);
        }
    }

    fn advance(&mut self, to: Tick) {
        let wall = self.now.wall.get() + to.since(self.now.tick).as_ms();
        self.now = Now { tick: to, wall: starling_proto::time::UnixMillis::new(wall) };
    }

    fn arrive(&mut self, travel: Travel) {
        match travel {
            Travel::Request { from, question, binding, request } => {
                let to = 1 - from;
                let stands = self.connection.is_some_and(|(standing, _)| standing == binding);
                let answer = match request {
                    _ if !stands => Err(CallError::Closed),
                    Request::Ping => Ok(Response::Pong),
                    Request::DeviceProof(proof) if self.impostor => Ok(Response::DeviceProof(proof)),
                    request => {
                        let remote = remote(&self.sides[from], binding);
                        let crashes = self.crash_next == Some(to);
                        let response = self
                            .with(to, |talking, context| talking.handle_request(context, &remote, request));
                        if crashes { Err(CallError::Closed) } else { Ok(response) }
                    }
                };
                self.queue.push_back(Travel::Answer { to: from, question, answer });
            }
            Travel::Answer { to, question, answer } => {
                self.with(to, |talking, context| talking.handle_answer(context, question, answer));
            }
            Travel::Stored { to, question, placement } => {
                self.with(to, |talking, context| talking.handle_stored(context, question, Some(&placement)));
            }
            Travel::Sampled { to, question, shown } => {
                self.with(to, |talking, context| talking.handle_sampled(context, question, &shown));
            }
            Travel::Fetched { to, question, records } => {
                self.with(to, |talking, context| talking.handle_fetched(context, question, &records));
            }
        }
    }

    fn grant(&mut self, side: usize, wish: Wish) {
        match wish {
            Wish::Fetch { tag: Tag::Talk(question), key, .. } => {
                let records = self.records.get(&key).cloned().into_iter().collect();
                self.queue.push_back(Travel::Fetched { to: side, question, records });
            }
            Wish::Store { tag: Tag::Talk(question), record } => {
                let (holders, wanted) = self.holders;
                let ended = record.body().expires <= self.now.seconds();
                let others = (0..if ended { 0 } else { holders }).map(|n| NodeKey::new([n as u8; 32]));
                let others = others.collect();
                let us = self.sides[side].identity.node().public();
                let (holders, wanted) = if self.alone { (vec![us], 1) } else { (others, wanted) };
                let placement = placement_of(&record, &holders, &us, wanted);
                let kept = &mut self.mail[1 - side];
                if !placement.holders.is_empty() && !kept.contains(&record) {
                    kept.push(record);
                }
                self.queue.push_back(Travel::Stored { to: side, question, placement });
            }
            Wish::Sample { tag: Tag::Talk(question), sample } => {
                self.asked += sample.questions.len();
                let keys = sample.questions.iter().map(|(peer, _)| peer.key());
                let shown = keys.map(|key| (key, (self.shows)(key.as_bytes()[0])));
                let shown = shown.filter(|_| !self.cut_off).collect();
                self.queue.push_back(Travel::Sampled { to: side, question, shown });
            }
            Wish::Call { tag: Tag::Talk(question), way, request, .. } => {
                self.note(side, &request);
                match self.connection_for(side, way) {
                    Some(binding) => {
                        self.queue.push_back(Travel::Request { from: side, question, binding, request });
                    }
                    None => {
                        let answer = Err(CallError::Unreachable);
                        self.queue.push_back(Travel::Answer { to: side, question, answer });
                    }
                }
            }
            other => panic!("not a wish of this machine: {other:?}"),
        }
    }

    fn note(&mut self, from: usize, request: &Request) {
        match request {
            Request::Deliver(deliver) => self.sent.push((1 - from, deliver.clone())),
            Request::DeviceProof(proof) => self.proofs.push((1 - from, proof.clone())),
            _ => {}
        }
    }

    /// Dials where no connection stands.
    fn connection_for(&mut self, side: usize, way: Way) -> Option<ChannelBinding> {
        if self.away.contains(&true) {
            return None;
        }
        match (way, self.connection) {
            (Way::Only(binding), _) => Some(binding),
            (_, Some((binding, _))) => Some(binding),
            (_, None) => {
                self.bindings = self.bindings.wrapping_add(1);
                let binding = [self.bindings; 32];
                self.connection = Some((binding, side));
                for end in [side, 1 - side] {
                    let remote = remote(&self.sides[1 - end], binding);
                    self.with(end, |talking, context| talking.handle_peer_up(context, &remote, end == side));
                }
                Some(binding)
            }
        }
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        for travel in &mut self.queue {
            if let Travel::Request { from, question, .. } = *travel {
                *travel = Travel::Answer { to: from, question, answer: Err(CallError::Closed) };
            }
        }
    }

    fn publish(&mut self, side: usize) {
        let it = &mut self.sides[side];
        it.talking.set_addresses(vec!["10.0.0.1:7".parse().unwrap()]);
        let wanted = it.talking.locator_mut().take_wanted(&it.identity, self.now, &mut self.rng);
        for wanted in wanted.unwrap().unwrap() {
            let expires = self.now.seconds().after(Span::from_days(30));
            let due = Due {
                kind: wanted.kind,
                key: wanted.key,
                sequence: 1,
                expires,
                payload: Some(wanted.payload),
            };
            let record = it.talking.locator().sign(due, self.now).unwrap();
            self.records.insert(record.body().key, record);
        }
    }

    /// Publishes a side's bundle: whoever finds it can start a session, and leave mail.
    pub(super) fn publish_bundle(&mut self, side: usize) {
        let it = &mut self.sides[side];
        let device = it.identity.device();
        let olm = it.store.read_slot(Slot::OlmAccount).unwrap().unwrap();
        let mut olm = Vodozemac::from_pickle(&olm).unwrap();
        olm.rotate_fallback(&mut self.rng);
        it.store.write_slot(Slot::OlmAccount, olm.pickle().unwrap().expose()).unwrap();
        let fallback_key = olm.fallback_keys().current.unwrap();
        let (inbox_epoch, inbox_key) = it.inbox.current();
        let request_inbox = mailbox(side).public();
        let bundle = Bundle { device, fallback_key, inbox_key, inbox_epoch, request_inbox };
        let due = Due {
            kind: RecordKind::Bundle,
            key: RecordKey::for_bundle(&device),
            sequence: 1,
            expires: self.now.seconds().after(Span::from_days(90)),
            payload: Some(bundle.encode()),
        };
        let record = it.identity.sign(due, None, self.now).unwrap();
        self.records.insert(record.body().key, record);
    }
}

fn context<'a>(
    now: Now,
    rng: &'a mut ChaCha8Rng,
    store: &'a mut MemoryStore,
    identity: &'a Identity,
) -> Context<'a> {
    Context { now, clock_confirmed: true, rng, store, identity }
}

fn is_for(travel: &Travel, side: usize) -> bool {
    match travel {
        Travel::Answer { to, .. }
        | Travel::Fetched { to, .. }
        | Travel::Stored { to, .. }
        | Travel::Sampled { to, .. } => *to == side,
        Travel::Request { .. } => false,
    }
}

fn new_side(side: usize, now: Now, rng: &mut ChaCha8Rng) -> Side {
    let mut store = MemoryStore::default();
    let identity = fixture::identity(&mut store, seed_of(side));
    let mut context = context(now, rng, &mut store, &identity);
    let talking = Machine::load(&mut context).unwrap();
    let inbox = InboxKeys::new(WallClock { now: now.seconds(), confirmed: true }, rng);
    let (notices, keys, standing) = (Vec::new(), Vec::new(), Standing::Accepted);
    Side { store, identity, talking, notices, keys, standing, inbox }
}

fn mailbox(side: usize) -> MailboxSecret {
    MailboxSecret::from_seed(&Secret::copy_of(&[side as u8 + 50; 32]))
}

/// Keys that a side would have handed over.
fn reserve_keys(store: &mut MemoryStore, rng: &mut ChaCha8Rng) -> Vec<OlmKey> {
    let pickle = store.read_slot(Slot::OlmAccount).unwrap().unwrap();
    let mut account = Vodozemac::from_pickle(&pickle).unwrap();
    let keys = account.generate_one_time_keys(3, rng);
    store.write_slot(Slot::OlmAccount, account.pickle().unwrap().expose()).unwrap();
    keys
}
