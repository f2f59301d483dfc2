//! The dispatcher: routes inputs to the machines and their wishes to the shell, and decides nothing itself.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;

use rand_core::CryptoRng;
use starling_crypto::stamp::StampSubject;
use starling_overlay::io as overlay_io;
use starling_overlay::io::{OpId, OpResult};
use starling_overlay::overlay::Overlay;
use starling_proto::addr::Peer;
use starling_proto::ids::RecordKey;
use starling_proto::record::{Record, RecordKind};
use starling_proto::time::{Now, Span, Tick};

use crate::config::Config;
use crate::directory::{self, DirectoryError};
use crate::identity::{Identity, IdentityError};
use crate::io::{
    CallId, Command, CommandError, CommandId, CommandOutput, ErrorCode, Event, Input, Job, JobId, JobResult,
    Output, WarningCode, Way,
};
use crate::profile::Profile;
use crate::publisher::Publisher;
use crate::search::{Query, QueryError, Search};
use crate::storage::{CoreStore, Slot, StorageError};
use crate::verify::Verifier;
use crate::view::{Status, WhoAmI};

/// Searches under way at once: a person types one, a script some; more wait for nobody.
const SEARCHES: usize = 32;

/// The wait after a stamp search that was cancelled: the shell has too much to do, or the machine was built anew.
const STAMP_RETRY: Span = Span::from_secs(5);

/// Whose wish an operation of the overlay is.
#[derive(Debug)]
enum Errand {
    Join(Option<CommandId>),
    Publish(RecordKind, RecordKey),
    Search(CommandId),
}

/// What the machines work with during one input.
struct Context<'a> {
    now: Now,
    rng: &'a mut dyn CryptoRng,
    store: &'a mut dyn CoreStore,
}

/// A peer's whole state: what a messenger is, without the world around it.
///
/// Hand it what happened ([`Self::handle`]), drain what it wants ([`Self::poll_output`]), and come back at
/// [`Self::next_timeout`]. All writes of a call go to the storage handed in: the caller commits them before it lets
/// outputs leave, and rebuilds the core from the storage if it cannot.
#[derive(Debug)]
pub struct Core {
    config: Config,
    identity: Identity,
    profile: Profile,
    overlay: Overlay,
    publisher: Publisher,
    verifier: Verifier,
    searches: BTreeMap<CommandId, Search>,
    errands: BTreeMap<OpId, Errand>,
    stamp_job: Option<JobId>,
    /// Not before this time is a stamp asked for again.
    stamp_retry: Option<Tick>,
    may_not_renew: bool,
    next_id: u64,
    outputs: VecDeque<Output>,
}

