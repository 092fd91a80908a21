//! Checks of the files of models in local directories.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use stockade::ConfigError;

use crate::{
    DeviceConfig, MemoryCheck, ModelConfig, ModelSource, ServerFile,
    model_files::{
        MemoryEstimate, MemoryNeeds, Precision, Writer, available_memory, format_bytes,
        writable_files,
    },
};

/// The maximum number of images of a chat in the server's engine.
const MAX_IMAGES: u64 = 2;
/// The number of pixels that are one token.
const TOKEN_PIXELS: u64 = 28 * 28;

/// The memory that a model in a local directory needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelMemory {
    /// The path of the model's section.
    pub section: String,
    /// The memory that it needs.
    pub estimate: MemoryEstimate,
    /// The memory of this machine that is available to it, in bytes; `None` on a GPU, and where it
    /// is unknown.
    pub available: Option<u64>,
}

impl ServerFile {
    /// The memory that the models in local directories need, for those whose files can be read.
    pub fn memory(&self) -> Vec<ModelMemory> {
        let models = self.models.iter().enumerate();
        let memory = models.filter_map(|(at, model)| {
            let path = model.directory()?;
            let check = model.memory_check.unwrap_or_default();
            if check == MemoryCheck::Off {
                return None;
            }
            let needs = model.memory_needs(&path, model.request_tokens(&self.fence.body));
            let on_gpu = matches!(model.device, Some(DeviceConfig::Cuda(_)));
            let available = available_memory().filter(|_| !on_gpu);
            Some(ModelMemory {
                section: self.section(at),
                estimate: MemoryEstimate::read(&path, &needs).ok()?,
                available: available.map(|memory| memory.bytes),
            })
        });
        memory.collect()
    }
}

impl ModelMemory {
    /// A warning with remedies if the model does not fit.
    pub(crate) fn warning(&self) -> Option<ConfigError> {
        let available = self.available?;
        let remedies = self.estimate.remedies(available);
        if remedies.is_empty() {
            return None;
        }
        let text = format!(
            "the model needs {} of memory, but only {} are available on this machine",
            format_bytes(self.estimate.total()),
            format_bytes(available)
        );
        let error = ConfigError::setting(format!("{}.source", self.section), text);
        Some(error.help(remedies.join(", or ")))
    }
}

impl fmt::Display for ModelMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryEstimate {
            weights,
            kv_cache,
            images,
            ..
        } = &self.estimate;
        write!(
            f,
            "{}: {} of memory needed (weights {}, KV cache {}, images {})",
            self.section,
            format_bytes(self.estimate.total()),
            format_bytes(*weights),
            format_bytes(*kv_cache),
            format_bytes(*images)
        )?;
        match self.available {
            Some(bytes) => write!(f, ", {} available", format_bytes(bytes)),
            None => Ok(()),
        }
    }
}

impl ModelConfig {
    fn directory(&self) -> Option<PathBuf> {
        match self.location() {
            Ok(Some(ModelSource::Directory(path))) if path.exists() => Some(path),
            _ => None,
        }
    }

    fn memory_needs(&self, path: &Path, request_tokens: u64) -> MemoryNeeds {
        let asked = self
            .max_pixels
            .map_or(u64::MAX, |pixels| pixels.get().into());
        let max_pixels = max_pixels(path).map(|pixels| pixels.min(asked));
        let images = max_pixels.map_or(0, |_| MAX_IMAGES);
        let max_pixels = max_pixels.unwrap_or(0);
        let image_tokens = images * (max_pixels / TOKEN_PIXELS);
        let context = self.context.map_or(u64::MAX, |tokens| tokens.get().into());
        let (precision, running) = match self.device {
            Some(DeviceConfig::Cuda(_)) => {
                (Precision::Half, self.max_running_or_default().get().into())
            }
            // One chat runs at a time on the CPU.
            _ => (Precision::Single, 1),
        };
        MemoryNeeds {
            precision,
            quantise: self.quantise,
            running,
            chat_tokens: request_tokens.saturating_add(image_tokens).min(context),
            images,
            max_pixels,
        }
    }

    /// A warning about the first file that others can change. A file of another user is none,
    /// because the server may run as that user.
    pub(crate) fn writable_files(&self, section: &str) -> Option<ConfigError> {
        let files = writable_files(&self.directory()?);
        let first = files
            .into_iter()
            .find(|file| !matches!(file.by, Writer::Owner(_)))?;
        let path = first.path.display();
        let text = format!("{} can change {path}", first.by);
        let error = ConfigError::setting(format!("{section}.source"), text);
        Some(error.help("chmod -R go-w the files of the model"))
    }
}

/// The maximum number of pixels of an image, from the files of a vision model.
fn max_pixels(path: &Path) -> Option<u64> {
    let config = fs::read(path.join("preprocessor_config.json")).ok()?;
    let config: Value = serde_json::from_slice(&config).ok()?;
    let values = [&config["max_pixels"], &config["size"]["longest_edge"]];
    values.iter().find_map(|value| value.as_u64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use stockade::{Environment, Format};

    use super::*;

    fn file(path: &Path, settings: &str) -> ServerFile {
        let path = path.display();
        let text = format!("[auth]\nkeys_file = \"k\"\n[model]\nsource = \"{path}\"\n{settings}");
        ServerFile::parse(&text, Format::Toml, &Environment::default()).unwrap()
    }

    /// A GGUF file with a context of `context` tokens.
    fn model(context: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let bytes = crate::model_files::gguf_file(
            &[
                ("qwen2.attention.head_count", 4),
                ("qwen2.embedding_length", 64),
                ("qwen2.block_count", 1 << 30),
                ("qwen2.context_length", context),
            ],
            &[("token_embd.weight", &[64, 32], 0)],
        );
        fs::write(folder.path().join("a.gguf"), bytes).unwrap();
        folder
    }

    #[test]
    fn estimates_the_memory_of_local_models() {
        let folder = model(4096);
        let shown = |settings| {
            let memory = file(folder.path(), settings).memory();
            memory.first().map(ToString::to_string)
        };
        let text = shown("device = \"cuda\"\n").unwrap();
        assert!(text.starts_with("model: "), "{text}");
        assert!(text.contains("weights 16.0 KiB"), "{text}");
        assert!(!text.contains("available"), "{text}");
        assert_eq!(shown("memory_check = \"off\"\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn warns_about_a_model_that_does_not_fit() {
        // A billion layers.
        let folder = model(4096);
        let warnings = file(folder.path(), "").warnings();
        let text = warnings.iter().map(|warning| &warning.reason);
        let text: Vec<_> = text.collect();
        assert!(
            text.iter()
                .any(|text| text.contains("are available on this machine")),
            "{text:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn warns_about_files_that_others_can_change() {
        use std::os::unix::fs::PermissionsExt;

        let folder = model(1);
        let path = folder.path().join("a.gguf");
        let warns = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = file(folder.path(), "").models[0].writable_files("model");
            error.map(|error| error.to_string())
        };
        assert_eq!(warns(0o644), None);
        let text = warns(0o666).unwrap();
        assert!(text.contains("all users can change"), "{text}");
    }
}
