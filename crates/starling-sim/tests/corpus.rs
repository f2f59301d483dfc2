//! Every decoder is fed what has been kept for it, whole and damaged.
//!
//! `STARLING_WRITE_CORPUS=1 cargo test -p starling-sim --test corpus` writes good inputs for each decoder; the
//! fuzzer adds what it finds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test: what fails must stop it, and its numbers are small and known"
)]

mod good;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use starling_sim::fuzz::TABLE;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The inputs that are kept for a decoder.
fn inputs(name: &str) -> Vec<Vec<u8>> {
    let Ok(folder) = fs::read_dir(kept().join(name)) else { return Vec::new() };
    folder.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_decoder_survives_its_corpus() {
    if std::env::var_os("STARLING_WRITE_CORPUS").is_some() {
        write_corpus();
    }
    for (name, decode) in TABLE.iter() {
        let kept = inputs(name);
        assert!(!kept.is_empty(), "nothing is kept for {name}");
        kept.iter().for_each(|input| decode(input));
    }
}

#[test]
fn wir_03_every_truncation_and_every_flipped_bit_is_survived() {
    for (name, decode) in TABLE.iter() {
        for input in inputs(name).iter().filter(|input| input.len() < 2048) {
            for end in 0..input.len() {
                decode(&input[..end]);
            }
            // Checks of signatures take their time: of a long input one bit of each byte.
            let bits = if input.len() < 512 { 8 } else { 1 };
            let mut input = input.clone();
            for at in 0..input.len() {
                for bit in (0..bits).map(|bit| (at + bit) % 8) {
                    input[at] ^= 1 << bit;
                    decode(&input);
                    input[at] ^= 1 << bit;
                }
            }
        }
    }
}

#[test]
fn every_kept_folder_has_its_decoder() {
    let names: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), TABLE.len(), "two decoders of one name");
    for folder in fs::read_dir(kept()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(name.as_str()), "{name} is named after no decoder");
    }
}

/// Replaces the good inputs; what the fuzzer found stays.
fn write_corpus() {
    for (name, inputs) in good::inputs() {
        let folder = kept().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (number, bytes) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("good-{number:02}")), bytes).unwrap();
        }
    }
}
