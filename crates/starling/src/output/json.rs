//! One line of JSON.

use serde::Serialize;
use starling_core::display::{Lines, escape};
use zeroize::Zeroizing;

use super::Rendered;
use crate::failure::Failure;

/// Room for a line at first: most are shorter, and growing would leave copies of it behind.
const LINE_BYTES: usize = 16 * 1024;

/// The document on one line, ended by a line feed.
///
/// Characters that act on a terminal are written as `\uXXXX`: to a parser that is the same document, and a person who
/// looks at it is safe.
pub(super) fn line(document: &impl Serialize) -> Result<Rendered, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_BYTES));
    serde_json::to_writer(&mut *bytes, document).map_err(|error| Failure::internal(&error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| Failure::internal(&error))?;
    let mut line = Zeroizing::new(String::with_capacity(bytes.len().saturating_add(1)));
    for letter in text.chars() {
        push(letter, &mut line);
    }
    line.push('\n');
    Ok(line)
}

/// Outside strings JSON is plain ASCII, so whatever acts stands inside one, where an escape is allowed.
fn push(letter: char, line: &mut String) {
    let mut buffer = [0; 4];
    let same = letter.encode_utf8(&mut buffer);
    if matches!(letter, ' '..='~') || escape(same, Lines::Escape) == *same {
        line.push(letter);
        return;
    }
    let mut units = [0; 2];
    for unit in letter.encode_utf16(&mut units) {
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(line, format_args!("\\u{unit:04x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uix_02_json_does_not_act_and_says_the_same() {
        let hostile = "\x1b[2J\u{9b}31m\x7f\u{202e}\u{e0041}\u{2028}é山\n";
        let line = line(&hostile).unwrap();
        assert_eq!(&*line, "\"\\u001b[2J\\u009b31m\\u007f\\u202e\\udb40\\udc41\\u2028é山\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }
}
