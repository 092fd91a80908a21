//! Downloads a model from the Hugging Face Hub into the local cache.
//!
//! The cache has the layout of the Hub's own tools: `blobs/<checksum>`,
//! `snapshots/<commit>/<name>` as links, and `refs/main` with the commit. The `hf-hub` crate writes
//! the same, but appends the whole file to a part of it if a server ignores `Range`, and verifies
//! no checksum, so only its paths are used.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use hf_hub::{Cache, Repo, RepoType};

use super::{loader::LoadEvent, model_dir::LoadError};
use crate::backend::ByteProgress;

mod client;
mod download;
mod error;
mod listing;
#[cfg(test)]
mod tests;

use client::Client;
use download::Download;
use error::HubError;
use listing::{Listing, RemoteFile};

const ENDPOINT: &str = "https://huggingface.co";

/// The Hub's API and the local cache.
///
/// Both use the Hub's standard environment variables (`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`), so
/// that models downloaded by other tools are found.
pub(super) struct Hub {
    endpoint: String,
    token: Option<String>,
    cache: Cache,
    /// The pause after a failed attempt; it doubles with each one.
    pause: Duration,
}

impl Hub {
    pub(super) fn from_env() -> Self {
        let cache = Cache::from_env();
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()),
            token: variable("HF_TOKEN").or_else(|| cache.token()),
            cache,
            pause: Duration::from_millis(500),
        }
    }

    /// Downloads the files of model `id`, reports the progress, and returns their directory. Blocks
    /// the thread.
    ///
    /// Falls back to the cache if the Hub cannot be reached.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if the model can be neither downloaded nor found in the cache, or if
    /// a file is not the one that the Hub announces.
    pub(super) fn fetch(self, id: &str, report: &dyn Fn(LoadEvent)) -> Result<PathBuf, LoadError> {
        check(id)?;
        report(LoadEvent::Stage(format!("looking up {id} on the Hub")));
        let cached = self.cache.repo(repo(id)).get("config.json");
        match (self.download(id, report), cached) {
            (Ok(directory), _) => Ok(directory),
            (Err(HubError::Unavailable(error)), Some(config)) => {
                tracing::warn!(model = id, error, "cannot reach the Hub, using the cache");
                let directory = config.parent().map(Path::to_owned);
                directory.ok_or_else(|| "the cache is at the root: set HF_HOME".to_owned())
            }
            (Err(HubError::Unavailable(error)), None) => Err(format!(
                "cannot download {id} from the Hub ({error}): check the name, the network and the \
                 access token, or download the model by other means and set its directory"
            )),
            (Err(error), _) => Err(format!("cannot download {id}: {}", error.text())),
        }
    }

    fn download(&self, id: &str, report: &dyn Fn(LoadEvent)) -> Result<PathBuf, HubError> {
        let client = Client::new(&self.endpoint, self.token.clone())?;
        let Listing { commit, files } = Listing::read(&client, id)?;
        let folder = self.cache.path().join(repo(id).folder_name());
        let snapshot = folder.join("snapshots").join(&commit);
        let total = files.iter().map(|file| file.size).sum();
        let mut before = 0;
        for (at, file) in files.iter().enumerate() {
            let (name, number, count) = (&file.name, at + 1, files.len());
            let text = format!("downloading {name} ({number} of {count})");
            report(LoadEvent::Stage(text));
            let blob = folder.join("blobs").join(file.checksum.text());
            let download = Download {
                client: &client,
                url: client.url(&format!("{id}/resolve/{commit}/{name}"))?,
                file,
                blob: blob.clone(),
                pause: self.pause,
            };
            download.run(&mut |bytes| {
                let done = before + bytes;
                report(LoadEvent::Bytes(ByteProgress { done, total }));
            })?;
            before += file.size;
            let place = snapshot.join(name);
            link(&blob, &place, file).map_err(|error| HubError::disk(&place, &error))?;
        }
        let created = self.cache.repo(repo(id)).create_ref(&commit);
        created.map_err(|error| HubError::disk(&folder, &error))?;
        Ok(snapshot)
    }
}

/// Checks the name of a repository.
///
/// # Errors
/// Returns an error if the name is invalid.
pub(super) fn check(id: &str) -> Result<(), LoadError> {
    if is_id(id) {
        return Ok(());
    }
    Err(format!(
        "{id:?} is not a valid Hub repository: use owner/name or a directory"
    ))
}

fn repo(id: &str) -> Repo {
    Repo::new(id.to_owned(), RepoType::Model)
}

/// Links a file of a snapshot to the cache.
fn link(blob: &Path, place: &Path, file: &RemoteFile) -> io::Result<()> {
    if place.exists() {
        return Ok(());
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    // A link to a missing file.
    let _ = fs::remove_file(place);
    #[cfg(unix)]
    {
        let folders = file.name.matches('/').count() + 2;
        let target = Path::new(&"../".repeat(folders))
            .join("blobs")
            .join(blob.file_name().unwrap_or_default());
        std::os::unix::fs::symlink(target, place)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        fs::hard_link(blob, place)
    }
}

/// Whether an id is safe to use in a path and a URL.
fn is_id(id: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    id.split_once('/')
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}
