//! Reload on SIGHUP.

use std::{
    io,
    path::{Path, PathBuf},
};

use stockade::{Config, ConfigError, Environment, Fence};
use tokio::signal::unix::{SignalKind, signal};

/// Reloads the configuration on SIGHUP and reopens the files of the audit log, as log rotation
/// requires.
pub(crate) fn on_hangup(fence: Fence, config: PathBuf) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            fence.audit().reopen();
            if let Err(error) = reload(&fence, &config) {
                // The previous configuration stays active.
                tracing::error!(%error, "reload failed");
            }
        }
    });
    Ok(())
}

fn reload(fence: &Fence, config: &Path) -> Result<(), ConfigError> {
    let pending = fence.reload(&Config::read(config, &Environment::from_process())?)?;
    if !pending.is_empty() {
        let settings = pending.join(", ");
        tracing::warn!(settings, "these settings take effect at the next start");
    }
    Ok(())
}
