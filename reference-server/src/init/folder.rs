//! The new files, which are written to a temporary directory and moved when all of them are valid.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rand::{TryRngCore, rngs::OsRng};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::unit;
use crate::StartError;

pub(super) const CONFIG: &str = "stockade.toml";
pub(super) const KEYS: &str = "keys.yaml";
pub(super) const AUDIT_KEY: &str = "audit.key";
pub(super) const DENY_LIST: &str = "denylist.txt";
/// Created by the server.
pub(super) const AUDIT_FOLDER: &str = "audit";

/// All files; the configuration is moved last, so that it never names missing ones.
pub(super) const NAMES: [&str; 5] = [KEYS, AUDIT_KEY, DENY_LIST, unit::NAME, CONFIG];

/// Removed on drop, with its files.
pub(super) struct Staging {
    dir: PathBuf,
    is_new: bool,
    temporary: TempDir,
}

impl Staging {
    /// Creates `dir` and a temporary directory in it.
    ///
    /// # Errors
    /// When `dir` has one of the files, unless they are to be replaced.
    pub(super) fn create(dir: &Path, replaces: bool) -> Result<Self, StartError> {
        let existing = |suffix: &str| -> Vec<String> {
            let names = NAMES.iter().map(|name| format!("{name}{suffix}"));
            names.filter(|name| dir.join(name).exists()).collect()
        };
        let old = existing("");
        if !(old.is_empty() || replaces) {
            return Err(StartError::new(format!(
                "{} already has {}: choose another directory with --dir, or replace them with \
                 --force",
                dir.display(),
                old.join(", ")
            )));
        }
        let older = existing(OLD);
        if !(old.is_empty() || older.is_empty()) {
            return Err(StartError::new(format!(
                "{} already has {} of an earlier --force: move them away",
                dir.display(),
                older.join(", ")
            )));
        }
        let failed = |error| cannot_write(dir, &error);
        let is_new = !dir.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(dir)
            .map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let temporary = tempfile::Builder::new().prefix(".init-").tempdir_in(&dir);
        let temporary = temporary.map_err(|error| cannot_write(&dir, &error))?;
        Ok(Self {
            dir,
            is_new,
            temporary,
        })
    }

    /// The path of a new file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// A message in which the final directory replaces the temporary one.
    pub(super) fn shown(&self, text: &str) -> String {
        let temporary = self.temporary.path().display().to_string();
        text.replace(&temporary, &self.dir.display().to_string())
    }

    pub(super) fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), StartError> {
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(self.path(name))?;
            // Regardless of the umask.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| cannot_write(&self.dir, &error))
    }

    /// Writes 32 random bytes in base64.
    pub(super) fn write_random(&self, name: &str) -> Result<(), StartError> {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng
            .try_fill_bytes(&mut bytes[..])
            .map_err(|error| StartError::context("cannot create a random key", &error))?;
        let text = Zeroizing::new(BASE64_STANDARD.encode(*bytes) + "\n");
        self.write(name, 0o600, &text)
    }

    /// Moves the files to their directory, and returns it.
    pub(super) fn place(self) -> Result<PathBuf, StartError> {
        let failed = |error| cannot_write(&self.dir, &error);
        for name in NAMES {
            let target = self.dir.join(name);
            if target.exists() {
                fs::rename(&target, self.dir.join(format!("{name}{OLD}"))).map_err(failed)?;
            }
        }
        for name in NAMES {
            fs::rename(self.path(name), self.dir.join(name)).map_err(failed)?;
        }
        let sync = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all());
        let parent = self.dir.parent().filter(|_| self.is_new);
        let synced = sync(&self.dir).and_then(|()| parent.map_or(Ok(()), sync));
        synced.map_err(failed)?;
        Ok(self.dir)
    }
}

/// The suffix of a file that was replaced.
const OLD: &str = ".old";

fn cannot_write(dir: &Path, error: &io::Error) -> StartError {
    StartError::new(format!(
        "cannot write to {}: {error}; choose another directory with --dir",
        dir.display()
    ))
}
