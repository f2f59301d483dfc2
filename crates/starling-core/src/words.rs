//! From what people write about themselves to the keys under which they are found.
//!
//! SCAN (Diogo, Moura, Kreutz: DIMA) gives every word of a self-description a key of its own and finds words with the
//! same beginning together by walking the neighbours of that key. A Kademlia has no such order of words, so the
//! beginnings themselves are hashed: those of 3, 5 and 8 letters, and whole words that are shorter.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use starling_proto::ids::RecordKey;
use starling_proto::limits;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Lengths, in letters, of the beginnings that are indexed.
const BEGINNINGS: [usize; 3] = [3, 5, 8];

/// A word as it is compared: NFKC, case folded, at most [`limits::WORD`] bytes, never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(String);

impl Word {
    /// The folded letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this word begins with `query`. One that is too short to be indexed by its beginning is only found
    /// whole.
    #[must_use]
    pub fn answers(&self, query: &str) -> bool {
        if is_short(query) { self.0 == query } else { self.0.starts_with(query) }
    }

    /// Whether the word is shorter than the shortest indexed beginning.
    #[must_use]
    pub fn is_short(&self) -> bool {
        is_short(&self.0)
    }

    /// The longest beginning of this word that entries are indexed by: where a search for it asks.
    #[must_use]
    pub fn longest_beginning(&self) -> &str {
        let fitting = BEGINNINGS.iter().rev().find_map(|&letters| beginning(&self.0, letters));
        fitting.unwrap_or(&self.0)
    }

    /// Every token under which an entry with this word is kept.
    fn tokens(&self) -> impl Iterator<Item = &str> {
        let whole = self.is_short().then_some(self.as_str());
        BEGINNINGS.iter().filter_map(|&letters| beginning(&self.0, letters)).chain(whole)
    }
}

/// The different words of `texts` in their order, at most [`limits::WORDS`].
///
/// Each text is cut at [`limits::ABOUT`] bytes before anything else is done with it: normalising a megabyte of
/// combining marks is work that a stranger could ask for.
pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for text in texts {
        for word in fold(cut(text, limits::ABOUT)).unicode_words() {
            let word = Word(cut(word, limits::WORD).into());
            if found.len() < limits::WORDS && !found.contains(&word) {
                found.push(word);
            }
        }
    }
    found
}

/// A text as a conversation is searched: its folded words, divided at whatever is neither letter nor digit, each with a
/// space before it. A text holds another if the other's words stand in it in a row, the last of them perhaps only begun:
/// if this string of the one contains that of the other. Nothing beyond [`limits::TEXT`] bytes counts, and of a word
/// nothing beyond [`limits::WORD`].
#[must_use]
pub fn searchable(text: &str) -> String {
    let folded = fold(cut(text, limits::TEXT));
    let parts = folded.unicode_words().flat_map(|word| word.split(|letter: char| !letter.is_alphanumeric()));
    let mut words = String::with_capacity(folded.len());
    for part in parts.filter(|part| !part.is_empty()) {
        words.push(' ');
        words.push_str(cut(part, limits::WORD));
    }
    words
}

/// Every index key of an entry with these words: at most three for each.
pub fn index_keys(words: &[Word]) -> BTreeSet<RecordKey> {
    words.iter().flat_map(Word::tokens).map(RecordKey::for_token).collect()
}

/// How many of the folded `query` words one of `words` answers.
pub fn matched(words: &[Word], query: &[String]) -> usize {
    query.iter().filter(|wanted| words.iter().any(|word| word.answers(wanted))).count()
}

/// NFKC, then full case folding, then NFKC again, since folding can undo it (Unicode 16, D145).
fn fold(text: &str) -> String {
    caseless::default_case_fold_str(&text.nfkc().collect::<String>()).nfkc().collect()
}

/// The first `letters` letters, if there are so many.
fn beginning(word: &str, letters: usize) -> Option<&str> {
    let ends = word.char_indices().map(|(at, letter)| at.saturating_add(letter.len_utf8()));
    let end = ends.clone().nth(letters.checked_sub(1)?)?;
    word.get(..end)
}

