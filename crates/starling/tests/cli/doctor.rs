//! Finding out what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Finished, Home, finish};

/// The status of one check.
#[track_caller]
fn status<'a>(checks: &'a Value, name: &str) -> &'a str {
    let check = checks.as_array().unwrap().iter().find(|check| check["check"] == name);
    check.unwrap_or_else(|| panic!("no {name} in {checks}"))["status"].as_str().unwrap()
}

/// Every check that is not ok tells what to do.
#[track_caller]
fn checks(finished: &Finished) -> Value {
    let checks = finished.json();
    for check in checks.as_array().unwrap() {
        assert_eq!(check["status"] == "ok", check["hint"] == "", "{check}");
    }
    checks
}

#[test]
fn a_sound_home_is_sound() {
    let home = Home::of("Alice");
    let finished = home.run(["doctor", "--json"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    let checks = checks(&finished);
    for name in ["home", "files", "lock", "key", "database", "clock", "udp port", "api port"] {
        assert_eq!(status(&checks, name), "ok", "{name}: {checks}");
    }
    assert_eq!(home.run(["doctor"]).code, Some(0));
}

#[test]
fn no_home_is_said_and_the_machine_checked() {
    let home = Home::empty();
    let finished = home.run(["doctor", "--json"]);
    assert_eq!(finished.code, Some(1));
    let checks = checks(&finished);
    assert_eq!((status(&checks, "home"), status(&checks, "clock")), ("fail", "ok"));
    assert!(!home.path().exists(), "looking makes nothing");
}

#[test]
fn with_and_without_the_passphrase() {
    let home = Home::empty();
    let doctor = |passphrase: Option<&str>| {
        let mut command = home.command(["doctor", "--json"]);
        finish(command.env("STARLING_PASSPHRASE", passphrase.unwrap_or_default()))
    };
    let mut init = home.command(["init", "--name", "Alice"]);
    assert_eq!(finish(init.env("STARLING_PASSPHRASE", "right")).code, Some(0));
    let without = doctor(None);
    assert_eq!(without.code, Some(0));
    assert_eq!(status(&checks(&without), "database"), "warn");
    let right = doctor(Some("right"));
    assert_eq!(right.code, Some(0));
    let found = checks(&right);
    assert_eq!((status(&found, "passphrase"), status(&found, "database")), ("ok", "ok"));
    let wrong = doctor(Some("wrong"));
    assert_eq!(wrong.code, Some(4));
    assert_eq!(status(&checks(&wrong), "passphrase"), "fail");
}

#[test]
fn dsk_03_damage_is_found() {
    let home = Home::of("Alice");
    let path = home.path().join("starling.db");
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let finished = home.run(["doctor", "--json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(status(&checks(&finished), "database"), "fail");
    fs::write(&path, &whole).unwrap();
    assert_eq!(home.run(["doctor"]).code, Some(0));
    fs::remove_file(&path).unwrap();
    assert_eq!(status(&checks(&home.run(["doctor", "--json"])), "database"), "fail");
}

#[test]
fn open_doors_are_found() {
    let home = Home::of("Alice");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.path().join("starling.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let found = checks(&home.run(["doctor", "--json"]));
    assert_eq!((status(&found, "home"), status(&found, "files")), ("warn", "warn"));
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700, "closed again");
}

#[test]
fn a_running_node_is_asked() {
    let home = Home::of("Alice");
    let (node, _) = home.node([] as [&str; 0]);
    let finished = home.run(["doctor", "--json"]);
    let found = checks(&finished);
    assert_eq!((finished.code, status(&found, "lock")), (Some(0), "ok"), "{found}");
    assert_eq!(status(&found, "peers"), "warn", "{found}");
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn a_taken_port_is_found() {
    let home = Home::of("Alice");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = home.run(["doctor", "--json", "--listen", &address]);
    assert_eq!((finished.code, status(&checks(&finished), "udp port")), (Some(1), "fail"));
}
