//! The house rules: one file per rule in `rules`, each with a sample that breaks it and one that keeps it.
//!
//! A rule is a function over a [`Tree`], so that tests can hand it a tree of their own.

mod rule;
mod rules;
mod source;
mod tree;

use crate::error::Error;
use crate::tidy::tree::Tree;
use crate::workspace::Workspace;

/// Checks all rules and prints what breaks them.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let tree = Tree::load(workspace.root(), workspace.metadata()?)?;
    let mut count: usize = 0;
    for rule in rules::ALL {
        let findings = rule.findings(&tree);
        let verdict =
            if findings.is_empty() { "ok".to_owned() } else { format!("{} finding(s)", findings.len()) };
        println!("tidy: {:<20} {verdict}", rule.name);
        if !findings.is_empty() {
            println!("  {}", rule.about);
        }
        findings.iter().for_each(|finding| println!("  {finding}"));
        count = count.saturating_add(findings.len());
    }
    if count == 0 { Ok(()) } else { Err(Error::Untidy(count)) }
}
