//! One table of every decoder's fuzz function: the tests feed it with the kept corpus, the fuzzer with the rest.

use std::sync::LazyLock;

/// A decoder's name and its fuzz function, which panics where the decoder breaks a promise.
pub type Entry = (&'static str, fn(&[u8]));

/// Every decoder of the pure crates. The fuzzer's first byte chooses by the order, so crates are appended.
pub static TABLE: LazyLock<Vec<Entry>> =
    LazyLock::new(|| [starling_proto::fuzz::TABLE, starling_crypto::fuzz::TABLE].concat());
