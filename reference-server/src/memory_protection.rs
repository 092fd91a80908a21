//! Protection of secrets in the memory and the environment of the process.

use crate::ServerConfig;

/// Disables core dumps, debuggers, and access of other processes to the memory and environment in
/// `/proc/PID`, unless the configuration allows them. The environment of a process cannot be
/// erased safely: the kernel shows the memory that it was started with.
#[cfg(target_os = "linux")]
pub(crate) fn enable(config: &ServerConfig) {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if config.dangerous_allow_debugging {
        tracing::warn!(
            "server.dangerous_allow_debugging is set: core dumps and other processes of this user \
             can reveal secrets"
        );
        return;
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "cannot disable core dumps");
    }
}

/// Other systems have no equivalent.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enable(_config: &ServerConfig) {}
