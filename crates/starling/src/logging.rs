//! What is logged: to standard error, and never what people say or who they are.

use std::env;
use std::io;

use starling_api::types::Code;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Overrides the level by module, in the syntax of `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "STARLING_LOG";

/// Starts logging: warnings, from one `-v` on what happens, from two on why.
///
/// Only our own modules are heard unless the variable names others: libraries put keys and addresses into their lines,
/// and ours keep that to the level `trace`, which no number of `-v` reaches.
///
/// # Errors
/// [`Code::BadInput`] if the variable cannot be read.
pub(crate) fn start(verbose: u8) -> Result<(), Failure> {
    let filter = match env::var(VARIABLE) {
        Ok(asked) if !asked.is_empty() => EnvFilter::try_new(asked).map_err(|error| {
            let message = format!("{VARIABLE} is no log filter: {error}");
            Failure::new(Code::BadInput, message, format!("write for example {VARIABLE}=starling_node=debug"))
        })?,
        _ => EnvFilter::new(directives(verbose)),
    };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // A second start in one process, as in tests, keeps the first.
    drop(subscriber.try_init());
    Ok(())
}

fn directives(verbose: u8) -> &'static str {
    match verbose {
        0 => "off,starling=warn",
        1 => "off,starling=info",
        _ => "off,starling=debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_v_reaches_trace_or_other_crates() {
        for verbose in 0..=u8::MAX {
            let directives = directives(verbose);
            assert!(directives.starts_with("off,starling=") && !directives.contains("trace"));
        }
    }
}
