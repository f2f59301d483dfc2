use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;
use crate::workspace::Package;

/// A crate is one sentence, the same wherever it stands.
pub(super) const RULE: Rule = Rule {
    name: "crate-opening",
    about: "The first paragraph of a crate root is the description in its Cargo.toml as a sentence; README.md has it too.",
    exceptions: &[],
    check,
};

fn check(tree: &Tree) -> Vec<Finding> {
    tree.metadata().members().into_iter().flat_map(|package| check_package(tree, package)).collect()
}

fn check_package(tree: &Tree, package: &Package) -> Vec<Finding> {
    let folder = tree.metadata().folder(package);
    let Some(description) = &package.description else {
        return vec![Finding::new(format!("{folder}/Cargo.toml"), "has no description")];
    };
    let roots = ["lib.rs", "main.rs"].map(|name| format!("{folder}/src/{name}"));
    let root = roots.into_iter().find_map(|path| tree.file(&path).map(|text| (path.clone(), text)));
    let mut findings = vec![];
    match root {
        Some((path, text)) if opening(text) != sentence(description) => {
            let message = format!("opens with {:?}, expected {:?}", opening(text), sentence(description));
            findings.push(Finding::at(path, 1, message));
        }
        Some(_) => {}
        None => findings.push(Finding::new(folder, "has neither src/lib.rs nor src/main.rs")),
    }
    // A tree without a README is a sample or a checkout in the making.
    if let Some(readme) = tree.file("README.md").filter(|readme| !lists(readme, &package.name, description)) {
        let line = readme.lines().position(|line| line.contains(&format!("`{}`", package.name)));
        let line = line.map_or(1, |index| index.saturating_add(1));
        findings.push(Finding::at(
            "README.md",
            line,
            format!("`{}` is not listed with {description:?}", package.name),
        ));
    }
    findings
}

/// The first paragraph of the `//!` comment that a file starts with, on one line.
fn opening(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = comment.map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// A description begins small and ends without a full stop, as crate registries show it.
fn sentence(description: &str) -> String {
    let mut letters = description.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Whether a document has the name and, on the same line, the description.
fn lists(document: &str, name: &str, description: &str) -> bool {
    let name = format!("`{name}`");
    let sentence = sentence(description);
    let sentence = sentence.trim_end_matches('.');
    document
        .lines()
        .any(|line| line.contains(&name) && (line.contains(description) || line.contains(sentence)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let tree = Tree::with_metadata(files, samples::members(&[("nest", "where eggs live: warm")]));
        assert_eq!(samples::findings(&RULE, &tree), expected);
    }

    const GOOD: (&str, &str) =
        ("crates/nest/src/lib.rs", "//! Where eggs live:\n//! warm.\n//!\n//! More.\n");

    #[test]
    fn same_sentence_everywhere_passes() {
        check(&[GOOD], &[]);
        check(&[GOOD, ("README.md", "# N\n\n| `nest` | where eggs live: warm |\n")], &[]);
        check(&[GOOD, ("README.md", "# N\n\n- `nest`: Where eggs live: warm.\n")], &[]);
    }

    #[test]
    fn another_sentence_is_found() {
        let finding = "crates/nest/src/main.rs:1: opens with \"Eggs.\", expected \"Where eggs live: warm.\"";
        check(&[("crates/nest/src/main.rs", "//! Eggs.\n")], &[finding]);
    }

    #[test]
    fn missing_opening_is_found() {
        let finding = "crates/nest/src/lib.rs:1: opens with \"\", expected \"Where eggs live: warm.\"";
        check(&[("crates/nest/src/lib.rs", "#![no_std]\n")], &[finding]);
        check(&[], &["crates/nest: has neither src/lib.rs nor src/main.rs"]);
    }

    #[test]
    fn readme_without_the_sentence_is_found() {
        let finding = "README.md:3: `nest` is not listed with \"where eggs live: warm\"";
        check(&[GOOD, ("README.md", "# N\n\n- `nest`: cold\n")], &[finding]);
    }

    #[test]
    fn missing_description_is_found() {
        let mut metadata = samples::members(&[("nest", "")]);
        metadata.packages[0].description = None;
        let tree = Tree::with_metadata(&[], metadata);
        assert_eq!(samples::findings(&RULE, &tree), ["crates/nest/Cargo.toml: has no description"]);
    }
}
