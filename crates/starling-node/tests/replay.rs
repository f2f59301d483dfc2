//! Everything that three people ever sent, sent again: at once, when all is quiet, after restarts, and by others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::large_futures,
    reason = "a test fails by panicking, and computes small known numbers"
)]

#[path = "support/product.rs"]
mod product;
#[path = "support/repeating.rs"]
mod repeating;

use std::sync::Arc;

use product::{PATIENCE, Person, network, until};
use repeating::{Answer, Repeater, Tape};
use starling_core::io::{Command, CommandOutput, ContactChange, Event, Newcomer};
use starling_core::view::{Contact, Message, MessageState, Status};
use starling_node::transport::{Connection, QuicConnection, QuicTransport, SendHalf as _, Transport as _};
use starling_node::{News, NodeSecret};
use starling_proto::addr::Peer;
use starling_proto::frame::FrameHeader;
use starling_proto::ids::{MessageId, NodeKey};
use starling_proto::message::{Hello, Mode, Refusal, Request, Response, StoreOutcome};
use starling_proto::version::ProtocolVersion;

/// Lines that each of the two says.
const LINES: usize = 20;
/// A word that shows how far they have come.
const MARK: &str = "so far";
/// More than any answer is long.
const LONGEST_FRAME: usize = 100_000;

/// Somebody who says everything twice.
struct Speaker {
    person: Person,
    tape: Arc<Tape>,
}

/// Ada and Bob are contacts and have talked; Bob has turned Eve down and forgotten her.
struct Cast {
    ada: Speaker,
    bob: Speaker,
    eve: Speaker,
    /// Words that showed how far they had come.
    marks: Vec<MessageId>,
}

/// What somebody's user sees.
type Seen = (Vec<Contact>, Vec<Message>);

