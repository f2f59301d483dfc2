//! Tests: what is said about a text, whichever of the two comes first.

use starling_proto::content::{MessageText, Reaction, Text};
use starling_proto::time::Span;

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::memory::MemoryStore;
use crate::storage::MessageStore as _;

const ADA: Party = Party { account: AccountKey::new([1; 32]), device: DeviceKey::new([2; 32]) };
const EVE: Party = Party { account: AccountKey::new([8; 32]), device: DeviceKey::new([9; 32]) };
const OWN: DeviceKey = DeviceKey::new([3; 32]);
const TEXT: MessageId = MessageId::new([200; 16]);

fn now(ms: u64) -> Now {
    Now { wall: UnixMillis::new(1_767_225_600_000 + ms), ..Now::default() }
}

fn words(text: &str) -> MessageText {
    MessageText::new(text).unwrap()
}

fn text() -> Said {
    Said::Text(words("tea at five?").into())
}

fn edit(text: &str) -> Said {
    Said::Edit { of: TEXT, text: words(text) }
}

fn react(reaction: &str) -> Said {
    Said::React { to: TEXT, reaction: Reaction::new(reaction).unwrap() }
}

/// What somebody says in this order, one message a second, the text under the id that the others name.
fn chain(said: Vec<Said>) -> Vec<Content> {
    let mut made: Vec<Content> = Vec::new();
    for (n, said) in (1u8..).zip(said) {
        let previous = made.last().map(Content::hash);
        let link = Some(ChainLink { sequence: n.into(), previous, heads: Vec::new() });
        let id = if matches!(said, Said::Text(_)) { TEXT } else { MessageId::new([n; 16]) };
        let sent_at = now(u64::from(n) * 1000).wall;
        made.push(Content { id, sent_at, link, kind: ContentKind::Said(said) });
    }
    made
}

fn hear(store: &mut MemoryStore, author: Party, content: &Content) -> (MessageRow, Option<MessageRow>) {
    match take(store, now(0), author, content).unwrap() {
        Taken::New { row, changed, .. } => (*row, changed.map(|changed| *changed)),
        other => panic!("{other:?}"),
    }
}

fn say(store: &mut MemoryStore, n: u8, said: Said) -> Option<MessageRow> {
    write_own(store, now(9000), MessageId::new([n; 16]), (OWN, ADA.account), said).unwrap().2
}

fn shown(store: &MemoryStore) -> Vec<MessageRow> {
    store.messages(&ADA.account, None, 100, None).unwrap()
}

/// Every order in which three can come.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn the_last_edit_counts_in_whatever_order_they_come() {
    let chain = chain(vec![text(), edit("at six?"), edit("at seven?")]);
    for order in ORDERS {
        let mut store = MemoryStore::default();
        for at in order {
            hear(&mut store, ADA, &chain[at]);
        }
        let [row] = &shown(&store)[..] else { panic!("one text") };
        assert_eq!((row.text.as_str(), row.edited_at), ("at seven?", Some(chain[2].sent_at)), "{order:?}");
        assert_eq!(row.hash, chain[0].hash(), "it stays the link of the chain that it was");
        assert_eq!(take(&mut store, now(0), ADA, &chain[0]).unwrap(), Taken::Known);
        assert!(store.messages(&ADA.account, None, 9, Some("five")).unwrap().is_empty());
    }
}

#[test]
fn what_is_deleted_leaves_no_word_in_whatever_order_it_comes() {
    let chain = chain(vec![text(), edit("at six?"), Said::Delete { of: TEXT }]);
    for order in ORDERS {
        let mut store = MemoryStore::default();
        for at in order {
            hear(&mut store, ADA, &chain[at]);
        }
        let [row] = &shown(&store)[..] else { panic!("its place") };
        assert_eq!(
            (row.kind, row.text.as_str(), row.edited_at),
            (MessageKind::Deleted, "", None),
            "{order:?}"
        );
        assert!(!format!("{store:?}").contains("at six?"), "{order:?}");
        assert!(!format!("{store:?}").contains("tea at five?"), "{order:?}");
        say(&mut store, 77, react("late"));
        assert!(!format!("{store:?}").contains("late"), "nor does what is said afterwards");
    }
}

