//! What a user reads when something does not work: what happened, the likely cause, the next step.

use crate::support::Home;

#[test]
fn wrong_usage_reads_well() {
    let home = Home::empty();
    let bare_address = ["run", "--join", "127.0.0.1:4040"];
    let cases: &[(&str, &[&str])] = &[
        ("no_command", &[]),
        ("unknown_command", &["serch", "x"]),
        ("init_without_name", &["init"]),
        ("init_name_with_control_character", &["init", "--name", "a\u{1b}[2Jb"]),
        ("init_listed_and_unlisted", &["init", "--name", "Alice", "--listed", "--unlisted"]),
        ("init_without_passphrase", &["init", "--name", "Alice"]),
        ("run_join_bare_address", &bare_address),
        ("run_lan_on", &["run", "--lan", "on"]),
        ("run_relay_auto", &["run", "--relay", "auto"]),
        ("run_bad_network", &["run", "--network", "My Village"]),
        ("run_hold_without_unit", &["run", "--hold-at-most", "2G"]),
        ("run_hold_nothing", &["run", "--hold-at-most", "0MiB"]),
        ("run_hold_too_little", &["run", "--hold-at-most", "7MiB"]),
        ("run_hold_too_much", &["run", "--hold-at-most", "8GiB"]),
        ("run_bad_api", &["run", "--api", "localhost"]),
        ("profile_without_action", &["profile"]),
        ("profile_set_nothing", &["profile", "set"]),
        ("profile_set_keyword_with_blank", &["profile", "set", "--keyword", "two words"]),
        ("search_nothing", &["search"]),
        ("search_limit_zero", &["search", "--limit", "0", "chess"]),
        ("contact_without_action", &["contact"]),
        ("invite_bad_time", &["invite", "--expires", "a week"]),
        ("invite_for_ever", &["invite", "--expires", "365d"]),
        ("send_nothing", &["send", "bob"]),
        ("send_timeout_without_wait", &["send", "bob", "hello", "--timeout", "5s"]),
        ("messages_of_nobody", &["messages"]),
        ("trace_bad_id", &["trace", "starmsg1qqqq"]),
        ("doctor_bad_listen", &["doctor", "--listen", "4040"]),
        ("completions_unknown_shell", &["completions", "cobol"]),
    ];
    for (name, args) in cases {
        let failed = home.run(*args);
        assert_eq!((failed.code, failed.out.as_str()), (Some(2), ""), "{name}: {failed:?}");
        insta::assert_snapshot!(format!("failure_{name}"), failed.seen(&home));
    }
}

#[test]
fn a_full_name_is_too_much() {
    let home = Home::empty();
    let failed = home.run(["init", "--no-passphrase", "--name", &"x".repeat(1_000_000 / 10)]);
    assert_eq!(failed.code, Some(2));
    assert!(failed.err.contains("name too long: at most 128 bytes, got 100000"));
    assert!(!home.path().exists(), "nothing was made");
}

#[test]
fn a_bad_log_filter_is_wrong_usage() {
    let home = Home::empty();
    let failed = crate::support::finish(home.command(["whoami"]).env("STARLING_LOG", "starling=loud"));
    assert_eq!(failed.code, Some(2));
    insta::assert_snapshot!("failure_log_filter", failed.seen(&home));
}