#[tokio::test(flavor = "multi_thread")]
async fn rpl_01_everything_ever_sent_sent_again_at_once_and_after_restarts() {
    let mut cast = Cast::talk().await;
    let seen = cast.seen().await;
    assert_eq!(seen[0].1.len(), 2 * LINES, "each line once, though each was sent twice at once");
    cast.all_say_everything_again().await;
    assert_eq!(cast.seen().await, seen);
    cast.bob = cast.bob.restart().await;
    cast.all_say_everything_again().await;
    assert_eq!(cast.seen().await, seen);
    cast.ada = cast.ada.restart().await;
    cast.all_say_everything_again().await;
    assert_eq!(cast.seen().await, seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn rpl_01_what_others_recorded_counts_for_nothing() {
    let mut cast = Cast::talk().await;
    let seen = cast.seen().await;
    let stranger = NodeSecret::new([7; 32]);
    for from in [&cast.ada, &cast.bob, &cast.eve] {
        for to in [&cast.ada, &cast.bob] {
            replay(&stranger, from, to).await;
        }
    }
    cast.nothing_happened().await;
    // Whoever has the key of Ada's peer, and not that of her device, is nobody either.
    let thief = cast.ada.person.secret.clone();
    cast.ada.person.handle.shutdown().await;
    replay(&thief, &cast.ada, &cast.bob).await;
    cast.bob = cast.bob.restart().await;
    replay(&thief, &cast.ada, &cast.bob).await;
    cast.ada = cast.ada.restart().await;
    cast.meet().await;
    cast.nothing_happened().await;
    assert_eq!(cast.seen().await, seen);
}

impl Cast {
    async fn talk() -> Self {
        let mut cast = Self {
            ada: Speaker::start("Ada").await,
            bob: Speaker::start("Bob").await,
            eve: Speaker::start("Eve").await,
            marks: Vec::new(),
        };
        let door = cast.ada.person.door();
        for joins in [&cast.bob, &cast.eve] {
            joins.person.join(door).await;
        }
        for speaker in [&cast.ada, &cast.bob, &cast.eve] {
            until("being somebody who keeps records", async || {
                speaker.status().await.overlay.mode == Mode::Server
            })
            .await;
        }
        cast.bob.ask(&mut cast.ada, ContactChange::Accept).await;
        cast.bob.person.wait_for(|event| matches!(event, Event::ContactAccepted { .. })).await;
        cast.eve.ask(&mut cast.bob, ContactChange::Decline).await;
        cast.eve.person.wait_for(|event| matches!(event, Event::ContactDeclined { .. })).await;
        cast.bob.change(&cast.eve, ContactChange::Remove).await;
        for line in 0..LINES {
            cast.ada.person.say(&cast.bob.person, &format!("ada {line}")).await;
            cast.bob.person.say(&cast.ada.person, &format!("bob {line}")).await;
        }
        cast.all_is_read().await;
        let [ada, bob] = [&cast.ada, &cast.bob].map(Speaker::sent);
        assert!(ada > LINES && bob > LINES, "{ada} and {bob} messages are on the tapes");
        cast.quiet().await;
        cast
    }

    /// Ada, Bob and what they know of each other. Who is connected is left out: that comes and goes.
    async fn seen(&self) -> [Seen; 2] {
        self.all_is_read().await;
        [self.ada.seen(&self.bob).await, self.bob.seen(&self.ada).await]
    }

    /// Both have all that was said, and know that the other has read it.
    async fn all_is_read(&self) {
        until("all is read", async || {
            let sides = [(&self.ada, &self.bob), (&self.bob, &self.ada)];
            let mut all = true;
            for (here, there) in sides {
                let messages = here.person.messages(&there.person).await;
                let read = |message: &Message| !message.mine || message.state == MessageState::Read;
                all &= messages.len() >= 2 * LINES && messages.iter().all(read);
                all &= here.status().await.queued == 0;
            }
            all
        })
        .await;
    }

    /// Everybody sends again what they ever sent; nobody notices.
    async fn all_say_everything_again(&mut self) {
        self.meet().await;
        self.quiet().await;
        let bob = self.bob.person.door().key;
        for speaker in [&self.ada, &self.bob, &self.eve] {
            for answer in speaker.say_all_again(bob).await.iter().filter(|answer| answer.is_deposit_at(bob)) {
                // Whom it was for has read it and deleted it for good.
                assert_eq!(answer.response, Some(Response::Stored(StoreOutcome::HaveNewer)));
            }
            assert_eq!(speaker.tape.opened_twice(), []);
        }
        self.nothing_happened().await;
    }

    /// Nobody's user was told anything but who is there, up to a word that is said now.
    async fn nothing_happened(&mut self) {
        self.linked().await;
        for event in self.since_last().await {
            assert!(is_about_peers(&event), "{event:?}");
        }
    }
}

impl Cast {
    /// All are connected, wherever they are now.
    async fn meet(&self) {
        for joins in [&self.ada, &self.eve] {
            joins.person.join(self.bob.person.door()).await;
        }
        self.linked().await;
    }

    /// Ada and Bob see each other.
    async fn linked(&self) {
        for (here, there) in [(&self.ada, &self.bob), (&self.bob, &self.ada)] {
            let account = there.person.account;
            until("seeing each other", async || {
                let online = |contact: &Contact| contact.presence.status.is_some();
                here.contacts().await.iter().any(|contact| contact.account == account && online(contact))
            })
            .await;
        }
    }

    /// What happened before now counts no more.
    async fn quiet(&mut self) {
        self.linked().await;
        self.since_last().await;
    }

    /// What Ada and Bob were told since this was last asked, up to a word that each says to the other now, which has
    /// passed everything that was on its way.
    async fn since_last(&mut self) -> Vec<Event> {
        let mut told = Vec::new();
        for (says, hears) in [(0, 1), (1, 0)] {
            let pair = [&mut self.ada, &mut self.bob];
            let word = pair[says].person.say(&pair[hears].person, MARK).await.id;
            self.marks.push(word);
            let pair = [&mut self.ada, &mut self.bob];
            let events = &mut pair[hears].person.events;
            let heard = |event: &Event| matches!(event, Event::Message(message) if message.id == word);
            let listening = async {
                loop {
                    match events.next().await.expect("the node runs").what {
                        News::Event(event) if heard(&event) => break,
                        News::Event(event) => told.push(event),
                        lost => panic!("{lost:?}"),
                    }
                }
            };
            tokio::time::timeout(PATIENCE, listening).await.expect("a word in time");
        }
        let mark = |event: &Event| matches!(event, Event::MessageState { id, .. } if self.marks.contains(id));
        told.retain(|event| !mark(event));
        told
    }
}

/// Whether it tells who is there, and nothing else.
const fn is_about_peers(event: &Event) -> bool {
    matches!(event, Event::PeerUp(_) | Event::PeerDown(_) | Event::Presence { .. })
}

impl Speaker {
    async fn start(name: &str) -> Self {
        let tape = Arc::<Tape>::default();
        let person = Person::start_as::<Repeater>(name, |core| (core, Arc::clone(&tape))).await;
        Self { person, tape }
    }

    async fn restart(self) -> Self {
        let tape = Arc::clone(&self.tape);
        Self { person: self.person.restart_as::<Repeater>(|core| (core, tape)).await, tape: self.tape }
    }

    /// Sends again what was ever sent, until each deposit for `reader` is answered: a connection with a peer that was
    /// started anew may be the one before.
    async fn say_all_again(&self, reader: NodeKey) -> Vec<Answer> {
        let saying = async {
            loop {
                self.tape.answers();
                let again = self.person.handle.command(Command::Join(Vec::new())).await;
                assert!(matches!(again, Ok(CommandOutput::Joined { .. })), "{again:?}");
                let answers = self.tape.answers();
                if answers.iter().all(|answer| answer.response.is_some() || !answer.is_deposit_at(reader)) {
                    return answers;
                }
            }
        };
        tokio::time::timeout(PATIENCE, saying).await.expect("answers in time")
    }

    /// How much was ever said to other people's devices.
    fn sent(&self) -> usize {
        let sealed = |(_, request): &(Peer, Request)| match request {
            Request::Deliver(deliver) => deliver.messages.len(),
            _ => 0,
        };
        self.tape.sent().iter().map(sealed).sum()
    }

    async fn status(&self) -> Status {
        match self.person.handle.command(Command::Status).await {
            Ok(CommandOutput::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    async fn contacts(&self) -> Vec<Contact> {
        match self.person.handle.command(Command::Contacts).await {
            Ok(CommandOutput::Contacts(contacts)) => contacts,
            other => panic!("{other:?}"),
        }
    }

    /// What the user sees of the other, but for who is there.
    async fn seen(&self, other: &Self) -> Seen {
        let mut contacts = self.contacts().await;
        for contact in &mut contacts {
            (contact.presence.status, contact.last_seen) = (None, None);
        }
        let mut messages = self.person.messages(&other.person).await;
        messages.retain(|message| message.text != MARK);
        (contacts, messages)
    }

    /// Asks somebody, who answers.
    async fn ask(&self, whom: &mut Self, answer: ContactChange) {
        let add =
            Command::AddContact { whom: Newcomer::Account(whom.person.account), note: "hello".to_owned() };
        self.person.handle.command(add).await.unwrap();
        let asks = self.person.account;
        let asked =
            |event: &Event| matches!(event, Event::ContactRequest { account, .. } if *account == asks);
        whom.person.wait_for(asked).await;
        whom.change(self, answer).await;
    }

    async fn change(&self, whom: &Self, change: ContactChange) {
        let who = whom.person.account.to_string();
        self.person.handle.command(Command::Contact { who, change }).await.unwrap();
    }
}

/// Somebody with a peer's key, but not its device's, says to `to` all that `from` ever said to them.
async fn replay(secret: &NodeSecret, from: &Speaker, to: &Speaker) {
    let door = to.person.door();
    let transport = QuicTransport::bind(&network(), secret, &["127.0.0.1:0".parse().unwrap()]).await.unwrap();
    let connection = transport.connect(&Peer::from(door)).await.unwrap();
    assert!(matches!(ask(&connection, &hello()).await, Response::Hello(_)));
    for (_, request) in from.tape.sent().into_iter().filter(|(whom, _)| whom.key() == door.key) {
        let response = ask(&connection, &request).await;
        let refused = matches!(response, Response::Refused(_));
        match &request {
            Request::Deliver(_) => assert_eq!(response, Response::Refused(Refusal::NotAllowed)),
            Request::DeviceProof(_) | Request::Owner(_) => assert!(refused, "{response:?}"),
            Request::Store(_) => assert!(refused || is_known(&response), "{response:?}"),
            _ => {}
        }
    }
    transport.close().await;
}

/// Whether a holder has a record, or a newer one, or wants it no more.
fn is_known(response: &Response) -> bool {
    matches!(response, Response::Stored(StoreOutcome::Stored | StoreOutcome::HaveNewer))
}

async fn ask(connection: &QuicConnection, request: &Request) -> Response {
    let (mut send, mut receive) = connection.open().await.unwrap();
    send.send_last(&request.to_frame().unwrap()).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, receive.read_to_end(LONGEST_FRAME));
    let frame = answer.await.expect("an answer in time").unwrap();
    let header = FrameHeader::parse(&frame).unwrap();
    Response::decode(header.kind, &frame[FrameHeader::LEN..]).unwrap()
}

fn hello() -> Request {
    Request::Hello(Hello {
        version: ProtocolVersion::CURRENT,
        mode: Mode::Client,
        coarse_time_min: 0,
        observed: None,
        addresses: Vec::new(),
    })
}
