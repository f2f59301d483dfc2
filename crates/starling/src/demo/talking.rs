//! The second half of the demonstration: people become contacts and talk.

use starling_api::types::{
    AddContactRequest, ChangeContactRequest, Contact, ContactChange, ContactState, InviteRequest, Message,
    MessageState, MessagesRequest, Presence, SearchRequest, SendRequest,
};
use starling_proto::ids::{AccountKey, MessageId};
use tokio::time::Instant;

use super::echo::{self, Echo};
use super::peer::{DemoPeer, broken, request_id};
use super::{Demo, act_ends, two_words};
use crate::failure::Failure;

/// Lines that each person says to their neighbour.
const LINES: usize = 5;
/// Lines that wait for somebody who is away.
const WAITING: usize = 3;

impl Demo {
    /// Everybody asks their neighbour to be a contact, and is accepted.
    pub(super) async fn befriend(&self) -> Result<String, Failure> {
        let deadline = act_ends();
        for (asker, asked) in self.neighbours() {
            let words = two_words(&asked.person.name, &asked.person.about).to_vec();
            let found = asker.client()?.search(&SearchRequest { words, limit: 50 }).await?;
            let hit = found.results.into_iter().find(|hit| hit.name == asked.person.name);
            let account = hit.ok_or_else(|| broken(format!("{} is not found", asked.person.name)))?.account;
            let note = format!("Hello, I am {}", asker.person.name);
            let request = AddContactRequest { whom: account.to_string(), note };
            asker.client()?.add_contact(&request).await?;
        }
        for (asker, asked) in self.neighbours() {
            let who = asker.account().await?;
            asked.wait_for_contact(&who, deadline, |them| them.state == ContactState::Incoming).await?;
            let request =
                ChangeContactRequest { who: who.to_string(), change: ContactChange::Accept, petname: None };
            asked.client()?.change_contact(&request).await?;
        }
        for (asker, asked) in self.neighbours() {
            agreed(asker, asked, deadline).await?;
        }
        Ok(format!(
            "{} people ask their neighbour to be a contact, in sealed letters that the peers closest to each inbox \
             keep; each reads theirs and accepts",
            self.peers.len()
        ))
    }

    /// Somebody answers an invite: no further consent is needed. Not played where everybody is a neighbour.
    pub(super) async fn invite(&self) -> Result<Option<String>, Failure> {
        let deadline = act_ends();
        let (Some(host), Some(guest)) = (self.peers.first(), self.peers.get(self.peers.len() / 2)) else {
            return Err(broken("there is nobody to invite"));
        };
        if self.neighbours().any(|(one, other)| same((one, other), (host, guest))) {
            return Ok(None);
        }
        let invite = host.client()?.invite(&InviteRequest::default()).await?.invite;
        let request = AddContactRequest { whom: invite.to_string(), note: String::new() };
        guest.client()?.add_contact(&request).await?;
        agreed(guest, host, deadline).await?;
        Ok(Some(format!(
            "{} invites {}, who answers: they are contacts at once",
            host.person.name, guest.person.name
        )))
    }

    /// Everybody says something to their neighbour, and is answered line by line.
    pub(super) async fn chat(&self) -> Result<String, Failure> {
        let deadline = act_ends();
        let mut echoes = Vec::new();
        for peer in &self.peers {
            echoes.push(Echo::begin(peer.client()?.clone()).await?);
        }
        for line in 0..LINES {
            for (speaker, hearer) in self.neighbours() {
                speaker.say(hearer, &format!("{} says {line}", speaker.person.name)).await?;
            }
        }
        for (speaker, hearer) in self.neighbours() {
            let said: Vec<String> =
                (0..LINES).map(|line| format!("{} says {line}", speaker.person.name)).collect();
            let whole = |messages: &[Message]| spoken(messages, &said);
            speaker.wait_for_messages(hearer, deadline, whole).await?;
            hearer.wait_for_messages(speaker, deadline, |messages| same_texts(messages, &said)).await?;
        }
        for echo in echoes {
            echo.end()?;
        }
        let lines = self.peers.len().saturating_mul(LINES);
        Ok(format!(
            "{lines} lines and {lines} answers, encrypted end to end: each arrived once, in order, and was confirmed \
             by a receipt"
        ))
    }

    /// Somebody leaves; what is said meanwhile waits, says why, and arrives when they are back at another port.
    pub(super) async fn away(&mut self) -> Result<String, Failure> {
        let deadline = act_ends();
        let network = self.network.clone();
        let middle = self.peers.len() / 2;
        let before = self.peer(middle)?.door().await?;
        let away = self.peer(middle)?.account().await?;
        self.peers.get_mut(middle).ok_or_else(|| broken("there is nobody to leave"))?.stop().await?;

        let friend = self.peer(middle.saturating_sub(1))?;
        friend.wait_for_contact(&away, deadline, |them| them.presence == Presence::Offline).await?;
        let mut said = Vec::new();
        let mut last = None;
        for line in 0..WAITING {
            said.push(format!("while you were away: {line}"));
            let request = SendRequest::new(away.to_string(), format!("while you were away: {line}"));
            last = Some(friend.client()?.send(&request, &request_id()?).await?);
        }
        let last = last.ok_or_else(|| broken("nothing was said"))?;
        if last.state != MessageState::Queued {
            return Err(broken(format!("a message to somebody who is away is {:?}", last.state)));
        }

        let peer = self.peers.get_mut(middle).ok_or_else(|| broken("there is nobody to come back"))?;
        peer.start(&network, None, deadline).await?;
        let (peer, friend) = (self.peer(middle)?, self.peer(middle.saturating_sub(1))?);
        let after = peer.door().await?;
        if before.key != after.key || before.address == after.address {
            return Err(broken(format!("{} came back as the same peer at the same port", peer.person.name)));
        }
        peer.wait_for_messages(friend, deadline, |messages| ends_with(messages, &said)).await?;
        friend.wait_for_contact(&away, deadline, |them| them.presence == Presence::Online).await?;
        friend.wait_for_receipt(&last.id, deadline).await?;
        self.find(peer, &["fond"]).await?;
        Ok(format!(
            "{} leaves, and {} sees it; {WAITING} lines wait; {} comes back at another port ({} to {}), is found again \
             from memory, and reads them in order; a search by the one word that all have in common finds all the \
             others",
            peer.person.name,
            friend.person.name,
            peer.person.name,
            before.address.port(),
            after.address.port()
        ))
    }

