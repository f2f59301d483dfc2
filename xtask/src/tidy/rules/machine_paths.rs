use crate::tidy::rule::{Finding, Rule};
use crate::tidy::tree::Tree;

/// What works here works on every machine.
pub(super) const RULE: Rule = Rule {
    name: "machine-paths",
    about: "No file holds a path of somebody's machine.",
    exceptions: &[],
    check,
};

/// Folders of one person or one machine; each in two halves, so that this file does not hold them.
const PLACES: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("\\Us", "ers\\"),
];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = vec![];
    for (path, text) in tree.files() {
        for (line, number) in text.lines().zip(1..) {
            let place = PLACES.iter().find(|place| holds(line, place));
            findings.extend(place.map(|place| Finding::at(path, number, format!("holds a path in {place}"))));
        }
    }
    findings
}

/// Whether the line holds the place as the beginning of a path, not in the middle of one (or of a URL).
fn holds(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(index, _)| {
        let before = line.get(..index).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "_.~-}*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples::check;

    #[test]
    fn relative_paths_and_addresses_pass() {
        let files = [
            (
                "a.md",
                concat!(
                    "`crates/ho",
                    "me/x`, https://example.org/ho",
                    "me/x, ~/wo",
                    "rk/x, $",
                    "{HOME}/wo",
                    "rk/x"
                ),
            ),
            ("b.rs", "const A: &str = \"/tmp/x\";"),
        ];
        check(&RULE, &files, &[]);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let rust = concat!("\nconst A: &str = \"/ho", "me/ada/x\";");
        check(&RULE, &[("a.rs", rust)], &[concat!("a.rs:2: holds a path in /ho", "me/")]);
        check(
            &RULE,
            &[("a.md", concat!("C:\\Us", "ers\\ada"))],
            &[concat!("a.md:1: holds a path in \\Us", "ers\\")],
        );
    }
}
