//! The one libFuzzer program: `cargo xtask fuzz` builds and runs it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some(((_, decode), bytes)) = starling_fuzz::choose(input) {
        decode(bytes);
    }
});
