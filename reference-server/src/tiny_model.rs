//! Generates model directories with random weights.
//!
//! The directories have the files and tensor shapes of real model families, so that `demo` and the
//! tests run the whole server on any machine without a download. The output is random characters
//! that depend on the prompt and, for the vision model, on the image.
//!
//! The same seed writes the same bytes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

#[cfg(test)]
pub(crate) mod gguf;
mod settings;
mod vocabulary;
mod weights;

use weights::Weights;

/// The bias of the output towards printable ASCII. At this value and a temperature up to 1, other
/// tokens are one in millions.
const ASCII_BIAS: f32 = 1.0;

/// Writes a Qwen2.5-VL model with random weights to `dir`, and creates the directory.
///
/// # Errors
/// Returns a [`TinyModelError`] if the model cannot be built or written.
pub fn write(dir: &Path, seed: u64) -> Result<(), TinyModelError> {
    write_biased(dir, seed, ASCII_BIAS)
}

/// Writes a text-only Qwen2 model with random weights to `dir`, and creates the directory.
///
/// # Errors
/// Returns a [`TinyModelError`] if the model cannot be built or written.
pub fn write_text(dir: &Path, seed: u64) -> Result<(), TinyModelError> {
    let mut weights = Weights::seeded(seed);
    weights.language(ASCII_BIAS, &vocabulary::printable());
    write_files(dir, &settings::text(), &weights)
}

/// Writes a Qwen3-Embedding model with random weights to `dir`, and creates the directory.
///
/// # Errors
/// Returns a [`TinyModelError`] if the model cannot be built or written.
pub fn write_embedding(dir: &Path, seed: u64) -> Result<(), TinyModelError> {
    let mut weights = Weights::seeded(seed);
    weights.embedding();
    create(&dir.join(settings::POOLING))?;
    write_json(dir, "config.json", &settings::embedding())?;
    write_json(dir, "modules.json", &settings::modules())?;
    let pooling = format!("{}/config.json", settings::POOLING);
    write_json(dir, &pooling, &settings::pooling())?;
    let tokenizer = vocabulary::embedding_tokenizer_json()?;
    write_bytes(dir, "tokenizer.json", tokenizer.as_bytes())?;
    write_bytes(dir, "model.safetensors", &weights.to_safetensors()?)
}

/// Like [`write()`], with a given bias; at 0 the model generates invalid UTF-8.
pub(crate) fn write_biased(dir: &Path, seed: u64, bias: f32) -> Result<(), TinyModelError> {
    let mut weights = Weights::seeded(seed);
    weights.language(bias, &vocabulary::printable());
    weights.vision();
    write_files(dir, &settings::vision(), &weights)?;
    write_json(
        dir,
        "preprocessor_config.json",
        &settings::image_preprocessor(),
    )
}

fn write_files(dir: &Path, config: &Value, weights: &Weights) -> Result<(), TinyModelError> {
    create(dir)?;
    write_json(dir, "config.json", config)?;
    write_json(dir, "generation_config.json", &settings::generation())?;
    write_json(dir, "tokenizer_config.json", &settings::tokenizer())?;
    let tokenizer = vocabulary::tokenizer_json()?;
    write_bytes(dir, "tokenizer.json", tokenizer.as_bytes())?;
    write_bytes(dir, "model.safetensors", &weights.to_safetensors()?)
}

fn create(dir: &Path) -> Result<(), TinyModelError> {
    fs::create_dir_all(dir).map_err(|source| TinyModelError::write(dir, source))
}

fn write_json(dir: &Path, name: &str, value: &Value) -> Result<(), TinyModelError> {
    write_bytes(dir, name, format!("{value:#}\n").as_bytes())
}

fn write_bytes(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), TinyModelError> {
    let path = dir.join(name);
    fs::write(&path, bytes).map_err(|source| TinyModelError::write(&path, source))
}

/// An error of writing a tiny model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TinyModelError {
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The underlying I/O error.
        source: io::Error,
    },
    /// The tokenizer could not be built.
    #[error("cannot build the tokenizer")]
    Tokenizer(#[source] tokenizers::Error),
    /// The weights could not be serialised.
    #[error("cannot serialise the weights")]
    Weights(#[from] safetensors::SafeTensorError),
}

impl TinyModelError {
    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn same_seed_writes_the_same_bytes() {
        let [a, b, c] = [1, 1, 2].map(|seed| {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), seed).unwrap();
            read_all(dir.path())
        });
        assert_eq!(a.len(), 6);
        assert!(a == b, "the same seed wrote different bytes");
        assert!(a != c, "another seed wrote the same bytes");
    }

    #[test]
    fn same_seed_writes_the_same_embedding_model() {
        let [a, b, c] = [1, 1, 2].map(|seed| {
            let dir = tempfile::tempdir().unwrap();
            write_embedding(dir.path(), seed).unwrap();
            fs::read(dir.path().join("model.safetensors")).unwrap()
        });
        assert!(a == b, "the same seed wrote different bytes");
        assert!(a != c, "another seed wrote the same bytes");
    }

    #[test]
    fn is_at_most_a_few_megabytes() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0).unwrap();
        let size: usize = read_all(dir.path()).iter().map(|(_, b)| b.len()).sum();
        assert!(size < 2 * 1024 * 1024, "{size} bytes");
    }

    #[test]
    fn tokenizer_covers_the_whole_vocabulary() {
        let dir = tempfile::tempdir().unwrap();
        write_text(dir.path(), 0).unwrap();
        let tokenizer =
            tokenizers::Tokenizer::from_file(dir.path().join("tokenizer.json")).unwrap();
        assert_eq!(tokenizer.get_vocab_size(true), settings::VOCABULARY);
        let text = "<|im_start|>user\nGrüße, 世界<|im_end|>\n";
        let encoded = tokenizer.encode(text, false).unwrap();
        assert_eq!(tokenizer.decode(encoded.get_ids(), false).unwrap(), text);
    }
}
