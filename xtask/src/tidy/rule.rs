use std::fmt;

use crate::tidy::tree::Tree;

/// One house rule.
pub(crate) struct Rule {
    /// How documents and findings name it.
    pub(crate) name: &'static str,
    /// What it asks and why; printed when it is broken.
    pub(crate) about: &'static str,
    /// What may break it. The list may only shrink: an entry that excuses nothing is itself a finding.
    pub(crate) exceptions: &'static [Exception],
    /// Finds what breaks it.
    pub(crate) check: fn(&Tree) -> Vec<Finding>,
}

/// Something that may break a rule.
pub(crate) struct Exception {
    /// A file, or a file and a function as `path::name`: the place of the findings that it excuses.
    pub(crate) place: &'static str,
    pub(crate) reason: &'static str,
}

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    line: Option<usize>,
    message: String,
}

impl Finding {
    /// A finding about a whole file, or about a function as `path::name`.
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: None, message: message.into() }
    }

    /// A finding at one line, counted from 1.
    pub(crate) fn at(place: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(place, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

impl Rule {
    /// What breaks the rule, less what is excused, plus the excuses that are no longer needed.
    pub(crate) fn findings(&self, tree: &Tree) -> Vec<Finding> {
        let found = (self.check)(tree);
        let excused = |finding: &Finding| self.exceptions.iter().any(|e| e.place == finding.place);
        let stale = self.exceptions.iter().filter(|e| found.iter().all(|finding| finding.place != e.place));
        let stale = stale.map(|e| {
            Finding::new(
                e.place,
                format!("is excepted ({}) but breaks nothing: remove the exception", e.reason),
            )
        });
        let stale: Vec<Finding> = stale.collect();
        found.into_iter().filter(|finding| !excused(finding)).chain(stale).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        name: "no-bad",
        about: "No file is named bad.",
        exceptions: &[Exception { place: "old/bad", reason: "older than the rule" }],
        check: |tree| {
            let bad = tree.files().filter(|(path, _)| path.ends_with("bad"));
            bad.map(|(path, _)| Finding::at(path, 1, "is bad")).collect()
        },
    };

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let findings: Vec<String> = RULE.findings(&Tree::of(files)).iter().map(Finding::to_string).collect();
        assert_eq!(findings, expected);
    }

    #[test]
    fn exception_excuses_its_own_place_only() {
        check(&[("old/bad", ""), ("new/bad", "")], &["new/bad:1: is bad"]);
    }

    #[test]
    fn exception_that_excuses_nothing_is_a_finding() {
        check(
            &[("old/good", "")],
            &["old/bad: is excepted (older than the rule) but breaks nothing: remove the exception"],
        );
    }
}
