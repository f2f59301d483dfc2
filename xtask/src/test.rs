use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use crate::error::Error;
use crate::invocation::Invocation;
use crate::machine;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Runs all tests; the last line is exactly `N passed, N failed`.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    machine::check(machine::TO_BUILD)?;
    let tally = tests(workspace.root())?;
    println!("{tally}");
    if tally.failed() == 0 { Ok(()) } else { Err(Error::Tests) }
}

/// Runs all tests and shows their output, without the closing line.
///
/// Plain `cargo test`, because a fresh machine has nothing else; documentation tests first, because they are the
/// first thing a reader tries.
pub(crate) fn tests(root: &Path) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let parts: [&[&str]; 2] = [&["--doc"], &["--lib", "--bins", "--tests", "--examples"]];
    for part in parts {
        let mut args = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
        args.extend(part);
        stream(&Invocation::cargo(&args), root, &mut io::stdout(), &mut tally)?;
    }
    Ok(tally)
}

/// Runs one `cargo test`, passing its output on line by line while counting.
fn stream(
    invocation: &Invocation,
    root: &Path,
    terminal: &mut impl Write,
    tally: &mut Tally,
) -> Result<(), Error> {
    println!("$ {invocation}");
    let failed_before = tally.failed();
    let mut command = invocation.command(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| invocation.start_error(cause))?;
    if let Some(output) = child.stdout.take() {
        pass_on(BufReader::new(output), terminal, tally).map_err(|cause| invocation.start_error(cause))?;
    }
    let status = child.wait().map_err(|cause| invocation.start_error(cause))?;
    tally.end(status.success(), failed_before);
    Ok(())
}

/// Bytes, not text: a test may print anything.
fn pass_on(mut output: impl BufRead, terminal: &mut impl Write, tally: &mut Tally) -> io::Result<()> {
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        terminal.write_all(&line)?;
        terminal.flush()?;
        tally.line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The terminal is a stand-in: what these scripts print would count as results of this very program.
    fn run_script(script: &str) -> (Vec<u8>, String) {
        let (mut terminal, mut tally) = (vec![], Tally::default());
        stream(&Invocation::new("sh", &["-c", script]), Path::new("."), &mut terminal, &mut tally).unwrap();
        (terminal, tally.to_string())
    }

    #[test]
    fn output_of_a_child_is_passed_on_and_counted() {
        let result = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let (terminal, closing) = run_script(&format!("printf 'running 2 tests\\n\\377\\n{result}'"));
        assert_eq!(terminal, [b"running 2 tests\n\xff\n", result.as_bytes()].concat());
        assert_eq!(closing, "2 passed, 0 failed");
    }

    #[test]
    fn child_that_is_killed_half_way_is_a_failure() {
        assert_eq!(run_script("echo 'running 2 tests'; kill -9 $$").1, "0 passed, 1 failed");
    }
}
