//! The conversation as it is shown: each message once, in an order that both sides arrive at.
//!
//! A message belongs to its author device's chain (a count, and the hash of the message before) and names how far its
//! author had seen the chains of others. Its position is its author's time, but behind everything that it follows.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use starling_crypto::secret::Secret;
use starling_proto::content::{ChainLink, Content, ContentKind, Head, Said};
use starling_proto::ids::{AccountKey, DeviceKey, MessageId};
use starling_proto::limits;
use starling_proto::session::Party;
use starling_proto::time::{Now, UnixMillis};

use crate::storage::{ChainPlace, ChangeOf, MessageKind, MessageRow, MessageState, StorageError, TalkStore};

/// A position is milliseconds, shifted by this, and above them room for a million messages of the same moment.
const SHIFT: u32 = 20;
/// Room that is left before a message which is placed behind another, for each place of the chain between the two: for
/// those that come later.
const ROOM: u64 = 1 << 12;
/// Missing messages for which room is left: together a quarter of a second of the conversation, so that a chain that claims
/// millions of places does not push itself to the end.
const GAP: u64 = 1 << 16;
/// The last place in a chain that is believed: beyond, counting would end.
const LAST: u64 = 1 << 53;
/// Places that are tried when one is taken.
const TRIES: u32 = 64;

/// What became of a message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is in the history now.
    New {
        /// The row. A text of which was said more before it came is as it reads now.
        row: Box<MessageRow>,
        /// The text of which it says something, as it is now.
        changed: Option<Box<MessageRow>>,
        /// Places of the author's chain before it that are missing, the latest of them.
        missing: Vec<u64>,
        /// Places of other chains that it names and we have not: see [`behind`].
        behind: Vec<(DeviceKey, Vec<u64>)>,
        /// Whether it names another message than the one that we have before it.
        off_chain: bool,
    },
    /// We have it already.
    Known,
    /// Its id is another author's message, or its place is none: not what an honest device writes.
    Refused,
}

/// Writes down under an id that nothing has yet what we say. Gives the row, the content to send, and the text of which it
/// says something, as it is now.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn write_own(
    store: &mut dyn TalkStore,
    now: Now,
    id: MessageId,
    (device, conversation): (DeviceKey, AccountKey),
    said: Said,
) -> Result<(MessageRow, Content, Option<MessageRow>), StorageError> {
    let heads = store.chain_heads(&conversation)?;
    let own = heads.iter().find(|head| head.author == device);
    let link = ChainLink {
        sequence: own.map_or(1, |head| head.sequence.saturating_add(1)),
        previous: own.map(|head| head.hash),
        heads: heads_of_others(&heads, &device),
    };
    let content = Content { id, sent_at: now.wall, link: Some(link), kind: ContentKind::Said(said.clone()) };
    let mut row = row_of(&content, Party { account: conversation, device }, now, said);
    row.mine = true;
    row.state = MessageState::Queued;
    row.ends = row.lives.map(|lives| now.seconds().after(lives));
    row.position = position(store, &row, &heads, content.link.as_ref())?;
    store.write_message(&row)?;
    let changed = carry_out(store, &row)?;
    Ok((row, content, changed))
}

/// Writes down what somebody else says, unless it is there.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn take(
    store: &mut dyn TalkStore,
    now: Now,
    author: Party,
    content: &Content,
) -> Result<Taken, StorageError> {
    take_from(store, now, (author, false), content)
}

/// Writes down what another device of ours has said in a conversation, unless it is there.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn take_copy(
    store: &mut dyn TalkStore,
    now: Now,
    (conversation, device): (AccountKey, DeviceKey),
    content: &Content,
) -> Result<Taken, StorageError> {
    take_from(store, now, (Party { account: conversation, device }, true), content)
}

