use std::process::{Command, Stdio};

use crate::error::Error;

/// A program of the operating system that a build calls.
pub(crate) struct Need {
    program: &'static str,
    /// Arguments that make the program exit with 0 exactly when it is usable.
    probe: &'static [&'static str],
    package: &'static str,
    reason: &'static str,
}

/// What building the workspace takes beside Rust. `.ci/run` installs the same packages.
pub(crate) const TO_BUILD: &[Need] = &[
    Need {
        program: "cc",
        probe: &["--version"],
        package: "gcc libc6-dev",
        reason: "it links every program and compiles SQLCipher",
    },
    Need { program: "make", probe: &["--version"], package: "make", reason: "OpenSSL's build runs it" },
    // Debian's perl-base has the program without the modules that OpenSSL's `Configure` loads.
    Need {
        program: "perl",
        probe: &["-MFindBin", "-MIPC::Cmd", "-MFile::Compare", "-e", "1"],
        package: "perl",
        reason: "OpenSSL's build runs it, with its core modules",
    },
];

/// What a fuzz run takes beyond [`TO_BUILD`].
pub(crate) const TO_FUZZ: &[Need] = &[Need {
    program: "c++",
    probe: &["--version"],
    package: "g++",
    reason: "libFuzzer is compiled from its source",
}];

/// Says in one message everything that is missing, rather than letting a build script fail minutes later.
pub(crate) fn check(needs: &[Need]) -> Result<(), Error> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !usable(need)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Machine(complaint(&missing))) }
}

fn usable(need: &Need) -> bool {
    let mut command = Command::new(need.program);
    command.args(need.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn complaint(missing: &[&Need]) -> String {
    let causes: Vec<String> =
        missing.iter().map(|need| format!("`{}` is missing ({})", need.program, need.reason)).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    format!("{}; on Debian: apt-get install {}", causes.join(", "), packages.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_is_named_with_its_package() {
        let absent = Need { program: "no-such-program", probe: &[], package: "no-such", reason: "a test" };
        let error = check(&[absent]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-program` is missing (a test); on Debian: apt-get install no-such"
        );
    }

    #[test]
    fn program_that_refuses_its_probe_is_not_usable() {
        assert!(!usable(&Need { program: "false", probe: &[], package: "", reason: "" }));
        assert!(usable(&Need { program: "true", probe: &[], package: "", reason: "" }));
    }

    #[test]
    fn ci_script_installs_every_package_that_a_build_needs() {
        let script = include_str!("../../.ci/run");
        for need in TO_BUILD {
            assert!(
                script.contains(&format!("packages+=({})", need.package)),
                "{} is not in .ci/run",
                need.package
            );
        }
    }
}
