//! The dispatcher: routes inputs to the machines and their wishes to the shell, and decides nothing itself.

mod commands;
mod conversing;
mod devices;
mod measuring;
mod passing;
mod profiling;
mod refusals;
mod routing;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::session::OlmAccount;
use starling_crypto::stamp::StampSubject;
use starling_overlay::io as overlay_io;
use starling_overlay::io::{InboundId, OpId, Remote};
use starling_overlay::overlay::Overlay;
use starling_overlay::verify::Verify;
use starling_proto::ids::{NodeKey, RecordKey};
use starling_proto::message::{PassOn, Refusal, Request, Response};
use starling_proto::record::RecordKind;
use starling_proto::time::{Now, Span, Tick};

pub use self::measuring::{LookupId, Measured};
use crate::config::Config;
use crate::identity::{Identity, IdentityError};
use crate::io::{CallId, CommandId, Input, Job, JobId, JobResult, Output};
use crate::meeting::{self, Meeting, Myself, Outcome};
use crate::profile::Profile;
use crate::publisher::Publisher;
use crate::search::Search;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::storage::{CoreStore, Slot, StorageError};
use crate::talking::{self, Talking};
use crate::verify::Verifier;
use crate::wish::Tag;

/// The wait after a stamp search that was cancelled: the shell has too much to do, or the machine was built anew.
const STAMP_RETRY: Span = Span::from_secs(5);
/// How often ids that need no longer be remembered are forgotten.
const UPKEEP: Span = Span::from_hours(1);

/// Connections with one peer that are remembered while nothing can be written, the newest.
const CONNECTIONS: usize = 4;

/// Whose wish an operation of the overlay is.
#[derive(Debug)]
enum Errand {
    /// The user's, or nobody's who waits.
    Join(Option<CommandId>),
    /// The publisher's. Of a bundle the payload is remembered: its keys count as known once it is placed.
    Publish { kind: RecordKind, key: RecordKey, bundle: Option<Vec<u8>> },
    /// The publisher's: whether holders keep this.
    Sample((RecordKind, RecordKey)),
    /// The user's.
    Search(CommandId),
    /// A machine's.
    Wish(Tag),
    /// Whoever measures.
    Measure(LookupId),
}

/// Whom a stamp is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StampFor {
    /// What we publish.
    Publisher,
    /// A machine's wish.
    Wish(Tag),
}

/// Outputs for which room stays when all are taken. They are large, and a batch that makes hundreds is rare.
const OUTPUTS_KEPT: usize = 4;

/// What the machines work with during one input.
struct Context<'a> {
    now: Now,
    rng: &'a mut dyn CryptoRng,
    store: &'a mut dyn CoreStore,
}

/// A peer's whole state: what a messenger is, without the world around it. `A` is the Olm implementation.
///
/// Hand it what happened ([`Self::handle`]), drain what it wants ([`Self::poll_output`]), and come back at
/// [`Self::next_timeout`]. All writes of a call go to the storage handed in: the caller commits them before it lets
/// outputs leave, and rebuilds the core from the storage if it cannot.
pub struct Core<A: OlmAccount> {
    config: Config,
    identity: Identity,
    profile: Profile,
    settings: Settings,
    shared: Shared,
    /// Whether the user has been told that this device is none of the account's.
    told_revoked: bool,
    overlay: Overlay,
    publisher: Publisher,
    verifier: Box<dyn Verify + Send>,
    meeting: Meeting<A>,
    talking: Talking<A>,
    searches: BTreeMap<CommandId, Search>,
    errands: BTreeMap<OpId, Errand>,
    stamp_jobs: BTreeMap<JobId, StampFor>,
    /// Not before this time is a stamp asked for again.
    stamp_retry: Option<Tick>,
    may_not_renew: bool,
    upkeep: Tick,
    /// When the last input came.
    latest: Now,
    /// Whether nothing can be written: see [`Self::set_disk_full`].
    disk_full: bool,
    /// The connections that have come since, for the machine of talking; none for a peer that has gone.
    held_back: BTreeMap<NodeKey, Vec<(Remote, bool)>>,
    /// Deposits that this peer was asked to keep, or to place, until it has answered: one for each request under way.
    deposits: BTreeMap<InboundId, RecordKey>,
    /// When the user was last told that nobody does something in our place.
    told_not_passed: Option<Tick>,
    next_id: u64,
    outputs: VecDeque<Output>,
    /// Lookups of [`Self::look_up`] that have ended.
    measured: VecDeque<(LookupId, Measured)>,
}

