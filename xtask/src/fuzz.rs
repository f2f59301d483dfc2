use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::invocation::Invocation;
use crate::machine;
use crate::tools::FUZZ;
use crate::workspace::Workspace;

/// The name of the one libFuzzer program.
const TARGET: &str = "decode";
/// Inputs kept for good, one folder per decoder; ordinary tests feed them too.
const KEPT: &str = "fuzz/corpus";
/// The kept inputs with the byte before them that chooses the decoder; made anew for each run.
const SEEDS: &str = "fuzz/target/corpus/seeds";
/// What libFuzzer found worth keeping on this machine.
const FOUND: &str = "fuzz/target/corpus/found";
/// Where libFuzzer puts an input that crashes.
const CRASHES: &str = "fuzz/artifacts/decode";

/// How to fuzz.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long to fuzz, in seconds; building is not counted.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes all decoders from the kept corpus; an input that crashes joins the kept corpus.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    machine::check(machine::TO_BUILD)?;
    machine::check(machine::TO_FUZZ)?;
    let root = workspace.root();
    FUZZ.install(root)?;
    for folder in [SEEDS, FOUND] {
        fs::create_dir_all(root.join(folder)).map_err(Error::file(folder))?;
    }
    corpus(&["pack", KEPT, SEEDS]).run(root)?;
    let outcome = libfuzzer(options.seconds).run(root);
    for crash in files(&root.join(CRASHES))? {
        corpus(&["keep", &crash.to_string_lossy(), KEPT]).run(root)?;
        fs::remove_file(&crash).map_err(Error::file(crash))?;
    }
    outcome
}

/// Inputs as long as the longest frame, with the byte that chooses; a decoder that takes 10 s on one has failed too.
const LIMITS: [&str; 2] = ["-max_len=65537", "-timeout=10"];

/// Stable Rust has no sanitizers, hence `-s none`; vodozemac skips its authentication checks under `cfg(fuzzing)`,
/// hence `--no-cfg-fuzzing`: what is fuzzed is what ships.
fn libfuzzer(seconds: u32) -> Invocation {
    let limit = format!("-max_total_time={seconds}");
    let mut args = vec![
        "fuzz",
        "run",
        "--fuzz-dir",
        "fuzz",
        "-s",
        "none",
        "--no-cfg-fuzzing",
        TARGET,
        FOUND,
        SEEDS,
        "--",
    ];
    args.extend(LIMITS);
    args.push(&limit);
    FUZZ.invocation(&args)
}

/// The helper program of the fuzz workspace; it alone knows which byte stands for which decoder.
fn corpus(args: &[&str]) -> Invocation {
    let cargo = ["run", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];
    Invocation::cargo(&[&cargo[..], &["--bin", "corpus", "--"], args].concat())
}

/// The files of a folder, none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        files.push(entry.map_err(Error::file(folder))?.path());
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_checks_stay_on_under_fuzzing() {
        let line = libfuzzer(5).to_string();
        assert!(line.contains(" -s none --no-cfg-fuzzing decode "), "{line}");
        assert!(line.ends_with(" -max_total_time=5"), "{line}");
    }

    #[test]
    fn folder_that_does_not_exist_has_no_files() {
        assert!(files(Path::new("no-such-folder")).unwrap().is_empty());
    }
}
