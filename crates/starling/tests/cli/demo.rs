//! The demonstration, with a small cast.

use crate::support::Home;

#[test]
fn what_is_told_has_happened() {
    let home = Home::empty();
    let finished = home.run(["demo", "--peers", "5", "--json"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    let told = finished.json();
    assert_eq!((told["ok"].as_bool(), told["peers"].as_u64()), (Some(true), Some(5)));
    let acts: Vec<&str> =
        told["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        acts,
        [
            "accounts", "join", "list", "search", "search", "search", "everyone", "nobody", "befriend",
            "invite", "chat", "away"
        ]
    );
    assert!(
        told["steps"].as_array().unwrap().iter().all(|step| step["ok"] == true && step["took_ms"].is_u64())
    );
    assert!(!home.path().exists(), "the user's own home is left alone");
}

#[test]
fn chn_07_the_smallest_cast_plays_it_too() {
    let finished = Home::empty().run(["demo", "--peers", "3", "--json"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
}

#[test]
fn a_cast_of_two_is_too_small() {
    let refused = Home::empty().run(["demo", "--peers", "2", "--json"]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(refused.json()["error"]["code"], "bad_input");
}
