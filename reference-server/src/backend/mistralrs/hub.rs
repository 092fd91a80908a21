//! Downloads a model from the Hugging Face Hub into the local cache.

use std::path::{Path, PathBuf};

use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError, ApiRepo},
};

use super::model_dir::LoadError;

/// The Hub's API and the local cache.
///
/// Both use the Hub's standard environment variables (`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`), so
/// that models downloaded by other tools are found.
pub(super) struct Hub {
    api: ApiBuilder,
    cache: Cache,
}

impl Hub {
    pub(super) fn from_env() -> Self {
        Self {
            api: ApiBuilder::from_env().with_progress(false).with_retries(3),
            cache: Cache::from_env(),
        }
    }

    /// Downloads the files of model `id`, reports each of them, and returns their directory.
    ///
    /// Falls back to the cache if the Hub cannot be reached.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if the model can be neither downloaded nor found in the cache.
    pub(super) fn fetch(self, id: &str, report: &dyn Fn(String)) -> Result<PathBuf, LoadError> {
        check(id)?;
        let cached = self.cache.repo(repo(id)).get("config.json");
        let downloaded = self
            .api
            .build()
            .and_then(|api| download(&api.repo(repo(id)), report));
        match (downloaded, cached) {
            (Ok(config), _) => parent(&config),
            (Err(error), Some(config)) => {
                let error = first_line(&error);
                tracing::warn!(model = id, error, "cannot reach the Hub, using the cache");
                parent(&config)
            }
            (Err(error), None) => Err(format!(
                "cannot download {id} from the Hub ({}): check the name, the network and the \
                 access token, or download the model by other means and set its directory",
                first_line(&error)
            )),
        }
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

/// Downloads the needed files, and returns the path of `config.json`, which is downloaded last: a
/// directory that has it is complete.
fn download(repo: &ApiRepo, report: &dyn Fn(String)) -> Result<PathBuf, ApiError> {
    let siblings = repo.info()?.siblings;
    let names: Vec<&str> = siblings
        .iter()
        .map(|file| file.rfilename.as_str())
        .collect();
    let needed = names.iter().filter(|name| is_needed(name));
    let needed: Vec<_> = needed.collect();
    for (i, name) in needed.iter().enumerate() {
        report(format!(
            "downloading {name} ({} of {})",
            i + 1,
            needed.len()
        ));
        repo.get(name)?;
    }
    repo.get("config.json")
}

/// Whether the loader needs a file; repositories often have the same weights in other formats,
/// which are large.
fn is_needed(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    let is_embedding_module = || {
        // Such as `1_Pooling/config.json`.
        let (folder, file) = name.split_once('/').unwrap_or_default();
        folder.starts_with(|c: char| c.is_ascii_digit())
            && matches!(file, "config.json" | "model.safetensors")
    };
    is_embedding_module()
        || !name.contains('/')
            && name != "config.json"
            && name != "consolidated.safetensors"
            && matches!(extension, Some("json" | "jinja" | "safetensors"))
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

fn parent(config: &Path) -> Result<PathBuf, LoadError> {
    let directory = config.parent().map(Path::to_owned);
    directory
        .ok_or_else(|| "the Hub's cache is at the root of the file system: set HF_HOME".to_owned())
}

fn first_line(error: &ApiError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_ids_that_leave_the_cache() {
        assert!(is_id("Hcompany/Holo1.5-7B"));
        for id in [
            "", "a", "../b", "a/..", "a/b/c", "a/b?c", "/b", "a/", "a/b c",
        ] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn downloads_the_modules_of_embedding_models() {
        for name in [
            "modules.json",
            "1_Pooling/config.json",
            "2_Dense/model.safetensors",
        ] {
            assert!(is_needed(name), "{name}");
        }
        for name in [
            "onnx/config.json",
            "1_Pooling/a/config.json",
            "2_Dense/pytorch_model.bin",
        ] {
            assert!(!is_needed(name), "{name}");
        }
    }

    #[test]
    fn reports_a_missing_network_and_cache() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::new(home.path().to_owned());
        let hub = Hub {
            // No service listens on the discard port of this machine.
            api: ApiBuilder::from_cache(cache.clone()).with_endpoint("http://127.0.0.1:9".into()),
            cache,
        };
        let error = hub.fetch("owner/name", &|_| {}).unwrap_err();
        assert!(error.starts_with("cannot download owner/name"), "{error}");
        assert!(!error.contains('\n'));
    }
}
