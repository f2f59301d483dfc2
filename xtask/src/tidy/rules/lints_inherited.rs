use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// The workspace lints hold everywhere.
pub(super) const RULE: Rule = Rule {
    name: "lints-inherited",
    about: "Every member says `[lints] workspace = true`; without it, it silently has no lints at all.",
    exceptions: &[],
    check,
};

fn check(tree: &Tree) -> Vec<Finding> {
    let members = tree.metadata().members().into_iter();
    let manifests = members.map(|package| format!("{}/Cargo.toml", tree.metadata().folder(package)));
    let bad = manifests.filter(|path| !tree.file(path).is_some_and(inherits));
    bad.map(|path| Finding::new(path, "does not say `[lints] workspace = true`")).collect()
}

fn inherits(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    lines.next().is_some()
        && lines.take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;

    fn check(manifest: &str, expected: &[&str]) {
        let files = [("crates/nest/Cargo.toml", manifest)];
        let tree = Tree::with_metadata(&files, samples::members(&[("nest", "eggs")]));
        assert_eq!(samples::findings(&RULE, &tree), expected);
    }

    #[test]
    fn manifest_that_inherits_passes() {
        check("[package]\n\n[lints]\nworkspace = true\n\n[dependencies]\n", &[]);
    }

    #[test]
    fn manifest_that_does_not_inherit_is_found() {
        let finding = "crates/nest/Cargo.toml: does not say `[lints] workspace = true`";
        check("[package]\nname = \"nest\"\n", &[finding]);
        check("[lints]\n\n[dependencies.a]\nworkspace = true\n", &[finding]);
    }
}