impl Core {
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
        let mut core = Self {
            config,
            identity,
            profile,
            overlay,
            publisher,
            verifier: Verifier::new(config.stamps),
            searches: BTreeMap::new(),
            errands: BTreeMap::new(),
            stamp_job: None,
            stamp_retry: None,
            may_not_renew: false,
            next_id: 0,
            outputs: VecDeque::new(),
        };
        core.want_entries(now);
        core.settle(&mut Context { now, rng, store })?;
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
        let context = &mut Context { now, rng, store };
        match input {
            Input::PeerUp { remote, hello, dialled } => {
                let input = overlay_io::Input::PeerUp { remote, hello, dialled };
                self.hand_to_overlay(context, input)?;
            }
            Input::PeerDown(key) => self.hand_to_overlay(context, overlay_io::Input::PeerDown(key))?,
            Input::Request { remote, inbound, request } => {
                let input = overlay_io::Input::Request { remote, inbound, request };
                self.hand_to_overlay(context, input)?;
            }
            Input::Answer { call: CallId::Overlay(call), answer } => {
                self.hand_to_overlay(context, overlay_io::Input::Answer { call, answer })?;
            }
            Input::Command { id, command } => self.command(context, id, command)?,
            Input::JobDone { job, result } => self.job_done(now, job, &result),
            Input::Timer => {
                if self.overlay.next_timeout().is_some_and(|at| at <= now.tick) {
                    self.hand_to_overlay(context, overlay_io::Input::Timer)?;
                }
            }
        }
        self.renew_list(context)?;
        self.settle(context)
    }

    /// The next thing to be done; ask until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timer`] is wanted; changes with every input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Tick> {
        [self.overlay.next_timeout(), self.publisher.next_timeout(), self.stamp_retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// Who this is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    fn command(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<(), StorageError> {
        let result = match command {
            Command::Join(peers) => {
                let peers = peers.into_iter().map(Peer::from).collect();
                let join = overlay_io::Command::Join(peers);
                return self.errand(context, Errand::Join(Some(id)), join);
            }
            Command::Search { words, limit } => return self.search(context, id, &words, limit),
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::WhoAmI => Ok(CommandOutput::WhoAmI(self.who_am_i())),
            Command::ShowProfile => Ok(CommandOutput::Profile(self.profile_view())),
            Command::SetProfile { name, about, keywords } => {
                let changed = directory::changed(&self.profile, name, about, keywords);
                self.set_profile(context, changed)?
            }
            Command::SetListed(listed) => {
                let changed = directory::listed(&self.profile, listed);
                self.set_profile(context, changed)?
            }
            Command::SignOff => Ok(CommandOutput::SignedOff),
        };
        self.outputs.push_back(Output::Result { id, result });
        Ok(())
    }

    fn set_profile(
        &mut self,
        context: &mut Context<'_>,
        changed: Result<Profile, DirectoryError>,
    ) -> Result<Result<CommandOutput, CommandError>, StorageError> {
        let profile = match changed.and_then(|profile| {
            directory::entry(&profile, &self.identity)?;
            Ok(profile)
        }) {
            Ok(profile) => profile,
            Err(error) => return Ok(Err(error.into())),
        };
        context.store.write_slot(Slot::Profile, &profile.encode())?;
        self.profile = profile;
        self.want_entries(context.now);
        Ok(Ok(CommandOutput::Profile(self.profile_view())))
    }

    /// Publishes a device list of later end while the last one still counts.
    fn renew_list(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        if self.may_not_renew {
            return Ok(());
        }
        match self.identity.renew_list(context.store, context.now.seconds()) {
            Ok(true) => self.want_entries(context.now),
            Ok(false) => {}
            Err(IdentityError::Storage(error)) => return Err(error),
            // A device that may no longer sign: the list it has goes on being published.
            Err(_) => self.may_not_renew = true,
        }
        Ok(())
    }

    /// Tells the publisher what is to lie in the directory now.
    fn want_entries(&mut self, now: Now) {
        let wanted = directory::publications(&self.profile, &self.identity);
        self.publisher.want(RecordKind::Directory, wanted, now);
        self.publisher.want(RecordKind::Account, [directory::account_record(&self.identity)], now);
    }

    fn search(
        &mut self,
        context: &mut Context<'_>,
        id: CommandId,
        typed: &[String],
        limit: usize,
    ) -> Result<(), StorageError> {
        let query = match Query::parse(typed) {
            Ok(query) if self.searches.len() < SEARCHES => query,
            Ok(_) => return self.refuse(id, CommandError::busy("searches")),
            Err(error) => return self.refuse(id, error.into()),
        };
        let (keys, words) = (query.keys(), query.folded());
        self.searches.insert(id, Search::new(query, limit));
        for key in keys {
            let command = overlay_io::Command::Query { key, words: words.clone() };
            self.errand(context, Errand::Search(id), command)?;
        }
        Ok(())
    }

    fn refuse(&mut self, id: CommandId, error: CommandError) -> Result<(), StorageError> {
        self.outputs.push_back(Output::Result { id, result: Err(error) });
        Ok(())
    }

    fn job_done(&mut self, now: Now, job: JobId, result: &JobResult) {
        if self.stamp_job == Some(job) {
            self.stamp_job = None;
            match result {
                JobResult::Stamp(stamp) => self.publisher.set_stamp(*stamp),
                JobResult::Cancelled => self.stamp_retry = Some(now.tick.after(STAMP_RETRY)),
            }
        }
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

    fn hand_to_overlay(
        &mut self,
        context: &mut Context<'_>,
        input: overlay_io::Input,
    ) -> Result<(), StorageError> {
        self.overlay.handle(context.now, context.rng, context.store, &self.verifier, input)
    }

    /// Carries wishes between the machines until all are at rest.
    fn settle(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        loop {
            self.publish(context)?;
            let Some(output) = self.overlay.poll_output() else { break };
            self.take_from_overlay(context.now, context.rng, output);
        }
        if let Some(bytes) = self.publisher.take_changed(context.now) {
            context.store.write_slot(Slot::Publications, &bytes)?;
        }
        Ok(())
    }

    fn publish(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now;
        let may_ask = self.stamp_job.is_none() && self.stamp_retry.is_none_or(|at| at <= now.tick);
        if self.publisher.lacks_stamp(now) && may_ask {
            self.stamp_retry = None;
            let job = JobId(self.fresh_id());
            self.stamp_job = Some(job);
            let subject = StampSubject::Publisher(self.identity.publisher());
            let (policy, start) = (self.config.stamps, context.rng.next_u64());
            let work = Job::Stamp { subject, month: now.month(), policy, start };
            self.outputs.push_back(Output::Job { job, work });
        }
        let stamp = self.publisher.stamp(now);
        for due in self.publisher.due(now) {
            let (kind, key) = (due.kind, due.key);
            match self.identity.sign(due, stamp, now) {
                Ok(record) => {
                    let store_record = overlay_io::Command::Store(record);
                    self.errand(context, Errand::Publish(kind, key), store_record)?;
                }
                Err(_) => self.publisher.placed(kind, key, None, now, context.rng),
            }
        }
        Ok(())
    }

    fn take_from_overlay(&mut self, now: Now, rng: &mut dyn CryptoRng, output: overlay_io::Output) {
        let output = match output {
            overlay_io::Output::Call { call, to, request, deadline, fresh } => {
                let way = if fresh { Way::Fresh } else { Way::Any };
                Output::Call { call: CallId::Overlay(call), to, request, way, deadline }
            }
            overlay_io::Output::Reply { inbound, response, stateless } => {
                Output::Reply { inbound, response, stateless }
            }
            overlay_io::Output::Greet { mode, addresses } => Output::Greet { mode, addresses },
            overlay_io::Output::Done { op, result } => return self.done(now, rng, op, result),
            overlay_io::Output::Event(event) => match shown(&event) {
                Some(event) => Output::Event(event),
                None => return,
            },
        };
        self.outputs.push_back(output);
    }

    fn done(&mut self, now: Now, rng: &mut dyn CryptoRng, op: OpId, result: OpResult) {
        match (self.errands.remove(&op), result) {
            (Some(Errand::Join(Some(id))), OpResult::Joined { peers }) => {
                if peers == 0 {
                    self.outputs.push_back(Output::Event(alone()));
                }
                self.outputs.push_back(Output::Result { id, result: Ok(CommandOutput::Joined { peers }) });
            }
            (Some(Errand::Publish(kind, key)), OpResult::Stored(placement)) => {
                self.publisher.placed(kind, key, Some(&placement), now, rng);
            }
            (Some(Errand::Search(id)), OpResult::Matched { records, left_out, holders, .. }) => {
                self.matched(id, &records, left_out, holders);
            }
            // The overlay has too much to do; what was wanted is wanted again later, or not at all.
            (Some(Errand::Publish(kind, key)), _) => self.publisher.placed(kind, key, None, now, rng),
            (Some(Errand::Search(id)), _) => self.matched(id, &[], 0, 0),
            (Some(Errand::Join(Some(id))), _) => {
                self.outputs.push_back(Output::Result { id, result: Err(CommandError::busy("operations")) });
            }
            (Some(Errand::Join(None)) | None, _) => {}
        }
    }

    fn matched(&mut self, id: CommandId, records: &[Record], left_out: u32, holders: usize) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let entries = records.iter().filter_map(directory::read_entry);
        if !search.answered(entries, left_out, holders) {
            return;
        }
        let results = search.results(&BTreeMap::new(), &self.identity.account());
        let short = search.query().short_word().map(String::from);
        self.searches.remove(&id);
        let result = match short {
            Some(word) if results.results.is_empty() => Err(CommandError::short_word(&word)),
            _ => Ok(CommandOutput::Search(results)),
        };
        self.outputs.push_back(Output::Result { id, result });
    }

    fn status(&self) -> Status {
        Status { overlay: self.overlay.status(), entries: self.publisher.progress(RecordKind::Directory) }
    }

    fn who_am_i(&self) -> WhoAmI {
        let account = self.identity.account();
        WhoAmI {
            account,
            device: self.identity.device(),
            node: self.identity.node().public(),
            name: self.profile.name.as_str().into(),
            tag: directory::tag(&account),
        }
    }

    fn profile_view(&self) -> crate::view::Profile {
        self.profile.view()
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.saturating_add(1);
        self.next_id
    }
}

