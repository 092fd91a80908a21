//! Telling one state of a file from the next.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of one source and their state at one time.
///
/// Taken before the files are read for the first time, and given to
/// [`FileWatch::start`](crate::FileWatch::start) afterwards: a change in between is then seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersions {
    files: Vec<(PathBuf, Option<Version>)>,
}

impl FileVersions {
    /// The state of these files now. A file that is missing has a state, too.
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

    /// The state of the same files now.
    pub(crate) fn now(&self) -> Self {
        Self::of(self.paths())
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The folders that the files are in, each once.
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

/// Differs from one state of a file to the next, however the change came about.
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
    /// `None` where there is no file.
    fn of(path: &Path) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        // Follows links, and takes no descriptor.
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            // The inode's time of change sees a change of permissions, too.
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
