//! Reads and checks a GGUF file and the files next to it, before mistral.rs does, which panics or
//! reports internal details if a value is missing.
//!
//! `tokenizer.json`, the chat template and the EOS token of the directory take precedence over
//! those of the GGUF file, because the engine's conversion of its tokenizer is an approximation.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stockade_server_config::model_files::{GgufFile, find_gguf};

use super::model_dir::{
    LoadError, Modality, ModelDir, chat_template, eos_token, ids, no_template, optional_json,
};

/// The architectures for which the engine has a GGUF loader.
const ARCHITECTURES: [&str; 8] = [
    "llama",
    "mistral3",
    "phi2",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3moe",
    "starcoder2",
];

/// The GGUF file at `path`: the file itself, or the only one of a directory without safetensors.
///
/// # Errors
/// Returns a [`LoadError`] if the directory has several.
pub(super) fn find(path: &Path) -> Result<Option<PathBuf>, LoadError> {
    if path.is_file() && path.extension().is_some_and(|e| e == "gguf") {
        return Ok(Some(path.to_owned()));
    }
    if !path.is_dir() {
        return Ok(None);
    }
    find_gguf(path).map_err(|error| {
        format!(
            "cannot find the weights in {}: {error}; set source to one of them, and merge the \
             parts of a divided file",
            path.display()
        )
    })
}

/// Reads the header of a GGUF file, and the files next to it.
///
/// # Errors
/// Returns a [`LoadError`] if the file is malformed, unsupported, or has no chat template.
pub(super) fn read(file: &Path) -> Result<ModelDir, LoadError> {
    let header = header(file)?;
    let path = file.parent().unwrap_or(Path::new(""));
    let architecture = header.architecture().unwrap_or_default();
    if !ARCHITECTURES.contains(&architecture) {
        return Err(format!(
            "the architecture {architecture:?} of {} is not supported as GGUF: use safetensors, or \
             a GGUF file of {}",
            file.display(),
            ARCHITECTURES.join(", ")
        ));
    }
    if !path.join("tokenizer.json").is_file() {
        check_tokenizer(file, &header)?;
    }
    let tokenizer = optional_json(path, "tokenizer_config.json")?;
    let generation = optional_json(path, "generation_config.json")?;
    let own_template = || header.text("tokenizer.chat_template").map(str::to_owned);
    let mut eos_token_ids = ids(&generation["eos_token_id"]);
    let own_end = header.number("tokenizer.ggml.eos_token_id");
    let own_end = own_end.and_then(|id| u32::try_from(id).ok());
    eos_token_ids.extend(own_end);
    let eos_token = eos_token(&tokenizer);
    if eos_token.is_none() && own_end.is_none() {
        return Err(lacks(file, "tokenizer.ggml.eos_token_id"));
    }
    Ok(ModelDir {
        path: path.to_owned(),
        gguf: file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
        modality: Modality::Text,
        context: header
            .dimension("context_length")
            .and_then(|tokens| usize::try_from(tokens).ok())
            .ok_or_else(|| lacks(file, "context_length"))?,
        chat_template: chat_template(path, &tokenizer, &Value::Null)?
            .or_else(own_template)
            .ok_or_else(|| no_template(path))?,
        fixed_template: false,
        eos_token,
        eos_token_ids,
        images: None,
    })
}

/// The number of layers of a GGUF file.
///
/// # Errors
/// Returns a [`LoadError`] if the file lacks it.
pub(super) fn layers(file: &Path) -> Result<usize, LoadError> {
    let layers = header(file)?.dimension("block_count");
    layers
        .and_then(|layers| usize::try_from(layers).ok())
        .ok_or_else(|| lacks(file, "block_count"))
}

/// Checks that the engine can convert the tokenizer of the file; without merges it fails.
fn check_tokenizer(file: &Path, header: &GgufFile) -> Result<(), LoadError> {
    let has = |name: &str| header.number(name).is_some_and(|length| length > 0);
    let is_supported = has("tokenizer.ggml.tokens")
        && match header.text("tokenizer.ggml.model") {
            Some("gpt2") => has("tokenizer.ggml.merges"),
            Some("llama" | "replit") => has("tokenizer.ggml.scores"),
            _ => false,
        };
    match is_supported {
        true => Ok(()),
        false => Err(format!(
            "the tokenizer in {} is not supported: add the model's tokenizer.json to its directory",
            file.display()
        )),
    }
}

fn header(file: &Path) -> Result<GgufFile, LoadError> {
    GgufFile::read(file).map_err(|error| {
        format!(
            "cannot read {}: {error}; download the file again, or use another one",
            file.display()
        )
    })
}

fn lacks(file: &Path, value: &str) -> LoadError {
    format!(
        "{} has no valid {value}: download the file again",
        file.display()
    )
}