    fn peer(&self, number: usize) -> Result<&DemoPeer, Failure> {
        self.peers.get(number).ok_or_else(|| broken("somebody is missing"))
    }

    /// Each person and the next one, the last and the first.
    fn neighbours(&self) -> impl Iterator<Item = (&DemoPeer, &DemoPeer)> {
        self.peers.iter().zip(self.peers.iter().cycle().skip(1))
    }
}

impl DemoPeer {
    async fn account(&self) -> Result<AccountKey, Failure> {
        match self.client() {
            Ok(client) => Ok(client.whoami().await?.account),
            Err(error) => Err(error),
        }
    }

    async fn say(&self, to: &Self, text: &str) -> Result<MessageId, Failure> {
        let request = SendRequest::new(to.account().await?.to_string(), text);
        Ok(self.client()?.send(&request, &request_id()?).await?.id)
    }

    /// A contact, once it is as wanted.
    async fn wait_for_contact(
        &self,
        whom: &AccountKey,
        deadline: Instant,
        wanted: impl Fn(&Contact) -> bool,
    ) -> Result<(), Failure> {
        let look = async || {
            let contacts = self.client()?.contacts().await?.contacts;
            Ok(contacts.iter().any(|contact| contact.account == *whom && wanted(contact)))
        };
        self.until("a change of a contact", deadline, look).await
    }

    /// The conversation with somebody, once it is as wanted.
    async fn wait_for_messages(
        &self,
        with: &Self,
        deadline: Instant,
        wanted: impl Fn(&[Message]) -> bool,
    ) -> Result<(), Failure> {
        let who = with.account().await?.to_string();
        let look = async || {
            let request =
                MessagesRequest { limit: MessagesRequest::LONGEST, ..MessagesRequest::latest(who.as_str()) };
            Ok(wanted(&self.client()?.messages(&request).await?.messages))
        };
        self.until("a conversation", deadline, look).await
    }

    /// Waits until the receipt for a message is there.
    async fn wait_for_receipt(&self, id: &MessageId, deadline: Instant) -> Result<(), Failure> {
        self.until("a receipt", deadline, async || Ok(has_arrived(self.client()?.trace(id).await?.state)))
            .await
    }
}

/// Both sides show the other as a contact.
async fn agreed(one: &DemoPeer, other: &DemoPeer, deadline: Instant) -> Result<(), Failure> {
    let (here, there) = (one.account().await?, other.account().await?);
    one.wait_for_contact(&there, deadline, |them| them.state == ContactState::Accepted).await?;
    other.wait_for_contact(&here, deadline, |them| them.state == ContactState::Accepted).await
}

fn same(one: (&DemoPeer, &DemoPeer), other: (&DemoPeer, &DemoPeer)) -> bool {
    let is = |a: &DemoPeer, b: &DemoPeer| std::ptr::eq(a, b);
    (is(one.0, other.0) && is(one.1, other.1)) || (is(one.0, other.1) && is(one.1, other.0))
}

/// Whether `messages` are the lines that we said, each delivered, and their answers, each behind its line, all in order
/// and none twice.
fn spoken(messages: &[Message], said: &[String]) -> bool {
    let ours: Vec<&Message> =
        messages.iter().filter(|message| message.mine && !message.text.starts_with(echo::MARK)).collect();
    let all_delivered = ours.iter().all(|message| has_arrived(message.state));
    all_delivered && same_texts(messages, said)
}

const fn has_arrived(state: MessageState) -> bool {
    matches!(state, MessageState::Delivered | MessageState::Read)
}

/// Whether the lines and their answers are all there, each answer behind its line.
fn same_texts(messages: &[Message], said: &[String]) -> bool {
    let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    let lines: Vec<&str> =
        texts.iter().copied().filter(|text| said.iter().any(|line| line == text)).collect();
    let answers: Vec<&str> = texts.iter().filter_map(|text| text.strip_prefix(echo::MARK)).collect();
    let answers: Vec<&str> =
        answers.into_iter().filter(|answer| said.iter().any(|line| line == answer)).collect();
    let place = |sought: &str| texts.iter().position(|text| *text == sought);
    let behind = |line: &String| place(line) < place(&format!("{}{line}", echo::MARK));
    lines == said && answers == said && said.iter().all(behind)
}

fn ends_with(messages: &[Message], said: &[String]) -> bool {
    let skipped = messages.len().saturating_sub(said.len());
    messages.iter().skip(skipped).map(|message| &message.text).eq(said)
}
