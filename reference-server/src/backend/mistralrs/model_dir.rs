//! Reads and checks a model's directory before mistral.rs does, which panics or reports internal
//! details if a file is missing or malformed.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use mistralrs::NormalLoaderType;
use serde_json::Value;

use super::image_limits::ImageFiles;

/// Why a model cannot be loaded: one line with the problem and the remedy, for `/health/details`.
pub(super) type LoadError = String;

/// The kinds of input that a model supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modality {
    /// Text only.
    Text,
    /// Text and images: the Qwen2.5-VL family.
    Vision,
}

/// The directory of a chat model, and what its files say about the model.
#[derive(Debug)]
pub(super) struct ModelDir {
    pub(super) path: PathBuf,
    /// The name of the GGUF file with the weights; `None` for safetensors.
    pub(super) gguf: Option<String>,
    pub(super) modality: Modality,
    /// The context length: tokens of prompt and completion together.
    pub(super) context: usize,
    /// The Jinja source of the chat template.
    pub(super) chat_template: String,
    /// Whether the engine uses a template file that cannot be overridden.
    pub(super) fixed_template: bool,
    /// The text of the EOS token; `None` if only its id is known.
    pub(super) eos_token: Option<String>,
    /// The ids of further EOS tokens.
    pub(super) eos_token_ids: Vec<u32>,
    /// What the files say about images, for vision models.
    pub(super) images: Option<ImageFiles>,
}

impl ModelDir {
    /// The GGUF file with the weights.
    pub(super) fn gguf_path(&self) -> Option<PathBuf> {
        self.gguf.as_ref().map(|name| self.path.join(name))
    }

    /// The tokenizer; `None` if it is in the GGUF file.
    pub(super) fn tokenizer_file(&self) -> Option<PathBuf> {
        Some(self.path.join("tokenizer.json")).filter(|file| file.is_file())
    }

    /// Reads a directory with safetensors.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a file is missing, malformed or unsupported.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let config = json(path, "config.json")?;
        let modality = modality(path, &config)?;
        if !path.join("tokenizer.json").is_file() {
            return Err(missing(path, "tokenizer.json"));
        }
        check_weights(path)?;
        let tokenizer = optional_json(path, "tokenizer_config.json")?;
        let processor = optional_json(path, "processor_config.json")?;
        let generation = optional_json(path, "generation_config.json")?;
        let text = &config["text_config"];
        Ok(Self {
            path: path.to_owned(),
            gguf: None,
            modality,
            context: [&config, text]
                .iter()
                .find_map(|c| c["max_position_embeddings"].as_u64())
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| malformed(path, "config.json", "max_position_embeddings"))?,
            chat_template: chat_template(path, &tokenizer, &processor)?
                .ok_or_else(|| no_template(path))?,
            fixed_template: processor["chat_template"].is_string(),
            eos_token: Some(
                eos_token(&tokenizer)
                    .ok_or_else(|| malformed(path, "tokenizer_config.json", "eos_token"))?,
            ),
            eos_token_ids: ids(&generation["eos_token_id"]),
            images: match modality {
                Modality::Text => None,
                Modality::Vision => Some(ImageFiles::read(path, &config)?),
            },
        })
    }
}

fn modality(path: &Path, config: &Value) -> Result<Modality, LoadError> {
    let architecture = config["architectures"][0]
        .as_str()
        .ok_or_else(|| malformed(path, "config.json", "architectures"))?;
    if architecture == "Qwen2_5_VLForConditionalGeneration" {
        Ok(Modality::Vision)
    } else if NormalLoaderType::from_causal_lm_name(architecture).is_ok() {
        Ok(Modality::Text)
    } else {
        Err(format!(
            "the architecture {architecture:?} of {} is not supported: use a Qwen2.5-VL model, or \
             a text model such as Qwen2, Qwen3, Llama, Mistral, Gemma2 or Phi3; an embedding model \
             needs its modules.json",
            path.display()
        ))
    }
}

