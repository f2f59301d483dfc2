//! Carries inputs between the kept corpus (one folder per decoder) and libFuzzer (a byte before the input chooses).
//!
//! `corpus pack KEPT SEEDS` makes libFuzzer's seeds; `corpus keep FILE KEPT` keeps an input that libFuzzer found.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["pack", kept, seeds] => pack(Path::new(kept), Path::new(seeds)),
        ["keep", file, kept] => keep(Path::new(file), Path::new(kept)),
        _ => Err("usage: corpus pack KEPT SEEDS | corpus keep FILE KEPT".into()),
    }
}

/// Every kept input, with the byte of its decoder before it. Each folder must be named after a decoder.
fn pack(kept: &Path, seeds: &Path) -> Result<(), Box<dyn Error>> {
    fs::remove_dir_all(seeds)?;
    fs::create_dir_all(seeds)?;
    if !kept.exists() {
        return Ok(());
    }
    for folder in fs::read_dir(kept)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let byte = starling_fuzz::byte_for(&name)
            .ok_or_else(|| format!("{} is named after no decoder", folder.path().display()))?;
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            let seed = [&[byte], fs::read(file.path())?.as_slice()].concat();
            fs::write(seeds.join(format!("{name}-{}", file.file_name().to_string_lossy())), seed)?;
        }
    }
    Ok(())
}

/// One input of libFuzzer, without its first byte, in the folder of its decoder and named after its content.
fn keep(file: &Path, kept: &Path) -> Result<(), Box<dyn Error>> {
    let input = fs::read(file)?;
    let Some(((name, _), bytes)) = starling_fuzz::choose(&input) else { return Ok(()) };
    let folder = kept.join(name);
    fs::create_dir_all(&folder)?;
    let digest = blake3::hash(bytes).to_hex();
    let path = folder.join(&digest[..16]);
    fs::write(&path, bytes)?;
    println!("kept as {}: ordinary tests now feed it to `{name}`", path.display());
    Ok(())
}
