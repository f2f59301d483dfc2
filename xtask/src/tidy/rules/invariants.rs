use std::collections::BTreeSet;

use crate::tidy::rule::{Finding, Rule};
use crate::tidy::rules;
use crate::tidy::tree::Tree;

/// An invariant without a guard is a hope.
pub(super) const RULE: Rule = Rule {
    name: "invariants",
    about: "Under the heading `Invariants` of ARCHITECTURE.md stands a table whose last column names existing guards.",
    exceptions: &[],
    check,
};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// The format: a table under a heading that holds the word `Invariants`; in the last cell of each row, one or more
/// guards, each a code span. A guard is the name of a test (its module path may stand before it) or of a check of a
/// conformance suite, `tidy: RULE`, or `lint: NAME`, where the lint is one that the root `Cargo.toml` or `clippy.toml` sets.
fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.file(DOCUMENT) else {
        return vec![Finding::new(DOCUMENT, "is missing")];
    };
    let rows = rows(text);
    if rows.is_empty() {
        return vec![Finding::new(DOCUMENT, "has no table under a heading `Invariants`")];
    }
    let mut tests: BTreeSet<String> = tree.sources().flat_map(|(_, source)| source.test_names()).collect();
    tests.extend(
        tree.files().filter(|(path, _)| path.contains("/conformance/")).flat_map(|(_, text)| checks(text)),
    );
    let mut findings = vec![];
    for (line, row) in rows {
        let guards = guards(row);
        if guards.is_empty() {
            findings.push(Finding::at(DOCUMENT, line, "the invariant names no guard"));
        }
        let missing = guards.into_iter().filter(|guard| !exists(tree, &tests, guard));
        findings.extend(
            missing.map(|guard| Finding::at(DOCUMENT, line, format!("the guard `{guard}` does not exist"))),
        );
    }
    findings
}

/// The checks of a conformance suite, which a macro turns into tests for each implementation: its public functions.
fn checks(text: &str) -> impl Iterator<Item = String> {
    let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn "));
    functions.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// The rows below the head of the table, with their line numbers.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let is_heading = |line: &str| line.starts_with('#');
    let mut lines =
        (1..).zip(text.lines()).skip_while(|(_, line)| !(is_heading(line) && line.contains("Invariants")));
    lines.next();
    let section = lines.take_while(|(_, line)| !is_heading(line));
    section.filter(|(_, line)| line.trim_start().starts_with('|')).skip(2).collect()
}

/// The code spans of the last cell.
fn guards(row: &str) -> Vec<&str> {
    let cell = row.trim().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2).collect()
}

fn exists(tree: &Tree, tests: &BTreeSet<String>, guard: &str) -> bool {
    if let Some(name) = guard.strip_prefix("tidy: ") {
        rules::ALL.iter().any(|rule| rule.name == name)
    } else if let Some(name) = guard.strip_prefix("lint: ") {
        let name = name.trim_start_matches("clippy::");
        let sets =
            |path: &str| tree.file(path).is_some_and(|text| text.lines().any(|line| sets_lint(line, name)));
        sets("Cargo.toml") || sets("clippy.toml")
    } else {
        guard.rsplit("::").next().is_some_and(|name| tests.contains(name))
    }
}

/// `name = "deny"` in `Cargo.toml`; `disallowed-methods = [` in `clippy.toml` sets `disallowed_methods`.
fn sets_lint(line: &str, name: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| key.trim().replace('-', "_") == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    fn document(guards: &str) -> String {
        format!(
            "# A\n\n## Invariants\n\n| # | invariant | guard |\n|---|---|---|\n| 1 | so `it` is | {guards} |\n\n## B\n| a |\n"
        )
    }

    fn files(text: &str) -> [(&str, &str); 4] {
        [
            ("ARCHITECTURE.md", text),
            ("Cargo.toml", "[workspace.lints.clippy]\nunwrap_used = \"deny\"\n"),
            ("clippy.toml", "disallowed-methods = []\n"),
            ("src/a.rs", "#[test]\nfn it_is() {}\nfn helper() {}"),
        ]
    }

    #[test]
    fn guards_that_exist_pass() {
        let all = "`it_is`, `a::tests::it_is`, `tidy: pure-sources`, `lint: clippy::unwrap_used`, `lint: disallowed_methods`";
        check(&RULE, &files(&document(all)), &[]);
    }

    #[test]
    fn checks_of_a_conformance_suite_are_guards() {
        let text = document("`it_holds`");
        let suite = ("crates/a/src/conformance/b.rs", "pub fn it_holds<A: B>() {}\nfn helper() {}");
        check(&RULE, &[("ARCHITECTURE.md", text.as_str()), suite], &[]);
        let helper = document("`helper`");
        let finding = "ARCHITECTURE.md:7: the guard `helper` does not exist";
        check(&RULE, &[("ARCHITECTURE.md", helper.as_str()), suite], &[finding]);
    }

    #[test]
    fn guards_that_do_not_exist_are_found() {
        for guard in ["it_was", "helper", "tidy: no-such", "lint: no_such"] {
            let text = document(&format!("`it_is`, `{guard}`"));
            check(&RULE, &files(&text), &[&format!("ARCHITECTURE.md:7: the guard `{guard}` does not exist")]);
        }
    }

    #[test]
    fn invariant_without_a_guard_is_found() {
        check(&RULE, &files(&document("hope")), &["ARCHITECTURE.md:7: the invariant names no guard"]);
    }

    #[test]
    fn document_without_the_table_is_found() {
        let finding = "ARCHITECTURE.md: has no table under a heading `Invariants`";
        check(
            &RULE,
            &[("ARCHITECTURE.md", "# A\n\n## B\n\n| a | b |\n|---|---|\n| 1 | `x` |\n")],
            &[finding],
        );
        check(&RULE, &[], &["ARCHITECTURE.md: is missing"]);
    }
}