fn is_short(word: &str) -> bool {
    let shortest = BEGINNINGS.first().copied().unwrap_or(0);
    word.chars().count() < shortest
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between letters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<String> {
        words([text]).iter().map(|word| word.as_str().into()).collect()
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(of("Straße, STRASSE!"), ["strasse"]);
        assert_eq!(of("ﬁne Ｆｕｌｌ"), ["fine", "full"]);
        assert_eq!(of("Bücher bu\u{308}cher"), ["bücher"]);
        assert_eq!(of("  …  "), Vec::<String>::new());
    }

    #[test]
    fn an_entry_is_found_by_beginnings() {
        let entry = words(["Alexandra", "go"]);
        let query = |text: &str| words([text]).remove(0);
        for text in ["ale", "alexa", "alexandr", "ALEXANDRA", "alexan", "go"] {
            let word = query(text);
            let key = RecordKey::for_token(word.longest_beginning());
            assert!(index_keys(&entry).contains(&key), "{text}");
            assert_eq!(matched(&entry, &[word.as_str().into()]), 1, "{text}");
        }
        assert_eq!(matched(&entry, &["g".into(), "al".into(), "alexis".into()]), 0);
    }

    #[test]
    fn a_long_word_has_three_keys() {
        assert_eq!(index_keys(&words(["mathematics"])).len(), 3);
        assert_eq!(index_keys(&words(["four"])).len(), 1);
        assert_eq!(index_keys(&words(["ai"])).len(), 1);
    }

    #[test]
    fn wir_07_a_flood_of_marks_is_cut() {
        let flood = "a".to_owned() + &"\u{301}".repeat(500_000);
        let found = words([flood.as_str()]);
        assert!(found.iter().all(|word| word.as_str().len() <= limits::WORD));
    }

    #[test]
    fn a_text_is_searched_by_words_in_a_row() {
        assert_eq!(searchable("Don't PANIC, Straße_7!"), " don t panic strasse 7");
        assert_eq!(searchable("北京 \u{1f642} 3.14"), " 北 京 3 14");
        for none in ["", "\"*\"", "-", "\u{1f642}", "\0"] {
            assert_eq!(searchable(none), "");
        }
        let long = searchable(&"x".repeat(limits::TEXT));
        assert_eq!(long.len(), 1 + limits::WORD);
    }

    #[test]
    fn at_most_24_words_count() {
        let many: String = (0..100).map(|n| format!("word{n} ")).collect();
        assert_eq!(words([many.as_str()]).len(), limits::WORDS);
    }

    /// `STARLING_WRITE_VECTORS=1 cargo test -p starling-core vectors` writes the file anew.
    #[test]
    fn vectors_are_what_the_page_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol/vectors/directory.json");
        let texts = ["Alexandra", "Straße 7", "ﬁne Ｆｕｌｌ chess-player", "AI go", "北京 Tōkyō", "…"];
        let hex =
            |key: &RecordKey| key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let vectors: Vec<serde_json::Value> = texts
            .iter()
            .map(|text| {
                let words = words([*text]);
                let folded: Vec<&str> = words.iter().map(Word::as_str).collect();
                let asked: Vec<&str> = words.iter().map(Word::longest_beginning).collect();
                let keys: Vec<String> = index_keys(&words).iter().map(hex).collect();
                serde_json::json!({ "text": text, "words": folded, "asked_at": asked, "index_keys": keys })
            })
            .collect();
        let now = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
        if std::env::var_os("STARLING_WRITE_VECTORS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), now);
    }

    proptest! {
        #[test]
        fn every_beginning_of_three_letters_or_more_finds(word in "\\w{3,20}", letters in 3usize..20) {
            let entry = words([word.as_str()]);
            prop_assume!(entry.len() == 1);
            let folded = entry[0].as_str().to_owned();
            let query: String = folded.chars().take(letters).collect();
            let query = words([query.as_str()]);
            prop_assume!(query.len() == 1 && !query[0].is_short() && entry[0].as_str().starts_with(query[0].as_str()));
            let key = RecordKey::for_token(query[0].longest_beginning());
            prop_assert!(index_keys(&entry).contains(&key));
        }

        #[test]
        fn any_text_gives_bounded_words(text: String) {
            let found = words([text.as_str()]);
            prop_assert!(found.len() <= limits::WORDS);
            prop_assert!(found.iter().all(|w| !w.as_str().is_empty() && w.as_str().len() <= limits::WORD));
        }
    }
}
