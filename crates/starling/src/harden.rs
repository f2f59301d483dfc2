//! What keeps secrets in memory from reaching a disk or another process.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Called first by every command that handles keys: files are for the owner only, and no core dump is written. On Linux
/// other processes of the same user can no longer attach to this one either.
///
/// A system that refuses is warned about and used nevertheless: it leaves the user no worse than any other program.
pub(crate) fn harden() {
    umask(Mode::from_raw_mode(0o077));
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "this process could not be closed to others");
    }
}
