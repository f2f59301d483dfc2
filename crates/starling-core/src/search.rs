//! One search: the words go to the holders of each word's longest indexed beginning, all at the same time; what comes
//! back is merged, ranked again, and marked where a name could be mistaken for a contact's.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use starling_overlay::io::NotPassed;
use starling_proto::ids::{AccountKey, NodeKey, PublisherKey, RecordKey};
use starling_proto::limits;
use starling_proto::time::UnixSeconds;

use crate::display;
use crate::view::{SearchHit, SearchResults};
use crate::words::{self, Word};

/// What a person says about themselves, from a verified directory entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub account: AccountKey,
    /// The short key tag.
    pub tag: String,
    /// Which of their devices says so.
    pub publisher: PublisherKey,
    /// The device's own count: of its entries the highest counts. Those of two devices have nothing in common.
    pub sequence: u64,
    /// When it was made, by the device's clock; at most [`limits::CLOCK_SLACK`] ahead of ours, or it was not verified. Of
    /// the entries of several devices of one account the latest counts.
    pub issued: UnixSeconds,
    /// The name.
    pub name: String,
    /// The about text.
    pub about: String,
    /// The keywords.
    pub keywords: Vec<String>,
}

impl Entry {
    /// The words by which this entry is found.
    #[must_use]
    pub fn words(&self) -> Vec<Word> {
        entry_words(&self.name, &self.about, &self.keywords)
    }

    /// Whether this comes in place of what the same device said. Two entries of one count are a broken device's; which
    /// of them counts must still not depend on who answered first.
    fn replaces(&self, other: &Self) -> bool {
        let order = |entry: &Self| (entry.sequence, entry.issued);
        let text = |entry: &Self| (entry.name.clone(), entry.about.clone(), entry.keywords.clone());
        order(self).cmp(&order(other)).then_with(|| text(self).cmp(&text(other))).is_gt()
    }
}

/// The words of a self-description: name, then keywords, then about text, so that a long text crowds out only itself.
#[must_use]
pub fn entry_words(name: &str, about: &str, keywords: &[String]) -> Vec<Word> {
    words::words([name].into_iter().chain(keywords.iter().map(String::as_str)).chain([about]))
}

/// Why a search cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// Nothing in it is a word.
    NoWords,
    /// More words than an entry may have.
    TooManyWords,
}

/// What the user asks, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    words: Vec<Word>,
}

impl Query {
    /// Folds what the user typed.
    ///
    /// # Errors
    /// [`QueryError`] if there is nothing to ask, or too much.
    pub fn parse(typed: &[String]) -> Result<Self, QueryError> {
        if typed.len() > limits::WORDS {
            return Err(QueryError::TooManyWords);
        }
        let words = words::words(typed.iter().map(String::as_str));
        if words.is_empty() { Err(QueryError::NoWords) } else { Ok(Self { words }) }
    }

    /// All the words, as holders compare them.
    #[must_use]
    pub fn folded(&self) -> Vec<String> {
        self.words.iter().map(|word| word.as_str().into()).collect()
    }

    /// Where to ask: the index key of each word's longest indexed beginning.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<RecordKey> {
        self.words.iter().map(|word| RecordKey::for_token(word.longest_beginning())).collect()
    }

    /// A word that is shorter than any indexed beginning, so that only an entry with exactly this word answers it.
    #[must_use]
    pub fn short_word(&self) -> Option<&str> {
        self.words.iter().find(|word| word.is_short()).map(Word::as_str)
    }
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    query: Query,
    limit: usize,
    waiting: usize,
    /// What each device of each account says. The choice between them comes last: it must not depend on the order of
    /// the answers.
    found: BTreeMap<AccountKey, BTreeMap<PublisherKey, Entry>>,
    left_out: u32,
    /// Those who answered for any of the words, each once.
    holders: BTreeSet<NodeKey>,
    /// Why nobody would ask for one of the words in our place.
    unasked: Option<NotPassed>,
}

impl Search {
    /// Begins a search for at most `limit` people.
    #[must_use]
    pub fn new(query: Query, limit: usize) -> Self {
        let waiting = query.keys().len();
        let (found, holders) = (BTreeMap::new(), BTreeSet::new());
        Self { query, limit, waiting, found, left_out: 0, holders, unasked: None }
    }

