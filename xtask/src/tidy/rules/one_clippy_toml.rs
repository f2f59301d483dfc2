use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// The bans of `clippy.toml` hold everywhere.
pub(super) const RULE: Rule = Rule {
    name: "one-clippy-toml",
    about: "The only clippy.toml is the root's: one inside a crate would silently replace it there.",
    exceptions: &[],
    check,
};

fn check(tree: &Tree) -> Vec<Finding> {
    let is_one = |path: &str| {
        path.split('/').next_back().is_some_and(|name| matches!(name, "clippy.toml" | ".clippy.toml"))
    };
    let others = tree.files().filter(|(path, _)| *path != "clippy.toml" && is_one(path));
    let mut findings: Vec<Finding> =
        others.map(|(path, _)| Finding::new(path, "replaces the root's clippy.toml")).collect();
    if tree.file("clippy.toml").is_none() {
        findings.push(Finding::new("clippy.toml", "is missing"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    #[test]
    fn one_at_the_root_passes() {
        check(&RULE, &[("clippy.toml", ""), ("crates/a/src/clippy.rs", "")], &[]);
    }

    #[test]
    fn one_inside_a_crate_is_found() {
        let files = [("clippy.toml", ""), ("crates/a/.clippy.toml", ""), ("crates/b/clippy.toml", "")];
        let findings = [
            "crates/a/.clippy.toml: replaces the root's clippy.toml",
            "crates/b/clippy.toml: replaces the root's clippy.toml",
        ];
        check(&RULE, &files, &findings);
    }

    #[test]
    fn none_at_the_root_is_found() {
        check(&RULE, &[], &["clippy.toml: is missing"]);
    }
}
