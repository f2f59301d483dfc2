use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::invocation::Invocation;

/// Where tools are installed, from the root: never into the user's own cargo folder.
const FOLDER: &str = "target/tools";

/// A cargo tool at the version that CI and contributors share.
pub(crate) struct Tool {
    package: &'static str,
    program: &'static str,
    version: &'static str,
}

/// Licences, bans, sources and advisories.
pub(crate) const DENY: Tool = Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20.2" };
/// Unused dependencies.
pub(crate) const MACHETE: Tool =
    Tool { package: "cargo-machete", program: "cargo-machete", version: "0.9.2" };
/// Spelling.
pub(crate) const TYPOS: Tool = Tool { package: "typos-cli", program: "typos", version: "1.52.0" };
/// Builds for libFuzzer and runs it.
pub(crate) const FUZZ: Tool = Tool { package: "cargo-fuzz", program: "cargo-fuzz", version: "0.13.2" };

impl Tool {
    /// Installs the tool unless it is there at its version. A debug build is quicker to make than it is slow to run.
    pub(crate) fn install(&self, root: &Path) -> Result<(), Error> {
        if self.is_installed(root) {
            return Ok(());
        }
        println!("installing {} {} into {FOLDER}", self.package, self.version);
        let spec = format!("{}@{}", self.package, self.version);
        Invocation::cargo(&["install", "--debug", "--locked", "--quiet", "--root", FOLDER, &spec]).run(root)
    }

    /// A command line of this tool.
    pub(crate) fn invocation(&self, args: &[&str]) -> Invocation {
        Invocation::new(&self.path(), args)
    }

    fn path(&self) -> String {
        format!("{FOLDER}/bin/{}", self.program)
    }

    fn is_installed(&self, root: &Path) -> bool {
        let mut command = Command::new(root.join(self.path()));
        let output = command.arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| says_version(&String::from_utf8_lossy(&output.stdout), self.version))
    }
}

/// Tools print `0.9.2`, or their name and `0.9.2`.
fn says_version(printed: &str, version: &str) -> bool {
    printed.split_whitespace().any(|word| word == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_does_not_count_as_installed() {
        assert!(says_version("cargo-deny 0.20.2\n", "0.20.2"));
        assert!(says_version("0.20.2\n", "0.20.2"));
        assert!(!says_version("cargo-deny 0.20.21\n", "0.20.2"));
        assert!(!DENY.is_installed(Path::new("no-such-folder")));
    }
}
