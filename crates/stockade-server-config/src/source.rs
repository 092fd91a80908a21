//! Sources of models.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de::Error};
use stockade::ConfigError;

use crate::ModelConfig;

/// The source of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A directory with the weights, or a GGUF file.
    Directory(PathBuf),
    /// A repository on the Hugging Face hub: `owner/name`.
    Hub(String),
}

impl std::str::FromStr for ModelSource {
    type Err = String;

    /// Parses a directory, which starts with `.` or `/`, or a repository.
    fn from_str(text: &str) -> Result<Self, String> {
        if is_directory(Path::new(text)) {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        match text.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self::Hub(text.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is neither a directory (use ./{text}) nor a repository on the hub \
                 (owner/name)"
            )),
        }
    }
}

/// Whether a model may be here: a directory, or a GGUF file.
fn is_model(path: &Path) -> bool {
    path.is_dir() || path.is_file() && path.extension().is_some_and(|e| e == "gguf")
}

pub(crate) fn is_directory(path: &Path) -> bool {
    path.is_absolute() || path.starts_with(".") || path.starts_with("..")
}

impl ModelConfig {
    /// Parses [`source`](Self::source); `None` for a model without one.
    ///
    /// # Errors
    /// When [`source`](Self::source) is neither a directory nor a repository.
    pub fn location(&self) -> Result<Option<ModelSource>, String> {
        self.source.as_deref().map(str::parse).transpose()
    }

    /// `section` is the path of the model's section.
    pub(crate) fn check_directory(&self, section: &str) -> Option<ConfigError> {
        let setting = format!("{section}.source");
        match self.location() {
            Ok(Some(ModelSource::Directory(path))) if !is_model(&path) => {
                let text = format!("the directory {} does not exist", path.display());
                let help = "name the directory with the weights, a GGUF file, or a repository on \
                            the hub (owner/name)";
                Some(ConfigError::setting(setting, text).help(help))
            }
            Ok(_) => None,
            Err(error) => Some(ConfigError::setting(setting, error)),
        }
    }

    /// Resolves a directory relative to `folder`. A repository is unchanged, even if a directory
    /// has its name.
    pub(crate) fn resolve_source(&mut self, folder: &Path) {
        if let Some(source) = &mut self.source
            && is_directory(Path::new(source.as_str()))
        {
            *source = folder.join(&*source).to_string_lossy().into_owned();
        }
    }
}

pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    match text.parse::<ModelSource>() {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(D::Error::custom(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_directories_from_repositories() {
        for (text, expected) in [
            ("./m", ModelSource::Directory("./m".into())),
            ("../m", ModelSource::Directory("../m".into())),
            ("/m", ModelSource::Directory("/m".into())),
            ("owner/name", ModelSource::Hub("owner/name".into())),
        ] {
            assert_eq!(text.parse::<ModelSource>().unwrap(), expected);
        }
        for text in ["", "m", "a/b/c", "/", "a/"] {
            let is_root = text == "/";
            assert_eq!(text.parse::<ModelSource>().is_ok(), is_root, "{text}");
        }
    }
}