fn take_from(
    store: &mut dyn TalkStore,
    now: Now,
    (author, mine): (Party, bool),
    content: &Content,
) -> Result<Taken, StorageError> {
    let link = content.link.as_ref().filter(|link| link.sequence <= LAST);
    let (Some(link), ContentKind::Said(said)) = (link, &content.kind) else { return Ok(Taken::Refused) };
    if let Some(known) = store.message(&content.id)? {
        let same = known.author == author.device && known.hash == content.hash();
        return Ok(if same { Taken::Known } else { Taken::Refused });
    }
    let mut row = row_of(content, author, now, said.clone());
    if mine {
        (row.mine, row.state) = (true, MessageState::Queued);
        row.ends = row.lives.map(|lives| row.sent_at.seconds().after(lives));
    }
    let heads = store.chain_heads(&author.account)?;
    let head = heads.iter().find(|head| head.author == author.device);
    let seen = head.map_or(0, |head| head.sequence);
    let before = head.filter(|head| head.sequence.saturating_add(1) == link.sequence);
    let follows =
        before.map_or(link.sequence != 1 || link.previous.is_none(), |head| link.previous == Some(head.hash));
    let off_chain = !follows || head.is_some_and(|head| head.sequence == link.sequence);
    let first = seen.saturating_add(1).max(link.sequence.saturating_sub(limits::MESSAGE_IDS as u64));
    let missing = (first..link.sequence).collect();
    row.position = position(store, &row, &heads, Some(link))?;
    store.write_message(&row)?;
    let mut changed = carry_out(store, &row)?;
    if row.kind == MessageKind::Text {
        row = changed.take().unwrap_or(row);
    }
    let (row, changed) = (Box::new(row), changed.map(Box::new));
    Ok(Taken::New { row, changed, missing, behind: behind(&heads, &link.heads), off_chain })
}

/// Does to a text what was said about it, whichever of the two came first. Gives the text if it is another one now.
///
/// An account changes its own texts and nobody else's; of several edits the last in the conversation's order counts, which
/// is the same on both sides. Of all that is said about a text only what counts keeps its words, and each step looks at
/// no more than the last two of a kind: whoever edits and reacts a million times makes nobody slow.
fn carry_out(store: &mut dyn TalkStore, new: &MessageRow) -> Result<Option<MessageRow>, StorageError> {
    if new.kind == MessageKind::Text {
        return carry_out_on(store, new.clone());
    }
    let Some(id) = new.about else { return Ok(None) };
    let text = store.message(&id)?.filter(|text| text.conversation == new.conversation);
    match (text, new.kind) {
        (Some(text), _) if matches!(text.kind, MessageKind::Deleted | MessageKind::Ended) => {
            // No word of it is kept, so none that was said about it is.
            clear(store, new.clone()).map(|()| None)
        }
        (Some(text), _) if text.kind != MessageKind::Text => clear(store, new.clone()).map(|()| None),
        (text, MessageKind::Reaction) => {
            supersede(store, new)?;
            Ok(text)
        }
        (Some(text), _) if text.mine == new.mine => {
            supersede(store, new)?;
            carry_out_on(store, text)
        }
        // Somebody else's is none of theirs to change.
        (Some(_), _) => clear(store, new.clone()).map(|()| None),
        // It may still come.
        (None, _) => supersede(store, new).map(|()| None),
    }
}

/// The author's deletion, or last edit.
fn carry_out_on(store: &mut dyn TalkStore, mut text: MessageRow) -> Result<Option<MessageRow>, StorageError> {
    if last_change(store, &text, text.mine, MessageKind::Deletion)?.is_some() {
        return erase(store, text, MessageKind::Deleted).map(Some);
    }
    // One that has been carried out has no words any more.
    let edit = last_change(store, &text, text.mine, MessageKind::Edit)?.filter(|edit| !edit.text.is_empty());
    let Some(edit) = edit else { return Ok(None) };
    (text.text, text.edited_at) = (edit.text.clone(), Some(edit.sent_at));
    store.write_message(&text)?;
    clear(store, edit)?;
    Ok(Some(text))
}

fn last_change(
    store: &dyn TalkStore,
    text: &MessageRow,
    mine: bool,
    kind: MessageKind,
) -> Result<Option<MessageRow>, StorageError> {
    let of = ChangeOf { message: text.id, conversation: text.conversation, mine, kind };
    Ok(store.last_changes(&of)?.into_iter().next())
}

/// Of several that one side says only the last one counts: the others keep no words.
fn supersede(store: &mut dyn TalkStore, new: &MessageRow) -> Result<(), StorageError> {
    let Some(message) = new.about else { return Ok(()) };
    let (conversation, mine, kind) = (new.conversation, new.mine, new.kind);
    let last = store.last_changes(&ChangeOf { message, conversation, mine, kind })?;
    let new_is_last = last.first().is_some_and(|last| last.id == new.id);
    let old = if new_is_last { last.into_iter().nth(1) } else { Some(new.clone()) };
    old.map_or(Ok(()), |old| clear(store, old))
}

/// Keeps the place of something in its chain, and no word of it.
fn clear(store: &mut dyn TalkStore, mut row: MessageRow) -> Result<(), StorageError> {
    if row.text.is_empty() {
        return Ok(());
    }
    row.text.clear();
    store.write_message(&row)
}

