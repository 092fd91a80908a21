//! Replacing a file so that a reader, or a crash, sees the old one or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Writes a new file beside the old one, syncs it, and renames it over.
///
/// A symbolic link is followed first, so that the file it points to is replaced and not
/// the link.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        real => real?,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = folder.join(name);
    let written = write_synced(&new, contents).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // What is left of it is no key file; that it stays is no second error.
        let _ = fs::remove_file(&new);
    }
    written?;
    // The rename is on the disk only when the folder is.
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, contents: &[u8]) -> io::Result<()> {
    // Left behind by a crash of a process of the same number.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}
