//! Scripts for shells.

use std::process::{Command, Stdio};

use crate::support::Home;

#[test]
fn each_shell_gets_a_script_with_every_command() {
    let home = Home::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(["completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (Some(0), ""));
        for word in [
            "init",
            "run",
            "profile",
            "unlist",
            "accept",
            "invite",
            "trace",
            "completions",
            "passphrase-file",
        ] {
            assert!(script.out.contains(word), "{shell}: {word}");
        }
        let json = home.run(["completions", "--json", shell]).json();
        assert_eq!(
            (json["shell"].as_str(), json["script"].as_str()),
            (Some(shell), Some(script.out.as_str()))
        );
    }
}

#[test]
fn bash_reads_its_script() {
    let home = Home::empty();
    let script = home.beside("starling.bash", &home.run(["completions", "bash"]).out);
    let bash = Command::new("bash").arg("-n").arg(script).stdin(Stdio::null()).output().unwrap();
    assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
}