    /// Takes what the holders of one index key found. True when that was the last one.
    pub fn answered(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        left_out: u32,
        holders: &[NodeKey],
    ) -> bool {
        for entry in entries {
            let devices = self.found.entry(entry.account).or_default();
            if devices.get(&entry.publisher).is_none_or(|known| entry.replaces(known)) {
                devices.insert(entry.publisher, entry);
            }
        }
        // The same entries are left out under every word, so the greatest number is nearer to the truth than the sum.
        self.left_out = self.left_out.max(left_out);
        self.holders.extend(holders);
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting == 0
    }

    /// Notes that nobody would ask for one index key in our place. True when that was the last one.
    pub fn not_asked(&mut self, why: NotPassed) -> bool {
        self.unasked = Some(why);
        self.answered([], 0, &[])
    }

    /// Why some holders were not asked, if so: others may have been found all the same, since every holder matches all of
    /// the words.
    #[must_use]
    pub const fn is_unasked(&self) -> Option<NotPassed> {
        self.unasked
    }

    /// The words asked.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The people found: contacts first, then those who match more words, then by account, so that the same search
    /// shows the same list.
    #[must_use]
    pub fn results(&self, contacts: &BTreeMap<AccountKey, String>, me: &AccountKey) -> SearchResults {
        let folded = self.query.folded();
        let mut hits: Vec<SearchHit> = self
            .found
            .values()
            .filter_map(latest)
            .filter(|entry| entry.account != *me)
            .map(|entry| hit(entry, &folded, contacts))
            .filter(|hit| hit.matched > 0)
            .collect();
        hits.sort_by_key(|hit| (!hit.contact, usize::MAX.saturating_sub(hit.matched), hit.account));
        let cut = hits.len().saturating_sub(self.limit);
        hits.truncate(self.limit);
        SearchResults {
            results: hits,
            left_out: self.left_out.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX)),
            asked_holders: self.holders.len(),
        }
    }
}

/// What counts of what the devices of an account say: the latest, not the highest count, with which a device could hold
/// its place for ever. Whether a device still belongs to the account stands in the account's record, which is not asked
/// here: one that was removed can be the latest until its entry ends, or for as long as it goes on publishing.
fn latest(devices: &BTreeMap<PublisherKey, Entry>) -> Option<&Entry> {
    devices.values().max_by_key(|entry| (entry.issued, entry.publisher))
}

