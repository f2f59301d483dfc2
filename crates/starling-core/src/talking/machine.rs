//! The machine itself: routes what comes in to its parts, and drains what they want.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use starling_crypto::session::OlmAccount;
use starling_overlay::io::{CallError, ChannelBinding, Remote};
use starling_proto::content::ContentKind;
use starling_proto::ids::{AccountKey, DeviceKey, NodeKey};
use starling_proto::message::{Refusal, Request, Response};
use starling_proto::record::Record;
use starling_proto::session::Party;
use starling_proto::time::{Now, Span, Tick, UnixSeconds};

use super::acquaintance::{Acquaintance, Circle, Standing};
use super::connections::Connections;
use super::links::Links;
use super::locator::OwnLocator;
use super::mailing::{Haste, Mailing};
use super::outbox::Outbox;
use super::presence::PresenceBook;
use super::sessions::Sessions;
use super::{Context, Notice};
use crate::settings::Settings;
use crate::storage::StorageError;
use crate::wish::Wish;

/// How often the outbox is looked through for what has expired.
const SWEEP: Span = Span::from_hours(1);

/// A question of ours that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand {
    /// A fetch of a locator.
    Locate(DeviceKey),
    /// A ping that makes a connection.
    Dial(DeviceKey),
    /// Our device proof.
    Prove(DeviceKey),
    /// A batch; how many messages it holds.
    Deliver(DeviceKey, usize),
    /// A fetch of a bundle, for a key to start a session on.
    Bundle(DeviceKey),
    /// A fetch of a bundle, for the key that its mail is sealed to.
    InboxKey(DeviceKey),
    /// A letter that is being placed.
    Post(DeviceKey),
    /// A letter whose holders are asked whether they keep it.
    Sample(u64),
}

/// See the [module's](super) text. `A` is the Olm implementation.
pub struct Talking<A: OlmAccount> {
    pub(super) circle: Circle,
    pub(super) connections: Connections,
    pub(super) links: Links,
    pub(super) sessions: Sessions<A>,
    pub(super) outbox: Outbox,
    pub(super) mailing: Mailing,
    pub(super) presence: PresenceBook,
    pub(super) locator: OwnLocator,
    pub(super) errands: BTreeMap<u64, Errand>,
    next_question: u64,
    /// What is said once and not kept: the newest for each device.
    pub(super) passing: BTreeMap<DeviceKey, ContentKind>,
    /// When a session was last started anew with a device that could not open ours.
    pub(super) renewed: BTreeMap<DeviceKey, Tick>,
    /// Devices that we have no key to start a session with, and when it is looked for again.
    pub(super) keyless: BTreeMap<DeviceKey, Tick>,
    /// Devices that were asked to fill a gap since their link came up.
    pub(super) asked: BTreeSet<DeviceKey>,
    /// Whether authors learn that their messages were read.
    pub(super) tells_reading: bool,
    /// Whether contacts see that we are typing to them.
    pub(super) tells_typing: bool,
    sweep: Tick,
    /// When the next text of the history ends.
    pub(super) next_end: Option<UnixSeconds>,
    wishes: VecDeque<Wish>,
    notices: VecDeque<Notice>,
}

impl<A: OlmAccount> Talking<A> {
    /// Builds the machine from what it wrote before. [`Self::know`] follows, before anything else.
    ///
    /// # Errors
    /// [`StorageError`] from beneath, or [`StorageError::Corrupt`].
    pub fn load(context: &mut Context<'_>) -> Result<Self, StorageError> {
        let us = Party { account: context.identity.account(), device: context.identity.device() };
        let mut talking = Self {
            circle: Circle::new(us.device),
            connections: Connections::default(),
            links: Links::default(),
            sessions: Sessions::new(us),
            outbox: Outbox::load(context.store)?,
            mailing: Mailing::default(),
            presence: PresenceBook::default(),
            locator: OwnLocator::load(context.store, context.rng)?,
            errands: BTreeMap::new(),
            next_question: 0,
            passing: BTreeMap::new(),
            renewed: BTreeMap::new(),
            keyless: BTreeMap::new(),
            asked: BTreeSet::new(),
            tells_reading: true,
            tells_typing: true,
            sweep: context.now.tick.after(SWEEP),
            next_end: context.store.next_end()?,
            wishes: VecDeque::new(),
            notices: VecDeque::new(),
        };
        talking.mail_all(context);
        Ok(talking)
    }

    /// Those that were talked with before. Nothing is written and nothing begun: the timer is due at once.
    pub fn know(&mut self, people: impl Iterator<Item = Acquaintance>, now: Tick) {
        people.for_each(|person| self.circle.set(person));
        let devices: Vec<DeviceKey> = self.circle.devices().map(|(_, device)| device.key()).collect();
        self.links.keep(&devices, now);
    }

