//! A node that is only played: it answers at once, unless it is held up, and remembers what it was told.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use starling_api::backend::{Backend, Cursor, EventFeed, NodeInfo, Notice};
use starling_core::io::{Command, CommandError, CommandOutput, ContactChange, ErrorCode, Event, Newcomer};
use starling_core::publisher::Progress;
use starling_core::settings::Settings;
use starling_core::view::{self, ContactState, MessageState, PresenceStatus, Step};
use starling_node::{Answers, Counts, MessageCounts};
use starling_overlay::holder::{Turnover, Usage};
use starling_overlay::overlay;
use starling_proto::frame::FrameKind;
use starling_proto::identity::{DeviceCertBody, DeviceRequest};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId, NodeKey, OlmKey, Signature};
use starling_proto::invite::{Invite, InviteSecret};
use starling_proto::message::Mode;
use starling_proto::time::{Span, UnixMillis, UnixSeconds};
use starling_proto::version::NetworkName;
use tokio::sync::watch;

/// Whose node it is.
pub(crate) const ADA: AccountKey = AccountKey::new([1; 32]);
/// Whom she knows.
pub(crate) const GRACE: AccountKey = AccountKey::new([9; 32]);
/// One of Grace's devices.
const PHONE: DeviceKey = DeviceKey::new([8; 32]);
/// A message of Ada to Grace.
pub(crate) const MESSAGE: MessageId = MessageId::new([7; 16]);
/// A device of whoever has the node.
const DEVICE: DeviceKey = DeviceKey::new([2; 32]);
/// Links a device.
pub(crate) static LINK: LazyLock<String> = LazyLock::new(|| {
    let olm_identity = OlmKey::new([3; 32]);
    let created = UnixSeconds::new(4);
    let body = DeviceCertBody { account: ADA, device: DEVICE, olm_identity, created, can_certify: false };
    let request = DeviceRequest { body, accepted: Signature::new([5; 64]), secret: [6; 16] };
    format!(r#"{{"code":"{request}"}}"#)
});
/// Revokes it.
pub(crate) static REVOKE: LazyLock<String> = LazyLock::new(|| format!(r#"{{"device":"{DEVICE}"}}"#));
/// Where it can be dialled.
const ADDRESS: &str = "192.0.2.1:4040";
/// 2026-11-21T11:02:13.007Z.
const NOON: UnixMillis = UnixMillis::new(1_795_258_933_007);

/// A node that answers at once, unless it is held up, and remembers what it was told.
pub(crate) struct PlayedNode {
    commands: Mutex<Vec<Command>>,
    events: watch::Sender<Vec<Notice>>,
    held_up: watch::Sender<bool>,
}

impl PlayedNode {
    pub(crate) fn new() -> Arc<Self> {
        let (events, held_up) = (watch::Sender::new(Vec::new()), watch::Sender::new(false));
        Arc::new(Self { commands: Mutex::default(), events, held_up })
    }

    /// Everything it was told.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.commands.lock().unwrap().clone()
    }

    /// Whether it takes commands and leaves the answers for later.
    pub(crate) fn hold_up(&self, held_up: bool) {
        self.held_up.send_replace(held_up);
    }

    /// Lets something happen.
    pub(crate) fn happens(&self, event: Event) {
        self.events.send_modify(|events| events.push(Notice::Event(event)));
    }

    /// Lets a peer appear.
    pub(crate) fn peer_up(&self, number: u8) {
        self.happens(Event::PeerUp(NodeKey::new([number; 32])));
    }
}

impl Backend for PlayedNode {
    fn command(&self, command: Command) -> BoxFuture<'_, Result<CommandOutput, CommandError>> {
        let answer = answer(&command);
        self.commands.lock().unwrap().push(command);
        let mut held_up = self.held_up.subscribe();
        async move {
            drop(held_up.wait_for(|held_up| !held_up).await);
            answer
        }
        .boxed()
    }

    fn events(&self, since: Option<&Cursor>) -> Result<EventFeed, CommandError> {
        let from = match since.map(|since| since.to_string().strip_prefix("run-").map(str::parse)) {
            None => self.events.borrow().len(),
            Some(Some(Ok(number))) => number,
            Some(_) => return Err(refused(ErrorCode::BadInput, "no cursor of ours", "leave it out")),
        };
        let place = (from, self.events.subscribe());
        let events = stream::unfold(place, |(next, mut events)| async move {
            let event = events.wait_for(|events| events.len() > next).await.ok()?[next].clone();
            Some(((cursor(next + 1), event), (next + 1, events)))
        });
        Ok(EventFeed { from: cursor(from), events: events.boxed() })
    }

    fn info(&self) -> NodeInfo {
        NodeInfo {
            account: whoami().account,
            node: whoami().node,
            addresses: addresses(),
            join: None,
            database_bytes: Some(65_536),
            uptime: Duration::from_millis(90_500),
            counts: counts(),
        }
    }
}

fn answer(command: &Command) -> Result<CommandOutput, CommandError> {
    Ok(match command {
        Command::Status => CommandOutput::Status(status()),
        Command::WhoAmI => CommandOutput::WhoAmI(whoami()),
        Command::ShowProfile => CommandOutput::Profile(view::Profile::default()),
        Command::SetProfile { name, .. } => {
            let name = name.clone().unwrap_or_default();
            CommandOutput::Profile(view::Profile { name, ..view::Profile::default() })
        }
        Command::SetListed(listed) => {
            CommandOutput::Profile(view::Profile { listed: *listed, ..view::Profile::default() })
        }
        Command::Search { words, .. } if words.iter().any(|word| word == "nobody") => {
            let message = "nobody says this about themselves";
            return Err(refused(ErrorCode::NotFound, message, "try fewer words"));
        }
        Command::Search { words, limit } => CommandOutput::Search(found(words.len(), *limit)),
        Command::Devices | Command::LinkDevice(_) | Command::RevokeDevice(_) => {
            let (device, added) = (DEVICE, UnixSeconds::new(1_800_000_000));
            let device = view::Device { device, added, this: true, can_link: true, connected: false };
            CommandOutput::Devices(view::Devices { account: ADA, devices: vec![device], revoked: false })
        }
        Command::Join(peers) => CommandOutput::Joined { peers: peers.len() },
        other => return answer_about_people(other),
    })
}

fn answer_about_people(command: &Command) -> Result<CommandOutput, CommandError> {
    Ok(match command {
        Command::Contacts => {
            CommandOutput::Contacts(vec![grace(), asked(ADA, "hello", ContactState::Incoming)])
        }
        Command::AddContact { whom, note } => {
            let account = match whom {
                Newcomer::Account(account) => *account,
                Newcomer::Invite(invite) => invite.account,
            };
            if account == ADA {
                return Err(refused(ErrorCode::Conflict, "this is yourself", "ask somebody else"));
            }
            CommandOutput::Contact(asked(account, note, ContactState::Requested))
        }
        Command::Contact { who, .. }
        | Command::SafetyNumber { who }
        | Command::Send { who, .. }
        | Command::Typing { who, .. }
        | Command::Messages { who, .. }
            if who != "Grace" =>
        {
            return Err(refused(ErrorCode::NotFound, "there is no contact of that name", "list them"));
        }
        Command::Contact { change, .. } => CommandOutput::Contact(changed(change)),
        Command::SafetyNumber { .. } => CommandOutput::SafetyNumber(view::SafetyNumber {
            contact: grace(),
            digits: view::SafetyDigits::of(&ADA, &GRACE),
        }),
        Command::Invite { .. } => CommandOutput::Invite(Box::new(invite())),
        Command::Send { text, .. } => CommandOutput::Sent(message(text.text.as_str())),
        Command::ShowSettings => CommandOutput::Settings(Settings::default()),
        Command::SetSettings(changes) => match Settings::default().with(changes.clone()) {
            Ok(settings) => CommandOutput::Settings(settings),
            Err(_) => return Err(refused(ErrorCode::BadInput, "the line is too long", "shorten it")),
        },
        Command::Typing { .. } => CommandOutput::Contact(grace()),
        Command::Change { .. } => CommandOutput::Sent(message("")),
        Command::Messages { limit, .. } => {
            CommandOutput::Messages([reply("first"), message("second")].into_iter().take(*limit).collect())
        }
        Command::Trace(id) if *id == MESSAGE => CommandOutput::Trace(trace()),
        Command::Trace(_) => {
            return Err(refused(ErrorCode::NotFound, "there is no such message", "look again"));
        }
        other => panic!("no route gives {other:?}"),
    })
}

fn refused(code: ErrorCode, message: &str, hint: &str) -> CommandError {
    CommandError { code, message: message.into(), hint: hint.into() }
}

pub(crate) fn cursor(number: usize) -> Cursor {
    format!("run-{number}").parse().unwrap()
}

pub(crate) fn addresses() -> Vec<SocketAddr> {
    vec![ADDRESS.parse().unwrap()]
}

fn whoami() -> view::WhoAmI {
    view::WhoAmI {
        account: ADA,
        device: DeviceKey::new([2; 32]),
        node: NodeKey::new([3; 32]),
        name: "Ada".into(),
        tag: "k7m2".into(),
    }
}

fn counts() -> Counts {
    let find_node = Answers { answered: 70, rate_limited: 5, refused: 0 };
    let store = Answers { answered: 12, rate_limited: 0, refused: 2 };
    Counts {
        commits: 40,
        failed_commits: 1,
        requests: [(FrameKind::FindNode, find_node), (FrameKind::Store, store)].into(),
        messages: MessageCounts { received: 8, stored: 3, delivered: 7, read: 6, failed: 1 },
    }
}

fn status() -> view::Status {
    let held = Usage {
        records: 5,
        welcome_bytes: 200,
        open_bytes: 1034,
        pool_bytes: 1 << 20,
        deletions: 0,
        damaged: 0,
    };
    let turnover = Turnover { taken: 9, taken_bytes: 20_480, refused: 3, evicted: 4, evicted_welcome: 1 };
    let overlay = overlay::Status {
        mode: Mode::Server,
        addresses: vec!["198.51.100.7:4040".parse().unwrap()],
        peers: 3,
        buckets: vec![2, 1, 0],
        connected: 3,
        running: 0,
        waiting: 0,
        held,
        turnover,
        disk_full: false,
    };
    let contacts = view::ContactCounts { accepted: 4, incoming: 1, requested: 2 };
    view::Status { overlay, entries: Progress { wanted: 2, placed: 1 }, contacts, queued: 6 }
}

fn found(total_words: usize, limit: usize) -> view::SearchResults {
    let hit = view::SearchHit {
        account: GRACE,
        name: "Grace".into(),
        about: "sails".into(),
        matched: total_words,
        total_words,
        tag: "p3x9".into(),
        contact: false,
        look_alike: false,
    };
    view::SearchResults { results: vec![hit; limit.min(1)], left_out: 2, asked_holders: 20 }
}

/// A contact, as there are many.
pub(crate) fn grace() -> view::Contact {
    view::Contact {
        account: GRACE,
        name: "Grace".into(),
        petname: Some("Amazing Grace".into()),
        tag: "p3x9".into(),
        state: ContactState::Accepted,
        note: String::new(),
        verified: true,
        added: UnixSeconds::new(1_795_000_000),
        presence: away(),
        last_seen: Some(NOON.seconds()),
        devices: 2,
    }
}

/// Somebody who was asked, or asks.
fn asked(account: AccountKey, note: &str, state: ContactState) -> view::Contact {
    view::Contact {
        account,
        petname: None,
        state,
        note: note.into(),
        verified: false,
        presence: view::Presence::default(),
        last_seen: None,
        devices: 0,
        ..grace()
    }
}

fn changed(change: &ContactChange) -> view::Contact {
    let mut contact = grace();
    match change {
        ContactChange::Accept | ContactChange::Unblock | ContactChange::Remove => {}
        ContactChange::Decline => contact.state = ContactState::Declined,
        ContactChange::Block => contact.state = ContactState::Blocked,
        ContactChange::Rename(petname) => contact.petname.clone_from(petname),
        ContactChange::SetVerified(verified) => contact.verified = *verified,
    }
    contact
}

pub(crate) fn away() -> view::Presence {
    view::Presence { status: Some(PresenceStatus::Away), line: "tea".into(), typing: true }
}

/// An invite of Grace's.
pub(crate) fn invite() -> Invite {
    Invite::new(
        GRACE,
        PHONE,
        OlmKey::new([3; 32]),
        InviteSecret::new([4; 16]),
        UnixSeconds::new(1_795_863_733),
        NetworkName::main(),
    )
}

/// A message of ours.
pub(crate) fn message(text: &str) -> view::Message {
    view::Message {
        id: MESSAGE,
        conversation: GRACE,
        from: ADA,
        mine: true,
        text: text.into(),
        sent_at: NOON,
        received_at: NOON,
        state: MessageState::Queued,
        holders: None,
        reply_to: None,
        edited_at: None,
        deleted: false,
        lives: None,
        ends: None,
        reactions: Vec::new(),
    }
}

/// A message of hers, whose clock is wrong.
pub(crate) fn reply(text: &str) -> view::Message {
    view::Message {
        id: MessageId::new([6; 16]),
        from: GRACE,
        mine: false,
        sent_at: UnixMillis::new(u64::MAX),
        state: MessageState::Read,
        ..message(text)
    }
}

/// One of hers of which more was said.
pub(crate) fn edited(text: &str) -> view::Message {
    view::Message {
        reply_to: Some(MESSAGE),
        edited_at: Some(NOON),
        lives: Some(Span::from_secs(60)),
        ends: Some(NOON.seconds()),
        reactions: [(GRACE, "+1"), (ADA, "👍")]
            .map(|(from, reaction)| view::Reaction { from, reaction: reaction.into() })
            .into(),
        ..reply(text)
    }
}

fn trace() -> view::Trace {
    let step = |step: Step, device: Option<DeviceKey>| view::TraceStep {
        at: NOON,
        step,
        device,
        peers: u32::from(device.is_some()),
        text: step.sentence().into(),
    };
    view::Trace {
        message: message("hello"),
        steps: vec![step(Step::Queued, None), step(Step::NotReached, Some(PHONE))],
    }
}
