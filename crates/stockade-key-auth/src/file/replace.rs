//! Atomic replacement of a file.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Writes a new file next to the old one, syncs it, and renames it over the old one.
///
/// A symbolic link is followed, so that its target is replaced and not the link. Owner, group
/// and permissions are preserved, except those for others.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let (path, old) = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        real => {
            let real = real?;
            let old = fs::metadata(&real)?;
            (real, Some(old))
        }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = folder.join(name);
    let written = write_synced(&new, contents, old.as_ref()).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // The original error matters more than a failure to clean up.
        let _ = fs::remove_file(&new);
    }
    written?;
    // The rename is durable only when the folder is synced.
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, contents: &[u8], old: Option<&Metadata>) -> io::Result<()> {
    // A crashed process with the same id may have left a file.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if let Some(old) = old {
        keep_access(&file, old)?;
    }
    file.write_all(contents)?;
    file.sync_all()
}

/// Copies owner, group and permissions, so that a server of another user can read the file.
#[cfg(unix)]
fn keep_access(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
            let message = format!("the owner and group cannot be preserved: {error}");
            io::Error::new(error.kind(), message)
        })?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o660))
}

#[cfg(not(unix))]
fn keep_access(_file: &File, _old: &Metadata) -> io::Result<()> {
    Ok(())
}