    /// The next thing to be done by others; ask until there is none.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// The next thing that happened; ask until there is none.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Our locator: its keys go into requests and hand-overs.
    #[must_use]
    pub const fn locator(&self) -> &OwnLocator {
        &self.locator
    }

    /// Our locator: its records go to the publisher.
    pub const fn locator_mut(&mut self) -> &mut OwnLocator {
        &mut self.locator
    }

    /// Takes new keys for the locator, which whoever has the old ones cannot follow.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn replace_locator(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let addresses = self.locator.addresses().to_vec();
        self.locator = OwnLocator::replace(context.store, context.rng)?;
        self.locator.set_addresses(addresses);
        Ok(())
    }

    /// Takes in somebody to talk with, or what has changed about them: standing, devices, reach.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn set_person(
        &mut self,
        context: &mut Context<'_>,
        person: Acquaintance,
    ) -> Result<(), StorageError> {
        let account = person.account();
        let reach_changed = self.circle.person(&account).is_none_or(|known| known.reach != person.reach);
        let accepted = person.standing == Standing::Accepted;
        let known = self.devices_of(&account);
        self.circle.set(person);
        if accepted && !known.is_empty() {
            self.share_waiting(context, account, &known)?;
        }
        self.circle_changed(context)?;
        if !accepted {
            // Who is no contact is not greeted, so no greeting falls due.
            let devices = self.devices_of(&account);
            devices.iter().for_each(|device| self.links.greeted(device, None));
        }
        if reach_changed {
            for device in self.devices_of(&account) {
                self.links.hurry(&device, context.now.tick);
                self.mail_freely(&device);
                if self.outbox.has_unposted(&device) {
                    self.mail_soon(context, &device, Haste::Message);
                }
            }
        }
        self.settle(context)
    }

    /// Forgets somebody: nothing passes any more, and what waited for them is given up.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn remove_person(
        &mut self,
        context: &mut Context<'_>,
        account: &AccountKey,
    ) -> Result<(), StorageError> {
        if self.circle.remove(account).is_some() {
            self.circle_changed(context)?;
        }
        self.settle(context)
    }

    /// The network has been entered: contacts that could not be found before are looked for now.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn joined(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        self.links.joined(context.now.tick);
        self.settle(context)
    }

    /// Where we believe that we can be dialled: into our locator.
    pub fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.locator.set_addresses(addresses);
    }

    /// What contacts learn of us from now on, before anything is under way. Says whether we appear different.
    pub fn apply(&mut self, settings: &Settings) -> bool {
        (self.tells_reading, self.tells_typing) = (settings.read_receipts, settings.typing);
        self.presence.set_own(settings.status, settings.line.clone())
    }

    /// What contacts learn of us from now on.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn set_settings(
        &mut self,
        context: &mut Context<'_>,
        settings: &Settings,
    ) -> Result<(), StorageError> {
        if self.apply(settings) {
            let up: Vec<DeviceKey> = self.links.all_up().map(|(device, _)| device).collect();
            up.iter().for_each(|device| self.links.greeted(device, None));
        }
        self.settle(context)
    }

    /// A connection stands and both sides have greeted.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_peer_up(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        dialled: bool,
    ) -> Result<(), StorageError> {
        self.connections.up(remote.key, remote.binding, dialled);
        // Who was found here last is very likely here again.
        for device in self.links.expected_at(&remote.key) {
            self.links.hurry(&device, context.now.tick);
        }
        self.settle(context)
    }

    /// The last connection with a peer ended.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_peer_down(
        &mut self,
        context: &mut Context<'_>,
        node: &NodeKey,
    ) -> Result<(), StorageError> {
        self.connections.down(node);
        for device in self.links.peer_down(node) {
            self.link_lost(context, &device)?;
        }
        self.settle(context)
    }

    /// A peer asks something of a device: [`Request::DeviceProof`] or [`Request::Deliver`]. The reply must not leave
    /// before the commit.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_request(
        &mut self,
        context: &mut Context<'_>,
        remote: &Remote,
        request: Request,
    ) -> Result<Response, StorageError> {
        let response = match request {
            Request::DeviceProof(proof) => self.check_proof(context, remote, &proof)?,
            Request::Deliver(deliver) => self.receive(context, remote, deliver)?,
            _ => Response::Refused(Refusal::Unknown),
        };
        self.settle(context)?;
        Ok(response)
    }

    /// A call of ours has ended; `question` is the number in its tag.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_answer(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
        answer: Result<Response, CallError>,
    ) -> Result<(), StorageError> {
        match self.errands.remove(&question) {
            Some(Errand::Dial(device)) => self.dialled(context, &device, question, answer.is_ok())?,
            Some(Errand::Prove(device)) => self.proven(context, &device, question, answer)?,
            Some(Errand::Deliver(device, count)) => {
                self.landed(context, &device, (question, count), &answer)?;
            }
            // These are answered otherwise.
            _ => {}
        }
        self.settle(context)
    }

    /// A fetch of ours has ended, with verified records or without any; `question` is the number in its tag.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_fetched(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
        records: &[Record],
    ) -> Result<(), StorageError> {
        match self.errands.remove(&question) {
            Some(Errand::Locate(device)) => self.looked_up(context, &device, question, records)?,
            Some(Errand::Bundle(device)) => self.bundle_came(context, &device, records)?,
            Some(Errand::InboxKey(device)) => self.inbox_key_came(context, &device, records)?,
            _ => {}
        }
        self.settle(context)
    }

    /// A fetch or a placement of ours could not be begun; `question` is the number in its tag.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_failed(&mut self, context: &mut Context<'_>, question: u64) -> Result<(), StorageError> {
        match self.errands.get(&question) {
            Some(Errand::Post(_)) => self.handle_stored(context, question, None),
            Some(Errand::Sample(_)) => self.handle_sampled(context, question, &[]),
            _ => self.handle_fetched(context, question, &[]),
        }
    }

    /// Nobody would do a fetch or a placement in our place; `question` is the number in its tag.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_not_passed(
        &mut self,
        context: &mut Context<'_>,
        question: u64,
    ) -> Result<(), StorageError> {
        match self.errands.get(&question) {
            Some(Errand::Post(_)) => self.handle_unposted(context, question),
            _ => self.handle_failed(context, question),
        }
    }

    /// The time that [`Self::next_timeout`] named has come.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn handle_timer(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let now = context.now;
        while let Some((account, _)) = self.presence.take_silent(now.tick) {
            self.notice_presence(account, now);
        }
        self.keyless.retain(|_, at| *at > now.tick);
        if self.sweep <= now.tick {
            self.sweep = now.tick.after(SWEEP);
            if context.clock_confirmed {
                self.expire(context)?;
                self.renew_mail(context)?;
            }
        }
        self.end_texts(context)?;
        self.settle(context)
    }

    /// We are about to leave: says so to everybody who is linked. What is under way to a device goes first.
    ///
    /// # Errors
    /// [`StorageError`] from beneath.
    pub fn sign_off(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let up: Vec<DeviceKey> = self.links.all_up().map(|(device, _)| device).collect();
        for device in up {
            if self.standing_of(&device) == Some(Standing::Accepted) {
                self.passing.insert(device, ContentKind::Goodbye);
            }
        }
        self.settle(context)
    }

    /// When [`Self::handle_timer`] is wanted; changes with every call.
    #[must_use]
    pub fn next_timeout(&self, now: Now) -> Option<Tick> {
        let keyless = self.keyless.values().min().copied();
        let ends = self.next_end.map(|ends| now.tick.after(ends.since(now.seconds())));
        let parts = [
            ends,
            self.links.next_timeout(now.tick),
            self.presence.next_timeout(),
            keyless,
            self.mailing.next_timeout(),
            Some(self.sweep),
        ];
        parts.into_iter().flatten().min()
    }

    /// Carries on whatever can go on.
    pub(super) fn settle(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        while let Some(device) = self.links.due(context.now.tick) {
            self.build(context, &device)?;
        }
        self.sample_mail(context)?;
        self.post(context)?;
        self.greet(context.now);
        let up: Vec<DeviceKey> = self.links.all_up().map(|(device, _)| device).collect();
        for device in up {
            self.send_to(context, &device)?;
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, errand: Errand, wish: impl FnOnce(crate::wish::Tag) -> Wish) -> u64 {
        self.next_question = self.next_question.saturating_add(1);
        self.errands.insert(self.next_question, errand);
        self.wishes.push_back(wish(crate::wish::Tag::Talk(self.next_question)));
        self.next_question
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    pub(super) fn notice_presence(&mut self, account: AccountKey, now: Now) {
        let view = self.presence.view(&account, now.tick);
        self.notify(Notice::Presence { account, view });
    }

    pub(super) fn standing_of(&self, device: &DeviceKey) -> Option<Standing> {
        self.circle.device(device).map(|(person, _)| person.standing)
    }

    pub(super) fn devices_of(&self, account: &AccountKey) -> Vec<DeviceKey> {
        self.circle.devices_of(account)
    }

    pub(super) fn forget_connection(&mut self, node: &NodeKey, binding: &ChannelBinding) {
        self.connections.closed(node, binding);
        self.links.closed(binding);
    }

    /// Links and outbox follow the circle.
    fn circle_changed(&mut self, context: &mut Context<'_>) -> Result<(), StorageError> {
        let devices: Vec<DeviceKey> = self.circle.devices().map(|(_, device)| device.key()).collect();
        for device in self.links.keep(&devices, context.now.tick) {
            self.forget_device(context, &device)?;
        }
        Ok(())
    }
}