pub(super) fn check_weights(path: &Path) -> Result<(), LoadError> {
    // A sharded model lists its files; an interrupted download lacks some of them.
    let index = optional_json(path, "model.safetensors.index.json")?;
    let listed = index["weight_map"].as_object().into_iter().flatten();
    let mut lacking =
        listed.filter_map(|(_, file)| file.as_str().filter(|f| !path.join(f).is_file()));
    if let Some(file) = lacking.next() {
        return Err(missing(path, file));
    }
    let is_weights = |path: PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| {
        let path = path.display();
        format!("cannot list {path}: {error}; make it readable for the server's user")
    })?;
    if entries.iter().any(|entry| is_weights(entry.path())) {
        return Ok(());
    }
    Err(format!(
        "{} has no weights: add the model's *.safetensors files",
        path.display()
    ))
}

/// Reads the chat template from the places where Hub models store it.
pub(super) fn chat_template(
    path: &Path,
    tokenizer: &Value,
    processor: &Value,
) -> Result<Option<String>, LoadError> {
    let file = path.join("chat_template.jinja");
    match fs::read_to_string(&file) {
        Ok(template) => return Ok(Some(template)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Falling back to another template could produce wrong prompts.
        Err(error) => {
            return Err(format!(
                "cannot read {}: {error}; make the file readable, or download the model again",
                file.display()
            ));
        }
    }
    let separate = optional_json(path, "chat_template.json")?;
    for config in [tokenizer, &separate, processor] {
        let value = &config["chat_template"];
        if let Some(template) = value.as_str() {
            return Ok(Some(template.to_owned()));
        }
        let named = value.as_array().into_iter().flatten();
        for entry in named.filter(|entry| entry["name"] == "default") {
            if let Some(template) = entry["template"].as_str() {
                return Ok(Some(template.to_owned()));
            }
        }
    }
    Ok(None)
}

pub(super) fn no_template(path: &Path) -> LoadError {
    format!(
        "{} has no chat template: use the instruction-tuned version of the model",
        path.display()
    )
}

pub(super) fn eos_token(tokenizer: &Value) -> Option<String> {
    let end = &tokenizer["eos_token"];
    let end = end.as_str().or_else(|| end["content"].as_str());
    end.map(str::to_owned)
}

/// Parses one id or a list of ids.
pub(super) fn ids(value: &Value) -> Vec<u32> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    // Ids that are not `u32` cannot be generated, so they are skipped.
    list.iter()
        .filter_map(|id| u32::try_from(id.as_u64()?).ok())
        .collect()
}

pub(super) fn json(path: &Path, name: &str) -> Result<Value, LoadError> {
    let file = path.join(name);
    if !file.is_file() {
        return Err(missing(path, name));
    }
    fs::read(&file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        .map_err(|error| {
            format!(
                "cannot read {}: {error}; download the model again",
                file.display()
            )
        })
}

pub(super) fn optional_json(path: &Path, name: &str) -> Result<Value, LoadError> {
    if path.join(name).is_file() {
        json(path, name)
    } else {
        Ok(Value::Null)
    }
}

pub(super) fn missing(path: &Path, name: &str) -> LoadError {
    format!(
        "{} has no {name}: download all files of the model",
        path.display()
    )
}

pub(super) fn malformed(path: &Path, name: &str, field: &str) -> LoadError {
    format!(
        "{} has no valid {field:?}: download the model again",
        path.join(name).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &Path) -> Result<String, LoadError> {
        let tokenizer = serde_json::json!({"chat_template": "tokenizer template"});
        chat_template(path, &tokenizer, &Value::Null).map(Option::unwrap)
    }

    #[test]
    fn an_unreadable_template_has_no_fallback() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(template(folder.path()).unwrap(), "tokenizer template");
        let file = folder.path().join("chat_template.jinja");
        fs::write(&file, "file template").unwrap();
        assert_eq!(template(folder.path()).unwrap(), "file template");
        fs::write(&file, b"\xff").unwrap();
        let error = template(folder.path()).unwrap_err();
        assert!(error.contains("chat_template.jinja"), "{error}");
    }

    #[test]
    fn distinguishes_an_unreadable_directory_from_missing_weights() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_weights(folder.path()).unwrap_err();
        assert!(error.contains("has no weights"), "{error}");
        let error = check_weights(&folder.path().join("gone")).unwrap_err();
        assert!(error.contains("cannot list"), "{error}");
    }
}
