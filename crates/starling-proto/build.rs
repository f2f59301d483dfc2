//! Compiles the schema with `protox`, so that no external protobuf compiler is needed.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// Every schema file; a new one is added here and nowhere else.
const SCHEMA: &[&str] = &[
    "schema/overlay.proto",
    "schema/record.proto",
    "schema/identity.proto",
    "schema/talk.proto",
    "schema/session.proto",
    "schema/contact.proto",
    "schema/content.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=schema");
    let mut compiler = protox::Compiler::new(["."])?;
    let compiler = compiler.include_source_info(true).open_files(SCHEMA)?;
    // For the test that fills every field of every message.
    fs::write(Path::new(&env::var("OUT_DIR")?).join("schema.bin"), compiler.encode_file_descriptor_set())?;
    prost_build::Config::new()
        // Maps reach the wire in a fixed order only when they are B-trees; `no_std` needs it too.
        .btree_map(["."])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
