//! Reads and checks the directory of an embedding model, in the layout of sentence-transformers.
//! mistral.rs panics on modules that it does not support.

use std::path::{Path, PathBuf};

use mistralrs::core::EmbeddingLoaderType;
use serde_json::Value;

use super::{
    matryoshka::Matryoshka,
    model_dir::{LoadError, check_weights, json, malformed, missing},
};

/// The directory of an embedding model, and what its files say about the model.
#[derive(Debug)]
pub(super) struct EmbeddingDir {
    pub(super) path: PathBuf,
    pub(super) loader: EmbeddingLoaderType,
    /// The context length, in tokens.
    pub(super) context: usize,
    /// The number of token ids.
    pub(super) vocabulary: usize,
    /// The lengths of vectors that the model has.
    pub(super) matryoshka: Matryoshka,
}

/// Whether this is the directory of an embedding model: the files of a model in the layout of
/// sentence-transformers are never those of a chat model, although the architecture may be the
/// same.
pub(super) fn is_embedding(path: &Path) -> bool {
    ["modules.json", "config_sentence_transformers.json", POOLING]
        .iter()
        .any(|name| path.join(name).exists())
}

/// The folder of the pooling module in published models.
const POOLING: &str = "1_Pooling";

impl EmbeddingDir {
    /// Reads a model's directory.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a file is missing, malformed or unsupported.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let config = json(path, "config.json")?;
        let architecture = config["architectures"][0]
            .as_str()
            .ok_or_else(|| malformed(path, "config.json", "architectures"))?;
        let loader = EmbeddingLoaderType::from_causal_lm_name(architecture).map_err(|_| {
            format!(
                "the architecture {architecture:?} of the embedding model {} is not supported: \
                 use a Qwen3-Embedding or EmbeddingGemma model",
                path.display()
            )
        })?;
        if !path.join("tokenizer.json").is_file() {
            return Err(missing(path, "tokenizer.json"));
        }
        check_weights(path)?;
        let field = |name: &str| {
            let count = config[name].as_u64();
            let count = count.and_then(|count| usize::try_from(count).ok());
            count
                .filter(|count| *count > 0)
                .ok_or_else(|| malformed(path, "config.json", name))
        };
        let length = check_modules(path, field("hidden_size")?)?;
        Ok(Self {
            path: path.to_owned(),
            context: field("max_position_embeddings")?,
            vocabulary: field("vocab_size")?,
            matryoshka: Matryoshka::new(&config, &loader, length),
            loader,
        })
    }
}

/// Checks the modules after the transformer; returns the length of the vectors.
fn check_modules(path: &Path, hidden: usize) -> Result<usize, LoadError> {
    const FILE: &str = "modules.json";
    let modules = json(path, FILE)?;
    let modules = modules.as_array().map(Vec::as_slice).unwrap_or_default();
    let modules: Option<Vec<_>> = modules.iter().map(Module::read).collect();
    let modules = modules.ok_or_else(|| malformed(path, FILE, "path"))?;
    let [transformer, pooling, rest @ ..] = modules.as_slice() else {
        return Err(unsupported(path, "less than two modules"));
    };
    if transformer.kind != "transformer" || pooling.kind != "pooling" {
        return Err(unsupported(
            path,
            "other modules than a transformer and a pooling first",
        ));
    }
    check_pooling(path, pooling)?;
    let mut length = hidden;
    for module in rest {
        match module.kind.as_str() {
            "dense" => length = check_dense(path, module, length)?,
            "normalize" => {}
            kind => return Err(unsupported(path, &format!("a module {kind:?}"))),
        }
    }
    Ok(length)
}

/// A module of `modules.json`.
struct Module {
    /// The last part of its type, in lower case.
    kind: String,
    folder: String,
}

impl Module {
    fn read(module: &Value) -> Option<Self> {
        let kind = module["type"].as_str()?;
        let kind = kind.rsplit('.').next().unwrap_or(kind);
        Some(Self {
            kind: kind.to_ascii_lowercase(),
            folder: module["path"].as_str()?.to_owned(),
        })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

fn check_pooling(path: &Path, pooling: &Module) -> Result<(), LoadError> {
    let name = pooling.file("config.json");
    let config = json(path, &name)?;
    if config["include_prompt"] != true {
        return Err(malformed(path, &name, "include_prompt"));
    }
    let modes = config.as_object().into_iter().flatten();
    let modes = modes.filter(|(name, value)| name.starts_with("pooling_mode_") && **value == true);
    let modes: Vec<_> = modes.map(|(name, _)| name.as_str()).collect();
    match modes.as_slice() {
        ["pooling_mode_lasttoken" | "pooling_mode_mean_tokens"] => Ok(()),
        _ => Err(unsupported(
            path,
            "a pooling other than that of the mean or the last token",
        )),
    }
}

/// Checks a linear layer; returns its number of outputs.
fn check_dense(path: &Path, dense: &Module, input: usize) -> Result<usize, LoadError> {
    let name = dense.file("config.json");
    let config = json(path, &name)?;
    let weights = dense.file("model.safetensors");
    if !path.join(&weights).is_file() {
        return Err(missing(path, &weights));
    }
    if config["in_features"] != input {
        return Err(malformed(path, &name, "in_features"));
    }
    let activation = config["activation_function"].as_str();
    if !activation.is_some_and(|name| name.ends_with("Identity")) {
        return Err(unsupported(path, "a dense layer with an activation"));
    }
    let output = config["out_features"].as_u64();
    output
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| malformed(path, &name, "out_features"))
}

fn unsupported(path: &Path, what: &str) -> LoadError {
    format!(
        "the embedding model in {} has {what}, which is not supported: use a Qwen3-Embedding or \
         EmbeddingGemma model",
        path.display()
    )
}
