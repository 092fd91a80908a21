//! Files of records: written whole, or not at all.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use stockade_key_auth::{KeyFileFormat, KeyRecord};
use tempfile::NamedTempFile;

use crate::CliError;

/// The language of a file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As `keys.yaml`
    Yaml,
    /// As `keys.toml`
    Toml,
    /// As `keys.json`
    Json,
}

impl Format {
    /// By the ending, as a server reads the file: what is neither TOML nor JSON is YAML.
    pub(crate) fn of(path: &Path) -> Self {
        match KeyFileFormat::of(path) {
            KeyFileFormat::Toml => Self::Toml,
            KeyFileFormat::Json => Self::Json,
            _ => Self::Yaml,
        }
    }

    /// The text of a file with these records, hashes and all.
    pub(crate) fn write(self, records: &[KeyRecord]) -> String {
        let format = match self {
            Self::Yaml => KeyFileFormat::Yaml,
            Self::Toml => KeyFileFormat::Toml,
            Self::Json => KeyFileFormat::Json,
        };
        format.write(records)
    }
}

/// Replaces the file, or makes it, of mode 0600: a reader or a crash sees the old one or
/// the new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    replaced(path, text).map_err(|error| {
        CliError::failed(format_args!(
            "{} cannot be written: {error}",
            path.display()
        ))
    })
}

fn replaced(path: &Path, text: &str) -> io::Result<()> {
    let path = target(path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Temporary files are of mode 0600.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    sync_folder(folder)
}

/// Where a symbolic link leads, so that the link stays.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        real => real,
    }
}

/// The rename is on the disk only when the folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
