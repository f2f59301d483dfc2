use crate::tidy::rule::{Finding, Rule};
use crate::tidy::source::{Function, Source};
use crate::tidy::tree::Tree;

/// A function that fits the screen.
pub(super) const RULE: Rule = Rule {
    name: "function-length",
    about: "No function has more than 70 lines of code, and 95 % of those outside tests have fewer than 40.",
    exceptions: &[],
    check,
};

/// No function is longer, tests included: a test that does not fit the screen is not checked by its reader.
const LIMIT: usize = 70;
/// Most functions are shorter. Tests do not count here: a table of cases is long without being hard.
const USUAL: usize = 40;
/// How many of a hundred functions are [`USUAL`].
const SHARE: usize = 95;

fn check(tree: &Tree) -> Vec<Finding> {
    let functions =
        || tree.sources().flat_map(|(path, source)| source.functions.iter().map(move |f| (path, source, f)));
    let mut findings: Vec<Finding> =
        functions().filter_map(|(path, source, function)| too_long(path, source, function)).collect();
    let product = functions().filter(|(_, source, function)| !source.is_test(*function.lines.start()));
    let lengths: Vec<usize> = product.map(|(_, source, function)| source.length(function)).collect();
    let long = lengths.iter().filter(|&&length| length >= USUAL).count();
    if long.saturating_mul(100) > lengths.len().saturating_mul(100_usize.saturating_sub(SHARE)) {
        let message = format!("{long} of {} functions have {USUAL} lines of code or more", lengths.len());
        findings.push(Finding::new("workspace", message));
    }
    findings
}

fn too_long(path: &str, source: &Source, function: &Function) -> Option<Finding> {
    let length = source.length(function);
    let place = format!("{path}::{}", function.name);
    let message = format!("{length} lines of code, at most {LIMIT} are allowed");
    (length > LIMIT).then(|| Finding::at(place, *function.lines.start(), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;

    /// A function of so many lines of code, its braces included.
    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n    // why\n\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    fn check(text: &str, expected: &[&str]) {
        samples::check(&RULE, &[("src/a.rs", text)], expected);
    }

    #[test]
    fn functions_within_the_limits_pass() {
        let usual = function("usual", 39).repeat(19);
        check(&format!("{usual}{}", function("long", 70)), &[]);
    }

    #[test]
    fn one_function_above_the_limit_is_found() {
        let usual = function("usual", 39).repeat(19);
        let text = format!("{}{usual}", function("long", 71));
        check(&text, &["src/a.rs::long:1: 71 lines of code, at most 70 are allowed"]);
    }

    #[test]
    fn too_many_long_functions_are_found() {
        let usual = function("usual", 39).repeat(18);
        let text = format!("{usual}{}", function("long", 40));
        check(&text, &["workspace: 1 of 19 functions have 40 lines of code or more"]);
    }

    #[test]
    fn tests_keep_the_limit_but_do_not_count_as_usual_functions() {
        check(&format!("#[test]\n{}", function("case", 70)), &[]);
        let finding = "src/a.rs::case:2: 71 lines of code, at most 70 are allowed";
        check(&format!("#[test]\n{}", function("case", 71)), &[finding]);
    }
}