#[test]
fn nobody_changes_what_another_wrote() {
    let mut store = MemoryStore::default();
    hear(&mut store, ADA, &chain(vec![text()])[0]);
    assert_eq!(say(&mut store, 50, edit("never")), None);
    assert_eq!(say(&mut store, 51, Said::Delete { of: TEXT }), None);
    let eves = chain(vec![edit("never"), Said::Delete { of: TEXT }, react("ha")]);
    for content in &eves {
        assert_eq!(hear(&mut store, EVE, content).1, None, "of another conversation");
    }
    let [row] = &shown(&store)[..] else { panic!("one text") };
    assert_eq!((row.text.as_str(), row.edited_at), ("tea at five?", None));
    assert_eq!(reactions(&store, row).unwrap(), []);
}

#[test]
fn each_side_has_one_reaction_and_can_take_it_back() {
    let mut store = MemoryStore::default();
    let chain = chain(vec![text(), react("+"), react("-"), react("")]);
    hear(&mut store, ADA, &chain[0]);
    let changed = say(&mut store, 50, react("ours")).unwrap();
    assert_eq!(reactions(&store, &changed).unwrap(), [(true, "ours".into())]);
    hear(&mut store, ADA, &chain[2]);
    let (_, changed) = hear(&mut store, ADA, &chain[1]);
    let both = [(false, "-".into()), (true, "ours".into())];
    assert_eq!(
        reactions(&store, &changed.unwrap()).unwrap(),
        both,
        "the last one, not the one that came last"
    );
    let (_, changed) = hear(&mut store, ADA, &chain[3]);
    assert_eq!(reactions(&store, &changed.unwrap()).unwrap(), [(true, "ours".into())]);
    assert_eq!(shown(&store).len(), 1, "reactions are no messages");
}

/// Whoever edits and reacts without end makes nobody slow, and fills no disk with what is not shown.
#[test]
fn of_all_that_is_said_only_what_counts_keeps_its_words() {
    let mut said = vec![text()];
    for n in 0..50 {
        said.extend([edit(&format!("edit {n}")), react(&format!("reaction {n}"))]);
    }
    let chain = chain(said);
    for backwards in [false, true] {
        let mut store = MemoryStore::default();
        let order: Vec<&Content> =
            if backwards { chain.iter().rev().collect() } else { chain.iter().collect() };
        for content in order {
            hear(&mut store, ADA, content);
        }
        let [row] = &shown(&store)[..] else { panic!("one text") };
        assert_eq!(
            (row.text.as_str(), reactions(&store, row).unwrap()),
            ("edit 49", vec![(false, "reaction 49".into())])
        );
        let everything = format!("{store:?}");
        assert_eq!(everything.matches("edit ").count(), 1, "backwards: {backwards}");
        assert_eq!(everything.matches("reaction ").count(), 1, "backwards: {backwards}");
    }
}

#[test]
fn a_text_of_ours_ends_by_our_clock_and_leaves_its_place() {
    let mut store = MemoryStore::default();
    let lives = Some(Span::from_secs(60));
    let said = Said::Text(Text { lives, ..words("the code is 4711").into() });
    write_own(&mut store, now(0), TEXT, (OWN, ADA.account), said).unwrap();
    let end = now(60_000).seconds();
    assert_eq!(store.next_end().unwrap(), Some(end));
    assert!(store.ended(now(59_000).seconds(), 9).unwrap().is_empty());
    let ended = store.ended(end, 9).unwrap().remove(0);
    say(&mut store, 50, edit("the code is 0815"));
    erase(&mut store, ended, MessageKind::Ended).unwrap();
    assert!(shown(&store).is_empty() && !format!("{store:?}").contains("code is"));
    assert_eq!(store.next_end().unwrap(), None);
    assert_eq!(store.chain_heads(&ADA.account).unwrap()[0].sequence, 2, "its chain goes on");
}

/// A text as somebody sees it: id, text, whether it is deleted, when it was edited, and what each thinks of it.
type Seen = (MessageId, String, bool, Option<UnixMillis>, Vec<(AccountKey, String)>);

