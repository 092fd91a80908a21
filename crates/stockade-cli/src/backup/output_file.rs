//! The file of a backup.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    CliError,
    keys::key_file::{folder_of, sync_folder},
};

/// A file that appears under its name when it is complete, with mode 0600.
pub(super) struct OutputFile {
    file: NamedTempFile,
    path: PathBuf,
    force: bool,
}

impl OutputFile {
    /// Creates a temporary file in the folder of the path.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self, CliError> {
        if !force && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        Ok(Self {
            // Temporary files have mode 0600.
            file: NamedTempFile::new_in(folder_of(path)).map_err(|error| failed(path, &error))?,
            path: path.to_owned(),
            force,
        })
    }

    pub(super) fn writer(&mut self) -> BufWriter<&mut File> {
        BufWriter::with_capacity(1 << 17, self.file.as_file_mut())
    }

    /// Makes the file durable, and gives it its name. Returns its size.
    pub(super) fn finish(self) -> Result<u64, CliError> {
        let Self { file, path, force } = self;
        let synced = || {
            file.as_file().sync_all()?;
            Ok(file.as_file().metadata()?.len())
        };
        let size = synced().map_err(|error| failed(&path, &error))?;
        let named = match force {
            true => file.persist(&path),
            false => file.persist_noclobber(&path),
        };
        match named {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&path));
            }
            named => named.map_err(|error| failed(&path, &error.error))?,
        };
        sync_folder(folder_of(&path)).map_err(|error| failed(&path, &error))?;
        Ok(size)
    }
}

fn exists(path: &Path) -> CliError {
    CliError::failed(format_args!("{} already exists", path.display()))
        .with_help("name another file, or add --force to replace it")
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format_args!("cannot write {}: {error}", path.display()))
        .with_help("name a file in an existing folder with enough space with --output")
}
