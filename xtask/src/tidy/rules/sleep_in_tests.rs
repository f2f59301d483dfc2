use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// Tests wait for a condition or drive a virtual clock.
pub(super) const RULE: Rule = Rule {
    name: "sleep-in-tests",
    about: "No test sleeps: it would be slow on a fast machine and fail on a slow one.",
    exceptions: &[],
    check,
};

/// Functions that wait for time to pass.
const SLEEPS: &[&str] = &["sleep", "sleep_ms", "sleep_until", "park_timeout"];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = vec![];
    for (path, source) in tree.sources() {
        let tokens = source.tokens.iter().chain(&source.imports);
        let sleeps = tokens.filter(|token| {
            let name = token.text.rsplit("::").next().unwrap_or_default();
            SLEEPS.contains(&name) && source.is_test(token.line)
        });
        let mut lines: Vec<usize> = sleeps.map(|token| token.line).collect();
        lines.dedup();
        findings.extend(lines.into_iter().map(|line| Finding::at(path, line, "a test sleeps")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    #[test]
    fn product_code_and_words_may_speak_of_sleep() {
        let text =
            "async fn wait() { tokio::time::sleep(d).await; }\n#[test]\nfn no_sleep() { f(\"sleep\"); }";
        check(&RULE, &[("src/a.rs", text)], &[]);
    }

    #[test]
    fn sleeping_tests_are_found() {
        let text = "#[tokio::test]\nasync fn a() {\n    tokio::time::sleep(d).await;\n}";
        check(&RULE, &[("src/a.rs", text)], &["src/a.rs:3: a test sleeps"]);
        check(&RULE, &[("tests/a.rs", "fn a() { thread::sleep(d); }")], &["tests/a.rs:1: a test sleeps"]);
    }
}