/// One of the two who talk: what they have, and what is under way to them.
struct Side {
    device: DeviceKey,
    account: AccountKey,
    store: MemoryStore,
    coming: Vec<Content>,
}

impl Side {
    fn new(n: u8) -> Self {
        let (device, account) = (DeviceKey::new([n + 10; 32]), AccountKey::new([n; 32]));
        Self { device, account, store: MemoryStore::default(), coming: Vec::new() }
    }

    /// What is still under way comes, in an order that the dice say.
    fn hears_the_rest_of(&mut self, other: &Self, dice: &[u16]) {
        let author = Party { account: other.account, device: other.device };
        let mut dice = dice.iter().cycle();
        while let (false, Some(pick)) = (self.coming.is_empty(), dice.next()) {
            let content = self.coming.remove(usize::from(*pick) % self.coming.len());
            take(&mut self.store, now(900_000), author, &content).unwrap();
        }
    }

    /// What they see.
    fn sees(&self, other: &Self) -> Vec<Seen> {
        let rows = self.store.messages(&other.account, None, 1000, None).unwrap();
        let seen = rows.into_iter().map(|row| {
            let whose = |(mine, said)| (if mine { self.account } else { other.account }, said);
            let mut thought: Vec<_> = reactions(&self.store, &row).unwrap().into_iter().map(whose).collect();
            thought.sort();
            (row.id, row.text, row.kind == MessageKind::Deleted, row.edited_at, thought)
        });
        let mut seen: Vec<_> = seen.collect();
        seen.sort();
        seen
    }
}

/// One of the texts that somebody has and may say something about.
fn one_of(side: &Side, other: &Side, mine: bool, pick: usize) -> Option<MessageId> {
    let rows = side.store.messages(&other.account, None, 1000, None).unwrap();
    let fit: Vec<MessageId> = rows
        .into_iter()
        .filter(|row| row.kind == MessageKind::Text && (row.mine || !mine))
        .map(|row| row.id)
        .collect();
    (!fit.is_empty()).then(|| fit[pick % fit.len()])
}

proptest! {
    /// Two say things to each other and about what was said, and hear them late and in any order: in the end both see the
    /// same.
    #[test]
    fn both_sides_see_the_same_in_the_end(
        steps in prop::collection::vec((any::<bool>(), 0u8..6, any::<u16>()), 1..60),
        last in prop::collection::vec(any::<u16>(), 60),
    ) {
        let mut sides = [Side::new(1), Side::new(2)];
        for (n, (who, what, pick)) in (1u16..).zip(steps) {
            let [first, second] = &mut sides;
            let (one, other) = if who { (first, second) } else { (second, first) };
            let pick = usize::from(pick);
            let about = one_of(one, other, matches!(what, 2 | 3), pick);
            let said = match (what, about) {
                (0, _) => Some(Said::Text(words(&format!("text {n}")).into())),
                (2, Some(of)) => Some(Said::Edit { of, text: words(&format!("edit {n}")) }),
                (3, Some(of)) => Some(Said::Delete { of }),
                (4, Some(to)) => Some(Said::React { to, reaction: Reaction::new(format!("{n}")).unwrap() }),
                (5, Some(to)) => Some(Said::React { to, reaction: Reaction::new("").unwrap() }),
                _ => None,
            };
            let at = now(u64::from(n) * 1000);
            if let Some(said) = said {
                let mut id = [0; 16];
                id[..2].copy_from_slice(&n.to_be_bytes());
                let us = (one.device, other.account);
                let (_, content, _) = write_own(&mut one.store, at, MessageId::new(id), us, said).unwrap();
                other.coming.push(content);
            } else if !one.coming.is_empty() {
                let content = one.coming.remove(pick % one.coming.len());
                let author = Party { account: other.account, device: other.device };
                take(&mut one.store, at, author, &content).unwrap();
            }
        }
        let [first, second] = &mut sides;
        first.hears_the_rest_of(second, &last);
        second.hears_the_rest_of(first, &last);
        prop_assert_eq!(first.sees(second), second.sees(first));
    }
}
