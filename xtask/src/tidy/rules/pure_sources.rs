use crate::tidy::rule::{Finding, Rule};
use crate::tidy::rules::pure_dependencies::PURE;
use crate::tidy::source::{Source, Token};
use crate::tidy::tree::Tree;

/// The pure crates do not reach for the world themselves.
pub(super) const RULE: Rule = Rule {
    name: "pure-sources",
    about: "The pure crates are no_std outside tests and name nothing of BANNED: time and randomness are arguments.",
    exceptions: &[],
    check,
};

/// Paths that no pure crate names outside tests, each with its reason.
const BANNED: &[(&str, &str)] = &[
    ("std", "the operating system is out of reach; take it from core or alloc"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("OsRng", "randomness is an argument"),
    ("SysRng", "randomness is an argument"),
    ("thread_rng", "randomness is an argument"),
    ("ThreadRng", "randomness is an argument"),
    ("rand::rng", "randomness is an argument"),
    ("getrandom", "randomness is an argument"),
    ("async", "machines are driven, they do not wait"),
    ("await", "machines are driven, they do not wait"),
    ("HashMap", "its order could reach the wire, the log or a decision"),
    ("HashSet", "its order could reach the wire, the log or a decision"),
];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = vec![];
    for (name, _) in PURE {
        let folder = format!("crates/{name}/src/");
        for (path, source) in tree.sources().filter(|(path, _)| path.starts_with(&folder)) {
            findings.extend(banned(path, source));
            if path.strip_prefix(&folder) == Some("lib.rs") && !is_no_std(source) {
                findings.push(Finding::new(path, "does not say #![cfg_attr(not(test), no_std)]"));
            }
        }
    }
    findings
}

fn banned(path: &str, source: &Source) -> Vec<Finding> {
    let mut findings = vec![];
    for token in source.paths().iter().filter(|token| !source.is_test(token.line)) {
        let ban = BANNED.iter().find(|(banned, _)| names(token, banned));
        let message = |(banned, reason): &(&str, &str)| format!("names {banned}: {reason}");
        findings.extend(ban.map(|ban| Finding::at(path, token.line, message(ban))));
    }
    // A path inside `use` is seen once as it is written and once in full.
    findings.sort_by_key(Finding::to_string);
    findings.dedup();
    findings
}

/// Whether the path holds the banned one as whole segments in a row.
fn names(path: &Token, banned: &str) -> bool {
    let path: Vec<&str> = path.text.split("::").collect();
    let banned: Vec<&str> = banned.split("::").collect();
    path.windows(banned.len()).any(|window| window == banned)
}

fn is_no_std(source: &Source) -> bool {
    let wanted = ["#", "!", "[", "cfg_attr", "(", "not", "(", "test", ")", ",", "no_std", ")", "]"];
    let texts: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    texts.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rules::samples;

    const LIB: &str = "crates/starling-core/src/lib.rs";
    const NO_STD: &str = "#![cfg_attr(not(test), no_std)]\n";

    fn check(code: &str, expected: &[&str]) {
        samples::check(&RULE, &[(LIB, &format!("{NO_STD}{code}"))], expected);
    }

    #[test]
    fn pure_code_passes() {
        check("use core::fmt;\nfn now_is_given(now: Now) -> BTreeMap<u8, u8> { Instant::from(now) }", &[]);
    }

    #[test]
    fn tests_and_other_crates_may_use_anything() {
        check("#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}", &[]);
        samples::check(&RULE, &[("crates/starling-node/src/lib.rs", "use std::net::TcpStream;")], &[]);
        samples::check(&RULE, &[("crates/starling-core/build.rs", "use std::fs;")], &[]);
    }

    #[test]
    fn every_banned_path_is_found() {
        for (banned, reason) in BANNED.iter().filter(|(banned, _)| !matches!(*banned, "async" | "await")) {
            let finding = format!("{LIB}:2: names {banned}: {reason}");
            check(&format!("fn f() {{ a::{banned}::b(); }}"), &[&finding]);
        }
    }

    #[test]
    fn asynchronous_code_is_found() {
        let reason = "machines are driven, they do not wait";
        let findings = [format!("{LIB}:2: names async: {reason}"), format!("{LIB}:2: names await: {reason}")];
        check("async fn f() { g().await }", &findings.each_ref().map(String::as_str));
    }

    #[test]
    fn nested_imports_and_macros_are_seen_through() {
        check("use rand::{a, rng as b};", &[&format!("{LIB}:2: names rand::rng: randomness is an argument")]);
        check(
            "fn f() { m!(t::Instant::now()) }",
            &[&format!("{LIB}:2: names Instant::now: time is an argument")],
        );
    }

    #[test]
    fn crate_that_is_not_no_std_is_found() {
        samples::check(
            &RULE,
            &[(LIB, "")],
            &[&format!("{LIB}: does not say #![cfg_attr(not(test), no_std)]")],
        );
        let always = "#![cfg_attr(test, no_std)]";
        samples::check(
            &RULE,
            &[(LIB, always)],
            &[&format!("{LIB}: does not say #![cfg_attr(not(test), no_std)]")],
        );
    }
}
