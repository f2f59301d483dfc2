//! Making an account.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Home, finish};

#[test]
fn the_answer_is_that_of_the_contract() {
    let home = Home::empty();
    let made = home.run(["init", "--name", "Alice", "--no-passphrase", "--json"]);
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    let made = made.json();
    assert_eq!(made.as_object().unwrap().len(), 4, "{made}");
    assert_eq!(made["name"], "Alice");
    assert!(made["account"].as_str().unwrap().starts_with("starling1"));
    assert!(made["device"].as_str().unwrap().starts_with("stardev1"));
    assert_eq!(made["recovery_phrase"].as_str().unwrap().split(' ').count(), 24);
}

#[test]
fn the_phrase_is_shown_once_and_kept_nowhere() {
    let home = Home::empty();
    let made = home.run(["init", "--name", "Alice", "--no-passphrase"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains(" 1  ") && made.out.contains("24  "), "{}", made.out);
    let json = Home::empty().run(["init", "--name", "Alice", "--no-passphrase", "--json"]).json();
    let phrase = json["recovery_phrase"].as_str().unwrap();
    assert!(!made.out.contains(phrase), "every account has its own");
    for entry in fs::read_dir(home.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(phrase.len()).any(|window| window == phrase.as_bytes()));
    }
}

#[test]
fn an_account_is_never_overwritten() {
    let home = Home::of("Alice");
    let before = fs::read(home.path().join("data.key")).unwrap();
    let refused = home.run(["init", "--name", "Mallory", "--no-passphrase"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    insta::assert_snapshot!("init_twice", refused.seen(&home));
    assert_eq!(fs::read(home.path().join("data.key")).unwrap(), before);
}

#[test]
fn everything_is_for_the_owner_only() {
    let home = Home::of("Alice");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path()), 0o700);
    for entry in fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_strange_directory_is_left_alone() {
    let home = Home::empty();
    let strange = tempfile::tempdir().unwrap();
    fs::write(strange.path().join("thesis"), "x").unwrap();
    fs::set_permissions(strange.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut init = home.command(["init", "--name", "Alice", "--no-passphrase"]);
    let refused = finish(init.env("STARLING_HOME", strange.path()));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(fs::read_dir(strange.path()).unwrap().count(), 1);
}

#[test]
fn the_option_names_the_home_before_the_environment() {
    let home = Home::empty();
    let other = home.beside("other", "");
    fs::remove_file(&other).unwrap();
    let mut init = home.command(["init", "--name", "Alice", "--no-passphrase", "--home"]);
    assert_eq!(finish(init.arg(&other)).code, Some(0));
    assert!(other.join("data.key").exists() && !home.path().exists());
}
