//! The files of a model: safetensors or GGUF, for chats or embeddings.

use std::path::Path;

use super::{
    Quantise,
    embedding_dir::{EmbeddingDir, is_embedding},
    gguf_dir,
    model_dir::{LoadError, Modality, ModelDir, json, malformed},
    quirks,
};

/// The directory of a supported model.
#[derive(Debug)]
pub(super) enum ModelFiles {
    Chat(ModelDir),
    Embedding(EmbeddingDir),
}

impl ModelFiles {
    /// Reads a model's directory.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a file is missing, malformed or unsupported.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        if let Some(file) = gguf_dir::find(path)? {
            return gguf_dir::read(&file).map(Self::Chat);
        }
        if !path.is_dir() {
            return Err(format!(
                "{} is not a directory: use a directory with config.json, tokenizer.json and \
                 *.safetensors, or a GGUF file",
                path.display()
            ));
        }
        if is_embedding(path) {
            return EmbeddingDir::read(path).map(Self::Embedding);
        }
        ModelDir::read(path).map(Self::Chat)
    }

    /// Checks that the weights are not quantised twice.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if they are.
    pub(super) fn check_quantise(&self, quantise: Option<Quantise>) -> Result<(), LoadError> {
        match self {
            Self::Chat(dir) if dir.gguf.is_some() && quantise.is_some() => Err(format!(
                "{} has the quantisation of its GGUF file: remove the setting quantise, or use \
                 safetensors",
                dir.path.display()
            )),
            _ => Ok(()),
        }
    }

    /// The maximum number of images of a chat, and the maximum number of pixels of each.
    pub(super) fn max_images(&self, max_side: u32) -> (u64, u64) {
        match self {
            Self::Chat(dir) if dir.modality == Modality::Vision => {
                let (_, max_pixels) = dir.pixels;
                let side = u64::from(max_side);
                (quirks::MAX_IMAGES as u64, max_pixels.min(side * side))
            }
            _ => (0, 0),
        }
    }

    /// The number of layers, for models on several GPUs.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if the files lack it.
    pub(super) fn layers(&self) -> Result<usize, LoadError> {
        let path = match self {
            Self::Chat(dir) => match dir.gguf_path() {
                Some(file) => return gguf_dir::layers(&file),
                None => &dir.path,
            },
            Self::Embedding(dir) => &dir.path,
        };
        let config = json(path, "config.json")?;
        let layers = [&config, &config["text_config"]];
        let mut layers = layers
            .iter()
            .filter_map(|config| config["num_hidden_layers"].as_u64());
        let layers = layers
            .next()
            .and_then(|layers| usize::try_from(layers).ok());
        layers.ok_or_else(|| malformed(path, "config.json", "num_hidden_layers"))
    }
}