impl<A: OlmAccount> Core<A> {
    /// Builds the core from what it wrote before.
    ///
    /// # Errors
    /// [`IdentityError`] if there is no identity, or it is damaged, or the storage fails.
    pub fn load(
        config: Config,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
    ) -> Result<Self, IdentityError> {
        let identity = Identity::load(store)?;
        let profile = store.read_slot(Slot::Profile)?.ok_or(IdentityError::Damaged("profile"))?;
        let profile = Profile::decode(&profile).ok_or(IdentityError::Damaged("profile"))?;
        let publisher = match store.read_slot(Slot::Publications)? {
            None => Publisher::default(),
            Some(bytes) => Publisher::load(&bytes, now).ok_or(IdentityError::Damaged("publications"))?,
        };
        let node = identity.node().public();
        let overlay = Overlay::new(config.overlay, node, config.holder(node), now, store)?;
        // Nobody has confirmed the clock yet, so nothing is given up for its age while this is built.
        let clock_confirmed = false;
        let mut talking =
            Talking::load(&mut talking::Context { now, clock_confirmed, rng, store, identity: &identity })?;
        let me = myself(&config, &identity, &profile, &talking);
        let meeting = Meeting::load(&mut meeting::Context { now, clock_confirmed, rng, store, me })?;
        let settings = match store.read_slot(Slot::Settings)? {
            None => Settings::default(),
            Some(bytes) => Settings::decode(&bytes).ok_or(IdentityError::Damaged("settings"))?,
        };
        let shared = match store.read_slot(Slot::Shared)? {
            None => Shared::default(),
            Some(bytes) => Shared::decode(&bytes).ok_or(IdentityError::Damaged("shared state"))?,
        };
        talking.apply(&settings);
        // Before the first input, which may be a text to one of them.
        talking.know(meeting.acquaintances(), now.tick);
        // What is due is begun by the first timer, which is due at once: a core is also built while the disk is full, and
        // must not write then.
        let mut core = Self {
            verifier: Box::new(Verifier::new(config.stamps)),
            config,
            identity,
            profile,
            settings,
            shared,
            told_revoked: false,
            overlay,
            publisher,
            meeting,
            talking,
            searches: BTreeMap::new(),
            errands: BTreeMap::new(),
            stamp_jobs: BTreeMap::new(),
            stamp_retry: None,
            may_not_renew: false,
            upkeep: now.tick,
            latest: now,
            disk_full: false,
            held_back: BTreeMap::new(),
            deposits: BTreeMap::new(),
            told_not_passed: None,
            next_id: 0,
            outputs: VecDeque::new(),
            measured: VecDeque::new(),
        };
        core.want_entries(now);
        Ok(core)
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`StorageError`]: the core is then not to be used any more.
    pub fn handle(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        store: &mut dyn CoreStore,
        input: Input,
    ) -> Result<(), StorageError> {
        let before = core::mem::replace(&mut self.latest, now);
        let context = &mut Context { now, rng, store };
        match input {
            Input::PeerUp { remote, hello, dialled } => {
                self.hand_to_overlay(context, overlay_io::Input::PeerUp { remote, hello, dialled })?;
                self.meeting.peer_up(remote.key, remote.binding);
                let connections = self.held_back.entry(remote.key).or_default();
                connections.push((remote, dialled));
                if connections.len() > CONNECTIONS {
                    connections.remove(0);
                }
            }
            Input::PeerDown(key) => {
                self.hand_to_overlay(context, overlay_io::Input::PeerDown(key))?;
                self.meeting.peer_down(&key, now);
                self.held_back.insert(key, Vec::new());
            }
            Input::Request { remote, inbound, request } => {
                self.request(context, remote, inbound, request)?;
            }
            Input::Answer { call, answer } => match call {
                CallId::Overlay(call) => {
                    self.hand_to_overlay(context, overlay_io::Input::Answer { call, answer })?;
                }
                CallId::Meet(n) => self.granted(context, Tag::Meet(n), Outcome::Answered(answer))?,
                CallId::Talk(n) => self.granted(context, Tag::Talk(n), Outcome::Answered(answer))?,
            },
            Input::Command { id, command } => self.command(context, id, command)?,
            Input::JobDone { job, result } => self.job_done(context, job, &result)?,
            Input::Timer => self.timer(context, before)?,
        }
        if self.disk_full {
            return self.settle_overlay(context);
        }
        self.tell_of_connections(context)?;
        self.renew_list(context)?;
        self.settle(context)
    }

