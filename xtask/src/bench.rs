use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::error::Error;
use crate::invocation::Invocation;
use crate::machine;
use crate::workspace::{Metadata, Workspace};

/// Where the report goes, from the root.
const REPORT: &str = "target/bench/report.md";

/// Runs every benchmark of the workspace in turn and collects what they print.
///
/// A benchmark is a `[[bench]]` target with `harness = false` that prints its figures as lines of Markdown.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let benchmarks = benchmarks(&workspace.metadata()?);
    if benchmarks.is_empty() {
        println!("bench: the workspace has no benchmarks yet, so there is nothing to report");
        return Ok(());
    }
    machine::check(machine::TO_BUILD)?;
    let root = workspace.root();
    let mut report = format!("# Benchmark report\n\n{}\n", conditions(root));
    for benchmark in &benchmarks {
        let invocation = benchmark.invocation();
        println!("$ {invocation}");
        let figures = invocation.capture(root)?;
        print!("{figures}");
        report.push_str(&section(&benchmark.to_string(), &figures));
    }
    save(&root.join(REPORT), &report)?;
    println!("bench: {} report(s) in {REPORT}", benchmarks.len());
    Ok(())
}

/// One benchmark target.
#[derive(Debug, PartialEq, Eq)]
struct Benchmark {
    package: String,
    target: String,
}

impl Benchmark {
    fn invocation(&self) -> Invocation {
        Invocation::cargo(&["bench", "--locked", "--package", &self.package, "--bench", &self.target])
    }
}

impl std::fmt::Display for Benchmark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.package, self.target)
    }
}

/// All benchmark targets, in the order of their packages' names.
fn benchmarks(metadata: &Metadata) -> Vec<Benchmark> {
    let mut found = vec![];
    for package in metadata.members() {
        let targets = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bench"));
        found.extend(
            targets.map(|target| Benchmark { package: package.name.clone(), target: target.name.clone() }),
        );
    }
    found
}

/// On what the figures were taken; figures without it cannot be compared.
fn conditions(root: &Path) -> String {
    let cores = thread::available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let rustc = first_line(root, "rustc", &["--version"]);
    let commit = first_line(root, "git", &["rev-parse", "--short", "HEAD"]);
    format!("{cores} cores, {rustc}, commit {commit}.")
}

/// `unknown` when the program is missing or fails: the report is still worth having.
fn first_line(root: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root).output().ok();
    let output = output.filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn section(title: &str, figures: &str) -> String {
    let mut section = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(section, "\n## {title}\n\n{}", figures.trim());
    section
}

fn save(path: &Path, report: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    fs::write(path, report).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(kind: &str) -> Metadata {
        serde_json::from_value(serde_json::json!({
            "packages": [{
                "id": "id", "name": "overlay", "description": null, "manifest_path": "/w/overlay/Cargo.toml",
                "dependencies": [], "targets": [{"name": "lookup", "kind": [kind]}],
            }],
            "workspace_members": ["id"], "workspace_root": "/w", "resolve": {"nodes": []},
        }))
        .unwrap()
    }

    #[test]
    fn bench_targets_are_found() {
        let expected = Benchmark { package: "overlay".into(), target: "lookup".into() };
        assert_eq!(benchmarks(&metadata("bench")), [expected]);
        assert_eq!(benchmarks(&metadata("test")), []);
    }

    #[test]
    fn section_holds_the_figures_under_the_name() {
        assert_eq!(section("overlay: lookup", "| a | 1 |\n"), "\n## overlay: lookup\n\n| a | 1 |\n");
    }
}
