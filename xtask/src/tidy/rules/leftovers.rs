use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// What is in the tree is finished.
pub(super) const RULE: Rule = Rule {
    name: "leftovers",
    about: "No marker of unfinished work: file an issue instead, and mend or delete a test that does not run.",
    exceptions: &[],
    check,
};

/// Whole words; each in two halves, so that this file does not hold them.
const WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
/// Code, wherever it stands: an ignored test or example does not run.
const CODE: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
    concat!("#[ign", "ore"),
    concat!("```ign", "ore"),
];
/// Files that people write. Others (vectors, inputs for decoders) may hold any letters.
const WRITTEN: &[&str] = &[".rs", ".toml", ".md", ".proto", ".sh", ".sql", ".js", ".css", ".html", "/run"];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = vec![];
    for (path, text) in tree.files().filter(|(path, _)| WRITTEN.iter().any(|ending| path.ends_with(ending))) {
        let is_document = path.ends_with(".md");
        for (line, number) in text.lines().zip(1..) {
            let words = WORDS.iter().filter(|word| holds_word(line, word, is_document));
            let code = CODE.iter().filter(|code| !is_document && holds_code(line, code));
            findings.extend(words.chain(code).map(|what| Finding::at(path, number, format!("holds {what}"))));
        }
    }
    findings
}

/// A document may talk about the word in a code span.
fn holds_word(line: &str, word: &str, is_document: bool) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(index, _)| {
        let (before, after) = line.split_at_checked(index).unwrap_or_default();
        let after = after.strip_prefix(word).unwrap_or_default();
        let in_span = is_document && before.matches('`').count() % 2 == 1;
        !before.ends_with(is_letter) && !after.starts_with(is_letter) && !in_span
    })
}

/// Not as the end of a longer name.
fn holds_code(line: &str, code: &str) -> bool {
    line.match_indices(code).any(|(index, _)| {
        !line.get(..index).is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    #[test]
    fn finished_files_pass() {
        let files = [
            ("a.rs", concat!("// TO", "DOS and my_TO", "DO are other words, and so is mydb", "g!.")),
            ("a.md", concat!("# A\n\nNo `TO", "DO` is left.\n")),
            ("vectors/a.hex", concat!("XX", "X")),
        ];
        check(&RULE, &files, &[]);
    }

    #[test]
    fn every_marker_is_found() {
        for word in WORDS {
            check(&RULE, &[("a.toml", &format!("\n# {word}: x"))], &[&format!("a.toml:2: holds {word}")]);
            check(&RULE, &[("a.md", &format!("{word} later"))], &[&format!("a.md:1: holds {word}")]);
        }
    }

    #[test]
    fn every_piece_of_unfinished_code_is_found() {
        for code in CODE {
            check(&RULE, &[("a.rs", &format!("// {code}"))], &[&format!("a.rs:1: holds {code}")]);
        }
    }
}
