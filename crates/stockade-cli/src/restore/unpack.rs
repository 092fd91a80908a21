//! Unpacks files to a folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::reader;
use crate::{
    CliError,
    backup::manifest::Entry,
    keys::key_file::{folder_of, sync_folder},
};

/// A folder that appears under its name when all files are in it.
pub(super) struct Folder {
    temporary: TempDir,
    path: PathBuf,
}

impl Folder {
    /// Creates a private folder next to the path, which must be an empty folder, or missing.
    pub(super) fn create(path: &Path) -> Result<Self, CliError> {
        match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(false) => {
                return Err(
                    CliError::failed(format_args!("{} is not empty", path.display()))
                        .with_help("name an empty or a new folder with --to"),
                );
            }
            Err(error) => return Err(failed(path, &error)),
        }
        Ok(Self {
            temporary: tempfile::Builder::new()
                .prefix(".stockade-restore-")
                .tempdir_in(folder_of(path))
                .map_err(|error| failed(path, &error))?,
            path: path.to_owned(),
        })
    }

    /// Writes a file with its original permissions.
    pub(super) fn file(&self, entry: &Entry, contents: &mut dyn Read) -> Result<(), CliError> {
        let failed = |error: &io::Error| failed(&self.path.join(&entry.path), error);
        // The manifest has no paths that leave a folder.
        let path = self.temporary.path().join(&entry.path);
        let folders = path.parent().map_or(Ok(()), create_folders);
        let mut file = folders
            .and_then(|()| create(&path))
            .map_err(|error| failed(&error))?;
        reader::copy(contents, &mut file, failed)?;
        set_mode(&file, entry.mode())
            .and_then(|()| file.sync_all())
            .map_err(|error| failed(&error))
    }

    /// Gives the folder its name.
    pub(super) fn finish(self) -> Result<(), CliError> {
        // On Unix, the rename replaces an empty folder; elsewhere it must not exist.
        if cfg!(not(unix)) && self.path.exists() {
            fs::remove_dir(&self.path).map_err(|error| failed(&self.path, &error))?;
        }
        let named = || {
            sync_folders(self.temporary.path())?;
            fs::rename(self.temporary.path(), &self.path)?;
            sync_folder(folder_of(&self.path))
        };
        named().map_err(|error| failed(&self.path, &error))?;
        // It has no longer the name that would be removed.
        let _ = self.temporary.keep();
        Ok(())
    }
}

/// Makes the names in a folder, and in its folders, durable.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// Creates folders that only their owner can open.
fn create_folders(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates a file that only its owner can open; follows no link.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format_args!("cannot write {}: {error}", path.display()))
        .with_help("name an empty or a new folder on a disk with enough space with --to")
}
