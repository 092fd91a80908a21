//! Detecting changes of files.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A snapshot of the state of the files of one source.
///
/// Take it before the first read and pass it to [`FileWatch::start`](crate::FileWatch::start)
/// afterwards, so that a change in between is detected.
///
/// ```
/// use stockade_watch::FileVersions;
///
/// // Before the first read, so that no change in between is lost.
/// let versions = FileVersions::of(["keys.yaml"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersions {
    files: Vec<(PathBuf, Option<Version>)>,
}

impl FileVersions {
    /// Takes a snapshot of these files. A missing file has a state, too.
    pub fn of<P>(paths: impl IntoIterator<Item = P>) -> Self
    where
        P: Into<PathBuf>,
    {
        let files = paths.into_iter().map(|path| {
            let path = path.into();
            let version = Version::of(&path);
            (path, version)
        });
        Self {
            files: files.collect(),
        }
    }

    /// Takes a new snapshot of the same files.
    pub(crate) fn now(&self) -> Self {
        Self::of(self.paths())
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The folders of the files, without duplicates.
    pub(crate) fn folders(&self) -> Vec<&Path> {
        let mut folders: Vec<_> = self.paths().map(folder).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The state of a file; any change of the file changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    #[cfg(unix)]
    changed: [i64; 2],
    #[cfg(unix)]
    inode: [u64; 2],
    #[cfg(not(unix))]
    modified: Option<std::time::SystemTime>,
    length: u64,
}

impl Version {
    /// Returns `None` if there is no file.
    fn of(path: &Path) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        // Follows symbolic links and needs no file descriptor.
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            // The change time also covers a change of permissions.
            #[cfg(unix)]
            changed: [metadata.ctime(), metadata.ctime_nsec()],
            #[cfg(unix)]
            inode: [metadata.dev(), metadata.ino()],
            #[cfg(not(unix))]
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}
