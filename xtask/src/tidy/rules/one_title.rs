use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// A document is about one thing.
pub(super) const RULE: Rule = Rule {
    name: "one-title",
    about: "A Markdown document has exactly one line that begins with `# `, its title.",
    exceptions: &[],
    check,
};

fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files().filter(|(path, _)| path.ends_with(".md"));
    let counted = documents.map(|(path, text)| (path, titles(text)));
    let bad = counted.filter(|(_, count)| *count != 1);
    bad.map(|(path, count)| Finding::new(path, format!("has {count} titles, expected 1"))).collect()
}

/// Lines that begin with `# ` outside fenced code, where they are comments of a shell.
fn titles(text: &str) -> usize {
    let mut in_code = false;
    let mut count: usize = 0;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.starts_with("# ") {
            count = count.saturating_add(1);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    #[test]
    fn one_title_passes() {
        check(&RULE, &[("docs/a.md", "# A\n\n## B\n\n```sh\n# comment\n```\n")], &[]);
    }

    #[test]
    fn none_and_two_are_found() {
        check(&RULE, &[("a.md", "## A\n")], &["a.md: has 0 titles, expected 1"]);
        check(&RULE, &[("a.md", "# A\n# B\n")], &["a.md: has 2 titles, expected 1"]);
    }
}