/// Keeps the place of a text and no word of it, nor of what was said about it.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn erase(
    store: &mut dyn TalkStore,
    mut text: MessageRow,
    now_it_is: MessageKind,
) -> Result<MessageRow, StorageError> {
    text.kind = now_it_is;
    text.text.clear();
    (text.edited_at, text.ends) = (None, None);
    store.write_message(&text)?;
    for (mine, kind) in
        [(true, MessageKind::Reaction), (false, MessageKind::Reaction), (text.mine, MessageKind::Edit)]
    {
        if let Some(change) = last_change(store, &text, mine, kind)? {
            clear(store, change)?;
        }
    }
    Ok(text)
}

/// What each side thinks of a text: the last that it said, whether that is ours, and in what words.
///
/// # Errors
/// [`StorageError`] from beneath.
pub fn reactions(store: &dyn TalkStore, text: &MessageRow) -> Result<Vec<(bool, String)>, StorageError> {
    let mut said = Vec::new();
    if text.kind == MessageKind::Text {
        for mine in [false, true] {
            let last = last_change(store, text, mine, MessageKind::Reaction)?;
            said.extend(last.filter(|last| !last.text.is_empty()).map(|last| (mine, last.text)));
        }
    }
    Ok(said)
}

/// Places of chains that a message names and we, whose `heads` are these, have not, by device: at most
/// [`limits::HEADS`] devices, the latest [`limits::MESSAGE_IDS`] places of each.
fn behind(heads: &[ChainPlace], named: &[Head]) -> Vec<(DeviceKey, Vec<u64>)> {
    let seen =
        |device: &DeviceKey| heads.iter().find(|head| head.author == *device).map_or(0, |head| head.sequence);
    let missing = |head: &Head| {
        let first = seen(&head.device).max(head.sequence.saturating_sub(limits::MESSAGE_IDS as u64));
        let places: Vec<u64> = (first.saturating_add(1)..=head.sequence.min(LAST)).collect();
        (!places.is_empty()).then_some((head.device, places))
    };
    named.iter().filter_map(missing).collect()
}

/// 128 random bits.
pub fn random_id(rng: &mut dyn CryptoRng) -> MessageId {
    MessageId::new(*Secret::<16>::random(rng).expose())
}

fn row_of(content: &Content, author: Party, now: Now, said: Said) -> MessageRow {
    // A clock that is far ahead, or a lie, would stand at the end of the conversation for ever.
    let latest = now.wall.get().saturating_add(limits::CLOCK_SLACK.as_ms());
    let (kind, about, lives, text) = match said {
        Said::Text(text) => (MessageKind::Text, text.reply_to, text.lives, text.text.as_str().into()),
        Said::Edit { of, text } => (MessageKind::Edit, Some(of), None, text.as_str().into()),
        Said::Delete { of } => (MessageKind::Deletion, Some(of), None, String::new()),
        Said::React { to, reaction } => (MessageKind::Reaction, Some(to), None, reaction.as_str().into()),
    };
    MessageRow {
        id: content.id,
        conversation: author.account,
        author: author.device,
        mine: false,
        sequence: content.link.as_ref().map_or(0, |link| link.sequence),
        hash: content.hash(),
        position: 0,
        sent_at: UnixMillis::new(content.sent_at.get().min(latest)),
        received_at: now.wall,
        state: MessageState::Delivered,
        kind,
        about,
        edited_at: None,
        lives,
        ends: None,
        text,
    }
}

/// The latest seen of other devices, at most [`limits::HEADS`], the ones shown last first.
fn heads_of_others(heads: &[ChainPlace], device: &DeviceKey) -> Vec<Head> {
    let mut others: Vec<&ChainPlace> = heads.iter().filter(|head| head.author != *device).collect();
    others.sort_by_key(|head| core::cmp::Reverse(head.position));
    let named = others.into_iter().take(limits::HEADS);
    named.map(|head| Head { device: head.author, sequence: head.sequence, hash: head.hash }).collect()
}

