//! A PostgreSQL server of one test, which can fail without an effect on other tests.

use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");

/// A server that is removed on drop.
pub(crate) struct Cluster {
    folder: String,
    url: String,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let started = Command::new(SCRIPT).arg("up").output().unwrap();
        let errors = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "scripts/postgres up: {errors}");
        let printed = String::from_utf8(started.stdout).unwrap();
        let (folder, url) = printed.trim_end().split_once('\n').unwrap();
        Self {
            folder: folder.to_owned(),
            url: url.to_owned(),
        }
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs `scripts/postgres` for this server: `kill`, `resume`, `freeze` or `thaw`.
    pub(crate) fn run(&self, command: &str) {
        let status = Command::new(SCRIPT).args([command, &self.folder]).status();
        assert!(status.unwrap().success(), "scripts/postgres {command}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(SCRIPT).args(["down", &self.folder]).status();
    }
}
