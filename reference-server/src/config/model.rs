//! Converts the section of a model to the settings of the engine.

use std::{num::NonZeroU32, time::Duration};

use stockade::BodyConfig;
use stockade_server_config::{ModelSource as Source, PagedAttention};

use super::{DeviceConfig, ModelConfig, QuantiseConfig};
use crate::{
    StartError,
    backend::{Device, MistralRsConfig, ModelSource, Quantise},
};

impl MistralRsConfig {
    /// The settings of a model of the configuration, whose requests have these limits.
    ///
    /// # Errors
    /// Returns an error if its source is neither a path nor a repository, or its device is unknown.
    pub fn from_model(model: &ModelConfig, body: &BodyConfig) -> Result<Self, StartError> {
        let source = match model.location() {
            Ok(Some(Source::Directory(path))) => ModelSource::Directory(path),
            Ok(Some(Source::Hub(id))) => ModelSource::Hub(id),
            Ok(None) => return Err(StartError::new("model.source is missing")),
            Err(error) => return Err(StartError::new(format!("model.source: {error}"))),
        };
        let mut config = Self::new(source);
        config.device = match model.device.clone().unwrap_or_default() {
            DeviceConfig::Auto => Device::Auto,
            DeviceConfig::Cpu => Device::Cpu,
            DeviceConfig::Cuda(numbers) => Device::Cuda(numbers),
            device => {
                return Err(StartError::new(format!(
                    "model.device: {device} is unknown"
                )));
            }
        };
        config.quantise = model.quantise.map(|quantise| match quantise {
            QuantiseConfig::Q8 => Quantise::Q8,
            QuantiseConfig::Q4 => Quantise::Q4,
        });
        config.max_running = model.max_running_or_default().get().into();
        config.max_queued = model.max_queued_or_default().into();
        config.name = model.api_name();
        let seconds = |secs: NonZeroU32| Duration::from_secs(secs.get().into());
        config.max_cost = model.max_cost_secs.map(seconds);
        config.max_client_cost = model.max_client_cost_secs.map(seconds);
        config.stuck_after = seconds(model.stuck_after_secs_or_default());
        config.queue_wait = Duration::from_secs(model.queue_wait_secs_or_default().into());
        let context = model.context.map(|tokens| usize::try_from(tokens.get()));
        config.context = context.and_then(Result::ok);
        config.request_tokens = Some(model.request_tokens(body));
        config.memory_check = model.memory_check.unwrap_or_default();
        config.paged_attention = model.paged_attention == Some(PagedAttention::Auto);
        config.max_pixels = model.max_pixels.map(|pixels| pixels.get().into());
        config.older_images = model.older_images.unwrap_or_default();
        config.coordinates = model.coordinates.unwrap_or_default();
        config.min_pixels = model.min_pixels.map(|pixels| pixels.get().into());
        Ok(config)
    }
}