    /// The next thing to be done; ask until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if next.is_none() {
            self.outputs.shrink_to(OUTPUTS_KEPT);
        }
        next
    }

    /// When [`Input::Timer`] is wanted; changes with every input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        if self.disk_full {
            return self.overlay.next_timeout();
        }
        let machines = [
            self.overlay.next_timeout(),
            self.publisher.next_timeout(),
            self.meeting.next_timeout(),
            self.talking.next_timeout(self.latest),
            self.stamp_retry,
            Some(self.upkeep),
        ];
        machines.into_iter().flatten().min()
    }

    /// While the disk is full this peer finds others and answers, and reads what it has; nothing is taken for others,
    /// nobody is talked with, and nothing of its own is begun. The shell says so, to each machine that it builds.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
        self.overlay.set_disk_full(full);
    }

    /// Who this is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Tells the machine of talking whose connections have come or gone.
    fn tell_of_connections(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        for (key, connections) in core::mem::take(&mut self.held_back) {
            self.talk(context, |talking, context| {
                if connections.is_empty() {
                    return talking.handle_peer_down(context, &key);
                }
                let mut connections = connections.iter();
                connections
                    .try_for_each(|(remote, dialled)| talking.handle_peer_up(context, remote, *dialled))
            })?;
        }
        Ok(())
    }

    /// Devices talk with devices, the rest is between peers.
    fn request(
        &mut self,
        context: &mut Context<'_>,
        remote: Remote,
        inbound: InboundId,
        request: Request,
    ) -> Result<(), StorageError> {
        match request {
            Request::DeviceProof(_) | Request::Deliver(_) | Request::Notify(_) => {
                let response = match self.overlay.admit(&remote, &request, context.now.tick) {
                    Ok(()) => self.answer(context, &remote, request)?,
                    Err(refusal) => Response::Refused(refusal),
                };
                self.outputs.push_back(Output::Reply { inbound, response, stateless: false });
                Ok(())
            }
            request => {
                if let Request::Store(record) | Request::PassOn(PassOn::Store(record)) = &request
                    && record.body().kind == RecordKind::Deposit
                {
                    self.deposits.insert(inbound, record.body().key);
                }
                self.hand_to_overlay(context, overlay_io::Input::Request { remote, inbound, request })
            }
        }
    }

    fn answer(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        request: Request,
    ) -> Result<Response, StorageError> {
        if let Request::Notify(address) = &request {
            self.meeting.notified_by(address, &remote.key, context.now);
            // Whether the mailbox is ours is nobody's business.
            return Ok(Response::Notified);
        }
        if self.disk_full {
            return Ok(Response::Refused(Refusal::Busy));
        }
        self.tell_of_connections(context)?;
        self.talk(context, |talking, context| talking.handle_request(context, remote, request))
    }

    /// `before`: the time of the last input, for which [`Self::next_timeout`] has answered.
    fn timer(&mut self, context: &mut Context<'_>, before: Now) -> Result<(), StorageError> {
        let now = context.now;
        let due = |at: Option<Tick>| at.is_some_and(|at| at <= now.tick);
        if due(self.overlay.next_timeout()) {
            self.hand_to_overlay(context, overlay_io::Input::Timer)?;
        }
        if self.disk_full {
            return Ok(());
        }
        if due(self.meeting.next_timeout()) {
            self.meet(context, |meeting, context| meeting.tick(context))?;
        }
        if due(self.talking.next_timeout(before)) {
            self.talk(context, |talking, context| talking.handle_timer(context))?;
        }
        if due(Some(self.upkeep)) {
            self.upkeep = now.tick.after(UPKEEP);
            let clock_confirmed = self.overlay.clock_is_confirmed(now);
            self.publisher.forget_ended(now, clock_confirmed);
            if clock_confirmed {
                context.store.forget_seen(now.seconds())?;
            }
        }
        Ok(())
    }

    fn job_done(
        &mut self,
        context: &mut Context<'_>,
        job: JobId,
        result: &JobResult,
    ) -> Result<(), StorageError> {
        match (self.stamp_jobs.remove(&job), result) {
            (Some(StampFor::Publisher), JobResult::Stamp(stamp)) => self.publisher.set_stamp(*stamp),
            (Some(StampFor::Publisher), JobResult::Cancelled) => {
                self.stamp_retry = Some(context.now.tick.after(STAMP_RETRY));
            }
            (Some(StampFor::Wish(tag)), JobResult::Stamp(stamp)) => {
                self.granted(context, tag, Outcome::Stamped(*stamp))?;
            }
            (Some(StampFor::Wish(tag)), JobResult::Cancelled) => {
                self.granted(context, tag, Outcome::Failed)?;
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn search_stamp(&mut self, context: &mut Context<'_>, subject: StampSubject, whom: StampFor) {
        let job = JobId(self.fresh_id());
        self.stamp_jobs.insert(job, whom);
        let (policy, start) = (self.config.stamps, context.rng.next_u64());
        let work = Job::Stamp { subject, month: context.now.month(), policy, start };
        self.outputs.push_back(Output::Job { job, work });
    }

    /// Lets the machine of contacts do something.
    fn meet<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Meeting<A>, &mut meeting::Context<'_>) -> T,
    ) -> T {
        let clock_confirmed = self.overlay.clock_is_confirmed(context.now);
        let me = myself(&self.config, &self.identity, &self.profile, &self.talking);
        let (now, rng, store) = (context.now, &mut *context.rng, &mut *context.store);
        act(&mut self.meeting, &mut meeting::Context { now, clock_confirmed, rng, store, me })
    }

    /// Lets the machine of talking do something.
    fn talk<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Talking<A>, &mut talking::Context<'_>) -> T,
    ) -> T {
        let clock_confirmed = self.overlay.clock_is_confirmed(context.now);
        let (now, rng, store) = (context.now, &mut *context.rng, &mut *context.store);
        let identity = &self.identity;
        act(&mut self.talking, &mut talking::Context { now, clock_confirmed, rng, store, identity })
    }

    fn hand_to_overlay(
        &mut self,
        context: &mut Context<'_>,
        input: overlay_io::Input,
    ) -> Result<(), StorageError> {
        self.overlay.handle(context.now, context.rng, context.store, &*self.verifier, input)
    }

    /// Sends the overlay on an errand.
    fn errand(
        &mut self,
        context: &mut Context<'_>,
        errand: Errand,
        command: overlay_io::Command,
    ) -> Result<(), StorageError> {
        let op = OpId(self.fresh_id());
        self.errands.insert(op, errand);
        self.hand_to_overlay(context, overlay_io::Input::Command { op, command })
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.saturating_add(1);
        self.next_id
    }
}

/// Who we are, as the machine of contacts tells it.
fn myself<'a, A: OlmAccount>(
    config: &'a Config,
    identity: &'a Identity,
    profile: &'a Profile,
    talking: &'a Talking<A>,
) -> Myself<'a> {
    let locator = talking.locator();
    Myself {
        identity,
        name: &profile.name,
        locator: locator.key(),
        read_key: locator.read_key(),
        network: &config.network,
    }
}
