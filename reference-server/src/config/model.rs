//! Converts the `[model]` section to the backend's settings.

use std::time::Duration;

use stockade_server_config::ModelSource as Source;

use super::{Config, DeviceConfig, QuantiseConfig};
use crate::{
    StartError,
    backend::{Device, MistralRsConfig, ModelSource, Quantise},
};

impl Config {
    /// The backend's settings.
    ///
    /// # Errors
    /// Returns an error if `model.source` is neither a directory nor a repository.
    pub fn backend(&self) -> Result<MistralRsConfig, StartError> {
        let model = &self.model;
        let source = match model.location() {
            Ok(Source::Directory(path)) => ModelSource::Directory(path),
            Ok(Source::Hub(id)) => ModelSource::Hub(id),
            Err(error) => return Err(StartError::new(format!("model.source: {error}"))),
        };
        let name = model.name.clone().unwrap_or_else(|| name(&source));
        let mut config = MistralRsConfig::new(name, source);
        config.device = match model.device {
            DeviceConfig::Auto => Device::Auto,
            DeviceConfig::Cpu => Device::Cpu,
        };
        config.quantise = model.quantise.map(|quantise| match quantise {
            QuantiseConfig::Q8 => Quantise::Q8,
            QuantiseConfig::Q4 => Quantise::Q4,
        });
        config.max_running = model.max_running.get().into();
        config.max_queued = model.max_queued.into();
        config.queue_wait = Duration::from_secs(model.queue_wait_secs.into());
        config.max_image_side = model.max_image_side.get().into();
        Ok(config)
    }
}

/// The default name of a model, for clients.
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
    fn names_a_model_after_its_source() {
        assert_eq!(name(&ModelSource::Hub("a/b".into())), "a/b");
        assert_eq!(name(&ModelSource::Directory("/x/tiny".into())), "tiny");
    }
}
