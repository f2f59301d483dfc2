//! How names and texts from others may be shown: which can be mistaken for another's, and which characters act.

use alloc::string::String;

use unicode_normalization::UnicodeNormalization as _;

/// What a name looks like, after UTS 39: two names with one skeleton can be mistaken for each other.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let folded = caseless::default_case_fold_str(name);
    // The skeleton of the folded name, folded again: confusables of capitals map to small letters of other shapes.
    let skeleton: String = unicode_security::skeleton(&folded).collect();
    caseless::default_case_fold_str(&skeleton).nfkc().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a reader could take `name` for `known`.
#[must_use]
pub fn looks_like(name: &str, known: &str) -> bool {
    skeleton(name) == skeleton(known)
}

/// Makes text safe for a terminal and honest for a reader: control characters, which a terminal obeys, and
/// characters that change the direction of writing or cannot be seen are shown as `<U+XXXX>`.
///
/// Line feeds stay where `lines` says so; tabs become a space. This is the one place where text of others is made
/// showable for terminals.
#[must_use]
pub fn escape(text: &str, lines: Lines) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' if lines == Lines::Keep => shown.push('\n'),
            // Joiners: Persian and Indic words and many emoji need them; in a name they only hide a difference.
            '\u{200C}' | '\u{200D}' if lines == Lines::Keep => shown.push(letter),
            '\t' => shown.push(' '),
            _ if acts(letter) => {
                let code = u32::from(letter);
                // Writing to a String cannot fail.
                let _ = core::fmt::Write::write_fmt(&mut shown, format_args!("<U+{code:04X}>"));
            }
            _ => shown.push(letter),
        }
    }
    shown
}

/// What becomes of line feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// They stay: a message.
    Keep,
    /// They are shown as codes: a name, a list.
    Escape,
}

/// Whether a character does something else than being seen.
fn acts(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            // Direction: embeddings, overrides, isolates, marks.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}'
            // Invisible: zero-width characters, word joiner and the like, byte order mark, line separators.
            | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}'
            | '\u{2028}' | '\u{2029}' | '\u{00AD}' | '\u{034F}' | '\u{180E}' | '\u{115F}' | '\u{1160}'
            | '\u{3164}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uix_04_look_alikes_are_seen() {
        for (name, known) in [
            ("Aliсe", "Alice"),
            ("ALICE", "alice"),
            ("paypal", "pаypal"),
            ("rn", "m"),
            ("Al ice", "Alice"),
            ("０", "O"),
        ] {
            assert!(looks_like(name, known), "{name} {known}");
        }
        assert!(!looks_like("Alice", "Bob"));
    }

    #[test]
    fn uix_02_nothing_acts_on_a_terminal() {
        let hostile = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{90}\r\u{8}\u{0}ok";
        let shown = escape(hostile, Lines::Escape);
        assert!(shown.ends_with("ok") && !shown.chars().any(char::is_control), "{shown}");
    }

    #[test]
    fn uix_03_direction_overrides_leave_a_mark() {
        assert_eq!(escape("a\u{202e}gpj.exe", Lines::Escape), "a<U+202E>gpj.exe");
    }

    #[test]
    fn lines_stay_in_messages_only() {
        assert_eq!(escape("a\nb\tc", Lines::Keep), "a\nb c");
        assert_eq!(escape("a\nb", Lines::Escape), "a<U+000A>b");
    }

    proptest! {
        #[test]
        fn escaped_text_never_acts(text: String) {
            prop_assert!(!escape(&text, Lines::Escape).chars().any(acts));
        }
    }
}
