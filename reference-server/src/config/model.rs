//! From the `[model]` section to what the backend takes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{DeviceConfig, ModelConfig, QuantiseConfig};
use crate::{
    StartError,
    backend::{Device, MistralRsConfig, ModelSource, Quantise},
};

impl ModelConfig {
    /// The backend's settings.
    ///
    /// # Errors
    /// When `source` is neither a directory nor a repository.
    pub fn to_backend(&self) -> Result<MistralRsConfig, StartError> {
        let source = source(&self.source)?;
        let name = self.name.clone().unwrap_or_else(|| name(&source));
        let mut config = MistralRsConfig::new(name, source);
        config.device = match self.device {
            DeviceConfig::Auto => Device::Auto,
            DeviceConfig::Cpu => Device::Cpu,
        };
        config.quantise = self.quantise.map(|quantise| match quantise {
            QuantiseConfig::Q8 => Quantise::Q8,
            QuantiseConfig::Q4 => Quantise::Q4,
        });
        config.max_running = self.max_running.get().into();
        config.max_queued = self.max_queued.into();
        config.queue_wait = Duration::from_secs(self.queue_wait_secs.into());
        config.max_image_side = self.max_image_side.get().into();
        Ok(config)
    }
}

/// A directory begins with `.` or `/`; anything else is a repository.
fn source(text: &str) -> Result<ModelSource, StartError> {
    let path = Path::new(text);
    if path.is_absolute() || path.starts_with(".") || path.starts_with("..") {
        return Ok(ModelSource::Directory(PathBuf::from(text)));
    }
    match text.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ModelSource::Hub(text.to_owned()))
        }
        _ => Err(StartError::new(format!(
            "model.source: {text:?} is neither a directory (write ./{text}) nor a repository of \
             the hub (owner/name)"
        ))),
    }
}

/// The name clients use where none is configured.
fn name(source: &ModelSource) -> String {
    match source {
        ModelSource::Hub(id) => id.clone(),
        ModelSource::Directory(path) => path.file_name().map_or("model".to_owned(), |name| {
            name.to_string_lossy().into_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_directories_from_repositories() {
        for (text, expected) in [
            ("./m", ModelSource::Directory("./m".into())),
            ("../m", ModelSource::Directory("../m".into())),
            ("/m", ModelSource::Directory("/m".into())),
            ("owner/name", ModelSource::Hub("owner/name".into())),
        ] {
            assert_eq!(source(text).unwrap(), expected);
        }
        for text in ["", "m", "a/b/c", "/", "a/"] {
            let is_root = text == "/";
            assert_eq!(source(text).is_ok(), is_root, "{text}");
        }
    }

    #[test]
    fn a_model_is_named_after_its_source() {
        assert_eq!(name(&ModelSource::Hub("a/b".into())), "a/b");
        assert_eq!(name(&ModelSource::Directory("/x/tiny".into())), "tiny");
    }
}
