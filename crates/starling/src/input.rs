//! What comes in through standard input: answers to questions, and texts.

use std::io::{self, BufRead as _, IsTerminal as _, Read};

use starling_api::types::Code;

use crate::failure::Failure;
use crate::output::{Form, Output};

/// Stands in an argument for "read it from standard input".
const STANDARD_INPUT: &str = "-";

/// Asks whoever sits at the terminal; `None` if nobody does, or if the answers are for a program.
///
/// # Errors
/// The question cannot be shown, or the answer cannot be read; `otherwise` says how to do without.
pub(crate) fn ask(output: &mut Output, question: &str, otherwise: &str) -> Result<Option<String>, Failure> {
    if output.form() == Form::Json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    output.complain(question)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| {
        Failure::new(Code::BadInput, format!("the answer could not be read: {error}"), otherwise)
    })?;
    Ok(Some(answer))
}

/// Whether an answer says yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Whether an answer says no.
pub(crate) fn is_no(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "n" | "no")
}

/// The text that an argument gives: itself, or standard input for `-`, without its last line end and of at most `limit`
/// bytes.
///
/// # Errors
/// Standard input cannot be read, is no UTF-8 or is longer.
pub(crate) fn text(argument: String, limit: usize) -> Result<String, Failure> {
    if argument == STANDARD_INPUT { read(io::stdin().lock(), limit) } else { Ok(argument) }
}

fn read(from: impl Read, limit: usize) -> Result<String, Failure> {
    let refused = |message: String, hint: &str| Failure::new(Code::BadInput, message, hint);
    // Room for the line's end, and one byte more, by which one that is too long is known.
    let most = u64::try_from(limit.saturating_add(3)).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes).map_err(|error| {
        refused(format!("standard input cannot be read: {error}"), "check where it comes from")
    })?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > limit {
        return Err(refused(
            format!("standard input is longer than {limit} bytes"),
            "send it in several parts",
        ));
    }
    let text = std::str::from_utf8(text)
        .map_err(|_| refused("standard input is not UTF-8 text".to_owned(), "convert it to UTF-8"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes_and_only_no_is_no() {
        assert!(is_yes("y\n") && is_yes("YES") && is_yes(" yes "));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n") && !is_yes("yess"));
        assert!(is_no("n\n") && is_no("No") && !is_no("") && !is_no("nope") && !is_no("y"));
    }

    #[test]
    fn the_last_line_end_is_no_part_of_a_text() {
        for (given, text) in
            [("one", "one"), ("one\n", "one"), ("one\r\n", "one"), ("one\ntwo\n\n", "one\ntwo\n"), ("", "")]
        {
            assert_eq!(read(given.as_bytes(), 8).unwrap(), text, "{given:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_or_no_text_is_refused() {
        assert_eq!(read(&b"12345678\r\n"[..], 8).unwrap(), "12345678");
        for given in [&b"123456789"[..], b"123456789\n", b"12345678\n\n", b"12345678\r\nmore", b"\xff"] {
            assert_eq!(read(given, 8).unwrap_err().code(), Some(Code::BadInput), "{given:?}");
        }
        assert!(read(io::repeat(b'x'), 8).is_err(), "endless input ends");
    }

    #[test]
    fn an_argument_is_a_text() {
        assert_eq!(text("hello".into(), 2).unwrap(), "hello", "whoever takes it checks its length");
    }
}
