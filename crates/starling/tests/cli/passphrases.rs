//! The passphrase: where it comes from, and what happens when it is wrong.

use std::fs;

use crate::support::{Finished, Home, bare, finish};

const RIGHT: &str = "correct horse battery staple";

fn protected() -> Home {
    let home = Home::empty();
    let made = with(&home, &["init", "--name", "Alice", "--json"], RIGHT);
    assert_eq!(made.code, Some(0), "{made:?}");
    home
}

fn with(home: &Home, args: &[&str], passphrase: &str) -> Finished {
    finish(home.command(args).env("STARLING_PASSPHRASE", passphrase))
}

#[test]
fn ida_13_a_wrong_passphrase_changes_nothing_however_often() {
    let home = protected();
    let key = fs::read(home.path().join("data.key")).unwrap();
    for wrong in ["wrong", "correct horse battery stapl", "Correct horse battery staple", " "] {
        let refused = with(&home, &["run"], wrong);
        assert_eq!((refused.code, refused.out.as_str()), (Some(4), ""), "{refused:?}");
        insta::assert_snapshot!("wrong_passphrase", refused.seen(&home));
    }
    let refused = with(&home, &["run", "--json"], "wrong");
    assert_eq!((refused.code, refused.err.as_str()), (Some(4), ""));
    assert_eq!(refused.json()["error"]["code"], "wrong_passphrase");
    assert_eq!(fs::read(home.path().join("data.key")).unwrap(), key);
    assert_eq!(with(&home, &["doctor"], RIGHT).code, Some(0));
}

#[test]
fn ida_13_a_cut_key_file_is_told_from_a_wrong_passphrase_and_left_alone() {
    let home = protected();
    let path = home.path().join("data.key");
    let whole = fs::read(&path).unwrap();
    for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..keep]).unwrap();
        let refused = with(&home, &["run", "--json"], RIGHT);
        assert_eq!(refused.json()["error"]["code"], "storage", "{keep}: {refused:?}");
        let init = with(&home, &["init", "--name", "Mallory", "--json"], RIGHT);
        assert_eq!(init.json()["error"]["code"], "conflict", "{keep}: {init:?}");
        assert_eq!(fs::read(&path).unwrap(), &whole[..keep]);
    }
}

#[test]
fn a_file_goes_before_the_environment() {
    let home = protected();
    let file = home.beside("passphrase", &format!("{RIGHT}\nsecond line\n"));
    let mut doctor = home.command(["doctor", "--json", "--passphrase-file"]);
    let checked = finish(doctor.arg(file).env("STARLING_PASSPHRASE", "wrong"));
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let home = protected();
    let refused = home.run(["run"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.err.contains("use --passphrase-file or STARLING_PASSPHRASE"), "{refused:?}");
}

#[test]
fn an_empty_passphrase_is_none() {
    let home = Home::empty();
    let file = home.beside("empty", "\n");
    let mut init = bare(&home.path());
    let refused = finish(
        init.env("STARLING_HOME", home.path()).args(["init", "--name", "A", "--passphrase-file"]).arg(file),
    );
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!("empty_passphrase", refused.seen(&home));
}
