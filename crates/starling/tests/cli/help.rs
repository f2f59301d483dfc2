//! What each command says of itself.

use crate::support::Home;

/// Every command. The first test below fails if one is missing here.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["restore"],
    &["backup"],
    &["device"],
    &["device", "request"],
    &["device", "link"],
    &["device", "join"],
    &["device", "list"],
    &["device", "revoke"],
    &["run"],
    &["status"],
    &["whoami"],
    &["profile"],
    &["profile", "set"],
    &["profile", "show"],
    &["profile", "list"],
    &["profile", "unlist"],
    &["settings"],
    &["settings", "set"],
    &["settings", "show"],
    &["search"],
    &["contact"],
    &["contact", "add"],
    &["contact", "accept"],
    &["contact", "decline"],
    &["contact", "remove"],
    &["contact", "rename"],
    &["contact", "list"],
    &["contact", "block"],
    &["contact", "unblock"],
    &["contact", "verify"],
    &["invite"],
    &["send"],
    &["messages"],
    &["edit"],
    &["delete"],
    &["react"],
    &["trace"],
    &["events"],
    &["doctor"],
    &["completions"],
    &["demo"],
    &["lab"],
    &["lab", "scale"],
    &["lab", "attack"],
    &["lab", "mail"],
    &["lab", "scenario"],
];

/// The names in the list of commands of a help text.
fn listed(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_is_looked_at() {
    let home = Home::empty();
    for group in [&[] as &[&str], &["profile"], &["settings"], &["contact"], &["device"], &["lab"]] {
        let help = home.run([group, &["--help"]].concat());
        let names = listed(&help.out);
        assert!(!names.is_empty(), "{help:?}");
        for name in names {
            let command = [group, &[name.as_str()]].concat();
            assert!(COMMANDS.contains(&command.as_slice()), "{command:?}");
        }
    }
}

#[test]
fn help_reads_well() {
    let home = Home::empty();
    for command in COMMANDS {
        let help = home.run([command, &["--help"] as &[&str]].concat());
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
        let name = [&["help"], *command].concat().join("_");
        insta::assert_snapshot!(name, help.out);
    }
}

#[test]
fn help_and_version_are_json_if_asked() {
    let home = Home::empty();
    let version = home.run(["--version", "--json"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(version.json()["text"], format!("starling {}\n", env!("CARGO_PKG_VERSION")));
    let help = home.run(["search", "--json", "--help"]);
    assert!(help.json()["text"].as_str().unwrap().contains("Usage: starling search"));
}