fn shown(event: &overlay_io::Event) -> Option<Event> {
    match event {
        overlay_io::Event::PeerUp(key) => Some(Event::PeerUp(*key)),
        overlay_io::Event::PeerDown(key) => Some(Event::PeerDown(*key)),
        _ => None,
    }
}

fn alone() -> Event {
    Event::Warning {
        code: WarningCode::Alone,
        message:
            "No peer answered. This node goes on trying; check the address, or that the other node runs."
                .into(),
    }
}

impl CommandError {
    fn busy(what: &str) -> Self {
        Self {
            code: ErrorCode::Conflict,
            message: format!("too many {what} at once"),
            hint: "wait for one to end".into(),
        }
    }

    fn short_word(word: &str) -> Self {
        Self {
            code: ErrorCode::BadInput,
            message: format!(
                "\"{word}\" needs 3 letters: shorter words are only found whole, and nobody has this one"
            ),
            hint: "type more of the word".into(),
        }
    }
}

impl From<QueryError> for CommandError {
    fn from(error: QueryError) -> Self {
        let message = match error {
            QueryError::NoWords => "there is no word to search for",
            QueryError::TooManyWords => "a search takes at most 24 words",
        };
        Self {
            code: ErrorCode::BadInput,
            message: message.into(),
            hint: "try: starling search chess garden".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_crypto::session::Vodozemac;
    use starling_proto::identity::Name;
    use starling_proto::time::UnixMillis;

    use alloc::vec::Vec;

    use super::*;
    use crate::memory::MemoryStore;

    fn now(ms: u64) -> Now {
        Now { tick: Tick::from_ms(ms), wall: UnixMillis::new(1_800_000_000_000 + ms) }
    }

    fn stamp_jobs(core: &mut Core) -> Vec<JobId> {
        let mut jobs = Vec::new();
        while let Some(output) = core.poll_output() {
            if let Output::Job { job, .. } = output {
                jobs.push(job);
            }
        }
        jobs
    }

    #[test]
    fn a_cancelled_stamp_is_asked_for_again_after_a_while() {
        let (mut store, mut rng) = (MemoryStore::default(), ChaCha8Rng::seed_from_u64(1));
        let profile = Profile::new(Name::new("Ada").unwrap());
        Identity::create::<Vodozemac>(&mut store, &profile, now(0), &mut rng).unwrap();
        let config = Config::of(&"test".parse().unwrap());
        let mut core = Core::load(config, now(0), &mut rng, &mut store).unwrap();
        let job = stamp_jobs(&mut core)[0];

        let cancelled = Input::JobDone { job, result: JobResult::Cancelled };
        core.handle(now(10), &mut rng, &mut store, cancelled).unwrap();
        core.handle(now(11), &mut rng, &mut store, Input::Timer).unwrap();
        assert!(stamp_jobs(&mut core).is_empty(), "not at once");
        assert!(
            core.next_timeout().is_some_and(|at| at <= now(5_010).tick),
            "the time to ask again is known"
        );
        core.handle(now(5_010), &mut rng, &mut store, Input::Timer).unwrap();
        assert_eq!(stamp_jobs(&mut core).len(), 1);
    }
}
