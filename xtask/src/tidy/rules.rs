//! All rules. Each file has the same layout: `RULE`, its exceptions and limits, `check`, helpers, tests.

mod crate_opening;
mod file_length;
mod function_length;
mod invariants;
mod leftovers;
mod lints_inherited;
mod machine_paths;
mod one_clippy_toml;
mod one_title;
mod pure_dependencies;
mod pure_sources;
mod sleep_in_tests;

use crate::tidy::rule::Rule;

/// In the order in which they are printed.
pub(crate) const ALL: &[&Rule] = &[
    &file_length::RULE,
    &function_length::RULE,
    &crate_opening::RULE,
    &lints_inherited::RULE,
    &one_clippy_toml::RULE,
    &pure_dependencies::RULE,
    &pure_sources::RULE,
    &leftovers::RULE,
    &sleep_in_tests::RULE,
    &machine_paths::RULE,
    &one_title::RULE,
    &invariants::RULE,
];

/// What the tests of rules share.
#[cfg(test)]
mod samples {
    use super::Rule;
    use crate::tidy::rule::Finding;
    use crate::tidy::tree::Tree;
    use crate::workspace::Metadata;

    /// What the rule finds, exceptions apart.
    pub(super) fn findings(rule: &Rule, tree: &Tree) -> Vec<String> {
        (rule.check)(tree).iter().map(Finding::to_string).collect()
    }

    /// Checks a tree of files against the findings that the rule must have, none for a good sample.
    #[track_caller]
    pub(super) fn check(rule: &Rule, files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(findings(rule, &Tree::of(files)), expected);
    }

    /// A workspace with one member for each name and description, all at `crates/NAME`.
    pub(super) fn members(members: &[(&str, &str)]) -> Metadata {
        let packages: Vec<_> = members
            .iter()
            .map(|(name, description)| {
                serde_json::json!({
                    "id": name, "name": name, "description": description, "targets": [], "dependencies": [],
                    "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                })
            })
            .collect();
        let ids: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        serde_json::from_value(serde_json::json!({
            "packages": packages, "workspace_members": ids, "workspace_root": "/w", "resolve": {"nodes": []},
        }))
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_exception_has_a_reason() {
        let mut names: Vec<&str> = ALL.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for exception in ALL.iter().flat_map(|rule| rule.exceptions) {
            assert!(!exception.reason.is_empty(), "{} has no reason", exception.place);
        }
    }
}
