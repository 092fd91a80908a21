//! Writes key files atomically.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use stockade_key_auth::{KeyFileFormat, KeyRecord};
use tempfile::NamedTempFile;

use crate::CliError;

/// The format of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// In the format of `keys.yaml`
    Yaml,
    /// In the format of `keys.toml`
    Toml,
    /// In the format of `keys.json`
    Json,
}

impl Format {
    /// The format by the file extension, as on a server: YAML unless TOML or JSON.
    pub(crate) fn from_path(path: &Path) -> Self {
        match KeyFileFormat::of(path) {
            KeyFileFormat::Toml => Self::Toml,
            KeyFileFormat::Json => Self::Json,
            _ => Self::Yaml,
        }
    }

    /// Serialises the records, including their hashes.
    pub(crate) fn write(self, records: &[KeyRecord]) -> String {
        let format = match self {
            Self::Yaml => KeyFileFormat::Yaml,
            Self::Toml => KeyFileFormat::Toml,
            Self::Json => KeyFileFormat::Json,
        };
        format.write(records)
    }
}

/// Creates or replaces a file with mode 0600. The change is atomic for readers and crashes.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    replaced(path, text)
        .map_err(|error| CliError::failed(format_args!("cannot write {}: {error}", path.display())))
}

fn replaced(path: &Path, text: &str) -> io::Result<()> {
    let path = target(path)?;
    let folder = folder_of(&path);
    // Temporary files have mode 0600.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    sync_folder(folder)
}

/// The target of a symbolic link, so that the link is kept.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        real => real,
    }
}

/// The folder of a file, to create another one next to it.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the rename durable.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
