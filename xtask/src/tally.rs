use std::fmt;

/// What test programs reported, added up; it displays as the closing line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    /// A program said `running N tests` and has not said `test result:` yet.
    open: bool,
}

impl Tally {
    /// Takes one line of the standard output of `cargo test`.
    pub(crate) fn line(&mut self, line: &str) {
        if is_opening(line) {
            self.abandon();
            self.open = true;
        } else if let Some((passed, failed)) = result(line) {
            self.open = false;
            self.passed = self.passed.saturating_add(passed);
            self.failed = self.failed.saturating_add(failed);
        }
    }

    /// Takes the end of one `cargo test`. A failure that no test program reported (it did not build, or it died)
    /// counts as one failed test, so that a bad run can never close with `0 failed`.
    pub(crate) fn end(&mut self, success: bool, failed_before: u64) {
        self.abandon();
        if !success && self.failed == failed_before {
            self.failed = self.failed.saturating_add(1);
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// A program that began and never reported has died.
    fn abandon(&mut self) {
        if self.open {
            self.open = false;
            self.failed = self.failed.saturating_add(1);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `running 3 tests`, `running 1 test`.
fn is_opening(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("running ") else { return false };
    let count = rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test"));
    count.is_some_and(|count| count.parse::<u64>().is_ok())
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
fn result(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    let count = |word: &str| {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some((count(" passed")?, count(" failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
    const BAD: &str =
        "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";

    fn check(lines: &[&str], success: bool, closing: &str) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.line(line));
        tally.end(success, 0);
        assert_eq!(tally.to_string(), closing);
    }

    #[test]
    fn sums_over_programs() {
        check(
            &["running 3 tests", "test a ... ok", GOOD, "", "running 3 tests", BAD],
            false,
            "4 passed, 2 failed",
        );
    }

    #[test]
    fn program_that_dies_without_a_result_counts_as_a_failure() {
        check(&["running 3 tests", "test a ... ok"], false, "0 passed, 1 failed");
        check(&["running 3 tests", "running 3 tests", GOOD], false, "3 passed, 1 failed");
    }

    #[test]
    fn failed_build_counts_as_a_failure() {
        check(&[], false, "0 passed, 1 failed");
        check(&["running 3 tests", GOOD], false, "3 passed, 1 failed");
    }

    #[test]
    fn failed_build_counts_beside_the_failures_of_an_earlier_run() {
        let mut tally = Tally::default();
        tally.line(BAD);
        tally.end(false, 0);
        tally.end(false, 2);
        assert_eq!(tally.to_string(), "1 passed, 3 failed");
    }

    #[test]
    fn other_lines_do_not_count() {
        check(&["running 3 apples", "test result: odd", "test running ... ok"], true, "0 passed, 0 failed");
    }
}
