//! Who may change the files of a model.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A file or directory of a model that another user may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritableFile {
    /// The file or directory.
    pub path: PathBuf,
    /// Who may change it.
    pub by: Writer,
}

/// Who may change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Writer {
    /// All users of the machine.
    Everyone,
    /// The members of the group with this number.
    Group(u32),
    /// The owner, which is the user with this number.
    Owner(u32),
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("all users"),
            Self::Group(group) => write!(f, "the group {group}"),
            Self::Owner(user) => write!(f, "its owner, the user {user}"),
        }
    }
}

/// The files of a model that another user than root and the one of this process may change: the
/// directory and its entries, or a single file. Symbolic links are followed, as in the cache of
/// the Hub. Files that cannot be read are skipped, because loading reports them.
#[cfg(unix)]
pub fn writable_files(path: &Path) -> Vec<WritableFile> {
    use std::os::unix::fs::MetadataExt;

    let own = effective_user();
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.insert(0, path.to_owned());
    paths
        .into_iter()
        .filter_map(|path| {
            let file = path.metadata().ok()?;
            let by = writer(file.mode(), file.uid(), file.gid(), own)?;
            Some(WritableFile { path, by })
        })
        .collect()
}

/// The effective user of this process on Linux; elsewhere it is unknown. The owner of `/proc/self`
/// may differ: it is root if the process is not dumpable.
#[cfg(unix)]
fn effective_user() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Who may change a file with this mode, owner and group, other than root and the user `own`, if
/// that is known.
#[cfg(unix)]
fn writer(mode: u32, owner: u32, group: u32, own: Option<u32>) -> Option<Writer> {
    if mode & 0o002 != 0 {
        Some(Writer::Everyone)
    } else if mode & 0o020 != 0 {
        Some(Writer::Group(group))
    } else if owner != 0 && own.is_some_and(|own| own != owner) {
        Some(Writer::Owner(owner))
    } else {
        None
    }
}

/// Always empty: only Unix has these permissions.
#[cfg(not(unix))]
pub fn writable_files(_path: &Path) -> Vec<WritableFile> {
    Vec::new()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use super::*;

    #[test]
    fn finds_what_others_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        mode(folder.path(), 0o755).unwrap();
        let [own, group, all] = ["a", "b", "c"].map(|name| folder.path().join(name));
        for (path, bits) in [(&own, 0o644), (&group, 0o664), (&all, 0o646)] {
            fs::write(path, "").unwrap();
            mode(path, bits).unwrap();
        }
        let found = writable_files(folder.path());
        let found: Vec<_> = found.iter().map(|f| (&f.path, f.by)).collect();
        let by_group = Writer::Group(group.metadata().unwrap().gid());
        assert_eq!(found, [(&group, by_group), (&all, Writer::Everyone)]);
        mode(folder.path(), 0o777).unwrap();
        assert_eq!(writable_files(folder.path())[0].path, folder.path());
    }

    #[test]
    fn root_and_the_own_user_may_change_files() {
        assert_eq!(writer(0o644, 0, 0, Some(7)), None);
        assert_eq!(writer(0o644, 7, 0, Some(7)), None);
        assert_eq!(writer(0o644, 8, 0, Some(7)), Some(Writer::Owner(8)));
        assert_eq!(writer(0o644, 8, 0, None), None);
    }
}
