//! Bringing an account back.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::Home;

/// An account, and its phrase.
fn account() -> (String, String) {
    let made = Home::empty().run(["init", "--name", "Alice", "--no-passphrase", "--json"]).json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("account"), text("recovery_phrase"))
}

#[test]
fn the_phrase_brings_the_account_back_on_another_device() {
    let (account, phrase) = account();
    let home = Home::empty();
    let file = home.beside("phrase", &format!("\n  {}\n", phrase.to_uppercase().replace(' ', "\n")));
    let restore = ["restore", "--name", "Alice", "--no-passphrase", "--json", "--phrase-file"];
    let restored = finish_with(&home, &restore, file.to_str().unwrap());
    assert_eq!((restored.code, restored.err.as_str()), (Some(0), ""));
    let restored = restored.json();
    assert_eq!(restored.as_object().unwrap().len(), 3, "{restored}");
    assert_eq!(restored["account"], account.as_str());
    for entry in fs::read_dir(home.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(phrase.len()).any(|window| window == phrase.as_bytes()));
    }
    let again = finish_with(&home, &restore, file.to_str().unwrap());
    assert_eq!(again.code, Some(1), "an account is never overwritten: {again:?}");
}

#[test]
fn the_phrase_may_come_through_standard_input() {
    let (account, phrase) = account();
    let home = Home::empty();
    let mut command = home.command(["restore", "--name", "Alice", "--no-passphrase", "--phrase-file", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(phrase.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && out.contains(&account), "{out}");
}

#[test]
fn a_phrase_that_is_none_makes_nothing() {
    let (_, phrase) = account();
    let words: Vec<&str> = phrase.split(' ').collect();
    let home = Home::empty();
    let restore = ["restore", "--name", "Alice", "--no-passphrase", "--phrase-file"];
    let twice = [&words[..], &words[..1]].concat().join(" ");
    for text in ["", "hello", &words[1..].join(" "), &twice, &phrase.replacen(words[3], "nonesuch", 1)] {
        let file = home.beside("phrase", text);
        let refused = finish_with(&home, &restore, file.to_str().unwrap());
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
        assert!(!refused.err.contains(words[1]) && !refused.err.contains("nonesuch"), "{}", refused.err);
    }
    let binary = home.beside("phrase", "");
    fs::write(&binary, [0xff; 100]).unwrap();
    assert_eq!(finish_with(&home, &restore, binary.to_str().unwrap()).code, Some(2));
    assert_eq!(finish_with(&home, &restore, "/nonexistent/phrase").code, Some(2));
    assert_eq!(
        home.run(["restore", "--name", "Alice", "--no-passphrase"]).code,
        Some(2),
        "nobody can be asked"
    );
    assert_eq!(
        finish_with(&home, &["init", "--name", "Alice", "--no-passphrase"], "--json").code,
        Some(0),
        "free"
    );
}

fn finish_with(home: &Home, words: &[&str], last: &str) -> crate::support::Finished {
    home.run(words.iter().copied().chain([last]))
}
