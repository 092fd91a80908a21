//! What a model's directory says about it, read before mistral.rs sees it: there, a
//! missing or odd file ends in a panic or in a text about its source code.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use mistralrs::NormalLoaderType;
use serde_json::Value;

/// What is wrong with a model, and how to mend it: one line, fit for `/health`.
pub(super) type LoadError = String;

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modality {
    /// Text.
    Text,
    /// Text and images, of the Qwen2.5-VL family.
    Vision,
}

/// A directory that holds a model this server can run.
#[derive(Debug)]
pub(super) struct ModelDir {
    pub(super) path: PathBuf,
    pub(super) modality: Modality,
    /// Tokens of prompt and answer together.
    pub(super) context: usize,
    /// The Jinja source that turns messages into a prompt.
    pub(super) chat_template: String,
    /// The engine takes its template from a file that it lets nothing override.
    pub(super) fixed_template: bool,
    /// The token that ends an answer.
    pub(super) eos_token: String,
    /// More tokens that end an answer.
    pub(super) eos_token_ids: Vec<u32>,
    /// How many pixels an image of the vision model may have.
    pub(super) pixels: (u64, u64),
}

impl ModelDir {
    /// # Errors
    /// A [`LoadError`].
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        if !path.is_dir() {
            return Err(format!(
                "{} is not a directory: set the model to a directory that holds config.json, \
                 tokenizer.json and *.safetensors",
                path.display()
            ));
        }
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
            modality,
            context: [&config, text]
                .iter()
                .find_map(|c| c["max_position_embeddings"].as_u64())
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| malformed(path, "config.json", "max_position_embeddings"))?,
            chat_template: chat_template(path, &tokenizer, &processor)?,
            fixed_template: processor["chat_template"].is_string(),
            eos_token: eos_token(path, &tokenizer)?,
            eos_token_ids: ids(&generation["eos_token_id"]),
            pixels: match modality {
                Modality::Text => (0, 0),
                Modality::Vision => pixels(path)?,
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
             a text model such as Qwen2, Qwen3, Llama, Mistral, Gemma2 or Phi3",
            path.display()
        ))
    }
}

fn check_weights(path: &Path) -> Result<(), LoadError> {
    // A model in several files lists them; a download that broke off lacks some.
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
        format!("cannot list {path}: {error}; make it readable for this user")
    })?;
    if entries.iter().any(|entry| is_weights(entry.path())) {
        return Ok(());
    }
    Err(format!(
        "{} holds no weights: put the model's *.safetensors files there",
        path.display()
    ))
}

/// The template, from the places the hub's models keep it in.
fn chat_template(path: &Path, tokenizer: &Value, processor: &Value) -> Result<String, LoadError> {
    let file = path.join("chat_template.jinja");
    match fs::read_to_string(&file) {
        Ok(template) => return Ok(template),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Another template may make the model misunderstand its prompts.
        Err(error) => {
            return Err(format!(
                "cannot read {}: {error}; make it readable, or download the model again",
                file.display()
            ));
        }
    }
    let separate = optional_json(path, "chat_template.json")?;
    for config in [tokenizer, &separate, processor] {
        let value = &config["chat_template"];
        if let Some(template) = value.as_str() {
            return Ok(template.to_owned());
        }
        let named = value.as_array().into_iter().flatten();
        for entry in named.filter(|entry| entry["name"] == "default") {
            if let Some(template) = entry["template"].as_str() {
                return Ok(template.to_owned());
            }
        }
    }
    Err(format!(
        "{} has no chat template: use the instruction-tuned version of the model",
        path.display()
    ))
}

fn eos_token(path: &Path, tokenizer: &Value) -> Result<String, LoadError> {
    let end = &tokenizer["eos_token"];
    let end = end.as_str().or_else(|| end["content"].as_str());
    end.map(str::to_owned)
        .ok_or_else(|| malformed(path, "tokenizer_config.json", "eos_token"))
}

/// One id or a list of them.
fn ids(value: &Value) -> Vec<u32> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    // The model cannot make a token whose id does not fit, nor one that is not a number.
    list.iter()
        .filter_map(|id| u32::try_from(id.as_u64()?).ok())
        .collect()
}

fn pixels(path: &Path) -> Result<(u64, u64), LoadError> {
    let name = "preprocessor_config.json";
    let config = json(path, name)?;
    // Files written by transformers 5 name them differently.
    let field = |old: &str, new: &str| {
        [&config[old], &config["size"][new]]
            .iter()
            .find_map(|v| v.as_u64())
            .ok_or_else(|| malformed(path, name, old))
    };
    Ok((
        field("min_pixels", "shortest_edge")?,
        field("max_pixels", "longest_edge")?,
    ))
}

fn json(path: &Path, name: &str) -> Result<Value, LoadError> {
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

fn optional_json(path: &Path, name: &str) -> Result<Value, LoadError> {
    if path.join(name).is_file() {
        json(path, name)
    } else {
        Ok(Value::Null)
    }
}

fn missing(path: &Path, name: &str) -> LoadError {
    format!(
        "{} has no {name}: download all files of the model there",
        path.display()
    )
}

fn malformed(path: &Path, name: &str, field: &str) -> LoadError {
    format!(
        "{} does not say {field:?}: download the model again",
        path.join(name).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &Path) -> Result<String, LoadError> {
        let tokenizer = serde_json::json!({"chat_template": "of the tokenizer"});
        chat_template(path, &tokenizer, &Value::Null)
    }

    #[test]
    fn a_template_that_cannot_be_read_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(template(folder.path()).unwrap(), "of the tokenizer");
        let file = folder.path().join("chat_template.jinja");
        fs::write(&file, "its own").unwrap();
        assert_eq!(template(folder.path()).unwrap(), "its own");
        fs::write(&file, b"\xff").unwrap();
        let error = template(folder.path()).unwrap_err();
        assert!(error.contains("chat_template.jinja"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_not_said_to_hold_no_weights() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_weights(folder.path()).unwrap_err();
        assert!(error.contains("holds no weights"), "{error}");
        let error = check_weights(&folder.path().join("gone")).unwrap_err();
        assert!(error.contains("cannot list"), "{error}");
    }
}
