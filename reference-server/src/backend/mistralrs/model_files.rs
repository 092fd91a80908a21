//! The files of a model: safetensors or GGUF, for chats or embeddings.

use std::path::Path;

use super::{
    MistralRsConfig, Quantise,
    embedding_dir::{EmbeddingDir, is_embedding},
    gguf_dir,
    image_limits::ImageFiles,
    model_dir::{LoadError, ModelDir, json, malformed},
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

    /// Checks the sizes of images in the settings.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if they are not within the bounds of the model.
    pub(super) fn check_images(&self, config: &MistralRsConfig) -> Result<(), LoadError> {
        self.images().map_or(Ok(()), |images| images.check(config))
    }

    /// The maximum number of images of a chat, and the maximum number of pixels of each.
    pub(super) fn max_images(&self, config: &MistralRsConfig, on_cpu: bool) -> (u64, u64) {
        self.images()
            .map_or((0, 0), |images| images.largest(config, on_cpu))
    }

    fn images(&self) -> Option<&ImageFiles> {
        match self {
            Self::Chat(dir) => dir.images.as_ref(),
            Self::Embedding(_) => None,
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
