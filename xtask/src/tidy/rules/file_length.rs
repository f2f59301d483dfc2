use crate::tidy::rule::{Finding, Rule};
use crate::tidy::source::Source;
use crate::tidy::tree::Tree;

/// A file that is read in one go.
pub(super) const RULE: Rule = Rule {
    name: "file-length",
    about: "A file has at most 800 lines of code, its tests counted apart; split it at a seam of its own.",
    exceptions: &[],
    check,
};

/// Lines of code, and as many of test code: tests stand last, so the reader of one need not read the other.
const LIMIT: usize = 800;
/// Other languages that are written by hand; their lines count unless blank.
const OTHER: &[&str] = &[".proto", ".js", ".css", ".html", ".sh", ".sql"];
/// Documents with a limit of their own, all lines counted: an overview is read in one sitting.
const DOCUMENTS: &[(&str, usize)] = &[("ARCHITECTURE.md", 500)];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = vec![];
    for (path, source) in tree.sources() {
        let (tests, code) = split(source);
        findings.extend(too_long(path, code, LIMIT, "lines of code"));
        findings.extend(too_long(path, tests, LIMIT, "lines of test code"));
    }
    for (path, text) in tree.files().filter(|(path, _)| OTHER.iter().any(|ending| path.ends_with(ending))) {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        findings.extend(too_long(path, lines, LIMIT, "lines"));
    }
    for &(path, limit) in DOCUMENTS {
        let lines = tree.file(path).map_or(0, |text| text.lines().count());
        findings.extend(too_long(path, lines, limit, "lines"));
    }
    findings
}

/// How many lines of test code and of other code.
fn split(source: &Source) -> (usize, usize) {
    let (tests, code): (Vec<usize>, Vec<usize>) = source.code_lines().partition(|&line| source.is_test(line));
    (tests.len(), code.len())
}

fn too_long(path: &str, lines: usize, limit: usize, what: &str) -> Option<Finding> {
    (lines > limit).then(|| Finding::new(path, format!("{lines} {what}, at most {limit} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;

    fn check(path: &str, text: &str, expected: &[&str]) {
        samples::check(&RULE, &[(path, text)], expected);
    }

    #[test]
    fn file_at_the_limit_passes_with_comments_and_tests_beside_it() {
        let code = "const A: u8 = 1;\n".repeat(800);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const B: u8 = 1;\n".repeat(797));
        check("src/a.rs", &format!("{code}\n\n// Why.\n/// Doc.\n{tests}"), &[]);
        check("schema/a.proto", &"a\n\n".repeat(800), &[]);
        check("ARCHITECTURE.md", &"\n".repeat(500), &[]);
    }

    #[test]
    fn file_above_the_limit_is_found() {
        let lines = "const A: u8 = 1;\n".repeat(801);
        check("src/a.rs", &lines, &["src/a.rs: 801 lines of code, at most 800 are allowed"]);
        check("tests/a.rs", &lines, &["tests/a.rs: 801 lines of test code, at most 800 are allowed"]);
        check("page/a.js", &lines, &["page/a.js: 801 lines, at most 800 are allowed"]);
        let document = "\n".repeat(501);
        check("ARCHITECTURE.md", &document, &["ARCHITECTURE.md: 501 lines, at most 500 are allowed"]);
    }
}
