//! The files of a repository, with their checksums.

use std::path::Path;

use serde::Deserialize;

use super::{client::Client, error::HubError};

/// The maximum number of pages of a listing, each with about a thousand files.
const MAX_PAGES: usize = 50;

/// A version of a repository.
pub(super) struct Listing {
    /// The commit, to which all downloads refer, so that they belong together.
    pub(super) commit: String,
    /// The files that the loader needs; `config.json` is the last one.
    pub(super) files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

/// The checksum of a file on the Hub, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of the file, for large files.
    Sha256(String),
    /// Of the file with Git's header, for small files.
    GitSha1(String),
}

impl Checksum {
    /// The name of the file in the cache, which is also its entity tag on the Hub.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::GitSha1(text) => text,
        }
    }
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl Listing {
    /// Reads the current version of the main branch.
    ///
    /// # Errors
    /// Returns an error if the Hub cannot be reached, or its response is malformed.
    pub(super) fn read(client: &Client, id: &str) -> Result<Self, HubError> {
        let url = client.url(&format!("api/models/{id}/revision/main"))?;
        let (Revision { sha: commit }, _) = client.json(url)?;
        if !is_hex(&commit, 40) {
            return Err(HubError::Unavailable(format!("{id} has no valid commit")));
        }
        let tree = format!("api/models/{id}/tree/{commit}?recursive=true");
        let mut page = Some(client.url(&tree)?);
        let mut files = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = page else { break };
            let entries: Vec<Entry>;
            (entries, page) = client.json(url)?;
            let needed = entries.into_iter().filter(|entry| is_needed(&entry.path));
            for entry in needed {
                files.push(entry.into_file()?);
            }
        }
        // A directory with it is complete, for this and for other tools.
        files.sort_by_key(|file| file.name == "config.json");
        Ok(Self { commit, files })
    }
}

impl Entry {
    fn into_file(self) -> Result<RemoteFile, HubError> {
        let (checksum, size, length) = match self.lfs {
            Some(lfs) => (Checksum::Sha256(lfs.oid), lfs.size, 64),
            None => (Checksum::GitSha1(self.oid), self.size, 40),
        };
        if !is_hex(checksum.text(), length) {
            let text = format!("{} has no valid checksum", self.path);
            return Err(HubError::Unavailable(text));
        }
        Ok(RemoteFile {
            name: self.path,
            size,
            checksum,
        })
    }
}

/// Whether the loader needs a file; repositories often have the same weights in other formats,
/// which are large. Pickle files (`*.bin`, `*.pt`) can run code and are never loaded.
pub(super) fn is_needed(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    let is_embedding_module = || {
        // Such as `1_Pooling/config.json`.
        let (folder, file) = name.split_once('/').unwrap_or_default();
        folder.starts_with(|c: char| c.is_ascii_digit())
            && folder
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && matches!(file, "config.json" | "model.safetensors")
    };
    is_embedding_module()
        || !name.contains(['/', '\\', ':'])
            && name != "consolidated.safetensors"
            && matches!(extension, Some("json" | "jinja" | "safetensors"))
}

/// Whether a text is a checksum of this length; it becomes a file name.
fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_the_modules_of_embedding_models() {
        for name in [
            "config.json",
            "model-00001-of-00002.safetensors",
            "modules.json",
            "1_Pooling/config.json",
            "2_Dense/model.safetensors",
        ] {
            assert!(is_needed(name), "{name}");
        }
        for name in [
            "onnx/config.json",
            "1_Pooling/a/config.json",
            "1_../config.json",
            "2_Dense/pytorch_model.bin",
            "pytorch_model.bin",
            "model.pt",
            "..\\config.json",
        ] {
            assert!(!is_needed(name), "{name}");
        }
    }

    #[test]
    fn refuses_checksums_that_are_paths() {
        for oid in ["../../../../../../../../../../etc/passwd..", "", "A1"] {
            let entry = Entry {
                path: "config.json".to_owned(),
                oid: oid.to_owned(),
                size: 1,
                lfs: None,
            };
            assert!(entry.into_file().is_err(), "{oid}");
        }
    }
}
