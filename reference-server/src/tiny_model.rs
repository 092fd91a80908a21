//! Model directories of random weights, small enough to be made on the spot.
//!
//! They have the files and shapes of the real families, so that `demo` and the tests
//! run the whole server on any machine, with no download. Their answers are random
//! letters that depend on the prompt, and for the vision model on the image.
//!
//! The same seed writes the same bytes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

mod settings;
mod vocabulary;
mod weights;

use weights::Weights;

/// How strongly an answer leans to printable ASCII. At this value, and a temperature up to
/// 1, anything else is one token in millions.
const ASCII_BIAS: f32 = 1.0;

/// Writes a Qwen2.5-VL directory of random weights into `dir`, which is created.
///
/// # Errors
/// See [`TinyModelError`].
pub fn write(dir: &Path, seed: u64) -> Result<(), TinyModelError> {
    write_biased(dir, seed, ASCII_BIAS)
}

/// Writes a text-only Qwen2 directory of random weights into `dir`, which is created.
///
/// # Errors
/// See [`TinyModelError`].
pub fn write_text(dir: &Path, seed: u64) -> Result<(), TinyModelError> {
    let mut weights = Weights::seeded(seed);
    weights.language(ASCII_BIAS, &vocabulary::printable());
    write_files(dir, &settings::text(), &weights)
}

/// [`write()`] with a chosen lean; at 0 the model babbles in broken UTF-8.
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
    fs::create_dir_all(dir).map_err(|source| TinyModelError::write(dir, source))?;
    write_json(dir, "config.json", config)?;
    write_json(dir, "generation_config.json", &settings::generation())?;
    write_json(dir, "tokenizer_config.json", &settings::tokenizer())?;
    let tokenizer = vocabulary::tokenizer_json()?;
    write_bytes(dir, "tokenizer.json", tokenizer.as_bytes())?;
    write_bytes(dir, "model.safetensors", &weights.to_safetensors()?)
}

fn write_json(dir: &Path, name: &str, value: &Value) -> Result<(), TinyModelError> {
    write_bytes(dir, name, format!("{value:#}\n").as_bytes())
}

fn write_bytes(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), TinyModelError> {
    let path = dir.join(name);
    fs::write(&path, bytes).map_err(|source| TinyModelError::write(&path, source))
}

/// Why a tiny model was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TinyModelError {
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The tokenizer could not be built.
    #[error("cannot build the tokenizer")]
    Tokenizer(#[source] tokenizers::Error),
    /// The weights could not be laid out.
    #[error("cannot lay out the weights")]
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
    fn is_a_few_megabytes_at_most() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0).unwrap();
        let size: usize = read_all(dir.path()).iter().map(|(_, b)| b.len()).sum();
        assert!(size < 2 * 1024 * 1024, "{size} bytes");
    }

    #[test]
    fn tokenizer_fills_the_whole_vocabulary() {
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