fn hit(entry: &Entry, folded: &[String], contacts: &BTreeMap<AccountKey, String>) -> SearchHit {
    let look_alike = contacts
        .iter()
        .any(|(account, name)| *account != entry.account && display::looks_like(&entry.name, name));
    SearchHit {
        account: entry.account,
        name: entry.name.clone(),
        about: entry.about.clone(),
        matched: words::matched(&entry.words(), folded),
        total_words: folded.len(),
        tag: entry.tag.clone(),
        contact: contacts.contains_key(&entry.account),
        look_alike,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDERS: [NodeKey; 4] =
        [NodeKey::new([1; 32]), NodeKey::new([2; 32]), NodeKey::new([3; 32]), NodeKey::new([4; 32])];
    const ME: AccountKey = AccountKey::new([0; 32]);

    fn entry(account: u8, name: &str, about: &str) -> Entry {
        Entry {
            account: AccountKey::new([account; 32]),
            tag: "tag".into(),
            publisher: PublisherKey::new([account; 32]),
            sequence: 1,
            issued: UnixSeconds::new(1),
            name: name.into(),
            about: about.into(),
            keywords: Vec::new(),
        }
    }

    fn query(words: &[&str]) -> Query {
        Query::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn names(results: &SearchResults) -> Vec<&str> {
        results.results.iter().map(|hit| hit.name.as_str()).collect()
    }

    #[test]
    fn more_matching_words_come_first() {
        let mut search = Search::new(query(&["ali", "chess"]), 10);
        assert!(!search.answered(
            [entry(1, "Alice", "gardens"), entry(2, "Alina", "plays chess")],
            0,
            &HOLDERS[..3]
        ));
        assert!(search.answered([entry(2, "Alina", "plays chess")], 5, &HOLDERS[2..]));
        let results = search.results(&BTreeMap::new(), &ME);
        assert_eq!(names(&results), ["Alina", "Alice"]);
        assert_eq!((results.left_out, results.asked_holders), (5, 4), "one answers for both words");
        assert_eq!((results.results[0].matched, results.results[0].total_words), (2, 2));
    }

    #[test]
    fn contacts_come_first_and_their_doubles_are_marked() {
        let contacts = BTreeMap::from([(AccountKey::new([9; 32]), "Alice".to_owned())]);
        let mut search = Search::new(query(&["alice"]), 10);
        search.answered([entry(1, "Alice", ""), entry(9, "Alice", "")], 0, &HOLDERS[..1]);
        let results = search.results(&contacts, &ME).results;
        assert!(results[0].contact && !results[0].look_alike);
        assert!(!results[1].contact && results[1].look_alike);
    }

    #[test]
    fn a_newer_entry_of_an_account_replaces_an_older() {
        let mut search = Search::new(query(&["alice"]), 10);
        let newer = Entry { sequence: 2, ..entry(1, "Alice", "new") };
        search.answered([newer, entry(1, "Alice", "old")], 0, &HOLDERS[..1]);
        assert_eq!(search.results(&BTreeMap::new(), &ME).results[0].about, "new");
    }

    /// The about text that is shown for account 1, whatever the order of the answers.
    fn shown(entries: &[Entry]) -> String {
        let about = |entries: Vec<Entry>| {
            let mut search = Search::new(query(&["alice"]), 10);
            search.answered(entries, 0, &HOLDERS[..1]);
            search.results(&BTreeMap::new(), &ME).results[0].about.clone()
        };
        let first = about(entries.to_vec());
        for turn in 1..entries.len() {
            let mut turned = entries.to_vec();
            turned.rotate_left(turn);
            assert_eq!(about(turned), first);
        }
        assert_eq!(about(entries.iter().rev().cloned().collect()), first);
        first
    }

    fn said(device: u8, sequence: u64, issued: u64, about: &str) -> Entry {
        let (publisher, issued) = (PublisherKey::new([device; 32]), UnixSeconds::new(issued));
        Entry { publisher, sequence, issued, ..entry(1, "Alice", about) }
    }

    #[test]
    fn a_high_count_of_one_device_does_not_silence_another() {
        assert_eq!(shown(&[said(9, u64::MAX, 10, "lost phone"), said(2, 7, 11, "new phone")]), "new phone");
    }

    #[test]
    fn of_one_device_the_count_decides() {
        assert_eq!(shown(&[said(2, 1, 90, "old"), said(2, 2, 10, "new")]), "new", "its clock went back");
    }

    #[test]
    fn counts_and_dates_that_contradict_each_other_still_give_one_answer() {
        let entries = [said(2, 1, 90, "a"), said(2, 2, 10, "b"), said(3, 1, 50, "c")];
        assert_eq!(shown(&entries), "c");
        assert_eq!(shown(&[said(2, 1, 10, "a"), said(3, 1, 10, "b"), said(4, 1, 10, "c")]), "c");
        assert_eq!(shown(&[said(2, 1, 10, "a"), said(2, 1, 10, "b")]), "b");
    }

    #[test]
    fn what_does_not_match_and_oneself_are_not_shown() {
        let mut search = Search::new(query(&["alice"]), 10);
        search.answered([entry(0, "Alice", ""), entry(1, "Bob", "")], 0, &HOLDERS[..1]);
        assert!(search.results(&BTreeMap::new(), &ME).results.is_empty());
    }

    #[test]
    fn truncation_is_counted() {
        let mut search = Search::new(query(&["alice"]), 2);
        search.answered((1..=5).map(|n| entry(n, "Alice", "")), 100, &HOLDERS[..1]);
        let results = search.results(&BTreeMap::new(), &ME);
        assert_eq!((results.results.len(), results.left_out), (2, 103));
    }

    #[test]
    fn a_query_needs_words() {
        assert_eq!(Query::parse(&["…".into()]), Err(QueryError::NoWords));
        assert_eq!(Query::parse(&vec!["word".into(); 25]), Err(QueryError::TooManyWords));
        assert_eq!(query(&["al", "chess"]).short_word(), Some("al"));
        assert_eq!(query(&["alexandra", "alexandrina"]).keys().len(), 1, "one beginning of eight letters");
    }
}