/// Where a message is shown: at its author's time, clamped behind what it follows and before what follows it; of two at
/// the same moment the smaller id comes first. `heads` are those of the conversation before this message: who writes
/// last, as is usual, follows on them and on nothing that has to be looked for.
fn position(
    store: &dyn TalkStore,
    row: &MessageRow,
    heads: &[ChainPlace],
    link: Option<&ChainLink>,
) -> Result<u64, StorageError> {
    let mut before = match row.sequence.checked_sub(1) {
        Some(last) => place_until(store, &row.conversation, heads, (&row.author, last))?,
        None => None,
    };
    for named in link.iter().flat_map(|link| &link.heads) {
        let place = place_until(store, &row.conversation, heads, (&named.device, named.sequence))?;
        before = before.into_iter().chain(place).max_by_key(|place| place.position);
    }
    let came_late = heads.iter().any(|head| head.author == row.author && head.sequence > row.sequence);
    let after = match came_late {
        true => store.chain_beyond(&row.conversation, &row.author, row.sequence)?,
        false => None,
    };
    let floor = before.map_or(0, |known| known.position.saturating_add(1));
    let comfortable = before.map_or(0, |known| known.position.saturating_add(room(&known, row)));
    let mut position = by_time(row).max(comfortable);
    if let Some(after) = after {
        // Before what follows, with room for what is missing between: halving what is free would end soon.
        let missing = after.sequence.saturating_sub(row.sequence);
        let close = after.position.saturating_sub(ROOM.saturating_mul(missing));
        if position > close {
            position = if close >= floor { close } else { floor.midpoint(after.position).max(floor) };
        }
    }
    free_from(store, &row.conversation, position)
}

/// The newest of a device's chain up to a place: mostly the chain's head, which is at hand.
fn place_until(
    store: &dyn TalkStore,
    conversation: &AccountKey,
    heads: &[ChainPlace],
    (device, until): (&DeviceKey, u64),
) -> Result<Option<ChainPlace>, StorageError> {
    match heads.iter().find(|head| head.author == *device) {
        Some(head) if head.sequence > until => store.chain_until(conversation, device, until),
        head => Ok(head.copied()),
    }
}

/// [`ROOM`] for each message of the chain that may still come between the two.
fn room(before: &ChainPlace, row: &MessageRow) -> u64 {
    let between = if before.author == row.author { row.sequence.saturating_sub(before.sequence) } else { 1 };
    ROOM.saturating_mul(between.clamp(1, GAP))
}

/// Milliseconds, then the first bits of the id.
fn by_time(row: &MessageRow) -> u64 {
    let [a, b, c, ..] = *row.id.as_bytes();
    let id = u64::from(u32::from_be_bytes([0, a, b, c]) >> 4);
    (row.sent_at.get().min(u64::MAX >> (SHIFT + 1)) << SHIFT) | id
}

/// The position, or a free one behind it.
fn free_from(store: &dyn TalkStore, conversation: &AccountKey, wanted: u64) -> Result<u64, StorageError> {
    let mut position = wanted;
    for attempt in 0..TRIES {
        if !store.is_taken(conversation, position)? {
            break;
        }
        // Ever longer steps: whoever fills the places behind one costs us few of them.
        position = position.saturating_add(1 << attempt.min(SHIFT));
    }
    Ok(position)
}

