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

/// What goes wrong with a backup is said before anything is made.
#[test]
fn a_backup_is_made_without_a_node_and_refused_where_it_is_none() {
    let home = Home::empty();
    let made = home.run(["init", "--name", "Alice", "--no-passphrase", "--json"]).json();
    let passphrase = home.beside("passphrase", "open sesame\n");
    let wrong = home.beside("wrong", "open barley\n");
    let phrase = home.beside("phrase", made["recovery_phrase"].as_str().unwrap());
    let backup = home.beside("alice.starling", "");
    fs::remove_file(&backup).unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (file, passphrase, wrong, phrase) = (text(&backup), text(&passphrase), text(&wrong), text(&phrase));

    let back_up = ["backup", &file, "--json", "--passphrase-file", &passphrase];
    let done = home.run(back_up).json();
    assert_eq!((&done["account"], &done["messages"]), (&made["account"], &serde_json::json!(0)), "{done}");
    assert_eq!(done["bytes"].as_u64(), Some(fs::metadata(&backup).unwrap().len()));
    let mut bare = home.command(["backup", "bare.starling", "--passphrase-file", &passphrase]);
    let bare = crate::support::finish(bare.current_dir(backup.parent().unwrap()));
    assert_eq!((bare.code, bare.err.as_str()), (Some(0), ""), "a bare name is enough: {bare:?}");
    let again = home.run(back_up);
    assert!(again.code == Some(1) && again.out.contains("never overwritten"), "{again:?}");

    let (_, others_phrase) = account();
    let others = text(&home.beside("others", &others_phrase));
    let cut = text(&home.beside("cut", ""));
    let bytes = fs::read(&backup).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 4096]).unwrap();
    let new = Home::empty();
    for (file, phrase, passphrase, code, why) in [
        (&file, &phrase, &wrong, 4, "passphrase is wrong"),
        (&file, &others, &passphrase, 2, "backup of starling1"),
        (&phrase, &phrase, &passphrase, 1, "is no backup"),
        (&cut, &phrase, &passphrase, 1, "is damaged"),
        (&format!("{file}.none"), &phrase, &passphrase, 1, "cannot open"),
    ] {
        let refused = new.run(["restore", file, "--phrase-file", phrase, "--passphrase-file", passphrase]);
        assert!(refused.code == Some(code) && refused.err.contains(why), "{why}: {refused:?}");
    }
    assert_eq!(new.run(["restore", &file, "--name", "Eve"]).code, Some(2), "the name is in the backup");
    assert_eq!(new.run(["restore"]).code, Some(2), "a name or a backup");
    let restored =
        new.run(["restore", &file, "--phrase-file", &phrase, "--passphrase-file", &passphrase, "--json"]);
    assert_eq!((restored.code, &restored.json()["account"]), (Some(0), &made["account"]), "{restored:?}");
    let names = fs::read_dir(new.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["backup.lock", "data.key", "lock", "starling.db"], "nothing of the backup stays");
    let unasked = home.run(["backup", &format!("{file}.2")]);
    assert!(
        unasked.code == Some(2) && unasked.err.contains("--passphrase-file"),
        "nobody to ask: {unasked:?}"
    );
    assert!(!unasked.err.contains("--no-passphrase"), "which there is none of here: {unasked:?}");
}

fn finish_with(home: &Home, words: &[&str], last: &str) -> crate::support::Finished {
    home.run(words.iter().copied().chain([last]))
}
