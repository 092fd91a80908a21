//! The first entry of a backup: what it has.

use std::{
    collections::HashSet,
    fmt,
    path::{Component, Path, Prefix},
};

use serde::{Deserialize, Serialize};

use crate::{CliError, escape::escape};

/// The name of the entry.
pub(crate) const NAME: &str = "manifest.json";

/// The folder of all other entries.
const FOLDER: &str = "files";

/// The version of the format, which changes if older releases cannot read a backup.
const FORMAT: u32 = 1;

/// The maximum length of a path, which is what an entry of a ustar archive can have.
const MAX_PATH: usize = 255 - FOLDER.len() - 1;

/// What a backup has.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The time of the backup, RFC 3339.
    pub(crate) created: String,
    /// The version of the command that made it.
    pub(crate) stockade: String,
    /// The id of the key in `audit.key_file`.
    pub(crate) chain_key_id: Option<String>,
    /// All files, in the order of the archive.
    pub(crate) files: Vec<Entry>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// A file of a backup.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Entry {
    /// The original path without its root, with `/`: `etc/stockade/keys.yaml`.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// The settings that name the file.
    pub(crate) settings: Vec<String>,
    pub(crate) size: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
    /// The permissions, in octal digits.
    pub(crate) mode: String,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    File,
    /// The head of the log that follows.
    Head,
    /// A file of a log, oldest first.
    Log,
    Sqlite,
}

/// Data that a backup lacks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LeftOut {
    /// A setting, or a kind of data.
    pub(crate) what: String,
    pub(crate) reason: String,
}

impl Manifest {
    pub(crate) fn new(created: String, chain_key_id: Option<String>) -> Self {
        Self {
            format: FORMAT,
            created,
            stockade: env!("CARGO_PKG_VERSION").to_owned(),
            chain_key_id,
            files: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Parses a manifest. Its paths are safe to append to a folder.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, CliError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }

        let invalid = |error| CliError::failed(format_args!("the manifest is invalid: {error}"));
        let version: Version = serde_json::from_slice(json).map_err(invalid)?;
        if version.format != FORMAT {
            return Err(CliError::failed(format_args!(
                "the backup has the format {}, but this release reads {FORMAT}",
                version.format
            ))
            .with_help("use the release of the `stockade` command that made the backup"));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(invalid)?;
        let mut paths = HashSet::new();
        for entry in &manifest.files {
            if !is_safe(&entry.path) {
                return Err(untrusted(&entry.path, "leaves the folder"));
            }
            if !paths.insert(entry.path.as_str()) {
                return Err(untrusted(&entry.path, "occurs twice"));
            }
        }
        Ok(manifest)
    }
}

impl Entry {
    /// The name of the entry in the archive.
    pub(crate) fn name(&self) -> String {
        format!("{FOLDER}/{}", self.path)
    }

    /// The original path.
    pub(crate) fn original(&self) -> String {
        match cfg!(windows) {
            true => self.path.replacen('/', ":/", 1),
            false => format!("/{}", self.path),
        }
    }

    /// The permissions of the owner, the group and others; only those of the owner if they are
    /// invalid.
    pub(crate) fn mode(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).map_or(0o600, |mode| mode & 0o777)
    }
}

/// The path in a manifest of an absolute path without links.
pub(super) fn relative(path: &Path) -> Result<String, CliError> {
    let unusual = |problem| {
        let text = format!("cannot back up {}: {problem}", path.display());
        CliError::failed(text).with_help("move the file, and change its setting")
    };
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => {
                let part = part.to_str();
                parts.push(
                    part.ok_or_else(|| unusual("its path is not UTF-8"))?
                        .to_owned(),
                );
            }
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(letter) | Prefix::VerbatimDisk(letter) => {
                    parts.push(char::from(letter).to_string());
                }
                _ => return Err(unusual("it is not on a local disk")),
            },
            Component::CurDir | Component::ParentDir => {
                return Err(unusual("its path is not absolute"));
            }
        }
    }
    let path = parts.join("/");
    if path.len() > MAX_PATH {
        return Err(unusual("its path is longer than 249 bytes"));
    }
    match is_safe(&path) {
        true => Ok(path),
        false => Err(unusual("its path has control characters")),
    }
}

/// Whether the path stays below a folder that it is appended to.
fn is_safe(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    let is_normal = |part| matches!(part, Component::Normal(_));
    // What `escape` changes would make a terminal show another path. The last two conditions refuse
    // drives and backslashes on Windows.
    escape(path) == path
        && path.split('/').all(is_name)
        && Path::new(path).components().all(is_normal)
        && Path::new(path).components().count() == path.split('/').count()
}

fn untrusted(path: &str, problem: &str) -> CliError {
    CliError::failed(format_args!("the path {path:?} of the backup {problem}"))
        .with_help("this command does not make such backups: do not trust it")
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(paths: &[&str]) -> Vec<u8> {
        let mut manifest = Manifest::new("2026-01-31T12:00:00Z".to_owned(), None);
        for path in paths {
            manifest.files.push(Entry {
                path: (*path).to_owned(),
                kind: Kind::File,
                settings: Vec::new(),
                size: 0,
                sha256: String::new(),
                mode: "0600".to_owned(),
            });
        }
        serde_json::to_vec(&manifest).unwrap()
    }

    #[test]
    fn refuses_paths_that_leave_the_folder() {
        assert!(Manifest::parse(&manifest(&["etc/stockade/keys.yaml", "a b/ü..x"])).is_ok());
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a/./b",
            "a\nb",
            "a\0b",
            "a\u{202e}b",
        ] {
            let error = Manifest::parse(&manifest(&[path])).unwrap_err();
            assert!(error.to_string().contains("leaves the folder"), "{error}");
        }
        let error = Manifest::parse(&manifest(&["a", "b", "a"])).unwrap_err();
        assert!(error.to_string().contains("occurs twice"), "{error}");
    }

    #[test]
    fn refuses_newer_formats() {
        let error = Manifest::parse(br#"{"format": 2, "new": true}"#).unwrap_err();
        assert!(error.to_string().contains("the format 2"), "{error}");
        assert!(Manifest::parse(b"{").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn stores_absolute_paths_without_their_root() {
        let path = Path::new("/etc/stockade/keys.yaml");
        assert_eq!(relative(path).unwrap(), "etc/stockade/keys.yaml");
        for path in [
            "/a\nb".to_owned(),
            format!("/{}", "a/".repeat(130)),
            "a/../b".to_owned(),
        ] {
            assert!(relative(Path::new(&path)).is_err(), "{path}");
        }
    }
}