#[cfg(test)]
mod changes;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;
    use starling_proto::content::MessageText;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::storage::MessageStore as _;

    const ADA: Party = Party { account: AccountKey::new([1; 32]), device: DeviceKey::new([2; 32]) };
    const OWN: DeviceKey = DeviceKey::new([3; 32]);

    fn now(ms: u64) -> Now {
        Now { wall: UnixMillis::new(1_767_225_600_000 + ms), ..Now::default() }
    }

    fn words(text: &str) -> MessageText {
        MessageText::new(text).unwrap()
    }

    /// Ada's chain: each content names the one before.
    fn chain(at_ms: &[u64]) -> Vec<Content> {
        let mut made: Vec<Content> = Vec::new();
        for (n, at) in at_ms.iter().enumerate() {
            let link = ChainLink {
                sequence: n as u64 + 1,
                previous: made.last().map(Content::hash),
                heads: Vec::new(),
            };
            made.push(Content {
                id: MessageId::new((n as u128 + 1).to_be_bytes()),
                sent_at: now(*at).wall,
                link: Some(link),
                kind: words(&n.to_string()).into(),
            });
        }
        made
    }

    fn hear(store: &mut MemoryStore, content: &Content) -> Taken {
        take(store, now(0), ADA, content).unwrap()
    }

    fn shown(store: &MemoryStore) -> Vec<String> {
        store.messages(&ADA.account, None, 100, None).unwrap().into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn each_is_shown_once() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[1, 2]));
        assert!(matches!(hear(&mut store, &chain[0]), Taken::New { off_chain: false, .. }));
        assert_eq!(hear(&mut store, &chain[0]), Taken::Known);
        assert!(matches!(hear(&mut store, &chain[1]), Taken::New { off_chain: false, .. }));
        assert_eq!(shown(&store), ["0", "1"]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_change_the_order() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[9000, 5000, 5000, 1]));
        for content in &chain {
            hear(&mut store, content);
        }
        assert_eq!(shown(&store), ["0", "1", "2", "3"]);
    }

    #[test]
    fn what_comes_late_is_put_in_its_place_and_was_noticed() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[9000, 5000, 7000, 1]));
        hear(&mut store, &chain[0]);
        let Taken::New { missing, .. } = hear(&mut store, &chain[3]) else { panic!("it is new") };
        assert_eq!(missing, [2, 3]);
        hear(&mut store, &chain[2]);
        hear(&mut store, &chain[1]);
        assert_eq!(shown(&store), ["0", "1", "2", "3"]);
    }

    #[test]
    fn rpl_04_backwards_and_with_gaps_of_a_thousand() {
        let in_order: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
        for at_once in [true, false] {
            let times: Vec<u64> = (0..1001).map(|n| if at_once { 7 } else { n }).collect();
            let (mut store, chain) = (MemoryStore::default(), chain(&times));
            hear(&mut store, &chain[0]);
            let Taken::New { missing, .. } = hear(&mut store, &chain[1000]) else { panic!("it is new") };
            let last = 1001 - limits::MESSAGE_IDS as u64..1001;
            assert_eq!(
                missing,
                last.collect::<Vec<_>>(),
                "the gap is seen, and as much of it asked for as fits"
            );
            for content in chain.iter().rev() {
                hear(&mut store, content);
            }
            let shown = store.messages(&ADA.account, None, 2000, None).unwrap();
            let shown: Vec<String> = shown.into_iter().map(|row| row.text).collect();
            assert_eq!(shown, in_order, "all at one moment: {at_once}");
        }
    }

    #[test]
    fn nobody_overwrites_another_message() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[1]));
        hear(&mut store, &chain[0]);
        let eve = Party { account: AccountKey::new([8; 32]), device: DeviceKey::new([9; 32]) };
        assert_eq!(take(&mut store, now(0), eve, &chain[0]).unwrap(), Taken::Refused);
        let changed = Content { kind: words("other").into(), ..chain[0].clone() };
        assert_eq!(hear(&mut store, &changed), Taken::Refused);
        assert_eq!(shown(&store), ["0"]);
    }

    #[test]
    fn a_broken_chain_is_noticed() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[1, 2]));
        hear(&mut store, &chain[0]);
        let mut forged = chain[1].clone();
        forged.link = Some(ChainLink { sequence: 2, previous: Some([7; 32]), heads: Vec::new() });
        assert!(matches!(hear(&mut store, &forged), Taken::New { off_chain: true, .. }));
    }

    #[test]
    fn numbers_without_measure_do_no_harm() {
        let (mut store, mut chain) = (MemoryStore::default(), chain(&[1, 2]));
        chain[0].link = Some(ChainLink { sequence: u64::MAX, previous: None, heads: Vec::new() });
        assert_eq!(hear(&mut store, &chain[0]), Taken::Refused);
        chain[0].link = Some(ChainLink { sequence: LAST, previous: None, heads: Vec::new() });
        chain[0].sent_at = UnixMillis::new(u64::MAX);
        let Taken::New { missing, row, .. } = hear(&mut store, &chain[0]) else { panic!("it is new") };
        assert_eq!(missing.len(), limits::MESSAGE_IDS);
        assert_eq!(row.sent_at, now(limits::CLOCK_SLACK.as_ms()).wall);
        let head = Head { device: OWN, sequence: u64::MAX, hash: [0; 32] };
        assert!(behind(&store.chain_heads(&ADA.account).unwrap(), &[head]).is_empty());
    }

    #[test]
    fn an_answer_is_shown_behind_its_question_on_both_sides() {
        let (mut store, chain) = (MemoryStore::default(), chain(&[9000]));
        hear(&mut store, &chain[0]);
        let id = random_id(&mut ChaCha8Rng::seed_from_u64(1));
        let said = Said::Text(words("answer").into());
        let (_, answer, _) = write_own(&mut store, now(5), id, (OWN, ADA.account), said).unwrap();
        assert_eq!(shown(&store), ["0", "answer"]);
        let link = answer.link.unwrap();
        assert_eq!((link.sequence, link.previous, link.heads[0].hash), (1, None, chain[0].hash()));
    }
}
