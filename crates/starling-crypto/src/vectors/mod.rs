//! The vector files of `docs/protocol/vectors`: what another implementation is checked against, checked against us.
//!
//! Each file is made again from fixed seeds and compared. After a change that is meant,
//! `STARLING_WRITE_VECTORS=1 cargo test --package starling-crypto vectors` writes them.

mod identity;
mod record;
mod safety_number;
mod stamp;

use std::path::PathBuf;

use serde_json::Value;

/// Compares `made` with the file `name`, or writes it there.
pub(crate) fn check(name: &str, made: &Value) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol/vectors")).join(name);
    if std::env::var_os("STARLING_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(made).unwrap() + "\n";
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(*made, kept, "{name} is not what the code makes (see vectors/mod.rs)");
}
