//! The folder of the configuration, the keys and the logs.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The configuration that a new folder starts with.
const DEFAULT: &str = include_str!("../stockade.toml");

/// A temporary folder is removed when it is dropped.
pub(crate) enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    /// Creates the folder and its configuration unless they exist.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Box<dyn Error>> {
        let folder = match path {
            Some(path) => Self::Kept(path),
            None => Self::Temporary(
                tempfile::Builder::new()
                    .prefix("tonic-and-axum-")
                    .tempdir()?,
            ),
        };
        let path = folder.path();
        let failed = |error| format!("cannot write to {}: {error}", path.display());
        fs::create_dir_all(path).map_err(failed)?;
        let config = folder.config();
        if !config.try_exists()? {
            fs::write(config, DEFAULT).map_err(failed)?;
        }
        Ok(folder)
    }

    /// The path of the configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("stockade.toml")
    }

    /// A line about the folder for the user.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Temporary(path) => format!("files: {} (removed on exit)", path.path().display()),
            Self::Kept(path) => format!("files: {}", path.display()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(path) => path.path(),
            Self::Kept(path) => path,
        }
    }
}
